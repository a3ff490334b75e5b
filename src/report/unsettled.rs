//! What a run leaves behind: effects that may still happen, and the figure of each store.

use schemars::JsonSchema;
use serde::Serialize;

use super::measured::Measured;
use crate::model::ids::StepId;
use crate::model::time::Timestamp;

/// An effect that may still happen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InDoubt {
    /// The step whose call it belongs to.
    pub step: StepId,
    /// Since when.
    pub since: Timestamp,
    /// The latest time at which it may happen; `None` if only an observation can tell.
    pub until: Option<Timestamp>,
    /// What may happen, and how to withdraw it.
    pub text: String,
}

/// One store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Store {
    /// Its figure.
    pub rpo: Measured,
    /// The last instant at which the old primary may have acknowledged a write.
    pub last_instant: Option<Timestamp>,
    /// The source of that.
    pub because: String,
    /// The last commit on the new primary from the old one.
    pub last_replayed: Option<Timestamp>,
}
