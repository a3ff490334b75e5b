//! What moves users: record sets, an object, routing controls.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::SiteName;
use crate::model::state::{RecordSet, kept};
use crate::model::target::{ControlsRef, ObjectRef, ZoneRef};
use crate::model::time::Dur;

/// Record sets that change together. Each is a delete of the exact known set and a create of the new one in one batch: a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// The zone.
    pub zone: ZoneRef,
    /// What changes.
    pub changes: Vec<RecordChange>,
}

impl Switch {
    /// The opposite change.
    pub(super) fn reversed(&self) -> Self {
        let flip = |c: &RecordChange| RecordChange { before: c.after.clone(), after: c.before.clone() };
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

    /// Whether every change names what it replaces, so that it is refused where something else is there.
    pub fn is_swap(&self) -> bool {
        self.changes.iter().all(|c| c.before.is_some())
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

/// Traffic that follows an object: health checks which exist beforehand watch it, and record sets which stay as they are follow them.
/// Neither needs a control plane (AWS, «Creating disaster recovery mechanisms using Amazon Route 53»).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// The object.
    pub object: ObjectRef,
    /// Whether it is to be there: users are sent to its site for as long as it is.
    pub present: bool,
    /// What is written into it: who sent users there.
    pub holder: String,
}

/// One record set before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordChange {
    /// Exactly as it was read; none where nothing was.
    pub before: Option<RecordSet>,
    /// As it will be; none where it is removed.
    pub after: Option<RecordSet>,
}

/// Traffic that follows routing controls: the record set of each site has a health check that is as its control says (AWS, Amazon
/// Application Recovery Controller, «Routing control»). All of them change in one call, or none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The controls, and the endpoints that change them.
    pub controls: ControlsRef,
    /// The site whose control is to be `On`, and no other.
    pub to: SiteName,
    /// Which were `On` before.
    pub from: BTreeMap<SiteName, bool>,
    /// Where a cancel turns back to: the one that was `On`, or else the site that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<SiteName>,
}

impl Route {
    /// What each control is to be.
    pub fn wanted(&self) -> BTreeMap<SiteName, bool> {
        self.controls.controls.keys().map(|site| (site.clone(), *site == self.to)).collect()
    }

    /// The way back, if it is known.
    pub fn reversed(&self) -> Option<Self> {
        let to = self.back.clone()?;
        Some(Self { controls: self.controls.clone(), to, from: self.wanted(), back: Some(self.to.clone()) })
    }
}
