//! What runs on this machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command of the plan's author. Run without a shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether running it twice is as good as once. If not, a person decides when it is in doubt.
    pub idempotent: bool,
    /// Variables of drctl's environment that it is given beside the usual ones: names, since values may be secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}
