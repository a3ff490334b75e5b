//! Which servers are alive, and which clients reach them. A site that users and drctl cannot reach may still be alive: its
//! databases take writes from clients in the same site until they are fenced or fail, or until those clients are gone.

use super::estate::{Db, Estate, Transition};
use super::scenario::roll;
use crate::model::time::Dur;

impl Estate {
    pub(super) fn lose(&mut self) {
        self.lost_at = Some(self.now);
        self.dead |= self.scenario.primary_dies;
        if let Some(most) = self.scenario.clients_leave {
            let after = Dur(roll(self.seed, &["clients leave"], most.millis()));
            self.schedule(self.now + after, Transition::ClientsGone);
        }
        if !self.scenario.replicates || self.dead {
            self.cut();
        }
    }

    /// Stops replication from the home site. Writes that were not shipped yet stay there.
    pub(super) fn cut(&mut self) {
        let of_home = |d: &Db| d.site != self.home && self.source(d).is_some_and(|s| s.site == self.home);
        let streams = |i: &usize| of_home(&self.dbs[*i]) && self.dbs[*i].frozen_at.is_none();
        let cut: Vec<usize> = (0..self.dbs.len()).filter(streams).collect();
        for &i in &cut {
            self.dbs[i].frozen_at = Some(self.replayed(i));
        }
        self.cut_off = cut;
    }

    /// The site can be reached again. Replicas of its servers continue from their positions if the scenario says so.
    pub(super) fn come_back(&mut self) {
        self.back = true;
        for i in std::mem::take(&mut self.cut_off) {
            let follows = self.source(&self.dbs[i]).is_some_and(|s| s.site == self.home);
            if follows && self.scenario.heals {
                self.dbs[i].frozen_at = None;
            }
        }
        self.found_again();
    }

    /// Whether users and drctl have lost a site.
    pub(super) fn is_lost(&self, site: &str) -> bool {
        self.lost_at.is_some() && !self.back && site == self.home.as_str()
    }

    /// Whether clients in one site reach servers in another.
    pub(super) fn reaches(&self, from: &str, to: &str) -> bool {
        from == to || !self.is_lost(from) && !self.is_lost(to)
    }

    /// Whether a server would acknowledge a write of a client that reaches it.
    pub(super) fn accepts(&self, db: &Db) -> bool {
        db.source.is_none() && db.status == "available" && db.fenced.is_empty() && !self.is_dead(db)
    }

    pub(super) fn is_dead(&self, db: &Db) -> bool {
        self.dead && db.site == self.home
    }

    /// Whether it takes writes, from clients that reach it or from an apply worker.
    pub(super) fn takes_writes(&self, db: &Db) -> bool {
        let clients = !self.is_lost(db.site.as_str()) || !self.clients_gone;
        self.accepts(db) && clients || self.applies(db)
    }

    /// Records when writers stop acknowledging writes, and when they resume.
    pub(super) fn note_writers(&mut self) {
        for i in 0..self.dbs.len() {
            if self.dbs[i].source.is_some() {
                continue;
            }
            let (writes, now) = (self.takes_writes(&self.dbs[i]), self.now);
            let stopped = self.dbs[i].stopped_at.filter(|_| !writes);
            self.dbs[i].stopped_at = stopped.or((!writes).then_some(now));
        }
    }
}
