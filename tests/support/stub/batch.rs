//! Route 53's rules for one change batch. The batch is tried beside the zone, and applied completely or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::record::{Key, RecordSet};
use super::route53::Sets;
use super::wire::Fault;
use super::xml::Element;

/// `ResourceRecord` elements of one request, an UPSERT's counted twice.
const MOST_ELEMENTS: usize = 1_000;
/// Characters in the `Value` elements of one request, an UPSERT's counted twice.
const MOST_CHARACTERS: usize = 32_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Create,
    Delete,
    Upsert,
}

impl Action {
    fn named(name: &str) -> Option<Self> {
        match name {
            "CREATE" => Some(Self::Create),
            "DELETE" => Some(Self::Delete),
            "UPSERT" => Some(Self::Upsert),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Upsert => "UPSERT",
        }
    }
}

pub struct Change {
    action: Action,
    set: RecordSet,
}

/// Reads the changes of a `ChangeResourceRecordSetsRequest`.
///
/// # Errors
/// `InvalidInput` where a change cannot be understood.
pub fn read(root: &Element<'_>) -> Result<Vec<Change>, Fault> {
    let changes = root.child("ChangeBatch").and_then(|batch| batch.child("Changes"));
    let changes = changes.map_or(&[][..], |changes| &changes.children);
    if changes.is_empty() {
        return Err(malformed("a change batch needs at least one change"));
    }
    changes.iter().map(read_one).collect()
}

fn read_one(change: &Element<'_>) -> Result<Change, Fault> {
    let action = change.value("Action").and_then(Action::named).ok_or_else(|| malformed("unknown Action"))?;
    let set =
        change.child("ResourceRecordSet").ok_or_else(|| malformed("Missing field 'ResourceRecordSet'"))?;
    Ok(Change { action, set: RecordSet::read(set).map_err(|what| malformed(&what))? })
}

fn malformed(what: &str) -> Fault {
    Fault::new(400, "InvalidInput", format!("Invalid request: {what}"))
}

fn refused(messages: &[String]) -> Fault {
    Fault::new(400, "InvalidChangeBatch", format!("[{}]", messages.join(", ")))
}

/// Applies the whole batch to the zone, or leaves the zone unchanged.
///
/// # Errors
/// `InvalidInput` for a set that is invalid by itself, otherwise `InvalidChangeBatch` with all reasons.
pub fn apply(zone: &str, sets: &mut Sets, changes: Vec<Change>) -> Result<(), Fault> {
    check_size(&changes)?;
    for change in &changes {
        check_shape(change)?;
    }
    let trial = Trial::run(zone, sets, changes);
    if !trial.messages.is_empty() {
        return Err(refused(&trial.messages));
    }
    let after = trial.after;
    for (key, set) in after {
        match set {
            Some(set) => sets.put(key, set),
            None => sets.remove(&key),
        }
    }
    Ok(())
}

fn check_size(changes: &[Change]) -> Result<(), Fault> {
    let (mut elements, mut characters) = (0, 0);
    for change in changes {
        let times = if change.action == Action::Upsert { 2 } else { 1 };
        let values = &change.set.values;
        elements += times * values.len().max(1); // an alias has no values and still is one element
        characters += times * values.iter().map(|value| value.chars().count()).sum::<usize>();
    }
    if elements > MOST_ELEMENTS {
        return Err(refused(&[format!("Number of records limit of {MOST_ELEMENTS} exceeded.")]));
    }
    if characters > MOST_CHARACTERS {
        let what = "Number of characters in value elements limit of";
        return Err(refused(&[format!("{what} {MOST_CHARACTERS} exceeded.")]));
    }
    Ok(())
}

