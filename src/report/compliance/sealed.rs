//! The bundles behind the report, and how much of their runs they contain.

use schemars::JsonSchema;
use serde::Serialize;

/// The newest intact bundle of a run.
#[derive(Clone, Debug)]
pub struct SealedBundle {
    /// Its file.
    pub file: String,
    /// The SHA-256 of that file.
    pub sha256: String,
    /// How much of the run it contains.
    pub covers: Covered,
}

/// How many events of a run a bundle contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Covered {
    /// The events in the bundle.
    pub events: u64,
    /// The events of the run.
    pub of: u64,
}

impl Covered {
    /// The same, if the run went on after the bundle.
    pub fn if_partial(self) -> Option<Self> {
        (self.events < self.of).then_some(self)
    }

    /// In words.
    pub fn words(self) -> String {
        format!("covers {} of {} events", self.events, self.of)
    }
}
