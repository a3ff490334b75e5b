//! The settings of a managed instance.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Dur;

/// The maximum length of an instance identifier (Amazon RDS API Reference, `CreateDBInstance`).
pub const LONGEST_ID: usize = 63;

/// How old the newest uploaded log may be. RDS uploads logs every five minutes (Amazon RDS User Guide, «Restoring a DB instance to a
/// specified time»). Twice that counts as late.
pub const UPLOADED: Dur = Dur::mins(10);

/// CloudWatch's lag of a replica of an idle PostgreSQL source grows up to five minutes (AWS, Amazon RDS User Guide, «Monitoring read
/// replication»), and it takes a minute to be published.
const IDLE: Dur = Dur::mins(6);

/// The settings of a managed instance that a replica does not take from its source (Amazon RDS API Reference,
/// `CreateDBInstanceReadReplica`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct InstanceSettings {
    /// Its ARN.
    pub arn: String,
    /// Its engine, such as `postgres`.
    #[serde(default)]
    pub engine: String,
    /// The engine's version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Its class, such as `db.r6g.large`.
    pub class: String,
    /// Its subnet group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_group: Option<String>,
    /// Its parameter group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_group: Option<String>,
    /// The key that encrypts it, if any. A key belongs to one region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Its storage type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Provisioned IOPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<i32>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Whether it has a standby in another availability zone.
    #[serde(default)]
    pub multi_az: bool,
    /// Whether it is publicly accessible.
    #[serde(default)]
    pub public: bool,
    /// The retention of its backups in days. Replicas need at least one.
    #[serde(default)]
    pub backup_days: u32,
    /// Whether logins by IAM are enabled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub iam_logins: bool,
    /// Whether it is protected against deletion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Whether RDS manages its administrator's password in Secrets Manager, and rotates it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed_password: bool,
    /// Its tags, without those of AWS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl InstanceSettings {
    /// The attributes that no failover changes.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let Self { engine, version, class, multi_az, public, iam_logins, .. } = self;
        let flags = [("multi-AZ", multi_az), ("public", public), ("IAM logins", iam_logins)];
        let flags = flags.into_iter().map(|(what, is)| (what, Some(is.to_string())));
        let named = [
            ("engine", Some(engine.clone())),
            ("engine version", Some(version.clone())),
            ("class", Some(class.clone())),
            ("subnet group", self.subnet_group.clone()),
            ("parameter group", self.parameter_group.clone()),
            ("key", self.kms_key.clone()),
            ("storage", self.storage.clone()),
            ("IOPS", self.iops.map(|n| n.to_string())),
            ("port", self.port.map(|n| n.to_string())),
        ];
        let known = named.into_iter().chain(flags).filter_map(|(what, is)| Some((what.to_owned(), is?)));
        known.filter(|(_, is)| !is.is_empty()).collect()
    }

    /// Whether it is PostgreSQL, for which RDS accepts no parameter group when a replica is created.
    pub fn is_postgres(&self) -> bool {
        self.engine.is_empty() || self.engine.contains("postgres")
    }

    /// Whether a lag that the provider reports may only mean that the source writes nothing.
    pub fn may_be_idle(&self, lag: Dur) -> bool {
        lag <= IDLE && self.is_postgres()
    }

    /// The parameter group that may be given when a replica is created.
    pub fn creation_parameters(&self) -> Option<&String> {
        self.parameter_group.as_ref().filter(|_| !self.is_postgres())
    }

    /// The IOPS, if they are provisioned. For gp3 below 400 GiB they follow from the size.
    pub fn creation_iops(&self) -> Option<i32> {
        self.iops.filter(|_| self.storage.as_deref().is_some_and(|s| s.starts_with("io")))
    }

    /// The key, if the source is in another region, which requires it.
    pub fn creation_key(&self, source_arn: &str) -> Option<&String> {
        let region = |arn: &str| arn.split(':').nth(3).map(str::to_owned);
        self.kms_key.as_ref().filter(|_| region(&self.arn) != region(source_arn))
    }
}
