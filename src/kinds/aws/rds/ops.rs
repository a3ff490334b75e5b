//! What is done to a DB instance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::DatabaseRef;

/// Gives a managed server another name, which frees the one that it has. It is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rename {
    /// The server.
    pub db: DatabaseRef,
    /// Its name from then on.
    pub to: String,
}
