//! What the record sets that are there mean for a step that switches them.

use super::{
    Call, StepDecision, disproved, doubtful, end_of, may_be_old, may_come_until, perform, settle,
    undoing_now, unsettled,
};
use crate::kinds::aws::route53::{RecordSet, Switch};
use crate::model::time::Timestamp;
use crate::record::event::{Direction, EventKind};
use crate::record::facts::Fact;
use crate::run::parts::{self, Found, Group, Next};
use crate::run::state::{RunState, Status};

/// Judges what is there.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    switch: &Switch,
    there: &[RecordSet],
    now: Timestamp,
) -> StepDecision {
    let id = state.step(i).id.clone();
    if undoing_now(state, i) {
        return match may_come_until(state, i, now) {
            Some(until) => unsettled(until),
            None => take_back(state, i, &switch.reversed(), there, now),
        };
    }
    let found = parts::find(state, i, switch, there);
    let settle = settle(state, i).unwrap_or_default();
    let undo = state.direction(i) == Direction::Undo;
    if found.ready.is_empty() && found.foreign.is_empty() {
        return StepDecision::Record(match undo {
            true => EventKind::StepUndone { step: id },
            false => {
                EventKind::StepFinished { step: id, end: end_of(state, i), facts: vec![fact(None, switch)] }
            }
        });
    }
    // A batch is atomic: one set of it that is as it should be stands for all of them.
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
        _ => call(state, i, switch, there, &found),
    }
}

fn call(state: &RunState, i: usize, switch: &Switch, there: &[RecordSet], found: &Found) -> StepDecision {
    let undo = state.direction(i) == Direction::Undo;
    match parts::next(found, &state.work(i).parts.refused) {
        Next::Call(part) => {
            let found = parts::read(switch, &part, there).filter(|_| !undo);
            perform(state, i, undo, Call { part: named(switch, part), found })
        }
        Next::Nothing(named) => fail(state, i, undo, &named, found),
    }
}

fn fail(state: &RunState, i: usize, undo: bool, named: &[(String, String)], found: &Found) -> StepDecision {
    let step = state.step(i).id.clone();
    let names = found.done.len() + found.ready.len() + found.foreign.len();
    let reason = parts::failure(named, names);
    StepDecision::Record(match undo {
        true => EventKind::UndoFailed { step, reason },
        false => EventKind::StepFailed { step, reason },
    })
}

/// The first call of an undo: only what this run changed is undone.
fn take_back(state: &RunState, i: usize, back: &Switch, there: &[RecordSet], now: Timestamp) -> StepDecision {
    let found = parts::find(state, i, back, there);
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
    let part = named(back, parts::positions(&found.ready));
    perform(state, i, true, Call { part, ..Call::default() })
}

/// A part as events name it: nothing where it is everything.
fn named(switch: &Switch, part: Vec<u32>) -> Vec<u32> {
    if part.len() == switch.changes.len() { Vec::new() } else { part }
}

/// What a finished switch established.
pub(super) fn fact(change: Option<String>, switch: &Switch) -> Fact {
    Fact::Switched { change, old_ttl_ms: switch.old_ttl() }
}
