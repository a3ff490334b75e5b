//! How a server becomes a standby of another one.

mod op;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::server::DatabaseRef;

/// Makes a server a standby of another one: its own history is rewound, or replaced by a base backup. A managed server is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejoin {
    /// The server.
    pub db: DatabaseRef,
    /// The server that it will follow.
    pub source: DatabaseRef,
    /// The settings for creating a managed replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<Box<NewReplica>>,
    /// Tables whose rows that exist only on this server are exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reconcile: Vec<String>,
}

/// The complete settings of a managed read replica to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewReplica {
    /// The ARN of the source.
    pub source_arn: String,
    /// The settings of the instance that it replaces.
    pub like: InstanceSettings,
    /// The security groups that let clients in.
    pub security_groups: Vec<String>,
}

impl fmt::Display for Rejoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (db, source) = (&self.db.id, &self.source.id);
        match self.replica {
            None => write!(f, "make {db} a standby of {source}"),
            Some(_) => write!(f, "create {db}, a read replica of {source}"),
        }
    }
}
