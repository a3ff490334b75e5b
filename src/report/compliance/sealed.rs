//! The bundles behind the report, how much of their runs they contain, and runs that drctl cannot read.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{PlanName, RunId};
use crate::model::time::Timestamp;

/// The newest intact bundle of a run.
#[derive(Clone, Debug)]
pub struct SealedBundle {
    /// Its file.
    pub file: String,
    /// The SHA-256 of that file.
    pub sha256: String,
    /// How much of the run it contains.
    pub covers: Covered,
    /// The application.
    pub plan: PlanName,
}

/// A run that drctl cannot read. It is in no figure.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnreadableRun {
    /// Its name.
    pub run: RunId,
    /// The application, if its first event or its bundle still tells.
    pub plan: Option<PlanName>,
    /// When it started, if its first event still tells.
    pub started_at: Option<Timestamp>,
    /// What is wrong.
    pub why: String,
    /// The file of its newest intact bundle.
    pub bundle: Option<String>,
    /// The SHA-256 of that file.
    pub sha256: Option<String>,
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
