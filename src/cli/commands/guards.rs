//! Whether a run that is carried on still holds its guards.

use std::collections::BTreeMap;

use super::stage::Stage;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::executor::{Patience, Silent, survey};
use crate::journal::sqlite::SqliteJournal;
use crate::model::action::{Action, Write};
use crate::model::event::WorldKind;
use crate::model::state::State;
use crate::model::target::Target;
use crate::model::time::Dur;
use crate::run::RunState;
use crate::run::state::Status;

/// While nobody drove the run another operator may have taken its guards away. One that nobody can read stops nothing: it may be
/// in the region that is down.
///
/// # Errors
/// If somebody else holds one of them, or nobody.
pub fn still_ours(context: &Context, store: &SqliteJournal, state: &RunState) -> Result<(), CliError> {
    let Some((target, holder)) = lost(context, store, state)? else { return Ok(()) };
    let message = format!("the {target} of run {} is held by {holder}", state.created.run);
    let hint = "talk to whoever took it; drctl runs cancel closes this run and takes nothing back";
    Err(CliError { exit: exit::HELD, ..CliError::usage_fix(message, hint) })
}

/// The first guard of the run that somebody else holds by now, with who does.
///
/// # Errors
/// If nothing can be looked at.
pub fn lost(
    context: &Context,
    store: &SqliteJournal,
    state: &RunState,
) -> Result<Option<(Target, String)>, CliError> {
    let held = held(state);
    if state.created.world != WorldKind::Live || state.finished() || held.is_empty() {
        return Ok(None);
    }
    let stage = Stage::live(&context.settings, state.runbook.recovery_place())?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let targets: Vec<_> = held.values().map(|(target, _)| target.clone()).collect();
    for (target, seen) in stage.world.block_on(survey::look(&session, &targets, Dur::secs(15))) {
        let Some(State::Guard(guard)) = seen.state() else { continue };
        let ours = held.values().find(|(t, _)| *t == target).map(|(_, holder)| holder);
        if guard.holder.as_ref() != ours {
            let holder = guard.holder.as_deref().unwrap_or("nobody: somebody took it away");
            return Ok(Some((target, holder.to_owned())));
        }
    }
    Ok(None)
}

/// Guards that the run took and has not begun to give back, with their holder as it was written.
fn held(state: &RunState) -> BTreeMap<String, (Target, String)> {
    let mut held = BTreeMap::new();
    for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
        match &step.action {
            Action::Write(Write::Guard { component, place, holder, .. })
                if matches!(at.work.status, Status::Done(_))
                    && at.undo.as_ref().is_none_or(|u| u.status == Status::Failed) =>
            {
                let target = Target::Guard { component: component.clone(), place: place.clone() };
                held.insert(component.to_string(), (target, holder.clone()));
            }
            Action::Write(Write::ReleaseGuard { component, .. }) if at.work.status != Status::Pending => {
                held.remove(component.as_str());
            }
            _ => {}
        }
    }
    held
}
