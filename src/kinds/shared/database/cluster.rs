//! The state of a cluster of managed instances.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a cluster of an Aurora global database (Amazon RDS API Reference, `DBCluster`, `GlobalCluster`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClusterState {
    /// Its ARN, by which the global database names its members.
    pub arn: String,
    /// Its engine, such as `aurora-postgresql`.
    pub engine: String,
    /// The version of its engine. Members need the same version to take over from each other.
    pub version: String,
    /// Its instances. Without any, it holds data but serves nobody.
    pub instances: Vec<ClusterInstance>,
    /// Clusters of the global database whose sessions may write through their readers. A fence on the writer does not block these writes.
    // Source: Amazon Aurora User Guide, «Using write forwarding in an Amazon Aurora global database».
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwarding: Vec<String>,
    /// Whether it accepts statements over HTTPS (the Data API), which security groups do not block. They use the logins of the database.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub data_api: bool,
}

/// An instance of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClusterInstance {
    /// Its identifier.
    pub id: String,
    /// Its class, such as `db.r6g.large`.
    pub class: String,
    /// The provider's status.
    pub status: String,
    /// Whether it is, or would be, the writer of its cluster.
    pub writer: bool,
}

impl ClusterState {
    /// The attributes that no failover changes.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let class = self.class().map(|class| ("class".to_owned(), class.to_owned()));
        class.into_iter().chain([("engine version".to_owned(), self.version.clone())]).collect()
    }

    /// The class of the instance that is, or would be, the writer.
    pub fn class(&self) -> Option<&str> {
        let writer = self.instances.iter().find(|i| i.writer).or_else(|| self.instances.first());
        writer.map(|i| i.class.as_str())
    }
}

/// The complete settings of an instance to create in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewMember {
    /// Its identifier.
    pub id: String,
    /// Its class, such as `db.r6g.large`.
    pub class: String,
    /// The engine of its cluster.
    pub engine: String,
}
