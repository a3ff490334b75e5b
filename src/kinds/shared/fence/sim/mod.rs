//! Fences of a simulated database, and which of them a replica replays: fence methods that the catalog records apply on a replica once it
//! has replayed them, and a promotion does not lift them.

mod groups;

use super::group::with_obstacle;
use super::method::{Fence, FenceMethod, FenceStage};
use crate::kinds::shared::database::sim::server::{Change, Worker};
use crate::kinds::shared::database::sim::{ServerEvent, Servers};
use crate::kinds::shared::restart::Restart;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::scenario::Applies;

/// The proof's text for a writer that is not a client.
const WORKER: &str = "the apply worker of subscription feed";

/// What an observation says of a fence.
pub struct FenceSeen {
    /// Whether it is proven.
    pub proven: bool,
    /// How far it is.
    pub stage: FenceStage,
    /// The proof, or what is missing.
    pub proof: String,
    /// What may still write.
    pub obstacles: Vec<String>,
}

impl Servers {
    /// Fences a server.
    ///
    /// # Errors
    /// The provider refuses it.
    pub fn fence(&mut self, fence: &Fence, world: &mut SimulatedWorld) -> Answer {
        let i = self.find(&fence.db)?;
        let method = fence.method;
        if method.tells_the_end() && self.all[i].source.is_some() {
            return Err(Refused::always("replica", "it is a replica; another server is the writer"));
        }
        if method == FenceMethod::SecurityGroup {
            return self.isolate(i, fence, world);
        }
        self.all[i].fenced.insert(method);
        self.all[i].keep(method, world.now);
        // The fence disables the subscription, and its worker ends some time later. In other scenarios nobody may disable it.
        if let (true, Applies::Ends(after)) = (method.tells_the_end(), world.scenario.applies) {
            self.agenda.schedule(world.now + after, ServerEvent::WorkerEnds(i), world);
        }
        Ok(None)
    }

    /// Lifts a fence.
    ///
    /// # Errors
    /// The provider refuses it.
    pub fn unfence(&mut self, fence: &Fence, world: &mut SimulatedWorld) -> Answer {
        let i = self.find(&fence.db)?;
        if fence.method == FenceMethod::SecurityGroup {
            self.all[i].groups = fence.groups_before.iter().cloned().collect();
            return self.regrouped(i, world);
        }
        let db = &mut self.all[i];
        db.fenced.remove(&fence.method);
        if fence.method.replicates() {
            db.catalog.0.push((world.now, fence.method, Change::Lifted));
        }
        if db.worker == Worker::Ended && !db.fenced.iter().any(|m| m.tells_the_end()) {
            db.worker = Worker::Alive;
        }
        Ok(None)
    }

    /// The worker of a subscription ends, unless the fence was lifted.
    pub fn worker_ends(&mut self, i: usize) {
        let db = &mut self.all[i];
        if db.worker == Worker::Alive && db.fenced.iter().any(|m| m.tells_the_end()) {
            db.worker = Worker::Ended;
        }
    }

    /// A replica takes over the part of its source's catalog that it has replayed.
    pub fn comes_over(&mut self, i: usize, world: &SimulatedWorld) {
        let kept = self.replayed(i, world);
        let Some(catalog) = self.source(&self.all[i]).map(|source| source.catalog.up_to(kept)) else {
            return;
        };
        // For a fence by `pg_hba.conf` the catalog has only its word: the file stays on the old server.
        let rungs: Vec<_> = catalog.at(kept).into_keys().filter(|m| *m != FenceMethod::PgHba).collect();
        let db = &mut self.all[i];
        db.catalog = catalog;
        db.fenced.extend(rungs);
    }

    /// The word of a fence that the catalog keeps, on a server that tells its log and on replicas that have replayed it.
    pub fn word(&self, i: usize, world: &SimulatedWorld) -> Option<String> {
        let db = &self.all[i];
        let position = if db.source.is_some() { self.replayed(i, world) } else { world.now };
        let rungs = self.source(db).unwrap_or(db).catalog.at(position);
        let by = rungs.into_values().last().filter(|_| db.tells_its_log);
        by.map(|by| format!("fence-{by}"))
    }

    /// Observes a fence.
    pub fn fence_seen(
        &self,
        i: usize,
        method: FenceMethod,
        restart: Restart,
        world: &SimulatedWorld,
    ) -> FenceSeen {
        let db = &self.all[i];
        let passes =
            (method == FenceMethod::SecurityGroup).then(|| groups::obstacle(db, &world.scenario)).flatten();
        let (stage, proof) = with_obstacle(self.stage(i, method, restart, world), passes.as_ref());
        let stays = method.tells_the_end() && db.applies(world) && world.scenario.applies == Applies::Stays;
        let obstacles = stays.then(|| WORKER.to_owned()).into_iter().chain(passes).collect();
        FenceSeen { proven: stage == FenceStage::Proven, stage, proof, obstacles }
    }

    /// The stage of a fence. As with a real server, a census proves a fence by SQL: it lists everything that may still write.
    fn stage(
        &self,
        i: usize,
        method: FenceMethod,
        restart: Restart,
        world: &SimulatedWorld,
    ) -> (FenceStage, String) {
        let db = &self.all[i];
        let set = db.fenced.contains(&method);
        if set && method.tells_the_end() && db.applies(world) {
            let left = format!("not proven: something may still write: {WORKER}");
            let stays = world.scenario.applies == Applies::Stays;
            return (if stays { FenceStage::Ineffective } else { FenceStage::Partial }, left);
        }
        let proof = match method {
            FenceMethod::Sql => "application roles cannot log in, and none of their sessions is left",
            FenceMethod::AllowConnections => {
                "the databases of the application accept no connections, and no session is left"
            }
            FenceMethod::PgHba => {
                "the first rules of pg_hba.conf reject every client, and no session is left"
            }
            FenceMethod::Stop => "the server is stopped; if anything starts it, it starts as a standby",
            FenceMethod::SecurityGroup => return self.isolated(i, restart, world),
        };
        (if set { FenceStage::Proven } else { FenceStage::Open }, proof.to_owned())
    }
}
