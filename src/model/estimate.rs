//! The duration of a step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Dur;

/// Expected and worst duration of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The duration of most runs.
    pub expected_ms: Dur,
    /// The timeout of the step, after which the step has failed. For an accepted change that cannot be undone, drctl keeps waiting.
    pub timeout_ms: Dur,
}

impl Estimate {
    /// The expected duration and the timeout.
    pub const fn new(expected_ms: Dur, timeout_ms: Dur) -> Self {
        Self { expected_ms, timeout_ms }
    }
}
