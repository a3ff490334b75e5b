//! Sends a signal to a run: to the process that drives it, through the ledger, or directly into the journal.

use super::context::Context;
use super::error::AppError;
use super::presenter::Presenter;
use super::{evidence, exit, inbox, keys, ledger, run_states};
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{InboxEntry, Journal as _, StoreError};
use crate::model::ids::RunId;
use crate::model::ledger::Why;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Person, Waiver};
use crate::record::event::{Event, EventKind, Signal, WorldKind};
use crate::run::signal::{take, vouches};
use crate::run::{RunState, approval, overriding};
use crate::world::World;

/// How often, ten times a second, to wait for the lock of another writer.
const PATIENCE_FOR_A_WORD: u32 = 100;

/// What happened to a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// The process that drives the run will read it.
    Driven,
    /// It waits for the process that continues the run.
    Waits,
    /// It was recorded in the journal at once, with its own time.
    Written,
}

/// Sends a signal.
///
/// # Errors
/// If the run refuses it, it cannot be signed, or the store cannot be written.
pub fn post(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
    good_for: Dur,
) -> Result<Posted, AppError> {
    store.may_act(run)?;
    store.vouched(run, &store.read(run)?)?;
    // Answers that wait for a process were given before this one.
    let state = inbox::read(store, run_states::one(store, run)?)?;
    let signs = match vouches(&state, &signal) {
        true => context.take_key(&state.created.authority).map(|()| true)?,
        false => has_key((context, presenter), &state),
    };
    let clock = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    // The time comes from neither the caller's clock nor before the times in the ledger.
    clock.not_before(ledger::dated(presenter, store, clock.now())?);
    let now = clock.now().max(state.last_at);
    let who = match signs {
        true => context.signed_signal(&state, &signal, (now, now + good_for))?,
        false => context.person(),
    };
    // In a rehearsal no time passes while no process drives it, and a loss that grows must not grow with the real clock.
    let at = if state.created.world == WorldKind::Live { now } else { state.last_at };
    // The process that drives the run decides, but a signal that it would refuse is reported now.
    let events = heard(&state, &signal, &who, at)?;
    if let Some(_lock) = own_for_a_word(&clock, store, &state, &events)? {
        // Somebody else may have answered while this one waited for the lock.
        let state = run_states::one(store, run)?;
        let at = if state.created.world == WorldKind::Live { now.max(state.last_at) } else { state.last_at };
        let mut events = heard(&state, &signal, &who, at)?;
        // What was done by hand is checked, and the run continued, by the process that resumes it.
        if events.iter().any(|e| matches!(e, EventKind::ClaimedDone { .. })) {
            events.retain(|e| !matches!(e, EventKind::Resumed { .. }));
        }
        clock.block_on(create::note(store, run, &who.who, at, events))?;
        evidence::let_go((context, presenter), store, at, run);
        return Ok(Posted::Written);
    }
    store.post(run, now, &who, &signal)?;
    sealed((context, presenter), store, now, run);
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    Ok(if driven { Posted::Driven } else { Posted::Waits })
}

/// Signs the ledger with the statement in it, so that nobody can change or remove it without breaking a checkpoint. If that fails, the
/// statement counts all the same.
fn sealed(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    now: Timestamp,
    run: &RunId,
) {
    let signed = store.date(now).map_err(AppError::from);
    let signed = signed.and_then(|now| ledger::checkpoint(context, store, now, (Why::Statement, Some(run))));
    if let Err(e) = signed {
        presenter.note(&format!("no checkpoint covers this statement yet: {}", e.message));
    }
}

/// Nobody needs a key to stop or continue a run. Whoever has one is recorded as that operator.
fn has_key((context, presenter): (&Context, &dyn Presenter), state: &RunState) -> bool {
    let authority = &state.created.authority;
    if authority.is_empty() || context.settings.key.is_none() {
        return false;
    }
    let unusable = |e: AppError| presenter.note(&format!("this is recorded unsigned: {}", e.message));
    context.take_key(authority).map_err(unusable).is_ok()
}

