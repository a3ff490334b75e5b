//! What is done to an Aurora global database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::aurora::NewMember;
use crate::kinds::shared::database::DatabaseRef;

/// Gives a cluster without instances one that can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddClusterInstance {
    /// The cluster.
    pub db: DatabaseRef,
    /// The instance.
    pub instance: Box<NewMember>,
}
