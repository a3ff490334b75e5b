//! The world that a run is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// Whether anything real was touched. Stamped on everything that leaves a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "world", rename_all = "snake_case")]
pub enum WorldKind {
    /// Real providers.
    Live,
    /// A simulated estate in virtual time.
    Sandbox {
        /// What happens in it.
        scenario: String,
        /// Which of all the ways it can happen.
        seed: u64,
        /// When its time began.
        began: Timestamp,
    },
}

impl WorldKind {
    /// `live` or `sandbox`.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox { .. } => "sandbox",
        }
    }
}
