//! Statistics about the seeds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use drctl::planner::Refusal;

use crate::run::resume::events;
use crate::support::oracle::{Came, DISTURBANCES, Oracle, loses, one_primary, recovers, set_back};
use crate::support::rig::{Rehearsed, Rig};

/// How many seeds had which result.
#[derive(Debug, Default)]
pub struct Counts {
    pub failovers: AtomicU64,
    /// Runs in which a promotion before the fence would have been noticed.
    pub can_catch: AtomicU64,
    recovered: AtomicU64,
    with_waivers: AtomicU64,
    resumed: AtomicU64,
    short: AtomicU64,
    /// Runs in which a disturbance really occurred, by its name.
    occurred: Mutex<BTreeMap<&'static str, u64>>,
    /// Failovers by what was lost.
    lost: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counts {
    pub fn failover(&self, rig: &Rig, first: &Result<Rehearsed, Vec<Refusal>>, context: &str) {
        let add = |to: &AtomicU64| to.fetch_add(1, Ordering::Relaxed);
        add(&self.failovers);
        for kind in loses(rig) {
            *self.lost.lock().unwrap().entry(kind).or_default() += 1;
        }
        let mut caught = false;
        let came = recovers(rig, first, context, &mut |rig, done| {
            one_primary(rig, &done.watched_later, &done.journals, context);
            caught |= Oracle::new(&rig.plan, &done.watched).can_catch(&events(done));
        });
        self.can_catch.fetch_add(caught.into(), Ordering::Relaxed);
        add(match came {
            Came::Recovered => &self.recovered,
            Came::WithWaivers => &self.with_waivers,
            Came::Resumed => &self.resumed,
            Came::Short => &self.short,
        });
    }

    pub fn disturbed(&self, rig: &Rig, done: &Rehearsed) {
        let of = Oracle::new(&rig.plan, &done.watched).disturbances();
        for name in of.into_iter().chain(set_back(&events(done))) {
            *self.occurred.lock().unwrap().entry(name).or_default() += 1;
        }
    }

    /// The disturbances that no run has met.
    pub fn missed(&self) -> Vec<&'static str> {
        let met = self.occurred.lock().unwrap();
        DISTURBANCES.into_iter().filter(|name| !met.contains_key(name)).collect()
    }

    pub fn told(&self) -> String {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        format!(
            "{} failovers: {} can catch a promotion before the fence; {} recovered, {} more with the waivers that were printed, {} when resumed, {} lack capacity; {:?}; runs that met {:?}",
            of(&self.failovers),
            of(&self.can_catch),
            of(&self.recovered),
            of(&self.with_waivers),
            of(&self.resumed),
            of(&self.short),
            self.lost.lock().unwrap(),
            self.occurred.lock().unwrap(),
        )
    }
}
