//! What a person says to a run: left for the process that drives it, or written down at once.

use super::runs::read;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::printer::{Format, Printer};
use crate::cli::{evidence, exit, keys, ledger};
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, StoreError};
use crate::model::ids::RunId;
use crate::model::time::Dur;
use crate::model::waiver::Waiver;
use crate::record::event::{EventKind, Signal, WorldKind};
use crate::run::signal::{take, vouches};
use crate::run::{RunState, approval};
use crate::world::World;

/// How often, ten times a second, somebody else's word is waited for.
const PATIENCE_FOR_A_WORD: u32 = 100;

/// The result of a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// The process that drives the run has it.
    Driven,
    /// It is there for whoever carries the run on.
    Waits,
    /// It has a time of its own, and was written into the journal at once.
    Written,
}

/// Leaves a signal.
pub fn post(
    (context, printer): (&Context, &Printer),
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
    good_for: Dur,
) -> Result<Posted, CliError> {
    store.may_act(run)?;
    let state = read(store, run)?;
    if vouches(&state, &signal) {
        context.take_key(&state.created.authority)?;
    }
    let clock = World::live().map_err(|e| CliError::usage(format!("no timers: {e}")))?;
    // Neither by the clock of whoever says it, nor earlier than what everybody knows to have been.
    clock.not_before(ledger::dated(printer, store, clock.now())?);
    let now = clock.now().max(state.last_at);
    let who = match vouches(&state, &signal) {
        true => context.signed_signal(&state, &signal, (now, now + good_for))?,
        false => context.person(),
    };
    // The owner decides; but what it would refuse now is better said now.
    let events = take(&state, signal.clone(), who.clone(), now);
    let refusal = events.iter().find_map(|e| match e {
        EventKind::SignalRefused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    if let Some(reason) = refusal {
        return Err(CliError {
            code: "refused",
            message: reason,
            hint: Some(match &signal {
                Signal::Approve { step, .. }
                | Signal::Override { step, .. }
                | Signal::Reject { step, .. } => approval::instead(&state, step),
                _ => format!("drctl runs show {run}"),
            }),
            exit: exit::REFUSED,
        });
    }
    if let Some(_lock) = own_for_a_word(&clock, store, &state, &events)? {
        // In a rehearsal no time goes by while nobody drives it.
        let at = if state.created.world == WorldKind::Live { now } else { state.last_at };
        clock.block_on(create::note(store, run, &who.who, at, events))?;
        evidence::let_go((context, printer), store, at, run);
        return Ok(Posted::Written);
    }
    store.post(run, now, &who, &signal)?;
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    Ok(if driven { Posted::Driven } else { Posted::Waits })
}

/// If no process drives the run, the answer of a person to an approval request is recorded at once: its time may matter, and perhaps nobody
/// ever continues a run that is over. Two people who answer at the same time wait for each other.
fn own_for_a_word(
    clock: &World,
    store: &SqliteJournal,
    state: &RunState,
    events: &[EventKind],
) -> Result<Option<RunLock>, CliError> {
    let of_approval = |e: &EventKind| {
        matches!(
            e,
            EventKind::Approved { .. }
                | EventKind::Overridden { .. }
                | EventKind::Ratified { .. }
                | EventKind::RatificationRefused { .. }
                | EventKind::Acknowledged { .. }
                | EventKind::Fulfilled { .. }
                | EventKind::Resumed { .. }
        )
    };
    let resumes_only = events.iter().all(|e| matches!(e, EventKind::Resumed { .. }));
    if resumes_only || !events.iter().all(of_approval) {
        return Ok(None);
    }
    let (folder, run) = (Context::lock_folder(store), &state.created.run);
    for _ in 0..PATIENCE_FOR_A_WORD {
        match RunLock::take(&folder, run) {
            Ok(lock) => return Ok(Some(lock)),
            // It is read by whoever drives it.
            Err(StoreError::Owned(_)) if !state.finished() => return Ok(None),
            Err(StoreError::Owned(_)) => clock.block_on(clock.sleep_until(clock.now() + Dur(100))),
            Err(e) => return Err(e.into()),
        }
    }
    Err(StoreError::Owned(run.clone()).into())
}

/// Gives waivers to the process that drives the run. Answers the exit code.
///
/// # Errors
/// If there is none to give: only its owner may continue a run. If the run would refuse it.
pub fn hand_over(
    (context, printer): (&Context, &Printer),
    store: &SqliteJournal,
    state: &RunState,
    waivers: Vec<Waiver>,
) -> Result<u8, CliError> {
    let run = &state.created.run;
    if waivers.is_empty() {
        return Err(StoreError::Owned(run.clone()).into());
    }
    for waiver in waivers {
        post((context, printer), store, run, Signal::Waive { waiver }, keys::GOOD_FOR)?;
    }
    let watch = state.created.command("runs watch", "");
    printer.note(&format!(
        "another process drives the run: it has been notified of the waiver and continues by itself; {watch} shows it"
    ));
    if printer.format == Format::Json {
        printer.document(&serde_json::json!({ "run": run, "notified": true }));
    }
    Ok(exit::DONE)
}
