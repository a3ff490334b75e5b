//! Whether plans are verified: by their runs, the ledger, and the last observation of their estates.

use super::clock;
use super::context::Context;
use super::error::AppError;
use super::readiness;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::ledger::Entry;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::report::verified::{self, Cadence, Verified};
use crate::run::RunState;

/// Whether the plan is verified, whatever has changed in its estate since. Rehearsals verify nothing.
///
/// # Errors
/// If there is no clock, or the ledger cannot be read.
pub fn verification(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    runs: &[RunState],
) -> Result<Verified, AppError> {
    let tier = plan.tier.as_ref().and_then(|tier| context.settings.tiers.get(&tier.value));
    let known = if context.is_rehearsal() { None } else { known_since(store, &plan.name)? };
    let first = runs.iter().filter(|run| run.created.plan == plan.name).map(|run| run.created_at).min();
    let known = known.into_iter().chain(first.filter(|_| known.is_some())).min();
    let cadence = Cadence { every: tier.and_then(|tier| tier.drill_every), known };
    Ok(verified::verified(plan, cadence, runs, clock::now()?))
}

/// The same, unless its estate has changed since, according to the last observation.
///
/// # Errors
/// The same.
pub fn as_last_seen(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    runs: &[RunState],
) -> Result<Verified, AppError> {
    let found = verification(context, store, plan, runs)?;
    let seen = readiness::looked_at(store, &plan.name)?;
    let drifted = seen.as_ref().and_then(|seen| seen.drifted_since(found.at));
    Ok(found.unless(drifted))
}

/// Since when a store knows a plan: when its ledger first named it, or when the ledger started if it never did.
///
/// # Errors
/// If the store cannot be read.
pub fn known_since(store: &SqliteJournal, plan: &PlanName) -> Result<Option<Timestamp>, AppError> {
    let read = |kind: &[u8; 14]| -> Result<Vec<Entry>, AppError> {
        let entries = store.entries(kind)?;
        Ok(entries.iter().filter_map(|record| Entry::read(&record.bytes).ok()).collect())
    };
    let named = |entry: &Entry| match entry {
        Entry::Readiness { at, plan: of, .. } if of == plan => Some(*at),
        Entry::Schedule { at, is: Some(is), .. } if is.plan == *plan => Some(*at),
        _ => None,
    };
    let (looks, schedules) = (read(b"{\"ledger\":\"rea")?, read(b"{\"ledger\":\"sch")?);
    if let Some(at) = looks.iter().chain(&schedules).filter_map(named).min() {
        return Ok(Some(at));
    }
    let first = read(b"{\"ledger\":\"key")?.into_iter().next();
    Ok(first.and_then(|entry| if let Entry::Key { at, .. } = entry { Some(at) } else { None }))
}
