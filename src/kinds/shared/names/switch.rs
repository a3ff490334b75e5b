//! The change of record sets that moves users.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::route53::calls;
use crate::kinds::op::Op;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::names::{ChangeState, RecordSet, ZoneRef, kept, parts};
use crate::kinds::{Called, Fact, Found, Judged, Parts, Progress, Readings, State, Target};
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::plain::count;
use crate::model::properties::{InDoubt, LEADS, Late, Looks, Moves, Properties, Undo, UndoRank};
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
    fn with_read(&self, found: &BTreeMap<u32, Option<RecordSet>>) -> Self {
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

impl Op for Switch {
    type Back = Self;

    fn properties(&self) -> Properties {
        // A switch that moved traffic restores the observed TTLs as well, so TTLs alone have a rank of their own.
        let undo_rank = if self.only_ttl().is_some() { UndoRank::Ttl } else { UndoRank::Traffic };
        // A compare-and-swap checks the current state itself. TTLs usually stand already, and a call would be refused.
        let looks = if self.is_swap() && self.only_ttl().is_none() {
            Looks::AfterTheFirstCall
        } else {
            Looks::BeforeEachCall
        };
        Properties { moves: Moves::ByName, undo_rank, looks, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(self.reversed())
    }

    /// A repeated compare-and-swap is rejected if the first one took effect, which looks like a change by somebody else.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::ObserveAfter(Dur::secs(5))
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.zone.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    /// Watches the change, if the service returned its ID, or else the record sets.
    fn watch(&self, called: &Called<'_>) -> Target {
        match called.token {
            Some(id) => Target::Change { zone: self.zone.clone(), id: id.to_owned() },
            None => Target::Records { zone: self.zone.clone(), names: self.names() },
        }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let fact = |token: Option<&str>| Fact::Switched {
            change: token.map(str::to_owned),
            old_ttl_ms: self.old_ttl(),
        };
        match seen {
            State::Change(ChangeState::Pending) => Judged::Unclear("the change is PENDING".to_owned()),
            State::Change(ChangeState::Insync) => Judged::Done(vec![fact(of.token)]),
            State::Records(seen) => {
                match self.changes.iter().all(|c| c.find(&seen.sets) == c.after.as_ref()) {
                    true => Judged::Done(vec![fact(None)]),
                    false => Judged::Before,
                }
            }
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        match seen {
            State::Records(seen) => Some(parts::find(self, &seen.sets, in_scope)),
            _ => None,
        }
    }

    fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Option<Self> {
        let changes = self.changes.iter().zip(0..).filter(|(_, position)| in_scope(*position));
        let changes = changes.map(|(change, _)| change.clone()).collect();
        Some(Self { zone: self.zone.clone(), changes })
    }

    /// The change may replace only what was read.
    fn allows(&self, part: &[u32], found: Option<&Found>) -> bool {
        let at = |position: u32| self.changes.get(position as usize);
        part.iter().all(|position| at(*position).is_some())
            && match found {
                None => true,
                Some(Found::Fields(_) | Found::Groups(_) | Found::Size(_)) => false,
                Some(Found::Sets(sets)) => {
                    sets.iter().all(|read| at(read.change).is_some_and(|c| c.replaces(read.set.as_ref())))
                }
            }
    }

    fn read(&self, seen: &State, part: &[u32]) -> Option<Found> {
        match seen {
            State::Records(seen) => parts::read(self, part, &seen.sets),
            _ => None,
        }
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        (!read.sets().is_empty()).then(|| self.with_read(read.sets()))
    }

    /// A change is `INSYNC` generally within 60 seconds (Amazon Route 53 API Reference, `GetChange`). That is the usual limit; drctl expects
    /// somewhat more than half of it.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(35), Dur::mins(5))
    }

    fn calls(&self) -> Vec<Call> {
        calls::switch(self)
    }

    fn changes(&self) -> Vec<Change> {
        let of = |c: &RecordChange| {
            let name = c.after.as_ref().or(c.before.as_ref())?;
            let resource = match &name.set_identifier {
                Some(id) => format!("aws_route53_record {} {} ({id})", name.name, name.rtype),
                None => format!("aws_route53_record {} {}", name.name, name.rtype),
            };
            let after = c.after.as_ref().map_or_else(|| "none".to_owned(), RecordSet::words);
            Some(Change::new(&self.zone.zone, &resource, "answer", was(c), after))
        };
        self.changes.iter().filter_map(of).collect()
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
fn was(change: &RecordChange) -> String {
    let words = change.before.as_ref().map_or_else(|| "none".to_owned(), RecordSet::words);
    match change.basis {
        Basis::Seen => words,
        Basis::Declared => format!("never observed; declared as {words}"),
    }
}
