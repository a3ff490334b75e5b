//! The change of record sets that moves users.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::route53::{RecordSet, ZoneRef, kept};
use crate::model::time::Dur;

/// Record sets that change together. Each is a delete of the exact known set and a create of the new one in one batch: a compare-and-swap.
/// A set that nobody had seen when the runbook was made is read before the change, and what was read is the known one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// The zone.
    pub zone: ZoneRef,
    /// What changes.
    pub changes: Vec<RecordChange>,
}

impl Switch {
    /// The opposite change.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let flip = |c: &RecordChange| RecordChange::seen(c.after.clone(), c.before.clone());
        Self { zone: self.zone.clone(), changes: self.changes.iter().map(flip).collect() }
    }

    /// Only the changes at these positions; all of them where none is named.
    #[must_use]
    pub fn part(&self, positions: &[u32]) -> Self {
        if positions.is_empty() {
            return self.clone();
        }
        let changes = positions.iter().filter_map(|&p| self.changes.get(p as usize)).cloned().collect();
        Self { zone: self.zone.clone(), changes }
    }

    /// How long resolvers may keep the answers that are replaced.
    pub fn old_ttl(&self) -> Dur {
        kept(self.changes.iter().filter_map(|c| c.before.as_ref()))
    }

    /// The TTL, in seconds, that the record sets are given, if nothing else of them changes.
    pub fn only_ttl(&self) -> Option<u64> {
        let only = |c: &RecordChange| {
            let (before, after) = (c.before.as_ref()?, c.after.as_ref()?);
            let ttl = after.ttl_s()?;
            (before.with_ttl(ttl) == *after).then_some(ttl)
        };
        let ttls: Option<Vec<u64>> = self.changes.iter().map(only).collect();
        ttls?.into_iter().max()
    }

    /// Whether every change names what was seen, so that the provider refuses it where something else is there.
    pub fn is_swap(&self) -> bool {
        self.changes.iter().all(|c| c.basis == Basis::Seen)
    }

    /// The same with what was read right before the call at each of these positions. What else was expected there still is.
    #[must_use]
    pub fn bound(&self, found: &BTreeMap<u32, Option<RecordSet>>) -> Self {
        let bind = |(change, position): (&RecordChange, u32)| match found.get(&position) {
            Some(read) => change.bound(read.as_ref()),
            None => change.clone(),
        };
        Self { zone: self.zone.clone(), changes: self.changes.iter().zip(0..).map(bind).collect() }
    }

    /// The sets that exist once it is done.
    pub fn sets_after(&self) -> Vec<RecordSet> {
        self.changes.iter().filter_map(|c| c.after.clone()).collect()
    }

    /// Name and type of every set it touches, sorted and without repetition.
    pub fn names(&self) -> Vec<(String, String)> {
        let sets = self.changes.iter().flat_map(|c| c.before.iter().chain(c.after.iter()));
        let mut names: Vec<_> = sets.map(|s| (s.name.clone(), s.rtype.clone())).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// One record set before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordChange {
    /// As it was read, or as the plan declares it; none where nothing is.
    pub before: Option<RecordSet>,
    /// As it will be; none where it is removed.
    pub after: Option<RecordSet>,
    /// Where `before` comes from.
    #[serde(default, skip_serializing_if = "Basis::is_seen")]
    pub basis: Basis,
    /// What else may be there, because this run or an earlier one wrote it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<RecordSet>,
}

/// Where it is known from what a change replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It was observed, or drctl wrote it.
    #[default]
    Seen,
    /// Nobody ever saw it: it is what the plan declares for the site that is left, and is read before it is replaced.
    Declared,
}

impl Basis {
    /// For the format: what was seen needs no word.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_seen(&self) -> bool {
        *self == Self::Seen
    }
}

impl RecordChange {
    /// A change of what was seen.
    pub const fn seen(before: Option<RecordSet>, after: Option<RecordSet>) -> Self {
        Self { before, after, basis: Basis::Seen, own: Vec::new() }
    }

    /// What of these sets is the one that changes.
    pub fn find<'s>(&self, there: &'s [RecordSet]) -> Option<&'s RecordSet> {
        let key = self.after.as_ref().or(self.before.as_ref())?;
        there.iter().find(|set| set.same_set(key))
    }

    /// Whether this may be replaced.
    pub fn replaces(&self, found: Option<&RecordSet>) -> bool {
        found == self.before.as_ref() || found.is_some_and(|set| self.own.contains(set))
    }

    fn bound(&self, read: Option<&RecordSet>) -> Self {
        let before = self.before.iter().filter(|set| Some(*set) != read);
        let own = before.chain(self.own.iter().filter(|set| Some(*set) != read)).cloned().collect();
        Self { before: read.cloned(), after: self.after.clone(), basis: Basis::Seen, own }
    }
}
