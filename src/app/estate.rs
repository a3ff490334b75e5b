//! Observes the targets of a plan for a command, together with the stored observations, and stores the new ones.

use super::context::Context;
use super::error::AppError;
use super::presenter::Presenter;
use crate::executor::{Session, survey};
use crate::inventory::estate::Remembered;
use crate::inventory::{Estate, Observation, targets};
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::probe::Recorder;

/// Limit on one survey. A region that has not answered by then counts as dark.
const DEADLINE: Dur = Dur::secs(15);

/// Observes everything in a plan. `scope` is where observations are stored: the plan's scope, or a rehearsal's own.
///
/// # Errors
/// If the store cannot be read or written.
pub async fn look(
    session: &Session<'_>,
    (store, scope): (&SqliteJournal, &str),
    plan: &Plan,
    guard: Option<&Place>,
    recorder: &Recorder,
) -> Result<Estate, AppError> {
    let mut targets = targets::of_plan(plan, guard);
    for target in &mut targets {
        remember_endpoint(target, store, scope)?;
    }
    let seen = survey::look(session, &targets, DEADLINE).await;
    let mut estate = Estate { probes: recorder.health(), ..Estate::default() };
    let mut remember = Vec::new();
    for (target, observation) in seen {
        let key = key(scope, &target.key());
        let last = store.remembered(&key)?;
        estate.add(&target, observation, last);
        if let Some(Observation::Value { state, observed_at, .. }) = estate.now(&target) {
            remember.push((key, Remembered { state: state.clone(), observed_at: *observed_at }));
        }
    }
    store.remember(&remember)?;
    Ok(estate)
}

/// Adds the last known endpoint, so that SQL can reach a database whose control plane is down.
fn remember_endpoint(target: &mut Target, store: &SqliteJournal, scope: &str) -> Result<(), AppError> {
    let (Target::Fence { db, .. } | Target::Wrote { db, .. }) = target else { return Ok(()) };
    let last = store.remembered(&key(scope, &Target::Database(db.clone()).key()))?;
    if let Some(Remembered { state: State::Database(state), .. }) = last {
        *db = db.clone().reached_at(state.endpoint.as_ref());
    }
    Ok(())
}

/// The scope is part of the key: two applications may have groups of the same name in different accounts, and each rehearsal is separate.
fn key(scope: &str, target: &str) -> String {
    format!("{scope}/{target}")
}

/// Prints a note that a rehearsal which has not started yet shows the state before its outage.
///
/// # Errors
/// If there is no such scenario.
pub fn before_the_outage(context: &Context, presenter: &dyn Presenter) -> Result<(), AppError> {
    if let Some(scenario) = context.scenario()?.filter(|scenario| scenario.loses_home) {
        let name = scenario.name;
        presenter.note(&format!(
            "this is the estate of scenario {name} before its outage; drctl assess --from SITE shows it during the outage"
        ));
    }
    Ok(())
}
