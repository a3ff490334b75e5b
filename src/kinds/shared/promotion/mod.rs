//! The promotion of a replica, and its withdrawal.

mod op;
pub mod sim;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::server::DatabaseRef;
use crate::model::place::Place;

/// Promotes a replica to the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {
    /// The replica.
    pub db: DatabaseRef,
    /// The backup retention of a managed server after the promotion, in days: that of the old primary, if the service's default is shorter.
    // RDS sets one day for a promoted replica (Amazon RDS API Reference, `PromoteReadReplica`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_days: Option<u32>,
    /// For a global database: the request to the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Box<Takeover>>,
}

/// How a global database's writer is moved to another cluster (Amazon RDS API Reference, `SwitchoverGlobalCluster`,
/// `FailoverGlobalCluster`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Takeover {
    /// The global database.
    pub global: String,
    /// The ARN of the cluster that becomes the writer.
    pub target_arn: String,
    /// The method.
    pub by: Handover,
    /// The region that gets the call: for a switchover the writer's (`TargetDbClusterIdentifier` is an ARN there, «so that Aurora can
    /// locate the cluster»), for a failover the target's.
    pub at: Place,
}

/// How the writer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// The writer hands over once the target has all data. Both regions must be healthy.
    Switchover,
    /// The writer is not involved, and data that the target lacks is lost.
    AllowDataLoss,
}

/// Withdraws a promotion that was requested but has not begun: stops the standby, and starts it as a standby again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdraw {
    /// The standby.
    pub db: DatabaseRef,
}

impl Promote {
    /// Whether the service moves the writer only if nothing is missing, and stops writes itself.
    pub fn hands_over(&self) -> bool {
        self.takeover.as_deref().is_some_and(Takeover::hands_over)
    }
}

impl Takeover {
    /// Whether the writer hands over, so that nothing is lost.
    pub fn hands_over(&self) -> bool {
        self.by == Handover::Switchover
    }
}

impl fmt::Display for Promote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.db.id;
        match self.takeover.as_deref() {
            Some(how) => match how.by {
                Handover::Switchover => write!(f, "move the writer of {} to {id}", how.global),
                Handover::AllowDataLoss => {
                    write!(f, "make {id} the writer of {}, even if it lacks data", how.global)
                }
            },
            None => write!(f, "promote {id}"),
        }
    }
}

impl fmt::Display for Withdraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "withdraw the promotion of {}: stop it, then start it as a standby", self.db.id)
    }
}
