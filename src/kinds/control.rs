//! What a run does beside the kinds: credentials, guards and commands, and what is observed of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who the credentials are, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityState {
    /// The account.
    pub account: String,
    /// The principal.
    pub arn: String,
}

/// Who holds a component's guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardState {
    /// The run that holds it, and its owner; none when it is free.
    #[serde(default)]
    pub holder: Option<String>,
}

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandState {
    /// Its exit code; none while it runs.
    pub exit: Option<i32>,
    /// The last lines of its output, without secrets.
    pub tail: String,
}
