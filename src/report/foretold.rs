//! The notes of a runbook about what its steps do. The planner writes them before the run, so a report must not state as a fact what did
//! not happen.

use super::typed::typed;
use crate::record::event::Outcome;
use crate::run::state::{Mode, Status, StepState};
use crate::run::{RunState, drill};

/// The notes of the runbook, without those about steps that the run has not done and will not do, and without forecasts about steps that
/// are done.
pub(super) fn notes(state: &RunState) -> Vec<String> {
    // A tabletop drill runs no step. Its notes are about the runbook.
    let only_read = state.mode == Mode::Finished(Outcome::Read);
    let ends = (state.finished() || state.unwinds()) && !only_read;
    let steps = state.runbook.steps.iter().zip(&state.steps);
    let of_steps = steps.filter(|(_, at)| !ends || done(at)).flat_map(|(step, at)| {
        let over = ends || matches!(at.work.status, Status::Done(_));
        step.notes.iter().chain(step.forecasts.iter().filter(move |_| !over))
    });
    let of_the_move = state.runbook.notes_after_move.iter().filter(|_| !ends || drill::moved(state));
    state.runbook.notes.iter().chain(of_steps).chain(of_the_move).map(|note| typed(state, note)).collect()
}

/// Whether a call of the step stands or may still take effect.
fn done(at: &StepState) -> bool {
    let stands = matches!(at.work.status, Status::Done(_)) || at.work.doubt.is_some();
    stands && !at.taken_back()
}
