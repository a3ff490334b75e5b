//! Commands in plans, which run on this machine.

mod op;
pub mod sim;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::document::{Node, Value};
use crate::model::read::dur;
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::syntax::Syntax;
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
    /// Its outcome in a rehearsal, if the plan declares one. A live run has none: it runs the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Declared>,
}

/// The outcome of a command in a rehearsal, which does not run it. The plan declares it, and nobody observed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Declared {
    /// How long the command takes.
    pub takes_ms: Dur,
    /// Its exit code.
    pub exit: u8,
    /// What it prints; empty if that is nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and exit code {}", self.takes_ms.exact(), self.exit)
    }
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

/// Its outcome in a rehearsal.
pub const REHEARSAL: Field = opt(
    "rehearsal",
    Shape::Keys(&DECLARED),
    "its outcome in a rehearsal, which does not run it; if absent, it takes no time and ends with 0. A live run ignores this key",
);

const DECLARED: Keys = Keys {
    name: "rehearsal",
    fields: &[
        req("takes", Shape::Duration, "how long it takes; its timeout ends it as in a live run"),
        opt("exit", Shape::Int(0, 255), "its exit code; 0 if absent. The run treats any other as a failure"),
        opt("output", Shape::Written(&OUTPUT), "what it prints; nothing if absent"),
    ],
};

/// As much as is kept of a real one.
static OUTPUT: Syntax = Syntax::new(
    "the output of a command",
    "one line of at most 2,000 characters",
    "restored 120 files",
    "^.+$",
    2_000,
);

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
            rehearsal: node.get("rehearsal").and_then(declared),
        },
        timeout: node.get("timeout").and_then(dur).unwrap_or(Dur::mins(5)),
    })
}

fn declared(node: &Node) -> Option<Declared> {
    let exit = node.get("exit").and_then(Node::int).and_then(|code| u8::try_from(code).ok());
    Some(Declared {
        takes_ms: node.get("takes").and_then(dur)?,
        exit: exit.unwrap_or_default(),
        output: node.get("output").and_then(Node::text).unwrap_or_default().to_owned(),
    })
}
