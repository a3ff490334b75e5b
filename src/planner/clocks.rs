//! Clock differences: commits have times from the server that made them, but the time at which writes ended may be from this machine.

use super::steps::Draft;
use super::unreplicated;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::{Role, State, Target};
use crate::model::measure::ClockReading;
use crate::model::time::Dur;
use crate::plan::types::Component;
use crate::record::action::{Action, Check};

/// Adds the measurement of a store's exposure, with what is known about the clock that stamps its commits.
pub(super) fn exposure(draft: &mut Draft<'_>, component: &Component, db: &DatabaseRef) -> Action {
    let read = readings(draft, component, db).into_iter().max_by_key(|(_, reading)| reading.ahead_ms);
    let name = &component.name;
    match &read {
        Some((server, reading)) if reading.is_ahead() => draft.notes.push(format!(
            "`{name}`: its clock is up to {} ahead of the clock of this machine (read on {server} at {}). Its last commit may be older than its timestamp by that amount. If the loss cannot be measured on a single clock, drctl adds that amount to the bound. Synchronize both clocks with NTP. If the clock of this machine was wrong, run drctl observe while the server answers to read the difference again",
            Dur(reading.ahead_ms.unsigned_abs()).shown_up(),
            reading.at,
        )),
        // A provider keeps its clocks synchronised.
        None if !db.engine.is_managed() => draft.notes.push(format!(
            "`{name}`: the clock that stamps its commits was never read. If the loss cannot be measured on a single clock, the bound assumes that this clock is not ahead of the clock of this machine"
        )),
        _ => {}
    }
    // Rounded to seconds, so that two observations give the same runbook.
    let ahead_ms = read.map(|(_, reading)| reading.ahead_ms.saturating_add(999).div_euclid(1_000) * 1_000);
    let unreplicated = unreplicated::lost(draft, component, db);
    Action::Check(Check::Exposure { db: db.clone(), ahead_ms, unreplicated })
}

/// The readings of the old primary's own clock, and of what its replica read from it.
fn readings(draft: &Draft<'_>, component: &Component, db: &DatabaseRef) -> Vec<(String, ClockReading)> {
    let Role::Store(spec) = component.role() else { return Vec::new() };
    let from = draft.from.as_ref();
    let old = from.and_then(|site| spec.server(draft.input.plan, &component.name, site));
    let read = |db: &DatabaseRef, of: &dyn Fn(&DatabaseState) -> bool| {
        let target = Target::Database(db.clone());
        let estate = draft.input.estate;
        let state = estate.now(&target).and_then(|now| now.state());
        match state.or_else(|| estate.last_seen(&target).map(|last| &last.state)) {
            Some(State::Database(seen)) if of(seen) => Some((db.id.clone(), seen.clock?)),
            _ => None,
        }
    };
    let own = old.and_then(|old| read(&old, &|_| true));
    own.into_iter().chain(read(db, &DatabaseState::is_replica)).collect()
}
