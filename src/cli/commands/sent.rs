//! Sends a signal to a run, and says who reads it.

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::post::{Posted, post};
use crate::app::{exit, inbox, keys, run_states};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::RunId;
use crate::model::time::Dur;
use crate::record::event::Signal;
use crate::run::{RunState, approval};

/// Sends a signal to the process that drives the run, and says who will read it.
pub fn send(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
) -> Result<u8, AppError> {
    send_for(context, printer, store, run, signal, keys::GOOD_FOR)
}

/// The same, for a signal that stays valid this long where it is signed.
pub fn send_for(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    signal: Signal,
    good_for: Dur,
) -> Result<u8, AppError> {
    let posted = post((context, printer), store, run, signal, good_for)?;
    let driven = posted == Posted::Driven;
    let next = match posted {
        Posted::Driven => "the process that drives the run has been notified".to_owned(),
        Posted::Written => match inbox::read(store, run_states::one(store, run)?)? {
            state if state.finished() => "it is in the journal".to_owned(),
            state => format!("it is in the journal; {}", goes_on_with(&state)),
        },
        Posted::Waits => {
            let state = inbox::read(store, run_states::one(store, run)?)?;
            format!("no process drives the run; {}", goes_on_with(&state))
        }
    };
    printer.note(&format!("noted for run {run}: {next}"));
    if printer.format != Format::Human {
        printer.document(
            &serde_json::json!({"schema_version": 1, "run_id": run, "noted": true, "driven": driven}),
        );
    }
    Ok(exit::DONE)
}

/// What the run needs next: what a person decided, the approvals that are missing, or a process.
fn goes_on_with(state: &RunState) -> String {
    if let Some(next) = state.next_as_decided() {
        return format!("next, {next}");
    }
    if let Some(stop) = state.to_decide() {
        return format!(
            "the run stopped at {}. A named person decides next: {}",
            stop.step,
            state.to_continue()
        );
    }
    if let Some(gate) = (0..state.steps.len()).find(|i| approval::standing(state, *i).is_some()) {
        let step = &state.step(gate).id;
        return format!("{step} is rejected. {}", approval::instead(state, step));
    }
    let waits = state.waits_for_people().into_iter().filter(|waits| waits.why.starts_with(approval::WAITING));
    let missing = waits.map(|waits| waits.what()).collect::<Vec<_>>().join("; ");
    let stops = state.to_correct();
    let steps = stops.iter().map(|stop| stop.step.as_str()).collect::<Vec<_>>().join(", ");
    let on = state.to_continue();
    match (missing.is_empty(), steps.is_empty()) {
        (true, _) => state.next_to_continue(),
        (false, true) => format!("the run is still {missing}; then {on}"),
        (false, false) => format!("once {steps} is corrected: {on}; the run is also {missing}"),
    }
}
