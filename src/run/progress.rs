//! How far a step is: what its calls may have done, and how long an observation may not show that yet.

use super::state::{Mode, RunState, Status};
use crate::kinds::Progress;
use crate::model::intent::Intent;
use crate::model::properties::InDoubt;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::{Direction, End};

/// How long an accepted call may show no visible effect before a repeatable call is repeated.
pub(super) const REPEAT_AFTER: Dur = Dur::secs(20);

/// How old the answer of a control plane may be. No provider publishes a figure; effects that were already visible can disappear from
/// answers for seconds.
const OLD_ANSWERS: Dur = Dur::secs(30);

/// Until when a call with a lost answer may still take effect, which the undo would then miss.
pub(super) fn may_come_until(state: &RunState, i: usize, now: Timestamp) -> Option<Timestamp> {
    let late = match state.step(i).action.in_doubt() {
        InDoubt::ObserveAfter(settle) => settle.max(REPEAT_AFTER),
        InDoubt::Repeat | InDoubt::Ask => REPEAT_AFTER,
    };
    state.work(i).lost_at.map(|lost| lost + late).filter(|until| now < *until)
}

/// Until when an observation that lacks the step's effect may be out of date. Describe calls are eventually consistent.
pub(super) fn may_be_old(state: &RunState, i: usize, now: Timestamp) -> Option<Timestamp> {
    let work = state.work(i);
    let seen = work.ended_at.filter(|_| matches!(work.status, Status::Done(_)))?;
    let steady = state.clock_is_steady_since().unwrap_or(seen);
    Some(seen.max(steady) + OLD_ANSWERS).filter(|until| now < *until)
}

/// The status of a step. A step that was tried again or waited for credentials while a call's result was unknown is still in doubt.
pub(super) fn doubtful(state: &RunState, i: usize) -> Status {
    let work = state.work(i);
    match (&work.status, work.doubt) {
        (Status::Started | Status::Blocked { .. } | Status::Backoff { .. }, Some(since)) => {
            Status::InDoubt { since }
        }
        (status, _) => status.clone(),
    }
}

/// Whether the first call of an undo is about to be intended.
pub(super) fn undoing_now(state: &RunState, i: usize) -> bool {
    leaving(state, i) && !state.work(i).status.in_flight()
}

pub(super) fn end_of(state: &RunState, i: usize) -> End {
    let work = state.work(i);
    match (&doubtful(state, i), &state.steps[i].claimed_by) {
        // If somebody says that it was done by hand, the call of drctl may have done it, and a cancel undoes it.
        (Status::Awaiting { .. } | Status::InDoubt { .. } | Status::Calling, _) => End::Performed,
        (_, Some(_)) => End::ByHand,
        (_, None) if !state.step(i).action.mutates() => End::Performed,
        // An earlier call may have done it.
        (_, None) if work.parts.acted() => End::Performed,
        (_, None) => End::Noop,
    }
}

/// Whether it is a forward step of a run that is being undone.
pub(super) fn leaving(state: &RunState, i: usize) -> bool {
    let back = state.mode == Mode::Cancelling || state.unwinds();
    let acts = state.step(i).action.mutates() && !state.step(i).debt;
    back && acts && !state.finished() && state.direction(i) == Direction::Do
}

/// How long drctl does not trust that an effect in doubt is absent; none if the call is simply repeated. A run that is being undone repeats
/// no call.
pub(super) fn settle(state: &RunState, i: usize) -> Option<Dur> {
    match state.action(i).in_doubt() {
        InDoubt::ObserveAfter(settle) => Some(settle),
        InDoubt::Repeat | InDoubt::Ask => leaving(state, i).then_some(Dur::ZERO),
    }
}

/// The progress of the step.
pub(super) fn progress(
    state: &RunState,
    i: usize,
    (now, observed_at): (Timestamp, Timestamp),
) -> Progress<'_> {
    let work = state.work(i);
    let (answered_at, token) = match &work.status {
        Status::Awaiting { answered_at, token, .. } => (Some(*answered_at), token.as_deref()),
        _ => (None, None),
    };
    Progress {
        now,
        observed_at,
        began: work.started_at.map(|began| began.max(state.taken_at)),
        called: work.attempts > 0,
        answered_at,
        token,
        undo: state.direction(i) == Direction::Undo,
        leaving: leaving(state, i),
        undoing: undoing_now(state, i),
        unwinds: state.unwinds(),
        planned: state.runbook.intent != Intent::Failover,
        finished: state.finished(),
        owed: state.step(i).debt || state.finished(),
        store: state.step(i).action.store().map(|db| state.store(db)).unwrap_or_default(),
    }
}

pub(super) fn waited(state: &RunState, i: usize, now: Timestamp, patience: Dur) -> bool {
    progress(state, i, (now, now)).waited(patience)
}
