//! Decisions about the call of a step: it is made, may still take effect, or had none.

use crate::kinds::FoundValues;
use crate::model::ids::Digest;
use crate::model::time::Timestamp;
use crate::record::event::{Direction, EventKind};
use crate::run::observed::StepDecision;
use crate::run::state::RunState;

/// An observation shows that the call had no effect.
pub(super) fn disproved(state: &RunState, i: usize, why: Option<String>) -> StepDecision {
    let asked = "the requested change has not started and may still take effect";
    let why = why.or_else(|| state.action(i).outlasts().then(|| asked.to_owned()));
    let seen = why.unwrap_or_else(|| "the state is still the same as before the call".to_owned());
    StepDecision::Record(EventKind::EffectDisproved { step: state.step(i).id.clone(), seen })
}

/// The call may still take effect.
pub(super) fn unsettled(until: Timestamp) -> StepDecision {
    StepDecision::Keep(format!(
        "the outcome of the call is unknown. If no effect is visible from {until} on, drctl treats the call as having had none"
    ))
}

/// What a call carries besides its action.
#[derive(Default)]
pub(super) struct Call {
    pub(super) part: Vec<u32>,
    pub(super) found: Option<FoundValues>,
}

/// `part` has the positions of the changes to make, if it is not all of them.
pub(super) fn perform(state: &RunState, i: usize, undo: bool, call: Call) -> StepDecision {
    let id = &state.step(i).id;
    let fresh_undo = undo && state.steps[i].undo.is_none();
    let (attempts, generation) = match fresh_undo {
        true => (0, 1 + state.steps[i].undo_attempts),
        false => (state.work(i).attempts, state.work(i).generation),
    };
    let direction = if undo { Direction::Undo } else { Direction::Do };
    let word = if undo { "undo" } else { "do" };
    let fields = [state.created.run.as_str(), id.as_str(), word, &generation.to_string()];
    let key = Digest::of_fields(&fields.map(str::as_bytes)).as_str()[..32].to_owned();
    StepDecision::Perform(EventKind::CallIntended {
        step: id.clone(),
        direction,
        attempt: attempts.saturating_add(1),
        generation,
        key,
        part: call.part,
        found: call.found,
    })
}
