//! Judges the observation for a step whose changes can be made one by one.

use super::calls::{Call, disproved, perform, unsettled};
use crate::kinds::{Group, Judged, Parts, State};
use crate::model::properties::Undo;
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::record::event::{Direction, EventKind};
use crate::run::observed::StepDecision;
use crate::run::parts::{self, Next};
use crate::run::progress::{doubtful, end_of, may_be_old, may_come_until, progress, settle, undoing_now};
use crate::run::state::{RunState, Status};

/// Judges what is there.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    action: &Action,
    (seen, found): (&State, Parts),
    now: Timestamp,
) -> StepDecision {
    let id = state.step(i).id.clone();
    if undoing_now(state, i) {
        return match may_come_until(state, i, now) {
            Some(until) => unsettled(until),
            None => take_back(state, i, action, seen, now),
        };
    }
    let settle = settle(state, i).unwrap_or_default();
    let undo = state.direction(i) == Direction::Undo;
    if found.ready.is_empty() && found.foreign.is_empty() {
        let facts = match action.judge(seen, &progress(state, i, (now, now))) {
            Some(Judged::Done(facts)) => facts,
            _ => Vec::new(),
        };
        return StepDecision::Record(match undo {
            true => EventKind::StepUndone { step: id },
            false => EventKind::StepFinished { step: id, end: end_of(state, i), facts },
        });
    }
    // A batch is atomic: one change of it in the new state shows that all of them were made.
    let called = |g: &&Group| {
        let now = &state.work(i).parts.now;
        now.is_empty() || g.changes.iter().any(|c| now.contains(c))
    };
    let took = found.done.iter().any(|g| called(&g)) && !found.ready.iter().any(|g| called(&g));
    match doubtful(state, i) {
        Status::InDoubt { .. } | Status::Awaiting { .. } if took => {
            StepDecision::Record(EventKind::PartSettled { step: id })
        }
        Status::InDoubt { since } if now < since + settle => unsettled(since + settle),
        Status::Awaiting { answered_at, .. } if now < answered_at + settle => {
            StepDecision::Keep("accepted, not visible yet".to_owned())
        }
        Status::InDoubt { .. } | Status::Awaiting { .. } => disproved(state, i, None),
        _ => call(state, i, action, seen, &found),
    }
}

fn call(state: &RunState, i: usize, action: &Action, seen: &State, found: &Parts) -> StepDecision {
    let undo = state.direction(i) == Direction::Undo;
    match parts::next(found, &state.work(i).parts.refused) {
        Next::Call(part) => {
            let read = action.read(seen, &part).filter(|_| !undo);
            perform(state, i, undo, Call { part: named(found, part), found: read })
        }
        Next::Nothing(named) => fail(state, i, undo, &named, found),
    }
}

fn fail(state: &RunState, i: usize, undo: bool, named: &[(String, String)], found: &Parts) -> StepDecision {
    let step = state.step(i).id.clone();
    let names = found.done.len() + found.ready.len() + found.foreign.len();
    let reason = parts::failure(named, names);
    StepDecision::Record(match undo {
        true => EventKind::UndoFailed { step, reason },
        false => EventKind::StepFailed { step, reason },
    })
}

/// The first call of an undo: only what this run changed is undone.
fn take_back(state: &RunState, i: usize, action: &Action, seen: &State, now: Timestamp) -> StepDecision {
    let back = match action.undo() {
        Undo::By(back) => back.parts(seen, &|change| parts::in_scope(state, i, change)),
        Undo::Nothing | Undo::PointOfNoReturn { .. } => None,
    };
    let found = back.unwrap_or_default();
    if found.ready.is_empty() {
        if let Some(until) = may_be_old(state, i, now) {
            return unsettled(until);
        }
        if found.foreign.is_empty() {
            return StepDecision::Record(EventKind::StepUndone { step: state.step(i).id.clone() });
        }
        let named: Vec<_> = found.foreign.iter().map(|g| (g.name.clone(), g.differs.clone())).collect();
        return fail(state, i, true, &named, &found);
    }
    let part = named(&found, parts::positions(&found.ready));
    perform(state, i, true, Call { part, ..Call::default() })
}

/// A part as events name it: empty if it is everything.
fn named(found: &Parts, part: Vec<u32>) -> Vec<u32> {
    if part.len() == found.changes { Vec::new() } else { part }
}
