//! Which record sets of a switch can be changed, and which were changed by somebody else.

use std::collections::BTreeMap;

use crate::kinds::found::{FoundSet, FoundValues};
use crate::kinds::parts::{Group, Parts};
use crate::kinds::shared::names::records::RecordSet;
use crate::kinds::shared::names::switch::{Basis, RecordChange, Switch};

/// Groups the sets by name and type. They change together, because half of a weighted pair would be an outage of its own. The groups are
/// sorted by their current state.
pub(super) fn find(switch: &Switch, there: &[RecordSet], in_scope: &dyn Fn(u32) -> bool) -> Parts {
    let mut found = Parts { changes: switch.changes.len(), ..Parts::default() };
    for mut group in groups(switch, in_scope) {
        let changes = group.changes.iter().filter_map(|&c| Some((c, switch.changes.get(c as usize)?)));
        let (done, left): (Vec<_>, Vec<_>) =
            changes.partition(|(_, change)| change.find(there) == change.after.as_ref());
        if done.len() == group.changes.len() {
            found.done.push(group);
        } else if let Some((_, change)) = left.iter().find(|(_, c)| !c.replaces(c.find(there))) {
            group.differs = differs(change, change.find(there));
            found.foreign.push(group);
        } else {
            group.changes = left.into_iter().map(|(c, _)| c).collect();
            found.ready.push(group);
        }
    }
    found
}

fn groups(switch: &Switch, in_scope: &dyn Fn(u32) -> bool) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (change, position) in switch.changes.iter().zip(0..).filter(|(_, position)| in_scope(*position)) {
        if let Some(set) = change.before.as_ref().or(change.after.as_ref()) {
            groups.entry((&set.name, &set.rtype)).or_default().push(position);
        }
    }
    let group =
        |((name, rtype), changes)| Group { name: format!("{name} {rtype}"), changes, ..Group::default() };
    groups.into_iter().map(group).collect()
}

/// Why a set is not changed: both values, so that a person can decide which is right.
fn differs(change: &RecordChange, there: Option<&RecordSet>) -> String {
    let words = |set: Option<&RecordSet>| set.map_or_else(|| "not there".to_owned(), RecordSet::words);
    let (is, was) = (words(there), words(change.before.as_ref()));
    let id = change.after.as_ref().or(change.before.as_ref()).and_then(|set| set.set_identifier.as_deref());
    let set = id.map_or_else(|| "it".to_owned(), |id| format!("set {id}"));
    match change.basis {
        Basis::Seen => format!("{set} is {is}, but the runbook expects {was}: somebody changed it"),
        Basis::Declared => format!(
            "{set} is {is}, but the plan declares {was} for the source site; drctl had not observed it before"
        ),
    }
}

/// The current sets that a call with these changes replaces, if they differ from those in the runbook.
pub(super) fn read(switch: &Switch, part: &[u32], there: &[RecordSet]) -> Option<FoundValues> {
    let unsaid = |(change, position): (&RecordChange, u32)| {
        let set = change.find(there);
        let said = change.basis == Basis::Seen && set == change.before.as_ref();
        (part.contains(&position) && !said).then(|| FoundSet { change: position, set: set.cloned() })
    };
    let sets: Vec<_> = switch.changes.iter().zip(0..).filter_map(unsaid).collect();
    (!sets.is_empty()).then_some(FoundValues::Sets(sets))
}
