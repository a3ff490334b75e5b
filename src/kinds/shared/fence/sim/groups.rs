//! The stages of a fence by security group. A new group becomes active after a while, earlier sessions stay open until the server
//! restarts, and the provider reports the restart later. This module decides who can write. [`Restart`] decides what proves the fence, as
//! it does with a real provider.

use std::collections::BTreeSet;

use crate::kinds::shared::database::sim::server::SimulatedServer;
use crate::kinds::shared::database::sim::{ServerEvent, Servers};
use crate::kinds::shared::fence::group::GroupRules;
use crate::kinds::shared::fence::method::{Fence, FenceMethod, FenceStage};
use crate::kinds::shared::restart::{Groups, Restart};
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::scenario::{ByGroup, Events, Scenario};
use crate::model::time::{Dur, Timestamp};

/// A call that has to wait, because the server is changing.
fn busy(why: String) -> Refused {
    Refused::for_now("InvalidDBInstanceState", why)
}

impl Servers {
    /// The next call of the fence: attach the group, and once it is active, restart.
    pub(super) fn isolate(&mut self, i: usize, fence: &Fence, world: &mut SimulatedWorld) -> Answer {
        let db = &self.all[i];
        if db.source.is_some() {
            let why = "it is now a replica, which takes no writes, so drctl does not fence it";
            return Err(Refused::always("Replica", why));
        }
        match grouping(db, world) {
            Groups::Changing if db.is_attached() => {
                Err(busy(format!("{} is not in available state", db.reference.id)))
            }
            Groups::Alone => self.restart(i, world),
            _ if fence.admits(db.groups.iter())
                && !db.groups.iter().eq(BTreeSet::from_iter(&fence.groups_before)) =>
            {
                let why = format!("the security groups of {} are others than drctl read", db.reference.id);
                Err(busy(why))
            }
            Groups::Others | Groups::Changing => {
                self.all[i].groups = db.reference.fence_group.iter().cloned().collect();
                self.regrouped(i, world)
            }
        }
    }

    /// The groups of a server have changed. The change becomes active later.
    pub(super) fn regrouped(&mut self, i: usize, world: &mut SimulatedWorld) -> Answer {
        let of = &mut self.all[i].isolation;
        (of.change, of.changing) = (of.change + 1, true);
        let n = of.change;
        let takes = 4_000 + world.roll(&["groups", &self.all[i].reference.id, &n.to_string()], 16_000);
        self.agenda.schedule(world.after(takes), ServerEvent::Grouped(i, n), world);
        Ok(None)
    }

    /// Accepts a restart, which takes a while. The answer has the provider's date, in whole seconds.
    fn restart(&mut self, i: usize, world: &mut SimulatedWorld) -> Answer {
        let id = self.all[i].reference.id.clone();
        let of = &mut self.all[i].isolation;
        if of.restarting {
            return Err(busy(format!("{id} is not in available state")));
        }
        of.asked += 1;
        let n = of.asked;
        let within = |least, most| {
            Some(Dur(least + world.roll(&["restart takes", &id, &n.to_string()], most - least)))
        };
        let takes = match (world.scenario.by_group, world.roll(&["restart", &id], 6)) {
            (ByGroup::Smoothly, _) => within(30_000, 60_000),
            // The first restart may have no effect, or end within the second in which it was accepted.
            (ByGroup::Roughly { .. }, 0) if n == 1 => None,
            (ByGroup::Roughly { .. }, 1) if n == 1 => Some(Dur(50)),
            (ByGroup::Roughly { .. }, _) => within(3_000, 25_000),
        };
        of.restarting = takes.is_some();
        if let Some(takes) = takes {
            self.agenda.schedule(world.now + takes, ServerEvent::Restarted(i, n), world);
        }
        Ok(Some(Restart::token(Timestamp::from_millis(world.now.millis() / 1_000 * 1_000))))
    }

    /// A change of groups becomes active, unless a later one replaced it.
    pub fn grouped(&mut self, i: usize, change: u32) {
        let db = &mut self.all[i];
        if db.isolation.change != change {
            return;
        }
        let attached = db.is_attached();
        db.isolation.changing = false;
        db.isolation.alone = attached;
        if !attached {
            db.fenced.remove(&FenceMethod::SecurityGroup);
        }
    }

    /// A requested restart happens.
    pub fn restart_happens(&mut self, i: usize, asked: u32, world: &mut SimulatedWorld) {
        let of = &mut self.all[i].isolation;
        if of.restarting && of.asked == asked {
            of.restarting = false;
            self.restarted(i, world);
        }
    }

    /// Somebody else restarts the server.
    pub fn restarted_by_others(&mut self, i: usize, world: &mut SimulatedWorld) {
        if self.all[i].status == "available" {
            self.restarted(i, world);
        }
    }

    /// Ends every session. Clients that are still allowed reconnect at once.
    fn restarted(&mut self, i: usize, world: &mut SimulatedWorld) {
        self.end_sessions(i, world);
        let db = &mut self.all[i];
        let n = db.isolation.restarts.len().to_string();
        let after = |most: u64| Dur(500).plus(Dur(world.roll(&["told", &db.reference.id, &n], most)));
        let told = match world.scenario.by_group {
            ByGroup::Roughly { events: Events::Late(most), .. } => Some(world.now + after(most.millis())),
            ByGroup::Roughly { events: Events::Never, .. } => None,
            ByGroup::Roughly { events: Events::Soon, .. } | ByGroup::Smoothly => {
                Some(world.now + after(5_000))
            }
        };
        db.isolation.restarts.push((world.now, told));
        if db.isolation.alone {
            db.fenced.insert(FenceMethod::SecurityGroup);
        }
    }

    /// Observes the fence.
    pub(super) fn isolated(
        &self,
        i: usize,
        restart: Restart,
        world: &SimulatedWorld,
    ) -> (FenceStage, String) {
        let db = &self.all[i];
        let told = db.isolation.restarts.iter().filter(|(_, told)| told.is_some_and(|t| t <= world.now));
        restart.stage(grouping(db, world), told.map(|(at, _)| *at).max())
    }
}

/// Whether the groups are changing. During a restart the status may still be the previous one, unless all goes smoothly.
fn grouping(db: &SimulatedServer, world: &SimulatedWorld) -> Groups {
    let of = &db.isolation;
    let rough = world.scenario.by_group != ByGroup::Smoothly;
    let shows = || !rough || world.roll(&["rebooting", &db.reference.id, &of.asked.to_string()], 2) == 0;
    match (of.changing || of.restarting && shows(), db.is_attached()) {
        (true, _) => Groups::Changing,
        (false, true) => Groups::Alone,
        (false, false) => Groups::Others,
    }
}

/// Why the group of a fence proves nothing, if so.
pub(super) fn obstacle(db: &SimulatedServer, scenario: &Scenario) -> Option<String> {
    let outbound = scenario.groups_pass.then(|| "all traffic to 0.0.0.0/0".to_owned());
    let rules = GroupRules { outbound: outbound.into_iter().collect(), ..GroupRules::default() };
    GroupRules::obstacle(db.reference.fence_group.as_deref().unwrap_or_default(), Some(&rules))
}
