//! Rejects events that no run can have written. drctl does not believe a journal that says what no process would have done.
//!
//! A journal alone cannot prove what it says about the outside world. But nothing a provider does opens a gate without its condition,
//! starts a step before its needs, or makes an observation change something.

use super::state::RunState;
use super::{checked, gate};
use crate::kinds::shared::restore::RestoreStep;
use crate::kinds::{Exposure, Fact, Operation};
use crate::model::ids::{ComponentName, StepId};
use crate::model::waiver::Rule;
use crate::record::action::{Action, Check, Gate, Undo};
use crate::record::event::{Direction, EventKind};

/// Checks whether an event is impossible for the step at a position, and why.
type Wrong = fn(&RunState, usize, &EventKind) -> Option<String>;

/// Why an event is impossible, and for which step.
pub(super) fn impossible(state: &RunState, what: &EventKind) -> Option<(StepId, String)> {
    if let EventKind::FenceWaived { component } | EventKind::FencePending { component } = what {
        return waived(state, component);
    }
    if let EventKind::NewPrimaryChecked { component, .. } = what {
        return checked::impossible(state, component);
    }
    let (step, why): (&StepId, Wrong) = match what {
        EventKind::StepStarted { step } => (step, started),
        EventKind::CallIntended { step, .. } => (step, intended),
        EventKind::StepFinished { step, .. } => (step, finished),
        EventKind::StepSkipped { step, .. } => (step, skipped),
        EventKind::Overdue { step, .. } => (step, overdue),
        EventKind::StepUndone { step } | EventKind::UndoFailed { step, .. } => (step, undone),
        EventKind::Rejected { step, .. } => (step, rejected),
        EventKind::FoundPromoted { step } => (step, promoted),
        EventKind::GuardLost { step, .. } => (step, lost),
        _ => return None,
    };
    let i = state.position(step)?;
    why(state, i, what).map(|why| (step.clone(), why))
}

fn some(wrong: bool, why: &str) -> Option<String> {
    wrong.then(|| why.to_owned())
}

/// A fence may be pending only if somebody accepted that.
fn waived(state: &RunState, component: &ComponentName) -> Option<(StepId, String)> {
    let gate = |a: &Action| matches!(a, Action::Gate(Gate::Fenced { component: of }) if of == component);
    let step = state.runbook.steps.iter().find(|s| gate(&s.action)).map(|s| s.id.clone());
    let accepted = state.waiver(Rule::UnfencedPromotion, Some(component)).is_some();
    let wrong = step.is_none() || !accepted;
    let of = step.unwrap_or_else(|| StepId::new(format!("fenced.{component}")));
    wrong.then(|| (of, format!("nobody accepted a promotion of {component} without its fence")))
}

fn started(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    if let Some(over) = over(state, i) {
        return Some(over);
    }
    if !state.step(i).action.mutates() || state.needs_met(i) {
        return None;
    }
    let waits: Vec<_> = state.waits_for(i).into_iter().map(ToString::to_string).collect();
    Some(format!("it started before {}", waits.join(", ")))
}

fn over(state: &RunState, i: usize) -> Option<String> {
    let over = state.finished() && !for_a_debt(state, i);
    some(over, "the run is over, and this step does not belong to a pending fence")
}

/// Whether a step may start or call after the end: only a pending fence.
fn for_a_debt(state: &RunState, i: usize) -> bool {
    let Action::Op(Operation::Fence(fence)) = &state.step(i).action else { return false };
    state.owed().any(|owed| *owed == fence.db.component)
}

fn intended(state: &RunState, i: usize, what: &EventKind) -> Option<String> {
    let EventKind::CallIntended { direction, part, found, attempt, generation, .. } = what else {
        return None;
    };
    let of = state.work(i);
    // A generation also counts calls, and the count starts again for an undo.
    let calls = u64::from(of.attempts.max(of.generation).max(state.steps[i].undo_attempts)) + 2;
    let uncounted = u64::from(*attempt.max(generation)) > calls;
    let action = state.forward(i);
    let undoing = state.direction(i) == Direction::Undo;
    let parts = !action.allows(part, found.as_ref());
    // A step that was in progress at the end of the run finishes, and makes no further call.
    over(state, i)
        .or_else(|| some(!action.mutates(), "this step only observes or waits, and cannot change anything"))
        .or_else(|| some(undoing && *direction == Direction::Do, "this step is being undone"))
        .or_else(|| {
            let undo = *direction == Direction::Undo && !matches!(action.undo(), Undo::By(_));
            some(undo, "this step has no undo")
        })
        .or_else(|| some(*direction == Direction::Undo && !unwound(state), "nobody cancelled the run"))
        .or_else(|| some(parts, "the change is not in the runbook"))
        .or_else(|| some(uncounted, "there were not that many calls"))
}

/// Whether steps are being undone.
const fn unwound(state: &RunState) -> bool {
    state.cancelled_at.is_some()
}

fn undone(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    let undo = matches!(state.forward(i).undo(), Undo::By(_));
    some(!undo, "this step has no undo").or_else(|| some(!unwound(state), "nobody cancelled the run"))
}

fn finished(state: &RunState, i: usize, what: &EventKind) -> Option<String> {
    let EventKind::StepFinished { facts, .. } = what else { return None };
    let action = &state.step(i).action;
    if let Some(fact) = facts.iter().find(|fact| !establishes(action, fact)) {
        let kind = serde_json::to_value(fact).ok().and_then(|v| v["fact"].as_str().map(str::to_owned));
        return Some(format!("this step cannot establish that fact ({})", kind.unwrap_or_default()));
    }
    match action {
        Action::Gate(of) => gate::unjustified(state, i, of),
        _ => None,
    }
}

/// Whether an action can establish a fact that gates ask for.
fn establishes(action: &Action, fact: &Fact) -> bool {
    match fact {
        Fact::Fenced { component, method, .. } => {
            matches!(action, Action::Op(Operation::Fence(f)) if f.db.component == *component && f.method == *method)
        }
        Fact::Exposure(Exposure { component, .. }) => match action {
            Action::Check(Check::Exposure { db, .. }) => db.component == *component,
            Action::Op(Operation::Restore(RestoreStep { of, .. })) => of.db.component == *component,
            _ => false,
        },
        Fact::Restore { .. } => matches!(action, Action::Op(Operation::Restore(_))),
        _ => true,
    }
}

fn overdue(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    some(!state.outlasts_its_time(i), "this step ends at its timeout")
}

/// drctl skips a safety step only if it is not needed. A person cannot skip it.
fn skipped(state: &RunState, i: usize, what: &EventKind) -> Option<String> {
    let EventKind::StepSkipped { who, .. } = what else { return None };
    let needless = who.is_none() && state.not_needed(i).is_some();
    some(state.step(i).action.properties().safety && !needless, "a safety step cannot be skipped")
}

fn rejected(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    let asks = matches!(state.step(i).action, Action::Gate(Gate::Approval { .. }));
    some(!asks, "this step does not require an approval")
}

fn promoted(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    let looks = matches!(state.step(i).action, Action::Op(Operation::CheckPromotable(_)));
    some(!looks, "this step does not check the replica that the run promotes")
}

fn lost(state: &RunState, i: usize, _: &EventKind) -> Option<String> {
    let looks = matches!(state.step(i).action, Action::Check(Check::Guard { .. }));
    some(!looks && state.guard_of(i).is_none(), "this step does not check a guard")
}
