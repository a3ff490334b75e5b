//! The states of the runs of a store.

use std::collections::BTreeSet;

use super::context::Context;
use super::error::AppError;
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, Record, RunRow};
use crate::model::ids::{PlanName, RunId};
use crate::record::event::{Event, EventKind, WorldKind};
use crate::report::history::History;
use crate::run::RunState;

/// The state of a run.
///
/// # Errors
/// If it cannot be read.
pub fn one(store: &SqliteJournal, run: &RunId) -> Result<RunState, AppError> {
    Ok(create::replay(run, &store.read(run)?)?)
}

/// Every readable run of the store. Unreadable ones are reported as faults, and do not hide the others.
pub fn all(store: &SqliteJournal) -> Result<Vec<RunState>, AppError> {
    let rows = store.runs()?.into_iter();
    Ok(rows.filter_map(|row| create::replay(&row.run, &store.read(&row.run).ok()?).ok()).collect())
}

/// The runs of the store that cannot be read, each with the reason.
///
/// # Errors
/// If the store cannot be read.
pub fn unreadable(store: &SqliteJournal) -> Result<Vec<(RunId, AppError)>, AppError> {
    let rows = store.runs()?.into_iter();
    Ok(rows.filter_map(|row| one(store, &row.run).err().map(|e| (row.run, e))).collect())
}

/// How many of the last runs of a plan define what is usual.
const RECENT: usize = 50;

/// The durations of a plan's steps in earlier runs.
pub fn history(store: &SqliteJournal, plan: &PlanName) -> Result<History, AppError> {
    let mut recent = Vec::new();
    // A run's name contains its plan's, so only the runs of this plan are read.
    let named = |row: &&RunRow| row.finished && row.run.as_str().contains(plan.as_str());
    for row in store.runs()?.iter().rev().filter(named) {
        let Ok(records) = store.read(&row.run) else { continue };
        let of_plan = records.first().is_some_and(|first| is_of(first, plan));
        recent.extend(of_plan.then(|| create::replay(&row.run, &records).ok()).flatten());
        if recent.len() >= RECENT {
            break;
        }
    }
    Ok(History::from_runs(&recent))
}

fn is_of(first: &Record, plan: &PlanName) -> bool {
    matches!(serde_json::from_slice(&first.bytes), Ok(Event { what: EventKind::RunCreated(created), .. }) if created.plan == *plan)
}

/// The runs in the world of one of them. Each rehearsal has a world of its own.
pub fn of_one_world<'s>(run: &'s RunState, runs: &'s [RunState]) -> Vec<&'s RunState> {
    match run.created.world {
        WorldKind::Live => runs.iter().filter(|r| r.created.world == WorldKind::Live).collect(),
        WorldKind::Sandbox { .. } => vec![run],
    }
}

/// The runs that a process is driving.
pub fn driven(store: &SqliteJournal, runs: &[RunState]) -> BTreeSet<RunId> {
    let folder = Context::lock_folder(store);
    let names = runs.iter().map(|run| &run.created.run);
    names.filter(|run| RunLock::is_held(&folder, run)).cloned().collect()
}

/// Leaves out runs that a process is driving: they are in progress, not left behind.
pub fn undriven(store: &SqliteJournal, runs: Vec<RunState>) -> Vec<RunState> {
    let folder = Context::lock_folder(store);
    runs.into_iter().filter(|run| !RunLock::is_held(&folder, &run.created.run)).collect()
}
