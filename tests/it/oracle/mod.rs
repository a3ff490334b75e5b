//! What really happened in a rehearsal, worked out from what the estate was like instant by instant and from the plan as it is written.
//! It shares nothing that decides with planner, inventory and reports: dependencies, expected answers and the active site are its own.

mod recovers;
mod users;
mod verdict;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use drctl::adapters::sandbox::chronicle::{Moment, Server};
use drctl::kinds::{Fact, Spec};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::time::{Dur, Timestamp};
use drctl::plan::Plan;
use drctl::record::event::{Event, EventKind};

use crate::rig::BEGAN;

pub use recovers::{Came, loses, recovers};
pub use verdict::{invariants, one_primary, rto_told, safe_and_told};

/// What is asked of the world: who can write, which client reaches whom, which rows were acknowledged.
pub trait Ground {
    /// What it was like, in order of time.
    fn moments(&self) -> &[Moment];
    /// When nobody looked any more.
    fn until(&self) -> Timestamp;
}

/// What a simulated estate was like, up to an instant.
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

/// As events really happened: what is stamped after a machine's clock was set ahead is too late by as much.
pub fn in_real_time(jump: Option<(Dur, Dur)>, mut events: Vec<Event>) -> Vec<Event> {
    if let Some((after, by)) = jump {
        let late = events.iter_mut().filter(|e| e.at >= BEGAN + after + by);
        late.for_each(|e| e.at = e.at - by);
    }
    events
}

/// The judge of one rehearsal.
pub struct Oracle<'a> {
    plan: &'a Plan,
    moments: &'a [Moment],
    until: Timestamp,
}

/// When a person's waiver stands for a fence: of one component, from when the run says that it goes on without one until it is proven.
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

    /// What of a span no waiver covers.
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

    /// The last moment at or before an instant.
    fn at(&self, at: Timestamp) -> Option<&Moment> {
        self.moments.iter().rev().find(|m| m.at <= at)
    }

    /// Every moment with when it was over.
    fn spans(&self) -> impl Iterator<Item = (&Moment, Timestamp)> {
        let ends = self.moments.iter().skip(1).map(|m| m.at).chain([self.until]);
        self.moments.iter().zip(ends).filter(|(m, end)| m.at < *end && m.at < self.until)
    }

    /// Everything that a component cannot serve without: what its `needs` name, and what those need.
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

    /// The databases of the plan, with the sites that have a server of each.
    fn databases(&self) -> BTreeMap<&ComponentName, Vec<&SiteName>> {
        let of = self.plan.components.values().filter_map(|c| match &c.spec {
            Spec::Database(of) => Some((&c.name, of.at.keys().collect())),
            _ => None,
        });
        of.collect()
    }

    /// Whether rows land there: of clients, or by a worker that is none.
    fn lands(moment: &Moment, component: &ComponentName, site: &SiteName) -> bool {
        let there = |s: &&Server| s.component == *component && s.site == *site && !s.aside;
        moment.servers.iter().filter(there).any(|s| s.accepts || s.reached)
    }

    /// Whether somebody without a session would get one there.
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
