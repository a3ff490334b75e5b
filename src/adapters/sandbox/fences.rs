//! Fences, and which of them a replica replays: fence methods that the catalog records apply on a replica once it has replayed them, and a
//! promotion does not lift them.

use super::estate::{Answer, Estate, Transition};
use super::scenario::Applies;
use super::server::{Change, Db, Worker};
use crate::kinds::shared::fence::{Fence, FenceMethod};
use crate::model::time::Timestamp;

/// The proof's text for a writer that is not a client.
pub(super) const WORKER: &str = "the apply worker of subscription feed";

impl Estate {
    pub(super) fn fence(&mut self, fence: &Fence) -> Answer {
        let i = self.find(&fence.db)?;
        let (method, now) = (fence.method, self.now);
        if method.tells_the_end() && self.dbs[i].source.is_some() {
            return Err(("replica", "it is a replica; another server is the writer".to_owned()));
        }
        if method == FenceMethod::SecurityGroup {
            return self.isolate(i, fence);
        }
        self.dbs[i].fenced.insert(method);
        self.keep(i, method, now);
        // The fence disables the subscription, and its worker ends some time later. In other scenarios nobody may disable it.
        if let (true, Applies::Ends(after)) = (method.tells_the_end(), self.scenario.applies) {
            self.schedule(now + after, Transition::WorkerEnds(i));
        }
        Ok(None)
    }

    pub(super) fn unfence(&mut self, fence: &Fence) -> Answer {
        let i = self.find(&fence.db)?;
        if fence.method == FenceMethod::SecurityGroup {
            self.dbs[i].groups = fence.groups_before.iter().cloned().collect();
            return self.regrouped(i);
        }
        let now = self.now;
        let db = &mut self.dbs[i];
        db.fenced.remove(&fence.method);
        if fence.method.replicates() {
            db.catalog.0.push((now, fence.method, Change::Lifted));
        }
        if db.worker == Worker::Ended && !db.fenced.iter().any(|m| m.tells_the_end()) {
            db.worker = Worker::Alive;
        }
        Ok(None)
    }

    /// Records in the catalog that a fence method is set, if the catalog keeps it.
    pub(super) fn keep(&mut self, i: usize, method: FenceMethod, at: Timestamp) {
        let db = &mut self.dbs[i];
        if method.replicates() {
            let by = Change::Set(db.reference.id.clone());
            db.catalog.0.push((at, method, by));
        }
    }

    pub(super) fn worker_ends(&mut self, i: usize) {
        let db = &mut self.dbs[i];
        if db.worker == Worker::Alive && db.fenced.iter().any(|m| m.tells_the_end()) {
            db.worker = Worker::Ended;
        }
    }

    /// Whether an apply worker writes into a server. A fence that only keeps clients out does not end the worker, nor does a group with an
    /// outbound rule.
    pub(super) fn applies(&self, db: &Db) -> bool {
        let passes = |m: &FenceMethod| *m == FenceMethod::SecurityGroup && self.scenario.groups_pass;
        let ends = |m: &FenceMethod| !m.tells_the_end() && !passes(m);
        let runs = db.source.is_none() && db.status == "available" && !self.is_dead(db);
        runs && db.worker == Worker::Alive && !db.fenced.iter().any(ends)
    }

    /// A replica takes over the part of its source's catalog that it has replayed.
    pub(super) fn comes_over(&mut self, i: usize) {
        let kept = self.replayed(i);
        let Some(catalog) = self.source(&self.dbs[i]).map(|source| source.catalog.up_to(kept)) else {
            return;
        };
        // For a fence by `pg_hba.conf` the catalog has only its word: the file stays on the old server.
        let rungs: Vec<_> = catalog.at(kept).into_keys().filter(|m| *m != FenceMethod::PgHba).collect();
        let db = &mut self.dbs[i];
        db.catalog = catalog;
        db.fenced.extend(rungs);
    }

    /// The word of a fence that the catalog keeps, on a self-managed server and on replicas that have replayed it.
    pub(super) fn word(&self, i: usize) -> Option<String> {
        let db = &self.dbs[i];
        let position = if db.source.is_some() { self.replayed(i) } else { self.now };
        let rungs = self.source(db).unwrap_or(db).catalog.at(position);
        let by = rungs.into_values().last().filter(|_| db.tells_its_log());
        by.map(|by| format!("fence-{by}"))
    }
}
