//! Finds a run by its ID, by a unique prefix, or by `latest` if the command only reads.

use std::collections::BTreeSet;

use super::error::AppError;
use super::{pending_fences, run_states};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{RunId, StepId};
use crate::model::shape::suggest;
use crate::run::RunState;

/// The run for a command that may change something.
///
/// # Errors
/// If there is no run with that ID or prefix, or several.
pub fn exactly(store: &SqliteJournal, text: &str) -> Result<RunId, AppError> {
    if text == "latest" {
        let last = store.all_runs()?.pop().map(|row| row.run);
        return Err(AppError::usage_fix(
            "`latest` is only for commands that read: another run may have begun since you looked",
            last.map_or_else(|| SHOWS.to_owned(), |run| format!("name the run; the last one is {run}")),
        ));
    }
    // The name is also used for files.
    let named = RunId::parse(text).map_err(|why| AppError::usage_fix(why, SHOWS))?;
    let all = store.all_runs()?;
    if all.iter().any(|row| row.run == named) {
        return Ok(named);
    }
    let begin: Vec<&RunId> =
        all.iter().map(|row| &row.run).filter(|r| r.as_str().starts_with(text)).collect();
    match begin.as_slice() {
        [] => Ok(named),
        [only] => Ok((*only).clone()),
        several => Err(AppError::usage_fix(
            format!("{} runs start with `{text}`: {}", several.len(), listed(several)),
            "give enough of the id to distinguish them",
        )),
    }
}

/// The run for a command that only reads: also accepts `latest`.
///
/// # Errors
/// If there is no run with that ID or prefix, or several.
pub fn read(store: &SqliteJournal, text: &str) -> Result<RunId, AppError> {
    if text != "latest" {
        return exactly(store, text);
    }
    let last = store.all_runs()?.pop().map(|row| row.run);
    last.ok_or_else(|| AppError::usage_fix("there is no run yet", SHOWS))
}

/// The run to continue: the named one, the only unfinished one, or, if every run is finished, the only one with a pending fence.
///
/// # Errors
/// As above, or if no run or several runs can be continued.
pub fn unfinished(store: &SqliteJournal, text: Option<&str>) -> Result<RunId, AppError> {
    if let Some(text) = text {
        return exactly(store, text);
    }
    let all = store.all_runs()?;
    let open: Vec<&RunId> = all.iter().filter(|row| !row.finished).map(|row| &row.run).collect();
    match open.as_slice() {
        [only] => Ok((*only).clone()),
        [] => unfenced(store),
        several => Err(AppError::usage_fix(
            format!("{} runs are not finished: {}", several.len(), listed(several)),
            "name one of them",
        )),
    }
}

/// The only finished run with a pending fence.
fn unfenced(store: &SqliteJournal) -> Result<RunId, AppError> {
    let owing: BTreeSet<RunId> =
        pending_fences::debts(&run_states::all(store)?).into_iter().map(|debt| debt.run).collect();
    match owing.iter().collect::<Vec<_>>().as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(AppError::usage_fix("every run is finished, and no fence is pending", SHOWS)),
        several => Err(AppError::usage_fix(
            format!("every run is finished, and {} have a pending fence: {}", several.len(), listed(several)),
            "name one of them",
        )),
    }
}

/// A step of a run.
///
/// # Errors
/// If it has no such step, with a suggestion.
pub fn step(state: &RunState, text: &str) -> Result<StepId, AppError> {
    let all = || state.runbook.steps.iter().map(|step| step.id.as_str());
    if all().any(|id| id == text) {
        return Ok(StepId::new(text));
    }
    let run = &state.created.run;
    let shows = state.created.command("runs show", "");
    let near = suggest(text, all()).or_else(|| all().find(|id| id.starts_with(text)));
    Err(AppError::usage_fix(
        format!("run {run} has no step `{text}`"),
        near.map_or_else(
            || format!("{shows} lists its steps"),
            |near| format!("did you mean `{near}`? {shows} lists its steps"),
        ),
    ))
}

const SHOWS: &str = "run drctl runs list for the list";
/// How many runs a message lists.
const NAMED: usize = 5;

fn listed(runs: &[&RunId]) -> String {
    let mut words: Vec<&str> = runs.iter().take(NAMED).map(|run| run.as_str()).collect();
    if runs.len() > NAMED {
        words.push("..");
    }
    words.join(", ")
}
