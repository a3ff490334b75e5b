//! What people owe after runs, and the drills that tiers require.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock::now;
use super::context::Context;
use super::error::AppError;
use super::presenter::Quiet;
use super::{notifier, proven};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::time::Timestamp;
use crate::record::event::WorldKind;
use crate::report::duties::{self, Obligation, Standing};
use crate::run::RunState;

/// A drill that a tier requires.
#[derive(Serialize)]
pub struct DrillOwed {
    /// The plan.
    pub plan: PlanName,
    /// Until when it must be verified.
    pub due_at: Timestamp,
    /// Whether it is overdue.
    pub standing: Standing,
    /// Whether it is due so soon that drctl reminds people.
    #[serde(skip)]
    pub soon: bool,
    /// Why.
    pub why: String,
}

/// All duties after runs of a store, done or not.
///
/// # Errors
/// If the ledger cannot be read.
pub fn of_runs(store: &SqliteJournal, runs: &[RunState]) -> Result<Vec<Obligation>, AppError> {
    let (told, at) = (notifier::told_of_runs(store)?, now()?);
    let live = runs.iter().filter(|state| state.created.world == WorldKind::Live);
    Ok(live.flat_map(|state| duties::of_run(state, &told, at.max(state.last_at))).collect())
}

/// The same for `drctl duties`. Nobody has to watch a rehearsal or report about it, and it has its own time, but an override in it is
/// approved afterwards like any other.
pub fn of_store(
    context: &Context,
    store: &SqliteJournal,
    runs: &[RunState],
) -> Result<Vec<Obligation>, AppError> {
    if !context.is_rehearsal() {
        return of_runs(store, runs);
    }
    let told = BTreeMap::new();
    let all = runs.iter().flat_map(|state| duties::of_run(state, &told, state.last_at));
    Ok(all.filter(|owed| owed.what.starts_with("approval:")).collect())
}

/// Plans that must be verified by a drill, and until when. Plans that cannot be read are reported by `drctl check`.
pub fn drills(
    context: &Context,
    store: &SqliteJournal,
    runs: &[RunState],
) -> Result<Vec<DrillOwed>, AppError> {
    if context.is_rehearsal() {
        return Ok(Vec::new());
    }
    let at = now()?;
    let mut all = Vec::new();
    for plan in context.plans(&[], &Quiet).unwrap_or_default() {
        let found = proven::as_last_seen(context, store, &plan, runs)?;
        let Some(due_at) = found.until else { continue };
        let standing = if due_at < at { Standing::Overdue } else { Standing::Open };
        let soon = found.remind.is_some_and(|remind| remind <= at);
        all.push(DrillOwed { plan: plan.name, due_at, standing, soon, why: found.why });
    }
    Ok(all)
}
