//! What people ask of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duty::{Decision, Duty};
use crate::model::ids::{Digest, StepId};
use crate::model::waiver::Waiver;

/// A person's request to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Signal {
    /// Approves at a gate.
    Approve {
        /// The gate.
        step: StepId,
        /// The runbook that the person saw.
        runbook: Digest,
    },
    /// Rejects at a gate.
    Reject {
        /// The gate.
        step: StepId,
        /// The reason.
        reason: String,
    },
    /// Continues before the required approvals, in an emergency.
    Override {
        /// The gate.
        step: StepId,
        /// Why the run cannot wait.
        reason: String,
    },
    /// Starts no new steps and lets steps in progress end.
    Pause,
    /// Continues, and tries failed steps again.
    Resume,
    /// Undoes what can be undone; after a point of no return, closes the run.
    Cancel {
        /// The reason.
        reason: String,
        /// The current holder of a guard of the run. drctl undoes nothing under another holder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        displaced_by: Option<String>,
    },
    /// Skips a step.
    Skip {
        /// The step.
        step: StepId,
        /// The reason.
        reason: String,
    },
    /// Acknowledges the state of the run, perhaps with a decision.
    Acknowledge {
        /// The decision about a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        /// In words.
        reason: String,
    },
    /// Confirms a duty after an incident.
    Fulfil {
        /// The duty.
        duty: Duty,
        /// Where the document is.
        reference: String,
        /// The digest of the document, if it was a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
    /// Confirms a step that a person did by hand. drctl relies on its own observation.
    Done {
        /// The step.
        step: StepId,
    },
    /// Waives a refusal.
    Waive {
        /// The waiver.
        waiver: Waiver,
    },
}
