//! Schedules and their drills, as the ledger has them.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::AppError;
use super::live_drill::{again, stays_away};
use super::{inbox, run_states};
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::RunId;
use crate::model::intent::Drill;
use crate::model::ledger::Entry;
use crate::model::schedule::{Definition, Fate};
use crate::model::time::Timestamp;
use crate::policy::schedules::{Due, RecordedSchedules};
use crate::record::event::Outcome;
use crate::run::RunState;
use crate::run::state::Mode;

/// Schedules and drills, as recorded in the ledger of a store.
///
/// # Errors
/// If the ledger cannot be read.
pub fn known(store: &SqliteJournal) -> Result<RecordedSchedules, AppError> {
    let mut entries = store.entries(b"{\"ledger\":\"sch")?;
    entries.extend(store.entries(b"{\"ledger\":\"dri")?);
    entries.sort_by_key(|record| record.seq);
    Ok(RecordedSchedules::from_entries(entries.iter().filter_map(|record| Entry::read(&record.bytes).ok())))
}

/// The runs of a drill that exist. For a live drill, also the returns, successful or not.
///
/// # Errors
/// If one cannot be read.
pub fn states(store: &SqliteJournal, is: &Definition, runs: &[RunId]) -> Result<Vec<RunState>, AppError> {
    let mut states = Vec::new();
    for run in runs {
        if let Some(records) = store.own(run)? {
            states.push(create::replay(run, &records)?);
        }
    }
    if is.drill == Drill::Live && !states.is_empty() {
        let back =
            |state: &RunState| state.created.returns.as_ref().is_some_and(|there| runs.contains(there));
        states.extend(run_states::all(store)?.into_iter().filter(back));
    }
    Ok(states)
}

/// The first move of a live drill, if users are away and no run has moved them back.
pub fn away(states: &[RunState]) -> Option<&RunState> {
    let back = |there: &RunState| {
        states.iter().any(|state| {
            state.created.returns.as_ref() == Some(&there.created.run)
                && state.mode == Mode::Finished(Outcome::Recovered)
        })
    };
    states.iter().find(|state| stays_away(state) && !back(state))
}

/// What each open drill waits for, with the command that a person types.
pub fn open(store: &SqliteJournal, known: &RecordedSchedules, now: Timestamp) -> BTreeMap<Due, String> {
    let of = |(due, fate): (&Due, &Fate)| match fate {
        // A drill that cannot be read must not hide the others.
        Fate::Begun { is, runs } => Some((
            due.clone(),
            waits_for(store, (is, runs), now).unwrap_or_else(|e| format!("its runs cannot be read: {e}")),
        )),
        Fate::Missed { .. } | Fate::Ended { .. } => None,
    };
    known.fates.iter().filter_map(of).collect()
}

fn waits_for(
    store: &SqliteJournal,
    (is, runs): (&Definition, &[RunId]),
    now: Timestamp,
) -> Result<String, AppError> {
    let states = states(store, is, runs)?;
    if let Some(state) = states.iter().find(|state| !state.finished()) {
        let run = &state.created.run;
        if RunLock::is_held(&Context::lock_folder(store), run) {
            return Ok(format!("run {run} is in progress: {}", state.created.command("runs watch", "")));
        }
        let state = inbox::at_present(inbox::read(store, state.clone())?, false, now);
        let waits = state.waits_for_people();
        return Ok(match waits.iter().find(|waits| !waits.answered).or(waits.first()) {
            Some(waits) if waits.answered => {
                format!("run {run}: {} is answered; drctl serve continues the run", waits.step)
            }
            Some(waits) => format!("run {run} waits for a person: {}, {}", waits.step, waits.what()),
            None => format!("run {run} is not finished, and no process drives it: {}", state.to_go_on()),
        });
    }
    let there = |run: &RunId| states.iter().any(|state| state.created.run == *run);
    Ok(match (runs.iter().find(|run| !there(run)), away(&states)) {
        (Some(run), _) => format!("run {run} has not started; drctl serve starts it"),
        (None, Some(there)) => {
            format!(
                "users are still in {}: drctl serve moves them back, or run {}",
                there.runbook.to,
                again(there)
            )
        }
        (None, None) => "every run ended; drctl serve records the result".to_owned(),
    })
}
