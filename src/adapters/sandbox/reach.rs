//! Which servers are alive, and which clients reach them. A site that users and drctl cannot reach may still be alive: its
//! databases take writes from clients in the same site until they are fenced or fail, or until those clients are gone.

use super::estate::{Estate, Transition};
use super::scenario::roll;
use super::server::Db;
use crate::model::time::Dur;

impl Estate {
    pub(super) fn lose(&mut self) {
        self.lost_at = Some(self.now);
        self.dead |= self.scenario.primary_dies;
        if let Some(most) = self.scenario.clients_leave {
            let after = Dur(roll(self.seed, &["clients leave"], most.millis()));
            self.schedule(self.now + after, Transition::ClientsGone);
        }
        self.cut();
    }

    /// The site can be reached again.
    pub(super) fn come_back(&mut self) {
        self.back = true;
        self.mend();
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
        let clients = db.site != self.home || !self.is_lost(db.site.as_str()) || !self.clients_gone;
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
