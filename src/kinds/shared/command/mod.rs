//! Commands in plans, which run on this machine.

mod op;
pub mod sim;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::document::{Node, Value};
use crate::model::read::dur;
use crate::model::shape::{Field, Shape, opt, req};
use crate::model::time::Dur;

/// A command in a plan. It runs without a shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether it may run twice. If not, a person decides what to do when its result is in doubt.
    pub idempotent: bool,
    /// Names of environment variables that it gets in addition to the usual ones. The plan has names because values may be secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
}

/// A command in a plan, and its timeout.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name, or its number among several.
    pub name: String,
    /// The command.
    pub command: Command,
    /// The timeout.
    pub timeout: Dur,
}

/// Program and arguments.
pub const COMMAND: Field = req("command", Shape::List(&Shape::Text), "program and arguments; no shell");

/// Whether it may run twice.
pub const IDEMPOTENT: Field =
    opt("idempotent", Shape::Bool, "true if a second run has no further effect; false if absent");

/// The variables that it gets.
pub const ENV: Field = opt(
    "env",
    Shape::List(&Shape::Name),
    "names of environment variables to pass in addition to PATH, HOME, LANG, TZ and DRCTL_IDEMPOTENCY_KEY",
);

/// Its timeout.
pub const TIMEOUT: Field = opt("timeout", Shape::Duration, "the timeout; 5m if absent");

/// Reads a command and its timeout. A command without a name gets its number.
pub fn task(node: &Node, number: u32) -> Option<Task> {
    let name = node.get("name").and_then(Node::text);
    Some(Task {
        name: name.map_or_else(|| number.to_string(), str::to_owned),
        command: Command {
            argv: node.get("command")?.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
            idempotent: matches!(node.get("idempotent").map(|n| &n.value), Some(Value::Bool(true))),
            env: node
                .get("env")
                .map(|n| n.items().iter().filter_map(Node::text).map(str::to_owned).collect())
                .unwrap_or_default(),
        },
        timeout: node.get("timeout").and_then(dur).unwrap_or(Dur::mins(5)),
    })
}
