//! Data of the old primary that its standby does not have. They are shown before the approval and kept for the figures.

use super::steps::Draft;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::unreplicated::{Lost, Unreplicated};
use crate::kinds::{Role, State, Target};
use crate::plan::types::Component;

/// Adds a note for each, and returns those that cost rows.
pub(super) fn lost(draft: &mut Draft<'_>, component: &Component, db: &DatabaseRef) -> Vec<Unreplicated> {
    let Role::Store(spec) = component.role() else { return Vec::new() };
    let from = draft.from.as_ref();
    let old = from.and_then(|site| spec.server(draft.input.plan, &component.name, site));
    let Some(old) = old.filter(|old| !old.is(db)) else { return Vec::new() };
    let target = Target::Database(old);
    let estate = draft.input.estate;
    let now = estate.now(&target).and_then(|now| now.state());
    let state = now.or_else(|| estate.last_seen(&target).map(|last| &last.state));
    let Some(State::Database(seen)) = state.filter(|s| matches!(s, State::Database(d) if !d.is_replica()))
    else {
        return Vec::new();
    };
    let name = &component.name;
    // Row counts change constantly, so they are left out: two observations must give the same runbook.
    let steady = |thing: &Unreplicated| match thing.what {
        Lost::Rows | Lost::Expendable => Unreplicated { detail: String::new(), ..thing.clone() },
        _ => thing.clone(),
    };
    let standby = estate.now(&Target::Database(db.clone())).and_then(|now| now.state());
    let synced = match standby {
        Some(State::Database(standby)) => standby.synced_slots.as_deref(),
        _ => None,
    };
    let all: Vec<_> = seen
        .unreplicated
        .iter()
        .filter_map(|thing| thing.on(&db.id, synced))
        .map(|thing| steady(&thing))
        .collect();
    draft.notes.extend(all.iter().map(|thing| format!("`{name}`: {}", thing.words())));
    all.into_iter().filter(Unreplicated::loses_rows).collect()
}
