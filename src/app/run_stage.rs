//! The world of a run that is continued, and the process that drives it.

use super::context::Context;
use super::environment;
use super::error::AppError;
use super::presenter::Presenter;
use super::stage::Stage;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::world::feed::Feed;
use crate::kinds::world::scenario::Scenario;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::WorldKind;
use crate::run::{RunState, outstanding};

/// The world of a run: for a rehearsal, its estate in the state in which it was left. A finished rehearsal continues an hour
/// later, so that what was lost can return.
///
/// # Errors
/// If this version cannot read its plan, or lacks a provider for it.
pub fn stage_of(
    presenter: &dyn Presenter,
    store: &SqliteJournal,
    state: &RunState,
    context: &Context,
) -> Result<Stage, AppError> {
    let later = if state.finished() { outstanding::LATER } else { Dur::secs(5) };
    stage_later(presenter, store, state, context, later)
}

/// The same, this long after the last event in it: the return of a drill starts when its hold is over.
///
/// # Errors
/// The same.
pub fn stage_later(
    presenter: &dyn Presenter,
    store: &SqliteJournal,
    state: &RunState,
    context: &Context,
    later: Dur,
) -> Result<Stage, AppError> {
    let WorldKind::Sandbox { scenario, seed, began } = &state.created.world else {
        return Stage::of_run(context, state);
    };
    let scenario = Scenario::find(scenario)
        .ok_or_else(|| AppError::usage(format!("scenario `{scenario}` no longer exists")))?;
    let checked =
        crate::plan::check("the plan in the journal", state.created.plan_text.as_bytes(), &context.settings);
    let Some(plan) = checked.plan else {
        presenter.findings(&checked.findings, &|_| Some(state.created.plan_text.clone()));
        return Err(AppError::usage("this version cannot read the plan of the run"));
    };
    let notes = store.simulated(&state.created.run)?;
    let feed = Feed::kept(&notes);
    let stage = Stage::rehearsal(&plan, &scenario, *seed, (*began, feed.as_ref()), context.pace());
    if let Some(sandbox) = &stage.sandbox {
        // The return of a live drill uses the estate of the first move.
        if let Some(first) = &state.created.returns {
            sandbox.replay(&store.simulated(first)?);
            sandbox.anew(state.created_at);
        }
        sandbox.replay(&notes);
        let last = notes.iter().map(|(at, _)| *at).fold(state.last_at, Timestamp::max);
        stage.world.not_before(last + later);
    }
    Ok(stage)
}

/// The name of this process in journals. In rehearsals it does not depend on the user.
pub fn owner(stage: &Stage) -> String {
    match stage.sandbox {
        Some(_) => "sandbox".to_owned(),
        None => format!("{} pid {}", environment::os_identity(), std::process::id()),
    }
}
