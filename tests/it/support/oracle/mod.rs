//! What really happened in a rehearsal, computed from the estate's state at each instant and from the plan. It shares no decision code with
//! planner, inventory and reports: it has its own dependencies, expected answers and active site.

mod cut;
mod recovers;
mod users;
mod verdict;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use drctl::adapters::sandbox::moment::{Moment, Server};
use drctl::kinds::{Fact, Role};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::time::{Dur, Timestamp};
use drctl::plan::Plan;
use drctl::record::event::{Event, EventKind};

use crate::support::rig::BEGAN;

pub use cut::{DISTURBANCES, set_back};
pub use recovers::{Came, loses, recovers};
pub use verdict::{invariants, one_primary, rto_told, safe_and_told};

/// The observed world: who can write, which client reaches which server, and which rows were acknowledged.
pub trait Ground {
    /// Its states, in order of time.
    fn moments(&self) -> &[Moment];
    /// When the observation ended.
    fn until(&self) -> Timestamp;
}

/// The states of a simulated estate, up to an instant.
#[derive(Clone)]
pub struct Watched {
    pub moments: Rc<Vec<Moment>>,
    pub until: Timestamp,
}

impl Ground for Watched {
    fn moments(&self) -> &[Moment] {
        &self.moments
    }

    fn until(&self) -> Timestamp {
        self.until
    }
}

/// Corrects the times of events to real time: those of a process that began with a clock that was set back are too early by that amount.
pub fn later_by(behind: Dur, from: usize, mut events: Vec<Event>) -> Vec<Event> {
    events.iter_mut().skip(from).for_each(|e| e.at = e.at + behind);
    events
}

/// Corrects the times of events to real time: those after the machine's clock was set ahead are too late by that amount.
pub fn in_real_time(jump: Option<(Dur, Dur)>, mut events: Vec<Event>) -> Vec<Event> {
    if let Some((after, by)) = jump {
        let late = events.iter_mut().filter(|e| e.at >= BEGAN + after + by);
        late.for_each(|e| e.at = e.at - by);
    }
    events
}

/// The oracle of one rehearsal.
pub struct Oracle<'a> {
    plan: &'a Plan,
    moments: &'a [Moment],
    until: Timestamp,
}

/// When a person's waiver replaces a fence: for one component, from when the run reports that it continues without the fence until it is
/// proven.
#[derive(Debug, Default)]
pub struct Waived(BTreeMap<ComponentName, Vec<(Timestamp, Option<Timestamp>)>>);

impl Waived {
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut all = Self::default();
        for event in events {
            match &event.what {
                EventKind::FenceWaived { component } => {
                    all.0.entry(component.clone()).or_default().push((event.at, None));
                }
                EventKind::DebtSettled { component, .. } => all.close(component, event.at),
                EventKind::StepFinished { facts, .. } => {
                    for fact in facts {
                        if let Fact::Fenced { component, .. } = fact {
                            all.close(component, event.at);
                        }
                    }
                }
                _ => {}
            }
        }
        all
    }

    fn close(&mut self, component: &ComponentName, at: Timestamp) {
        for (_, end) in self.0.get_mut(component).into_iter().flatten() {
            end.get_or_insert(at);
        }
    }

    pub fn covers(&self, component: &ComponentName, at: Timestamp) -> bool {
        let within = |(from, to): &(Timestamp, Option<Timestamp>)| *from <= at && to.is_none_or(|to| at < to);
        self.0.get(component).is_some_and(|all| all.iter().any(within))
    }

    /// The part of a span that no waiver covers.
    fn left_of(&self, component: &ComponentName, (from, to): (Timestamp, Timestamp)) -> Dur {
        let mut at = from;
        let mut left = Dur::ZERO;
        let mut spans = self.0.get(component).cloned().unwrap_or_default();
        spans.sort();
        for (begins, ends) in spans {
            left = left.plus(begins.min(to).since(at));
            at = at.max(ends.unwrap_or(to)).min(to);
        }
        left.plus(to.since(at))
    }
}

impl<'a> Oracle<'a> {
    pub fn new(plan: &'a Plan, ground: &'a impl Ground) -> Self {
        Self { plan, moments: ground.moments(), until: ground.until() }
    }

    /// The last state at or before an instant.
    fn at(&self, at: Timestamp) -> Option<&Moment> {
        self.moments.iter().rev().find(|m| m.at <= at)
    }

    /// Every state with its end.
    fn spans(&self) -> impl Iterator<Item = (&Moment, Timestamp)> {
        let ends = self.moments.iter().skip(1).map(|m| m.at).chain([self.until]);
        self.moments.iter().zip(ends).filter(|(m, end)| m.at < *end && m.at < self.until)
    }

    /// Everything that a component needs, directly or indirectly, according to `needs`.
    fn needed(&self, component: &ComponentName) -> BTreeSet<ComponentName> {
        let mut all = BTreeSet::new();
        let mut more: Vec<ComponentName> = self.own_needs(component);
        while let Some(next) = more.pop() {
            if all.insert(next.clone()) {
                more.extend(self.own_needs(&next));
            }
        }
        all
    }

    fn own_needs(&self, component: &ComponentName) -> Vec<ComponentName> {
        self.plan.components[component].needs.iter().map(|n| n.value.clone()).collect()
    }

    /// The databases of the plan, with the sites of their servers.
    fn databases(&self) -> BTreeMap<&ComponentName, Vec<&SiteName>> {
        let of = self.plan.components.values().filter_map(|c| match c.role() {
            Role::Store(of) => Some((&c.name, of.at.keys().collect())),
            _ => None,
        });
        of.collect()
    }

    /// Whether rows arrive there, from clients or from an apply worker.
    fn lands(moment: &Moment, component: &ComponentName, site: &SiteName) -> bool {
        let there = |s: &&Server| s.component == *component && s.site == *site && !s.aside;
        moment.servers.iter().filter(there).any(|s| s.accepts || s.reached)
    }

    /// Whether a new session would be accepted there.
    fn admits(moment: &Moment, component: &ComponentName, site: &SiteName) -> bool {
        let there = |s: &&Server| s.component == *component && s.site == *site && !s.aside;
        moment.servers.iter().filter(there).any(|s| s.admits)
    }

    /// Whether a write of somebody who reaches the site would be acknowledged there.
    fn accepts(moment: &Moment, component: &ComponentName, site: &SiteName) -> bool {
        let there = |s: &&Server| s.component == *component && s.site == *site && !s.aside;
        moment.servers.iter().filter(there).any(|s| s.accepts)
    }
}
