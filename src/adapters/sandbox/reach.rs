//! Who is alive, and who reaches whom. A site that is lost to its users and to drctl lives on: its databases take the writes of the
//! clients beside them until they are fenced or die, or until those clients are gone.

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

    /// What was not shipped by now is not shipped any more.
    pub(super) fn cut(&mut self) {
        let of_home = |d: &Db| d.site != self.home && self.source(d).is_some_and(|s| s.site == self.home);
        let streams = |i: &usize| of_home(&self.dbs[*i]) && self.dbs[*i].frozen_at.is_none();
        let cut: Vec<usize> = (0..self.dbs.len()).filter(streams).collect();
        for &i in &cut {
            self.dbs[i].frozen_at = Some(self.replayed(i));
        }
        self.cut_off = cut;
    }

    /// The site can be reached again, with everything that happened in it: what follows a server there continues from its position.
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

    /// Whether it takes writes: there are clients that reach it, or a worker that applies what comes from elsewhere.
    pub(super) fn takes_writes(&self, db: &Db) -> bool {
        let clients = !self.is_lost(db.site.as_str()) || !self.clients_gone;
        self.accepts(db) && clients || self.applies(db)
    }

    /// Writers that just ceased to acknowledge, and those that do so again.
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
