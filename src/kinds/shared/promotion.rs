//! The promotion of a replica, and its withdrawal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::aurora::Takeover;
use crate::kinds::shared::database::DatabaseRef;

/// Makes a replica the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {
    /// The replica.
    pub db: DatabaseRef,
    /// How many days backups of a managed one are kept from then on: those of the old primary, where the service would take fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_days: Option<u32>,
    /// Of a global database, what the service is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Box<Takeover>>,
}

/// Withdraws a promotion that was asked for and has not begun: the standby is stopped, and started as one again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdraw {
    /// The standby.
    pub db: DatabaseRef,
}
