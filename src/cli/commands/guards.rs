//! Whether a run that is carried on still holds its guards.

use super::stage::Stage;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::Printer;
use crate::executor::{Patience, Silent, survey};
use crate::journal::sqlite::SqliteJournal;
use crate::model::event::WorldKind;
use crate::model::state::State;
use crate::model::target::Target;
use crate::model::time::Dur;
use crate::run::{RunState, held};

/// While nobody drove the run another operator may have taken its guards away. One that cannot be read stops nothing here: the run
/// reads it before every call, and makes none without it. The person hears of it at once.
///
/// # Errors
/// If somebody else holds one of them, or nobody.
pub fn still_ours(
    (context, printer): (&Context, &Printer),
    store: &SqliteJournal,
    state: &RunState,
) -> Result<(), CliError> {
    let Some((target, holder)) = lost((context, printer), store, state)? else { return Ok(()) };
    let message = format!("{holder} holds the {target} of run {}", state.created.run);
    let hint = "talk to the holder; drctl runs cancel closes this run and undoes nothing";
    Err(CliError { exit: exit::HELD, ..CliError::usage_fix(message, hint) })
}

/// The first guard of the run that somebody else holds by now, with who does.
///
/// # Errors
/// If nothing can be looked at.
pub fn lost(
    (context, printer): (&Context, &Printer),
    store: &SqliteJournal,
    state: &RunState,
) -> Result<Option<(Target, String)>, CliError> {
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
            printer.note(&held::words(ours, &seen.why_not()));
            continue;
        };
        if found.holder.as_ref() != Some(&ours.holder) {
            let holder = found.holder.as_deref().unwrap_or("nobody; somebody removed it");
            return Ok(Some((target, holder.to_owned())));
        }
    }
    Ok(None)
}
