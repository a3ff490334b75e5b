//! Why an event cannot follow the events before it.

use thiserror::Error;

use crate::model::ids::StepId;
use crate::model::time::Timestamp;

/// An event that cannot follow what went before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Illegal {
    /// The first event creates the run, and no other does.
    #[error("a run must start with one run_created event")]
    Beginning,
    /// The runbook has no such step.
    #[error("the runbook has no step `{0}`")]
    UnknownStep(StepId),
    /// The step is in a state in which the event is not valid.
    #[error("`{event}` is not valid while step `{step}` is {status}")]
    Step {
        /// The step.
        step: StepId,
        /// Its state.
        status: &'static str,
        /// The event.
        event: &'static str,
    },
    /// The run is over.
    #[error("`{0}` is not valid after the end of the run")]
    Finished(&'static str),
    /// The event is older than the one before it.
    #[error("an event at {0} cannot follow an event at {1}")]
    Backwards(Timestamp, Timestamp),
    /// An approval gate that passed without its approvals, or an invalid approval.
    #[error("the approval event of `{0}` is not valid: {1}")]
    Unapproved(StepId, String),
    /// An event that no run writes.
    #[error("the event of step `{0}` is not valid: {1}")]
    Impossible(StepId, String),
    /// The runbook in the journal cannot be read.
    #[error("drctl cannot read the runbook of the run: {0}")]
    Runbook(String),
    /// The runbook does without an approval that the terms of the run require.
    #[error("the runbook of the run is not valid: {0}")]
    NotAgreedTo(String),
    /// The terms in the journal are not those that the run began under.
    #[error("the terms of the run are not valid: {0}")]
    Terms(&'static str),
}
