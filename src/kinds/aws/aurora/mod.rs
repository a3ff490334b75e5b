//! Kind `aws.aurora_global`: the clusters of an Aurora global database.

pub(crate) mod calls;
mod ops;
mod plan;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;
pub use ops::AddClusterInstance;
pub use plan::{CALLED, KEYS};

/// What a cluster of an Aurora global database consists of (Amazon RDS API Reference, `DBCluster`, `GlobalCluster`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClusterState {
    /// Its ARN: what a global database calls its member.
    pub arn: String,
    /// Its engine, such as `aurora-postgresql`.
    pub engine: String,
    /// Its engine's version: members have the same, or cannot take over from each other.
    pub version: String,
    /// Its instances; without any it holds data and serves nobody.
    pub instances: Vec<ClusterInstance>,
    /// Clusters of the global database whose sessions may write through their readers: no fence at the writer's door keeps them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwarding: Vec<String>,
    /// Whether it takes statements over HTTPS (the Data API), which pass by no security group. Their logins are the database's.
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
    /// The provider's status word.
    pub status: String,
    /// Whether it is the one of its cluster that would write.
    pub writer: bool,
}

impl ClusterState {
    /// The class of the instance that writes, or would: what serves users has it.
    pub fn class(&self) -> Option<&str> {
        let writer = self.instances.iter().find(|i| i.writer).or_else(|| self.instances.first());
        writer.map(|i| i.class.as_str())
    }
}

/// The status of a cluster that is in order and has no instance that serves: what is asked of it waits for one.
pub const HEADLESS: &str = "no-instance";

/// How a global database's writer is moved to another cluster (Amazon RDS API Reference, `SwitchoverGlobalCluster`,
/// `FailoverGlobalCluster`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Takeover {
    /// The global database.
    pub global: String,
    /// The cluster that writes from then on, as its global database calls it.
    pub target_arn: String,
    /// How.
    pub by: Handover,
    /// Who is asked: the writer's region for a handover (`TargetDbClusterIdentifier` is an ARN there, «so that Aurora can locate the
    /// cluster»), the target's where the writer is not asked.
    pub at: Place,
}

/// How a writer is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// It hands over once the target has everything: both regions have to be healthy.
    Switchover,
    /// It is not asked, and what the target lacks is lost.
    AllowDataLoss,
}

/// An instance that is to be created in a cluster, completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewMember {
    /// Its identifier.
    pub id: String,
    /// Its class, such as `db.r6g.large`.
    pub class: String,
    /// Its cluster's engine.
    pub engine: String,
}
