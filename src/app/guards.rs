//! Checks whether a run that drctl continues still holds its guards.

use super::context::Context;
use super::error::AppError;
use super::exit;
use super::presenter::Presenter;
use super::stage::Stage;
use crate::executor::{Patience, Silent, survey};
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::{State, Target};
use crate::model::time::Dur;
use crate::record::event::WorldKind;
use crate::run::{RunState, held};

/// Fails if another operator took a guard while no process drove the run. A guard that cannot be read only produces a message
/// here: the run reads it before every call, and makes none without it.
///
/// # Errors
/// If somebody else holds one of them, or nobody does.
pub fn still_ours(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    state: &RunState,
) -> Result<(), AppError> {
    let Some((target, holder)) = lost((context, presenter), store, state)? else { return Ok(()) };
    let message =
        format!("{}, which belongs to run {}", words(&target, holder.as_deref()), state.created.run);
    let cancel = state.created.command("runs cancel", " --reason TEXT");
    let hint = format!("talk to the holder; {cancel} closes this run and undoes nothing");
    Err(AppError { exit: exit::HELD, ..AppError::usage_fix(message, hint) })
}

/// A message about a guard that the run lost.
pub fn words(guard: &Target, holder: Option<&str>) -> String {
    let of = guard.component().map_or_else(|| guard.to_string(), ToString::to_string);
    holder.map_or_else(
        || format!("somebody removed the guard of {of}"),
        |holder| format!("{holder} holds the guard of {of}"),
    )
}

/// The first guard that the run lost, and its new holder if there is one.
///
/// # Errors
/// If the guards cannot be observed.
pub fn lost(
    (context, presenter): (&Context, &dyn Presenter),
    store: &SqliteJournal,
    state: &RunState,
) -> Result<Option<(Target, Option<String>)>, AppError> {
    let held = state.guards();
    if state.created.world != WorldKind::Live || held.is_empty() {
        return Ok(None);
    }
    let stage = Stage::of_run(context, state)?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let targets: Vec<_> = held.iter().map(|guard| guard.target.clone()).collect();
    for (target, seen) in stage.world.block_on(survey::look(&session, &targets, Dur::secs(15))) {
        let Some(ours) = held.iter().find(|guard| guard.target == target) else { continue };
        let Some(State::Guard(found)) = seen.state() else {
            presenter.note(&held::words(ours, &seen.why_not()));
            continue;
        };
        if !ours.is_held_by(found.holder.as_deref()) {
            return Ok(Some((target, found.holder.clone())));
        }
    }
    Ok(None)
}
