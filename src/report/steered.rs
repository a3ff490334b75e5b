//! Steps that people skipped, or did by hand.

use schemars::JsonSchema;
use serde::Serialize;

use super::said::waits;
use crate::kinds::Fact;
use crate::model::ids::StepId;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::action::Action;
use crate::run::RunState;
use crate::run::model::past::{Intervention, Steered};
use crate::run::state::Status;

/// What is said of a step that a person did, and that drctl saw to be done.
const BY_HAND: &str = "done by hand";

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
    /// What was in service afterwards, and how much was wanted, if the step scales something and that was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_service: Option<String>,
    /// A description for people.
    pub text: String,
}

/// These steps of a run, in the order of the runbook.
pub fn of_run(state: &RunState) -> Vec<ByPeople> {
    let told = |i: usize, by: &Steered| {
        let (step, at) = (&state.step(i).id, &state.steps[i]);
        let what = match by.way {
            Intervention::Skipped => "skipped",
            Intervention::ByHand if matches!(at.work.status, Status::Done(_)) => BY_HAND,
            // A person's claim is not a proof, and a report must not present it as one.
            Intervention::ByHand => "not seen to be done, but claimed",
        };
        let why = by.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let in_service = in_service(state, i, by.at);
        let then = in_service.as_ref().map_or_else(String::new, |seen| format!("; {seen}"));
        ByPeople {
            step: step.clone(),
            what: what.to_owned(),
            at: by.at,
            who: by.who.clone(),
            reason: by.reason.clone(),
            text: format!(
                "{step} {what} by {} at {}{why}{}{then}",
                by.who,
                by.at,
                waits(state, &by.who, by.at)
            ),
            in_service,
        }
    };
    let (all, told) = (state.steps.iter().enumerate(), &told);
    all.flat_map(|(i, at)| at.past.steered.iter().map(move |by| told(i, by))).collect()
}

impl ByPeople {
    /// Whether nobody saw that the step was done.
    pub fn lacks_proof(&self) -> bool {
        self.what != BY_HAND
    }
}

/// What a later observation found in service of what the step scales, and how much was wanted.
fn in_service(state: &RunState, i: usize, after: Timestamp) -> Option<String> {
    let action = state.forward(i);
    let Action::Op(operation) = action.as_ref() else { return None };
    let (target, wanted, _) = operation.scaled()?;
    let key = target.key();
    let seen = state.steps.iter().filter_map(|at| {
        let ended = at.work.ended_at.filter(|ended| *ended > after)?;
        let found = at.facts.iter().find_map(|fact| match fact {
            Fact::Seen { target, state } if *target == key => state.capacity(),
            _ => None,
        });
        found.map(|found| (ended, found.in_service))
    });
    let (at, there) = seen.max_by_key(|(ended, _)| *ended)?;
    Some(format!("{there} of {} in service at {at}", wanted.desired))
}
