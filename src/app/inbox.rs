//! The statements that wait for a process to drive their run. Screens take them into account, so that people are not asked for an answer that they have
//! given.

use super::error::AppError;
use crate::journal::Journal as _;
use crate::journal::sqlite::SqliteJournal;
use crate::model::time::Timestamp;
use crate::record::event::{Event, EventKind, WorldKind};
use crate::run::RunState;
use crate::run::signal::take;
use crate::run::state::{Mode, Status, StepState};

/// The run as it will be after a process has read the statements that wait. Signals that it would refuse change nothing.
///
/// # Errors
/// If the store cannot be read.
pub fn read(store: &SqliteJournal, before: RunState) -> Result<RunState, AppError> {
    let mut state = before.clone();
    for letter in store.waiting(&state)? {
        let at = state.last_at;
        let mut next = state.clone();
        let events = take(&state, letter.signal, letter.who, at);
        let refused = events.iter().any(|what| matches!(what, EventKind::SignalRefused { .. }));
        if !refused && events.into_iter().all(|what| next.apply(&Event { at, what }).is_ok()) {
            state = next;
        }
    }
    // After a rejection, the reason why it stopped has changed.
    let fails = |(i, at): (usize, &StepState)| {
        let anew = at.work.status == Status::Failed && before.steps[i].work.status != Status::Failed;
        let why = at.work.reason.as_deref().unwrap_or_default();
        anew.then(|| format!("{}: {why}", state.step(i).id))
    };
    let failed = state.steps.iter().enumerate().find_map(fails);
    // Why it stopped stays known until a process drives it again. A cancel gives it another end.
    let ends = matches!(state.mode, Mode::Cancelling | Mode::Finished(_));
    let kept = before.halted.clone().filter(|_| !ends);
    state.halted = failed.or_else(|| state.halted.clone()).or(kept);
    // A pause changes nothing in a run that stands still.
    let paused = state.mode == Mode::Paused && state.cancelled_at == before.cancelled_at;
    if paused && before.halted.is_some() {
        state.mode.clone_from(&before.mode);
        state.attention.pauses.clone_from(&before.attention.pauses);
    }
    state.unread = state.people.len().saturating_sub(before.people.len());
    Ok(state)
}

/// The run as it is at `now`. While a process drives a live run, its probes would have shown that users are served, so an outage has
/// lasted until now. A rehearsal has its own time, and without a process nobody knows: there, the last event counts. Questions about a
/// possible loss have the figure of `now`.
#[must_use]
pub fn at_present(mut state: RunState, driven: bool, now: Timestamp) -> RunState {
    let live = state.created.world == WorldKind::Live;
    if driven && !state.finished() && live {
        state.last_at = state.last_at.max(now);
    }
    // A loss also grows while no process drives the run.
    state.ask_as_of(if live { now.max(state.last_at) } else { state.last_at });
    state
}
