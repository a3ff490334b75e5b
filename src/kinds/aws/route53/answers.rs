//! What name servers and resolvers answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What name servers and resolvers answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswersState {
    /// Each server that was asked, for each name.
    pub servers: Vec<ServerAnswer>,
}

/// What one server answers for one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerAnswer {
    /// The server.
    pub server: String,
    /// Whether it is one of the zone's own: it answers from the zone, and keeps nothing.
    pub authoritative: bool,
    /// The name.
    pub name: String,
    /// Whether it answered as wanted; none where it did not answer.
    pub right: Option<bool>,
    /// What it answered, or why it did not.
    pub said: String,
}

/// What a name shall lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// `A` and so on.
    pub rtype: String,
    /// Its values, sorted; for an alias nothing.
    pub values: Vec<String>,
    /// The name that an alias leads to: whatever that one's values are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}
