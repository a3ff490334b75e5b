//! Steps that people skipped, or did by hand.

use schemars::JsonSchema;
use serde::Serialize;

use super::said::waits;
use crate::model::ids::StepId;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::run::RunState;
use crate::run::state::{Status, StepState};
use crate::run::steered::{Steered, Way};

/// A step that a person skipped, or did by hand.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ByPeople {
    /// The step.
    pub step: StepId,
    /// `skipped`, `done by hand`, or `not seen to be done, but claimed`.
    pub what: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// The reason, if one was given.
    pub reason: Option<String>,
    /// A description for people.
    pub text: String,
}

/// These steps of a run, in the order of the runbook.
pub fn of(state: &RunState) -> Vec<ByPeople> {
    let told = |step: &StepId, at: &StepState, by: &Steered| {
        let what = match by.way {
            Way::Skipped => "skipped",
            Way::ByHand if matches!(at.work.status, Status::Done(_)) => "done by hand",
            // A person's claim is not a proof, and a report must not present it as one.
            Way::ByHand => "not seen to be done, but claimed",
        };
        let why = by.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        ByPeople {
            step: step.clone(),
            what: what.to_owned(),
            at: by.at,
            who: by.who.clone(),
            reason: by.reason.clone(),
            text: format!("{step} {what} by {} at {}{why}{}", by.who, by.at, waits(state, &by.who, by.at)),
        }
    };
    let all = state.runbook.steps.iter().zip(&state.steps);
    all.flat_map(|(step, at)| at.past.steered.iter().map(|by| told(&step.id, at, by))).collect()
}
