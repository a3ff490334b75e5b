//! The actions of a run that belong to no kind, with credentials, guards and commands, and what is observed of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The identity of the credentials, according to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityState {
    /// The account.
    pub account: String,
    /// The principal.
    pub arn: String,
}

/// The holder of a component's guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardState {
    /// The run that holds it, and its owner; `None` if it is free.
    #[serde(default)]
    pub holder: Option<String>,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandState {
    /// Its exit code; `None` while it is running.
    pub exit: Option<i32>,
    /// The last lines of its output, without secrets.
    pub tail: String,
}