/// Checks that do not depend on the zone.
fn check_shape(change: &Change) -> Result<(), Fault> {
    let set = &change.set;
    let shown = || {
        let (action, identifier) = (change.action.name(), set.identifier.as_deref().unwrap_or("null"));
        let (name, kind) = (&set.name, &set.kind);
        format!("Change with [Action={action}, Name={name}, Type={kind}, SetIdentifier={identifier}]")
    };
    let one_of = |options: &str, found: &str| {
        malformed(&format!("Expected exactly one of [{options}], but found {found} in {}", shown()))
    };
    let alias = set.alias.is_some();
    let (ttl, values) = (set.ttl.is_some(), !set.values.is_empty());
    if alias == (ttl && values) || ttl != values {
        let found = if alias { "more than one" } else { "none" };
        let options = "AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId";
        return Err(one_of(options, found));
    }
    let policies = set.policies().count();
    if set.identifier.is_some() && policies != 1 {
        let found = if policies > 0 { "more than one" } else { "none" };
        let options = "Weight, Region, Failover, GeoLocation, MultiValueAnswer, or CidrRoutingConfig";
        return Err(one_of(options, found));
    }
    if policies > 0 && set.identifier.is_none() {
        return Err(malformed(&format!("Missing field 'SetIdentifier' in {}", shown())));
    }
    if set.weight.is_some_and(|weight| weight > 255) {
        return Err(malformed(&format!("Weight must be between 0 and 255 in {}", shown())));
    }
    Ok(())
}

/// A zone with a batch laid over it.
struct Trial<'a> {
    zone: &'a str,
    before: &'a Sets,
    /// The new value of each set that the batch changes; none for a deleted one.
    after: BTreeMap<Key, Option<RecordSet>>,
    touched: BTreeMap<Key, Vec<Action>>,
    messages: Vec<String>,
}

impl<'a> Trial<'a> {
    fn run(zone: &'a str, before: &'a Sets, changes: Vec<Change>) -> Self {
        let mut trial =
            Self { zone, before, after: BTreeMap::new(), touched: BTreeMap::new(), messages: Vec::new() };
        for change in changes {
            trial.change(change);
        }
        trial.check_repeats();
        if trial.messages.is_empty() {
            trial.check_neighbours();
        }
        trial
    }

    fn current(&self, key: &Key) -> Option<&RecordSet> {
        match self.after.get(key) {
            Some(laid_over) => laid_over.as_ref(),
            None => self.before.get(key),
        }
    }

    fn change(&mut self, change: Change) {
        let Change { action, set } = change;
        let key = set.key();
        self.touched.entry(key.clone()).or_default().push(action);
        let inside =
            set.name.strip_suffix(self.zone).is_some_and(|label| label.is_empty() || label.ends_with('.'));
        if !inside {
            let message = format!("RRSet with DNS name {} is not permitted in zone {}", set.name, self.zone);
            self.messages.push(message);
        } else if action == Action::Delete {
            self.delete(key, &set);
        } else if action == Action::Create && self.current(&key).is_some() {
            let labelled = labelled(&set);
            self.messages
                .push(format!("Tried to create resource record set {labelled} but it already exists"));
        } else {
            self.messages.extend(set.values.iter().filter_map(|value| illegal(&set.kind, value)));
            self.after.insert(key, Some(set));
        }
    }

    fn delete(&mut self, key: Key, set: &RecordSet) {
        let tried = format!("Tried to delete resource record set {}", labelled(set));
        let message = match self.current(&key) {
            None => format!("{tried} but it was not found"),
            Some(current) if !current.same(set) => {
                format!("{tried} but the values provided do not match the current values")
            }
            Some(_) if set.name == self.zone && matches!(set.kind.as_str(), "NS" | "SOA") => {
                format!("A HostedZone must contain at least one {} record for the zone itself.", set.kind)
            }
            Some(_) => {
                self.after.insert(key, None);
                return;
            }
        };
        self.messages.push(message);
    }

    /// DELETE then CREATE of one set changes it; any other repetition is rejected.
    fn check_repeats(&mut self) {
        for (key, actions) in &self.touched {
            let swap =
                actions.len() == 2 && actions.contains(&Action::Create) && actions.contains(&Action::Delete);
            if actions.len() > 1 && !swap {
                let name = key.reversed.rsplit('\0').collect::<Vec<_>>().join(".");
                let what = "The request contains an invalid set of changes for a resource record set";
                self.messages.push(format!("{what} '{} {name}.'", key.kind));
            }
        }
    }