/// The events that a signal becomes.
///
/// # Errors
/// If the run refuses it.
fn heard(
    state: &RunState,
    signal: &Signal,
    who: &Person,
    now: Timestamp,
) -> Result<Vec<EventKind>, AppError> {
    let events = take(state, signal.clone(), who.clone(), now);
    let refusal = events.iter().find_map(|e| match e {
        EventKind::SignalRefused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let Some(reason) = refusal else { return Ok(events) };
    Err(AppError {
        code: "refused",
        message: reason,
        hint: Some(match signal {
            Signal::Approve { step, .. } | Signal::Reject { step, .. } => approval::instead(state, step),
            Signal::Override { step, .. } => overriding::instead_of_override(state, step),
            _ => format!("drctl runs show {}", state.created.run),
        }),
        exit: exit::REFUSED,
    })
}

/// If no process drives the run, the answer of a person to an approval request, a skip and a claim that a step was done by hand are
/// recorded at once: their time matters, and perhaps nobody ever continues a run that is over. Two people who answer at the same time wait
/// for each other. An answer after others that still wait for a process waits behind them, except behind a pause, which changes nothing in
/// a run that stands still.
fn own_for_a_word(
    clock: &World,
    store: &SqliteJournal,
    state: &RunState,
    events: &[EventKind],
) -> Result<Option<RunLock>, AppError> {
    let keeps_its_time = |e: &EventKind| {
        matches!(
            e,
            EventKind::Approved { .. }
                | EventKind::Rejected { .. }
                | EventKind::Overridden { .. }
                | EventKind::Ratified { .. }
                | EventKind::RatificationRefused { .. }
                | EventKind::Acknowledged { .. }
                | EventKind::Fulfilled { .. }
                | EventKind::Resumed { .. }
                | EventKind::ClaimedDone { .. }
                | EventKind::StepSkipped { who: Some(_), .. }
        )
    };
    let resumes_only = events.iter().all(|e| matches!(e, EventKind::Resumed { .. }));
    let (folder, run) = (Context::lock_folder(store), &state.created.run);
    let counts = |letter: &InboxEntry| !matches!(letter.signal, Signal::Pause);
    let behind = !state.finished() && store.waiting(state)?.iter().any(counts);
    if behind || resumes_only || !events.iter().all(keeps_its_time) {
        return Ok(None);
    }
    for _ in 0..PATIENCE_FOR_A_WORD {
        match RunLock::take(&folder, run) {
            Ok(lock) => return Ok(Some(lock)),
            // The process that drives the run reads it.
            Err(StoreError::Owned(_)) if !state.finished() => return Ok(None),
            Err(StoreError::Owned(_)) => clock.block_on(clock.sleep_until(clock.now() + Dur(100))),
            Err(e) => return Err(e.into()),
        }
    }
    Err(StoreError::Owned(run.clone()).into())
}

/// What the process that drives a run made of the waivers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HandedOver {
    /// It has not read them yet.
    Unread,
    /// It took them.
    Taken,
}

/// Passes waivers to the process that drives the run.
///
/// # Errors
/// If there are no waivers, because only the owner may continue a run; or if the run refuses one.
pub fn hand_over(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    state: &RunState,
    waivers: Vec<Waiver>,
) -> Result<HandedOver, AppError> {
    let run = &state.created.run;
    if waivers.is_empty() {
        return Err(StoreError::Owned(run.clone()).into());
    }
    let before = store.read(run)?.len();
    let signals: Vec<_> = waivers.into_iter().map(|waiver| Signal::Waive { waiver }).collect();
    for signal in &signals {
        post((context, presenter), store, run, signal.clone(), keys::GOOD_FOR)?;
    }
    match refusals(store, run, &signals, before)? {
        None => Ok(HandedOver::Unread),
        Some(refused) if refused.is_empty() => Ok(HandedOver::Taken),
        Some(refused) => Err(AppError {
            code: "refused",
            message: format!("the process that drives the run refused: {}", refused.join("; ")),
            hint: Some(format!("drctl runs show {run}")),
            exit: exit::REFUSED,
        }),
    }
}

/// How often, ten times a second, to look whether the process that drives the run has read a signal.
const PATIENCE_FOR_A_RESULT: u32 = 30;

/// Why the process that drives the run refused these signals; none if it has not read all of them in time. `before` is the number of the
/// run's events before they were sent.
fn refusals(
    store: &SqliteJournal,
    run: &RunId,
    signals: &[Signal],
    before: usize,
) -> Result<Option<Vec<String>>, AppError> {
    let clock = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    for _ in 0..PATIENCE_FOR_A_RESULT {
        let records = store.read(run)?;
        let unread = store.waiting(&create::replay(run, &records)?)?;
        if !unread.iter().any(|letter| signals.contains(&letter.signal)) {
            let refused = |event: &Event| match &event.what {
                EventKind::SignalRefused { signal, reason, .. } if signals.contains(signal) => {
                    Some(reason.clone())
                }
                _ => None,
            };
            let events = create::decode(run, &records)?;
            return Ok(Some(events.iter().skip(before).filter_map(refused).collect()));
        }
        clock.block_on(clock.sleep_until(clock.now() + Dur(100)));
    }
    Ok(None)
}
