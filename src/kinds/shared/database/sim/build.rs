//! The servers of a database in their first state: as the plan implies, or as they were observed.

use std::collections::BTreeSet;

use super::server::{Catalog, Isolation, Jobs, Product, SimulatedServer, Worker};
use super::{ServerEvent, Servers};
use crate::kinds::shared::database::plan::Database;
use crate::kinds::shared::database::server::{DatabaseRole, DatabaseState};
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::kinds::world::scenario::{Applies, Begins, ByGroup};
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

/// Status words of servers that do not serve. The sandbox repeats them.
const IDLE: &[&str] =
    &["stopped", "stopping", "starting", "rebooting", "modifying", "failed", "storage-full"];

impl Servers {
    /// The servers as the plan implies them.
    pub fn new(
        spec: &Database,
        product: &Product,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let mut servers = Self {
            component: name.clone(),
            all: Vec::new(),
            agenda: Agenda::new(owner),
            jobs: Jobs::new(),
            index: std::collections::BTreeMap::new(),
            cut_off: Vec::new(),
            lost: None,
        };
        let active = world.active.clone();
        let Some(primary) = spec.at.get(&active).map(|at| at.id.clone()) else { return servers };
        let alone = world.scenario.begins == Begins::AwayAlone;
        for site in spec.at.keys() {
            let Some(reference) = spec.server(plan, name, site) else { continue };
            let lag =
                world.scenario.lag_ms / 2 + world.roll(&["lag", name.as_str()], world.scenario.lag_ms.max(2));
            let old = alone && site == plan.home() && !product.follows;
            let fenced: BTreeSet<FenceMethod> = spec.fence.iter().copied().filter(|_| old).take(1).collect();
            let isolated = fenced.contains(&FenceMethod::SecurityGroup);
            let groups = match &reference.fence_group {
                Some(group) if isolated => [group.clone()].into(),
                _ => [format!("sg-{}", reference.place.name)].into(),
            };
            let mut server = SimulatedServer {
                site: site.clone(),
                source: (*site != active && !old).then(|| primary.clone()),
                tells_its_log: (product.tells_its_log)(&reference),
                reference,
                lag: Dur(lag),
                status: "available",
                groups,
                fenced: fenced.clone(),
                isolation: if isolated { Isolation::in_force() } else { Isolation::default() },
                catalog: Catalog::default(),
                worker: match world.scenario.applies {
                    Applies::Nothing => Worker::None,
                    _ if !product.subscribes || *site != active => Worker::None,
                    Applies::Ends(_) | Applies::Stays => Worker::Alive,
                },
                stopped_at: old.then_some(world.now),
                frozen_at: None,
                promotions: 0,
                restored_to: None,
                won: false,
                timeline: if alone && !old { 2 } else { 1 },
                retired: false,
            };
            for method in fenced {
                server.keep(method, world.now);
            }
            servers.all.push(server);
            if let (ByGroup::Roughly { others: Some(after), .. }, true) =
                (world.scenario.by_group, *site == active)
            {
                let event = ServerEvent::RestartedByOthers(servers.all.len() - 1);
                servers.agenda.schedule(world.now + after, event, world);
            }
        }
        servers.reindex();
        servers
    }

    fn reindex(&mut self) {
        let all = self.all.iter().zip(0..);
        self.index = all.map(|(d, i)| ((d.reference.id.clone(), d.site.to_string()), i)).collect();
    }

    /// The servers as they were observed, where they were. `serves` says it of the word of a status.
    pub fn start_from(&mut self, feed: &Feed, serves: impl Fn(&str) -> bool) {
        for i in 0..self.all.len() {
            let target = Target::Database(self.all[i].reference.clone());
            match feed.state(&target) {
                Some(State::Database(seen)) => {
                    let lag = self.observed_lag(seen, feed);
                    self.all[i].start_from(feed, seen, lag, serves(&seen.status));
                }
                _ if feed.is_missing(&target) => self.all[i].retired = true,
                _ => {}
            }
        }
        self.all.retain(|db| !db.retired);
        self.reindex();
    }

    /// How far a replica was behind its writer: from both observations if there are both, else from the age of its last commit.
    fn observed_lag(&self, seen: &DatabaseState, feed: &Feed) -> Option<Dur> {
        let held = seen.last_commit.filter(|_| seen.is_replica())?;
        let writer = self.all.iter().find_map(|d| match feed.state(&Target::Database(d.reference.clone())) {
            Some(State::Database(of)) if of.role == DatabaseRole::Writer => of.last_commit,
            _ => None,
        });
        let age = feed.at.since(held);
        Some(writer.map_or(age, |last| last.since(held).min(age)))
    }
}

impl SimulatedServer {
    fn start_from(&mut self, feed: &Feed, seen: &DatabaseState, lag: Option<Dur>, serves: bool) {
        if let Some(lag) = lag {
            self.lag = lag;
            self.frozen_at = (seen.streaming == Some(false)).then(|| feed.at - lag);
        }
        self.status = match IDLE.iter().find(|word| **word == seen.status) {
            _ if serves => "available",
            known => known.copied().unwrap_or("failed"),
        };
        if !seen.security_groups.is_empty() {
            self.groups = seen.security_groups.clone();
        }
        // An old primary, left behind by a failover.
        if !seen.is_replica() && self.site != feed.active {
            self.source = None;
            self.stopped_at = Some(feed.at);
            let proven = |method: &FenceMethod| {
                let fence = feed.state(&Target::fence(&self.reference, *method));
                matches!(fence, Some(State::Fence(of)) if of.proven)
            };
            self.fenced = FenceMethod::ALL.into_iter().filter(proven).collect();
        }
        for method in self.fenced.clone() {
            self.keep(method, feed.at);
        }
    }
}
