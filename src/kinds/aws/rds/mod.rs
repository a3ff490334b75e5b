//! Kind `aws.rds`: an Amazon RDS instance with a read replica in another site.

pub(crate) mod calls;
mod ops;
mod plan;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Dur;
pub use ops::Rename;
pub use plan::{CALLED, KEYS};

/// A managed instance's settings, as far as a replica does not take them from its source (Amazon RDS API Reference,
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
    /// The key that it is encrypted with, if it is: keys are of one region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Its kind of storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Provisioned operations a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<i32>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Whether it has a standby in another zone.
    #[serde(default)]
    pub multi_az: bool,
    /// Whether it has a public address.
    #[serde(default)]
    pub public: bool,
    /// How many days its backups are kept: without any it has no replicas.
    #[serde(default)]
    pub backup_days: u32,
    /// Whether logins by IAM are let in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub iam_logins: bool,
    /// Whether it cannot be deleted before that is switched off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Whether RDS keeps its administrator's password in Secrets Manager, and changes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed_password: bool,
    /// Its tags, but for those of AWS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl InstanceSettings {
    /// Whether it is PostgreSQL, of which RDS takes no parameter group at the creation of a replica.
    pub fn is_postgres(&self) -> bool {
        self.engine.is_empty() || self.engine.contains("postgres")
    }

    /// What a replica's creation may name as its parameter group.
    pub fn creation_parameters(&self) -> Option<&String> {
        self.parameter_group.as_ref().filter(|_| !self.is_postgres())
    }

    /// Operations a second, where they are provisioned: of gp3 they are a property of its size below 400 GiB.
    pub fn creation_iops(&self) -> Option<i32> {
        self.iops.filter(|_| self.storage.as_deref().is_some_and(|s| s.starts_with("io")))
    }

    /// The key, where a source in another region makes it needed.
    pub fn creation_key(&self, source_arn: &str) -> Option<&String> {
        let region = |arn: &str| arn.split(':').nth(3).map(str::to_owned);
        self.kms_key.as_ref().filter(|_| region(&self.arn) != region(source_arn))
    }
}

/// Words of RDS for an instance that serves (Amazon RDS User Guide, «Viewing Amazon RDS DB instance status»).
pub const SERVING: &[&str] = &[
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "storage-config-upgrade",
    // Blocks come when they are read (after a restore).
    "storage-initialization",
    "storage-optimization",
];

/// A managed read replica that is to be created, completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewReplica {
    /// The source as another region names it.
    pub source_arn: String,
    /// As the instance is that it takes the place of.
    pub like: InstanceSettings,
    /// The groups that let its clients in.
    pub security_groups: Vec<String>,
}

/// A new name is effective in about 10 minutes, and the instance is not available before (AWS, Amazon RDS User Guide, «Renaming a DB
/// instance»).
pub const NEW_NAME: Dur = Dur::mins(10);

/// How long a renaming that was asked for may show nothing under the new name: twice what is published.
pub const NEW_NAME_AT_WORST: Dur = Dur::mins(20);
