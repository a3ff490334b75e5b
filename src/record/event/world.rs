//! The world of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// Whether the run acts on real systems. Everything that a run produces says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "world", rename_all = "snake_case")]
pub enum WorldKind {
    /// Real providers.
    Live,
    /// A simulated environment with virtual time.
    Sandbox {
        /// The scenario.
        scenario: String,
        /// The random seed.
        seed: u64,
        /// The start of the virtual time.
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
