//! What is known about record sets before they change: observed, written by a run of drctl, or only declared.
//!
//! Observed sets are compared with the current ones, and what runs have written since counts as observed. A set that nobody ever observed
//! is bound late: it is read right before the change, and replaced only if it matches the plan's declaration for the former site.

use super::input::{Input, Written};
use crate::inventory::Knowledge;
use crate::kinds::shared::names::{Basis, Names, RecordChange, RecordSet, ZoneRef, ZoneService};
use crate::model::ids::SiteName;

/// The direction of a move.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The site to leave, if it is known.
    pub from: Option<&'a SiteName>,
    /// The recovery site.
    pub to: &'a SiteName,
    /// The home site.
    pub home: &'a SiteName,
}

/// The changes that move the names of a zone, each with the set that it replaces.
pub fn changes(
    input: &Input<'_>,
    spec: &Names,
    zone: &ZoneRef,
    known: &Knowledge<'_, Vec<RecordSet>>,
    moved: Move<'_>,
) -> Vec<RecordChange> {
    let Move { from, to, home } = moved;
    let mut changes = Vec::new();
    for record in &spec.records {
        let declared = from.map(|from| record.sets_when_active(from, home)).unwrap_or_default();
        for after in record.sets_when_active(to, home) {
            let observed = known.value().and_then(|there| find(there, &after));
            let since = match known {
                Knowledge::Fresh(_) => Some(input.now),
                Knowledge::Stale(_, age) => Some(input.now - *age),
                Knowledge::Never => None,
            };
            let later = |w: &&Written| {
                w.zone == zone.zone && w.may_be.iter().any(|s| s.same_set(&after)) && Some(w.at) > since
            };
            let written = input.written.iter().filter(later).max_by_key(|w| w.at);
            let mut own: Vec<_> = written.map_or_else(Vec::new, |w| w.may_be.clone());
            let (before, basis) = match own.is_empty() {
                false => (Some(own.remove(0)), Basis::Seen),
                true if matches!(known, Knowledge::Never) => (find(&declared, &after), Basis::Declared),
                true => (observed.clone(), Basis::Seen),
            };
            own.extend(observed);
            own.retain(|set| Some(set) != before.as_ref());
            let stays = before.as_ref() == Some(&after) && basis == Basis::Seen && own.is_empty();
            if !stays {
                changes.push(RecordChange { before, after: Some(after), basis, own });
            }
        }
    }
    changes
}

/// The same after this run lowered the TTL of the names: both the original and the lowered set may be replaced.
pub fn after_lowering(changes: Vec<RecordChange>, lowered: &[RecordSet]) -> Vec<RecordChange> {
    let lower = |change: RecordChange| match change.before.as_ref().and_then(|before| find(lowered, before)) {
        Some(low) if Some(&low) != change.before.as_ref() => {
            let own = change.before.iter().chain(&change.own).cloned().collect();
            RecordChange { before: Some(low), own, ..change }
        }
        _ => change,
    };
    changes.into_iter().map(lower).collect()
}

fn find(sets: &[RecordSet], key: &RecordSet) -> Option<RecordSet> {
    sets.iter().find(|set| set.same_set(key)).cloned()
}

/// A note for the reader about how a component's record sets are known.
pub fn note(
    (name, service): (&str, &ZoneService),
    known: &Knowledge<'_, Vec<RecordSet>>,
    moved: Move<'_>,
) -> Option<String> {
    match known {
        Knowledge::Fresh(_) => None,
        Knowledge::Stale(_, age) => Some(format!(
            "record sets of `{name}` come from an observation {age} old. The change names them exactly, and {} refuses it if they differ",
            service.name
        )),
        Knowledge::Never => {
            let replaced = moved.from.map_or_else(
                || "created only if it does not exist".to_owned(),
                |from| format!("replaced only if it matches the declaration in the plan for {from}"),
            );
            Some(format!(
                "record sets of `{name}` were never observed. Each one is read right before the change, and {replaced}"
            ))
        }
    }
}
