//! The notes of a runbook about what its steps do. The planner writes them before the run, so a report must not state as a fact what did
//! not happen.

use crate::kinds::Operation;
use crate::record::action::Action;
use crate::record::event::Outcome;
use crate::record::runbook::Step;
use crate::run::state::{Mode, Status, StepState};
use crate::run::{RunState, drill};

/// Words of notes that hold only once the run moves somebody or something.
const OF_A_MOVE: [&str; 4] = [
    " after the move, and costs money",
    " again before the switch, and lowers it only if",
    ". Without a fence, the bound on data loss grows until then",
    "a cancel undoes everything until the copy has the name",
];

/// The notes of the runbook, without those about steps that the run has not done and will not do.
pub(super) fn notes(state: &RunState) -> Vec<String> {
    state.runbook.notes.iter().filter_map(|note| as_it_came(state, note)).collect()
}

fn as_it_came(state: &RunState, note: &str) -> Option<String> {
    // A tabletop drill runs no step. Its notes are about the runbook.
    let only_read = state.mode == Mode::Finished(Outcome::Read);
    let ends = (state.finished() || state.unwinds()) && !only_read;
    let renamed = |words: &str| Some(note.replacen(" is renamed to ", &format!(" {words} renamed to "), 1));
    if let Some((_, at)) = steps(state).find(|(step, _)| announces(step, note)) {
        return match (done(at), ends) {
            (true, _) => Some(note.to_owned()),
            (false, true) => None,
            // Before the step, it is only a plan.
            (false, false) if only_read => renamed("would be"),
            (false, false) => renamed("will be"),
        };
    }
    let as_planned = Some(note.to_owned());
    let over = ends && !drill::moved(state);
    let in_vain = over && OF_A_MOVE.iter().any(|words| note.contains(words));
    as_planned.filter(|_| !in_vain)
}

fn steps(state: &RunState) -> impl Iterator<Item = (&Step, &StepState)> {
    state.runbook.steps.iter().zip(&state.steps)
}

/// Whether a call of the step stands or may still take effect.
fn done(at: &StepState) -> bool {
    let stands = matches!(at.work.status, Status::Done(_)) || at.work.doubt.is_some();
    stands && !at.taken_back()
}

/// Whether the note is about what this step does.
fn announces(step: &Step, note: &str) -> bool {
    match &step.action {
        Action::Op(Operation::Rename(of)) => {
            note.starts_with(&format!("{} is renamed to {}", of.db.id, of.to))
        }
        Action::Op(Operation::Rejoin(of)) => {
            note.starts_with(&format!("{} is not a standby. This run first makes it one", of.db.id))
        }
        Action::Op(Operation::AddClusterInstance(of)) => {
            note.starts_with(&format!("{} stays in {} and costs money", of.instance.id, of.db.id))
        }
        _ => false,
    }
}
