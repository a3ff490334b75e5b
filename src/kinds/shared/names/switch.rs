//! The change of record sets that moves users.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::names::records::{RecordSet, ZoneRef, kept};
use crate::model::plain::count;
use crate::model::time::Dur;

/// Record sets that change together. One batch deletes each exact known set and creates the new one, which makes it a compare-and-swap. A
/// set that was never observed before the runbook was made is read right before the change, and becomes the known one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// The zone.
    pub zone: ZoneRef,
    /// The changes.
    pub changes: Vec<RecordChange>,
}

impl Switch {
    /// The opposite change.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let flip = |c: &RecordChange| RecordChange::seen(c.after.clone(), c.before.clone());
        Self { zone: self.zone.clone(), changes: self.changes.iter().map(flip).collect() }
    }

    /// The changes at these positions; all of them if there are none.
    #[must_use]
    pub fn part(&self, positions: &[u32]) -> Self {
        if positions.is_empty() {
            return self.clone();
        }
        let changes = positions.iter().filter_map(|&p| self.changes.get(p as usize)).cloned().collect();
        Self { zone: self.zone.clone(), changes }
    }

    /// How long resolvers may cache the replaced answers.
    pub fn old_ttl(&self) -> Dur {
        kept(self.changes.iter().filter_map(|c| c.before.as_ref()))
    }

    /// The new TTL in seconds, if only TTLs change.
    pub fn only_ttl(&self) -> Option<u64> {
        let only = |c: &RecordChange| {
            let (before, after) = (c.before.as_ref()?, c.after.as_ref()?);
            let ttl = after.ttl_s()?;
            (before.with_ttl(ttl) == *after).then_some(ttl)
        };
        let ttls: Option<Vec<u64>> = self.changes.iter().map(only).collect();
        ttls?.into_iter().max()
    }

    /// Whether every change is based on an observed set, so that the provider rejects it if something else is there.
    pub fn is_swap(&self) -> bool {
        self.changes.iter().all(|c| c.basis == Basis::Seen)
    }

    /// The same changes, with the sets that were read right before the call at these positions.
    pub(super) fn with_read(&self, found: &BTreeMap<u32, Option<RecordSet>>) -> Self {
        let bind = |(change, position): (&RecordChange, u32)| match found.get(&position) {
            Some(read) => change.bound(read.as_ref()),
            None => change.clone(),
        };
        Self { zone: self.zone.clone(), changes: self.changes.iter().zip(0..).map(bind).collect() }
    }

    /// The sets that exist afterwards.
    pub fn sets_after(&self) -> Vec<RecordSet> {
        self.changes.iter().filter_map(|c| c.after.clone()).collect()
    }

    /// Name and type of every changed set, sorted and unique.
    pub fn names(&self) -> Vec<(String, String)> {
        let sets = self.changes.iter().flat_map(|c| c.before.iter().chain(c.after.iter()));
        let mut names: Vec<_> = sets.map(|s| (s.name.clone(), s.rtype.clone())).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// One record set, before and after the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordChange {
    /// The observed or declared set; `None` if none exists.
    pub before: Option<RecordSet>,
    /// The new set; `None` if it is removed.
    pub after: Option<RecordSet>,
    /// The source of `before`.
    #[serde(default, skip_serializing_if = "Basis::is_seen")]
    pub basis: Basis,
    /// Other sets that may be there, because this run or an earlier one wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<RecordSet>,
}

/// How the set that a change replaces is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// drctl observed or wrote it.
    #[default]
    Seen,
    /// It was never observed. It is the declared set of the site that is left, and is read before it is replaced.
    Declared,
}

impl Basis {
    /// Omits the default from the serialized form.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_seen(&self) -> bool {
        *self == Self::Seen
    }
}

impl RecordChange {
    /// A change of an observed set.
    pub const fn seen(before: Option<RecordSet>, after: Option<RecordSet>) -> Self {
        Self { before, after, basis: Basis::Seen, own: Vec::new() }
    }

    /// The set among these that it changes.
    pub fn find<'s>(&self, there: &'s [RecordSet]) -> Option<&'s RecordSet> {
        let key = self.after.as_ref().or(self.before.as_ref())?;
        there.iter().find(|set| set.same_set(key))
    }

    /// Whether it may replace this set.
    pub fn replaces(&self, found: Option<&RecordSet>) -> bool {
        found == self.before.as_ref() || found.is_some_and(|set| self.own.contains(set))
    }

    fn bound(&self, read: Option<&RecordSet>) -> Self {
        let before = self.before.iter().filter(|set| Some(*set) != read);
        let own = before.chain(self.own.iter().filter(|set| Some(*set) != read)).cloned().collect();
        Self { before: read.cloned(), after: self.after.clone(), basis: Basis::Seen, own }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, zone) = (count(self.changes.len(), "record set"), &self.zone.zone);
        match self.only_ttl() {
            Some(ttl) => write!(f, "give {n} in zone {zone} a TTL of {ttl}s"),
            None => write!(f, "switch {n} in zone {zone}"),
        }
    }
}

/// The set that a change replaces, as text.
pub(super) fn was(change: &RecordChange) -> String {
    let words = change.before.as_ref().map_or_else(|| "none".to_owned(), RecordSet::words);
    match change.basis {
        Basis::Seen => words,
        Basis::Declared => format!("never observed; declared as {words}"),
    }
}
