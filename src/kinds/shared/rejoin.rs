//! How a server becomes a standby of another one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::rds::NewReplica;
use crate::kinds::shared::database::DatabaseRef;

/// Makes a server a standby of another one: its own history is rewound, or replaced by a base backup; a managed one is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejoin {
    /// The server.
    pub db: DatabaseRef,
    /// The one that it follows from then on.
    pub source: DatabaseRef,
    /// How a managed replica is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<Box<NewReplica>>,
    /// Tables of which the rows that only this server has are exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconcile: Vec<String>,
}