    /// Sets with the same name must be compatible, checked after the whole batch has been tried.
    fn check_neighbours(&mut self) {
        let names: BTreeSet<&str> = self.touched.keys().map(|key| key.reversed.as_str()).collect();
        let mut messages = Vec::new();
        for name in names {
            let mut kinds: BTreeMap<&str, Vec<&RecordSet>> = BTreeMap::new();
            for set in self.named(name) {
                kinds.entry(&set.kind).or_default().push(set);
            }
            messages.extend(self.cname_conflict(&kinds));
            messages.extend(kinds.values().filter_map(|sets| self.group_conflict(sets)));
        }
        self.messages = messages;
    }

    /// All sets of one name after the batch.
    fn named(&self, reversed: &str) -> impl Iterator<Item = &RecordSet> {
        let from = Key { reversed: reversed.into(), kind: String::new(), identifier: String::new() };
        let end = reversed.to_owned();
        let after = self.after.range(from..).take_while(move |(key, _)| key.reversed == end);
        let before = self.before.of_name(reversed).filter(|(key, _)| !self.after.contains_key(key));
        before.map(|(_, set)| set).chain(after.filter_map(|(_, set)| set.as_ref()))
    }

    fn cname_conflict(&self, kinds: &BTreeMap<&str, Vec<&RecordSet>>) -> Option<String> {
        let name = &kinds.get("CNAME")?.first()?.name;
        let not = format!("RRSet of type CNAME with DNS name {name} is not permitted");
        if *name == self.zone {
            return Some(format!("{not} at apex in zone {}", self.zone));
        }
        let conflict = "as it conflicts with other records with the same DNS name in zone";
        (kinds.len() > 1).then(|| format!("{not} {conflict} {}", self.zone))
    }

    fn group_conflict(&self, sets: &[&RecordSet]) -> Option<String> {
        let first = sets.first().filter(|_| sets.len() > 1)?;
        let changed = sets.iter().find(|set| self.touched.contains_key(&set.key())).unwrap_or(first);
        let this = format!("RRSet with DNS name {}, type {}", changed.name, changed.kind);
        let Some(identifier) = &changed.identifier else {
            return Some(format!(
                "{this} cannot be created as other RRSets exist with the same name and type."
            ));
        };
        let this = format!("{this}, SetIdentifier {identifier} cannot be created as");
        let policies: BTreeSet<Option<&str>> = sets.iter().map(|set| set.policies().next()).collect();
        let own = changed.policies().next().unwrap_or("");
        if policies.len() > 1 {
            let word = match own {
                "Weight" => "weighted",
                "Region" => "latency",
                "MultiValueAnswer" => "multivalue answer",
                _ => "failover",
            };
            return Some(format!("{this} a non-{word} set exists with the same name and type."));
        }
        let ttls: BTreeSet<u32> = sets.iter().filter_map(|set| set.ttl).collect();
        (own == "Weight" && ttls.len() > 1)
            .then(|| format!("{this} weighted sets must contain the same TTL."))
    }
}

fn labelled(set: &RecordSet) -> String {
    let identifier = set.identifier.as_ref().map(|id| format!(", set identifier='{id}'")).unwrap_or_default();
    format!("[name='{}', type='{}'{identifier}]", set.name, set.kind)
}

fn illegal(kind: &str, value: &str) -> Option<String> {
    let version = match kind {
        "A" if value.parse::<Ipv4Addr>().is_err() => 4,
        "AAAA" if value.parse::<Ipv6Addr>().is_err() => 6,
        _ => return None,
    };
    Some(format!(
        "Invalid Resource Record: 'FATAL problem: {kind}RRDATAIllegalIPv{version}Address (Value is not a valid \
         IPv{version} address) encountered with '{value}''"
    ))
}
