//! The answers of name servers and resolvers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::plain::count;
use crate::model::time::Dur;

/// The answers of name servers and resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswersState {
    /// The answer of each server for each name.
    pub servers: Vec<ServerAnswer>,
}

/// The answer of one server for one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerAnswer {
    /// The server.
    pub server: String,
    /// Whether it is one of the zone's own name servers, which have the current answer.
    pub authoritative: bool,
    /// The name.
    pub name: String,
    /// Whether the answer is the expected one; `None` if there is no answer.
    pub right: Option<bool>,
    /// The answer, or the reason why there is none.
    pub said: String,
}

/// The expected answer for a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// `A` and so on.
    pub rtype: String,
    /// The expected values, sorted; empty for an alias.
    pub values: Vec<String>,
    /// The target of an alias, whose values are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// Waits until name servers give the expected answer, and resolvers do as well or have had the time to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answers {
    /// The names and their expected answers.
    pub names: Vec<Wanted>,
    /// The maximum time to wait for resolvers: the old TTL. Without it, the zone's own name servers must be right, or, if none of them can
    /// be reached from here, every resolver that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolvers_ttl_ms: Option<Dur>,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = count(self.names.len(), "name");
        match self.resolvers_ttl_ms {
            None => write!(f, "check that the name servers of the zone send users there, for {names}"),
            Some(ttl) => write!(f, "query resolvers for {names}, for at most {ttl}"),
        }
    }
}
