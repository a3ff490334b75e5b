//! A simulated estate that starts in the observed state of the real one. Rehearsals run in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::estate::{Estate, Zone};
use super::server::Db;
use crate::inventory::{Estate as Seen, Observation, targets};
use crate::kinds::aws::rds::SERVING;
use crate::kinds::shared::database::{DatabaseRole, DatabaseState, HEADLESS};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::names::RecordSet;
use crate::kinds::{State, Target};
use crate::model::ids::SiteName;
use crate::model::plain::count;
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;

/// Status words of servers that do not serve. The sandbox repeats them.
const IDLE: &[&str] =
    &["stopped", "stopping", "starting", "rebooting", "modifying", "failed", "storage-full"];

/// The observation that a rehearsal starts from, by the names in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// When.
    pub at: Timestamp,
    /// The site where the application was active. The rehearsal loses this site.
    pub active: SiteName,
    states: BTreeMap<String, State>,
    missing: Vec<String>,
    unseen: Vec<String>,
}

impl Feed {
    /// Collects the observations of a plan's resources.
    pub fn of(plan: &Plan, seen: &Seen, active: SiteName, at: Timestamp) -> Self {
        let (mut states, mut missing, mut unseen) = (BTreeMap::new(), Vec::new(), Vec::new());
        for target in targets::of_plan(plan, None) {
            match seen.now(&target).filter(|_| target.seeds_rehearsal()) {
                Some(Observation::Value { state, .. }) => drop(states.insert(target.key(), state.clone())),
                Some(Observation::NotFound { .. }) => missing.push(target.key()),
                Some(_) => unseen.push(target.key()),
                None => {}
            }
        }
        Self { at, active, states, missing, unseen }
    }

    /// Notes for readers of the rehearsal about its start.
    pub fn notes(&self) -> Vec<String> {
        let first = format!(
            "starts with {} from {}; after that, all times are those of the virtual clock, and drctl simulates how long calls take and what else fails",
            count(self.states.len(), "observation"),
            self.at
        );
        let all =
            |what: &str, keys: &[String]| (!keys.is_empty()).then(|| format!("{what}: {}", keys.join(", ")));
        let missing = all("did not exist, and does not exist in the rehearsal", &self.missing);
        let unseen = all("could not be observed; the rehearsal uses the values in the plan", &self.unseen);
        std::iter::once(first).chain(missing).chain(unseen).collect()
    }

    /// Serializes it for the journal of the rehearsal.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it back, if the rehearsal started from an observation.
    pub fn kept(notes: &[(Timestamp, Vec<u8>)]) -> Option<Self> {
        notes.iter().find_map(|(_, bytes)| serde_json::from_slice(bytes).ok())
    }

    pub(super) fn apply(&self, estate: &mut Estate) {
        for i in 0..estate.dbs.len() {
            let key = Target::Database(estate.dbs[i].reference.clone()).key();
            match self.states.get(&key) {
                Some(State::Database(seen)) => {
                    let lag = self.lag(&estate.dbs, i, seen);
                    self.database(&mut estate.dbs[i], seen, lag);
                    for method in estate.dbs[i].fenced.clone() {
                        estate.keep(i, method, self.at);
                    }
                }
                _ if self.missing.contains(&key) => estate.dbs[i].retired = true,
                _ => {}
            }
        }
        estate.dbs.retain(|db| !db.retired);
        for pool in &mut estate.pools {
            if let Some(seen) = self.states.get(&pool.target.key()).and_then(State::capacity) {
                (pool.capacity.size, pool.capacity.in_service) = (seen.size, seen.in_service);
            }
        }
        estate.pools.retain(|pool| !self.missing.contains(&pool.target.key()));
        for zone in &mut estate.zones {
            self.zone(zone);
        }
    }

    /// How far a replica was behind its writer: from both observations if there are both, else from the age of its last commit.
    fn lag(&self, dbs: &[Db], i: usize, seen: &DatabaseState) -> Option<Dur> {
        let held = seen.last_commit.filter(|_| seen.is_replica())?;
        let writer = dbs.iter().filter(|d| d.component == dbs[i].component).find_map(|d| {
            match self.states.get(&Target::Database(d.reference.clone()).key()) {
                Some(State::Database(of)) if of.role == DatabaseRole::Writer => of.last_commit,
                _ => None,
            }
        });
        let age = self.at.since(held);
        Some(writer.map_or(age, |last| last.since(held).min(age)))
    }

    /// Replaces the record sets that the plan implies by the observed ones.
    fn zone(&self, zone: &mut Zone) {
        let seen: Vec<&RecordSet> = self
            .states
            .values()
            .filter_map(|s| match s {
                State::Records(r) => Some(&r.sets),
                _ => None,
            })
            .flatten()
            .collect();
        let sets = zone.as_made.as_mut().unwrap_or(&mut zone.sets);
        let same = |a: &RecordSet, b: &RecordSet| a.name == b.name && a.rtype == b.rtype;
        let names: Vec<_> = sets.iter().map(|s| (s.name.clone(), s.rtype.clone())).collect();
        let of_names: Vec<RecordSet> = seen
            .into_iter()
            .filter(|s| names.iter().any(|(name, rtype)| *name == s.name && *rtype == s.rtype))
            .cloned()
            .collect();
        if of_names.is_empty() {
            return;
        }
        sets.retain(|s| !of_names.iter().any(|o| same(o, s)));
        sets.extend(of_names);
        if zone.as_made.is_none() {
            (zone.published, zone.cached) = (zone.sets.clone(), zone.sets.clone());
        }
    }

    fn database(&self, db: &mut Db, seen: &DatabaseState, lag: Option<Dur>) {
        if let Some(lag) = lag {
            db.lag = lag;
            db.frozen_at = (seen.streaming == Some(false)).then(|| self.at - lag);
        }
        db.headless = seen.status == HEADLESS;
        db.status = match IDLE.iter().find(|word| **word == seen.status) {
            _ if db.headless || SERVING.contains(&&*seen.status) => "available",
            known => known.copied().unwrap_or("failed"),
        };
        if !seen.security_groups.is_empty() {
            db.groups = seen.security_groups.clone();
        }
        // An old primary, left behind by a failover.
        if !seen.is_replica() && db.site != self.active {
            db.source = None;
            db.stopped_at = Some(self.at);
            let proven = |method: &FenceMethod| {
                let fence = self.states.get(&Target::fence(&db.reference, *method).key());
                matches!(fence, Some(State::Fence(of)) if of.proven)
            };
            db.fenced = FenceMethod::ALL.into_iter().filter(proven).collect();
        }
    }
}
