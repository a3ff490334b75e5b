//! What really happened. drctl computes nothing that it decides or reports from this. Tests compare reports with it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::ids::ComponentName;
use crate::model::time::{Dur, Timestamp};

/// What happened to users and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// When users started or stopped being served, in order.
    pub turns: Vec<(Timestamp, bool)>,
    /// Acknowledged writes that the new primary lacks, as a span of time, by component.
    pub lost_ms: BTreeMap<ComponentName, Dur>,
    /// How long two servers of one component both took writes.
    pub two_primaries_ms: Dur,
    /// Whether users, after the first switch, were ever sent to a site whose database took no writes.
    pub traffic_before_database: bool,
}

impl Truth {
    /// When users first failed, and when they were finally served again, if they were.
    pub fn outage(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let first = self.turns.iter().find(|(_, served)| !served)?.0;
        let last = self.turns.last().filter(|(_, served)| *served).map(|(at, _)| *at);
        Some((first, last))
    }

    /// How long users failed.
    pub fn outage_ms(&self) -> Option<Dur> {
        self.outage().and_then(|(from, to)| Some(to?.since(from)))
    }

    /// The same as seen by a probe that runs every `every`, first at `phase`: from its first failure to its first success after the
    /// outage. It is computed from the outage, not from samples.
    pub fn outage_as_sampled(&self, phase: Timestamp, every: Dur) -> Option<Dur> {
        let (from, to) = self.outage()?;
        let tick =
            |at: Timestamp| phase + every.times(at.since(phase).millis().div_ceil(every.millis().max(1)));
        Some(tick(to?).since(tick(from)))
    }
}
