//! The stages of a fence by security group. A new group becomes active after a while, earlier sessions stay open until the server
//! restarts, and the provider reports the restart later. This module decides who can write. [`Restart`] decides what proves the fence, as
//! it does with a real provider.

use std::collections::BTreeSet;

use super::estate::{Answer, Estate, Transition};
use super::scenario::{ByGroup, Events, roll};
use super::server::{Db, Happens};
use crate::kinds::shared::fence::{Fence, FenceMethod, FenceStage, GroupRules};
use crate::kinds::shared::restart::{Groups, Restart};
use crate::model::time::{Dur, Timestamp};

impl Estate {
    /// The next call of the fence: attach the group, and once it is active, restart.
    pub(super) fn isolate(&mut self, i: usize, fence: &Fence) -> Answer {
        let db = &self.dbs[i];
        if db.source.is_some() {
            return Err((
                "Replica",
                "it is now a replica, which takes no writes, so drctl does not fence it".to_owned(),
            ));
        }
        match self.grouping(i) {
            Groups::Changing if self.is_attached(i) => {
                let why = format!("{} is not in available state", db.reference.id);
                Err(("InvalidDBInstanceState", why))
            }
            Groups::Alone => self.restart(i),
            _ if fence.admits(db.groups.iter())
                && !db.groups.iter().eq(BTreeSet::from_iter(&fence.groups_before)) =>
            {
                let why = format!("the security groups of {} are others than drctl read", db.reference.id);
                Err(("InvalidDBInstanceState", why))
            }
            Groups::Others | Groups::Changing => {
                self.dbs[i].groups = db.reference.fence_group.iter().cloned().collect();
                self.regrouped(i)
            }
        }
    }

    /// The groups of a server have changed. The change becomes active later.
    pub(super) fn regrouped(&mut self, i: usize) -> Answer {
        let of = &mut self.dbs[i].isolation;
        (of.change, of.changing) = (of.change + 1, true);
        let n = of.change;
        let takes =
            Dur(4_000 + roll(self.seed, &["groups", &self.dbs[i].reference.id, &n.to_string()], 16_000));
        self.schedule(self.now + takes, Transition::Isolation(i, Happens::Grouped(n)));
        Ok(None)
    }

    /// Accepts a restart, which takes a while. The answer has the provider's date, in whole seconds.
    fn restart(&mut self, i: usize) -> Answer {
        let id = self.dbs[i].reference.id.clone();
        let of = &mut self.dbs[i].isolation;
        if of.restarting {
            return Err(("InvalidDBInstanceState", format!("{id} is not in available state")));
        }
        of.asked += 1;
        let n = of.asked;
        let within = |least, most| {
            Some(Dur(least + roll(self.seed, &["restart takes", &id, &n.to_string()], most - least)))
        };
        let takes = match (self.scenario.by_group, roll(self.seed, &["restart", &id], 6)) {
            (ByGroup::Smoothly, _) => within(30_000, 60_000),
            // The first restart may have no effect, or end within the second in which it was accepted.
            (ByGroup::Roughly { .. }, 0) if n == 1 => None,
            (ByGroup::Roughly { .. }, 1) if n == 1 => Some(Dur(50)),
            (ByGroup::Roughly { .. }, _) => within(3_000, 25_000),
        };
        of.restarting = takes.is_some();
        if let Some(takes) = takes {
            self.schedule(self.now + takes, Transition::Isolation(i, Happens::Restarted(n)));
        }
        Ok(Some(Restart::token(Timestamp::from_millis(self.now.millis() / 1_000 * 1_000))))
    }

    pub(super) fn happens(&mut self, i: usize, what: Happens) {
        let attached = self.is_attached(i);
        let db = &mut self.dbs[i];
        match what {
            Happens::Grouped(n) if db.isolation.change == n => {
                db.isolation.changing = false;
                db.isolation.alone = attached;
                if !attached {
                    db.fenced.remove(&FenceMethod::SecurityGroup);
                }
            }
            Happens::Restarted(n) if db.isolation.restarting && db.isolation.asked == n => {
                db.isolation.restarting = false;
                self.restarted(i);
            }
            Happens::ByOthers if db.status == "available" => self.restarted(i),
            Happens::Grouped(_) | Happens::Restarted(_) | Happens::ByOthers => {}
        }
    }

    /// Ends every session. Clients that are still allowed reconnect at once.
    fn restarted(&mut self, i: usize) {
        let server = self.dbs[i].reference.clone();
        self.end_sessions(&server);
        let n = self.dbs[i].isolation.restarts.len().to_string();
        let after = |most: u64| Dur(500 + roll(self.seed, &["told", &server.id, &n], most));
        let told = match self.scenario.by_group {
            ByGroup::Roughly { events: Events::Late(most), .. } => Some(self.now + after(most.millis())),
            ByGroup::Roughly { events: Events::Never, .. } => None,
            ByGroup::Roughly { events: Events::Soon, .. } | ByGroup::Smoothly => {
                Some(self.now + after(5_000))
            }
        };
        let now = self.now;
        let db = &mut self.dbs[i];
        db.isolation.restarts.push((now, told));
        if db.isolation.alone {
            db.fenced.insert(FenceMethod::SecurityGroup);
        }
    }

    /// Observes the fence.
    pub(super) fn isolated(&self, i: usize, restart: Restart) -> (FenceStage, String) {
        let told =
            self.dbs[i].isolation.restarts.iter().filter(|(_, told)| told.is_some_and(|t| t <= self.now));
        restart.stage(self.grouping(i), told.map(|(at, _)| *at).max())
    }

    /// Whether the groups are changing. During a restart the status may still be the previous one, unless all goes smoothly.
    fn grouping(&self, i: usize) -> Groups {
        let db = &self.dbs[i];
        let of = &db.isolation;
        let rough = self.scenario.by_group != ByGroup::Smoothly;
        let shows =
            || !rough || roll(self.seed, &["rebooting", &db.reference.id, &of.asked.to_string()], 2) == 0;
        match (of.changing || of.restarting && shows(), self.is_attached(i)) {
            (true, _) => Groups::Changing,
            (false, true) => Groups::Alone,
            (false, false) => Groups::Others,
        }
    }

    /// Why the group of a fence proves nothing, if so.
    pub(super) fn group_obstacle(&self, db: &Db) -> Option<String> {
        let outbound = self.scenario.groups_pass.then(|| "all traffic to 0.0.0.0/0".to_owned());
        let rules = GroupRules { outbound: outbound.into_iter().collect(), ..GroupRules::default() };
        GroupRules::obstacle(db.reference.fence_group.as_deref().unwrap_or_default(), Some(&rules))
    }

    /// Whether the group of the fence is the only one attached, active or not.
    pub(super) fn is_attached(&self, i: usize) -> bool {
        let db = &self.dbs[i];
        let fence = &db.reference.fence_group;
        db.groups.len() == 1 && db.groups.iter().next() == fence.as_ref()
    }
}
