//! Steps that wait for credentials, or until the clock of this machine is correct.

use super::observed::StepDecision;
use super::progress::doubtful;
use super::state::{Mode, RunState, Status};
use crate::record::event::EventKind;

/// Without valid credentials or a correct clock, nothing can be observed or done. The step waits and does not fail.
pub(super) fn locked(state: &RunState, i: usize, why: String, clock: bool) -> StepDecision {
    let acts = state.step(i).action.mutates();
    let taken_back = state.mode != Mode::Running;
    match &state.work(i).status {
        // A blocked step keeps observing, and its message stays the same.
        Status::Blocked { .. } => return StepDecision::Keep(why),
        // During a cancel, everything that was started must end first.
        Status::Awaiting { .. } | Status::Backoff { .. } if taken_back => return StepDecision::Keep(why),
        _ => {}
    }
    let means = match &doubtful(state, i) {
        Status::Started | Status::Backoff { .. } if acts => {
            "nothing in this step was done, and nothing will be done until then"
        }
        Status::Started | Status::Backoff { .. } => "drctl cannot observe the target of this step until then",
        Status::InDoubt { .. } => "the outcome of the last call stays unknown until then",
        Status::Awaiting { .. } => {
            "the accepted request continues meanwhile, but drctl cannot observe it until then"
        }
        _ => return StepDecision::Keep(why),
    };
    match held_up(state, i, (&why, means), clock) {
        Some(blocked) => StepDecision::Record(blocked),
        None => StepDecision::Keep(why),
    }
}

/// The same for a call that was refused for that reason. Without it, drctl would repeat the call without telling anybody.
pub(super) fn refused(state: &RunState, i: usize, why: &str, clock: bool) -> Option<EventKind> {
    if state.mode != Mode::Running {
        return None;
    }
    held_up(state, i, (why, "the service refused the call and did nothing"), clock)
}

/// Blocks the step. Background steps, including pending fences, delay nothing and are never blocked.
fn held_up(state: &RunState, i: usize, (why, means): (&str, &str), clock: bool) -> Option<EventKind> {
    let (waits, help) = match clock {
        true => ("waiting until the clock of this machine is correct", "set it"),
        false => ("waiting for credentials", "renew them"),
    };
    (!state.step(i).background).then(|| EventKind::GateBlocked {
        step: state.step(i).id.clone(),
        rule: None,
        why: format!("{waits}: {why}; {means}"),
        flag: Some(format!("{help}, then: {}", state.created.command("runs resume", ""))),
    })
}
