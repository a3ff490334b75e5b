//! The simulated servers of one database: which replays which, up to where, and who takes writes.

mod build;
mod observe;
pub mod server;

use std::collections::BTreeMap;

use self::server::{GONE, Jobs, SimulatedServer, Worker};
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::fence::op::Unfence;
use crate::kinds::shared::secret::login::ClientWay;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Refused};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::{Dur, Timestamp};

/// A scheduled event of a server, by its index.
#[derive(Clone, Copy, Debug)]
pub enum ServerEvent {
    /// A promotion ends; whether it has an effect.
    Promoted(usize, bool),
    /// A copy is put in place.
    Swapped(usize),
    /// The worker of a subscription ends.
    WorkerEnds(usize),
    /// The change of groups with this number becomes active.
    Grouped(usize, u32),
    /// The requested restart with this number happens.
    Restarted(usize, u32),
    /// Somebody else restarts the server.
    RestartedByOthers(usize),
}

/// The servers of one database.
pub struct Servers {
    /// The component.
    pub component: ComponentName,
    /// The servers. The declared ones come first; a renamed one that is set aside gets an entry of its own.
    pub all: Vec<SimulatedServer>,
    /// What is due.
    pub agenda: Agenda<ServerEvent>,
    /// The jobs of a restore.
    pub jobs: Jobs,
    /// Indexes by ID and site.
    pub index: BTreeMap<(String, String), usize>,
    /// Replicas that lost their source.
    cut_off: Vec<usize>,
    /// The acknowledged writes that a promotion lost, as a span of time.
    lost: Option<Dur>,
}

impl Servers {
    /// The server that a reference names.
    ///
    /// # Errors
    /// No server has this name.
    pub fn find(&self, db: &DatabaseRef) -> Result<usize, Refused> {
        let found = self.index.get(&(db.id.clone(), db.place.name.clone()));
        let missing = || Refused::always("DBInstanceNotFound", format!("DBInstance {} not found", db.id));
        found.copied().ok_or_else(missing)
    }

    /// The entry of a declared name that no instance has.
    pub fn slot(&self, id: &str, site: &str) -> Option<usize> {
        self.all
            .iter()
            .position(|d| !d.retired && d.status == GONE && d.reference.id == id && d.site.as_str() == site)
    }

    /// The server that another one replays. It is in another region, and may have the same name.
    pub fn source(&self, of: &SimulatedServer) -> Option<&SimulatedServer> {
        let source = of.source.as_ref()?;
        self.all.iter().find(|d| d.reference.id == *source && d.site != of.site)
    }

    /// The last commit that a replica has replayed.
    pub fn replayed(&self, i: usize, world: &SimulatedWorld) -> Timestamp {
        let of = &self.all[i];
        if let Some(frozen) = of.frozen_at {
            return frozen;
        }
        let end = self.source(of).and_then(|s| s.stopped_at).unwrap_or(world.now);
        end.min(world.now - of.lag)
    }

    /// The last write that a server acknowledged.
    pub fn last_commit(&self, i: usize, world: &SimulatedWorld) -> Timestamp {
        if self.all[i].source.is_some() {
            self.replayed(i, world)
        } else {
            self.all[i].stopped_at.unwrap_or(world.now)
        }
    }

    /// The writes that old primaries acknowledged and a promoted replica never got. They grow while an old primary takes writes.
    fn loss(&self, promoted: usize, world: &SimulatedWorld) -> Dur {
        let kept = self.all[promoted].frozen_at.unwrap_or(world.now);
        let old = (0..self.all.len()).filter(|&i| i != promoted && self.all[i].source.is_none());
        old.map(|i| self.last_commit(i, world).since(kept)).max().unwrap_or_default()
    }

    /// Adds writes that are lost for good.
    pub fn lose(&mut self, lost: Dur) {
        self.lost = Some(lost.max(self.lost.unwrap_or_default()));
    }

    /// Keeps the loss so far, whatever happens to the servers that had the writes.
    fn settle_loss(&mut self, promoted: usize, world: &SimulatedWorld) {
        self.lose(self.loss(promoted, world));
    }

    /// The acknowledged writes that the new primary lacks, as a span of time, if one was promoted.
    pub fn lost(&self, world: &SimulatedWorld) -> Option<Dur> {
        let promoted = |i: &usize| self.all[*i].won && self.all[*i].source.is_none();
        let now = (0..self.all.len()).filter(promoted).map(|i| self.loss(i, world)).max();
        self.lost.max(now)
    }

    /// The server now takes writes on its own history. The loss of an earlier promotion is final: later writes do not add to it.
    pub fn wins(&mut self, promoted: usize, world: &SimulatedWorld) {
        for i in (0..self.all.len()).filter(|&i| i != promoted) {
            if std::mem::take(&mut self.all[i].won) {
                self.settle_loss(i, world);
            }
        }
        let db = &mut self.all[promoted];
        (db.source, db.won) = (None, true);
        db.timeline += 1;
    }

    /// A server follows another one from now on.
    pub fn follow(&mut self, i: usize, source: usize, world: &SimulatedWorld) {
        // Writes that only this server had are lost for good once it follows.
        self.settle_loss(source, world);
        let (id, timeline) = (self.all[source].reference.id.clone(), self.all[source].timeline);
        let db = &mut self.all[i];
        (db.source, db.timeline, db.status) = (Some(id), timeline, "available");
        db.worker = Worker::None;
        (db.stopped_at, db.frozen_at, db.fenced) = (None, None, std::collections::BTreeSet::new());
    }

    /// A new run starts: the events so far belong to an earlier one.
    pub fn forget(&mut self) {
        self.lost = None;
        for db in &mut self.all {
            db.won = false;
        }
    }

    /// Records when writers stop acknowledging writes, and when they resume.
    pub fn settle(&mut self, world: &SimulatedWorld) {
        for db in self.all.iter_mut().filter(|db| db.source.is_none()) {
            let writes = db.takes_writes(world);
            let stopped = db.stopped_at.filter(|_| !writes);
            db.stopped_at = stopped.or((!writes).then_some(world.now));
        }
    }

    /// Whether every declared server in a site accepts writes.
    pub fn accepts_in(&self, site: &SiteName, world: &SimulatedWorld) -> bool {
        self.all.iter().filter(|d| !d.retired && d.site == *site).all(|d| d.accepts(world))
    }

    /// Whether two servers cannot reach each other although none of their sites is lost.
    pub fn is_between(&self, one: usize, other: usize, world: &SimulatedWorld) -> bool {
        world.is_apart(self.all[one].site.as_str(), self.all[other].site.as_str())
    }

    /// Whether nothing from its source reaches a replica.
    fn is_severed(&self, i: usize, world: &SimulatedWorld) -> bool {
        let of = &self.all[i];
        self.source(of).is_some_and(|source| world.is_severed(&source.site, &of.site))
    }

    /// Stops the replication that no network carries any more. Writes that were not shipped yet stay where they are.
    pub fn cut(&mut self, world: &SimulatedWorld) {
        for i in 0..self.all.len() {
            if self.all[i].frozen_at.is_none() && self.is_severed(i, world) {
                self.all[i].frozen_at = Some(self.replayed(i, world));
                self.cut_off.push(i);
            }
        }
    }

    /// Replicas that receive again continue from their positions if the scenario says so.
    pub fn mend(&mut self, world: &SimulatedWorld) {
        for i in std::mem::take(&mut self.cut_off) {
            if self.is_severed(i, world) {
                self.cut_off.push(i);
            } else if self.source(&self.all[i]).is_some() && world.scenario.heals {
                self.all[i].frozen_at = None;
            }
        }
    }

    /// Ends the sessions of a server that stops. Their pending statements are lost.
    pub fn end_sessions(&self, i: usize, world: &mut SimulatedWorld) {
        let db = &self.all[i].reference;
        world.lose_calls(|op| match op {
            Operation::Fence(fence) | Operation::Unfence(Unfence(fence)) => {
                fence.db.is(db) && fence.method.tells_the_end()
            }
            _ => false,
        });
    }

    /// What every database can do.
    ///
    /// # Errors
    /// The provider refuses it, or the operation is not one of a database.
    pub fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::Fence(fence) => self.fence(fence, world),
            Operation::Unfence(Unfence(fence)) => self.unfence(fence, world),
            Operation::WriteCanary(of) => self.write_row(&of.db, None, world),
            Operation::WriteAsClient(of) => self.write_row(&of.db, Some(&of.way), world),
            other => Err(Refused::unknown(other)),
        }
    }

    /// Writes a row, over the path that clients use if the action asks for that.
    fn write_row(&self, db: &DatabaseRef, way: Option<&ClientWay>, world: &SimulatedWorld) -> Answer {
        let i = self.find(db)?;
        let there = match way {
            Some(way) if way.endpoint.is_none() => way.secret.as_ref().is_some_and(|secret| {
                world.leads(secret) == secret.leading_to(&server::listens(db)).as_ref()
            }),
            _ => true,
        };
        if there && self.all[i].accepts(world) {
            Ok(None)
        } else {
            Err(Refused::for_now("25006", "cannot execute INSERT in a read-only transaction"))
        }
    }

    /// An event happens; false if it is none of these servers, or was cancelled.
    pub fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        let Some(event) = self.agenda.take(event) else { return false };
        match event {
            ServerEvent::Promoted(i, works) => self.promoted(i, works, world),
            ServerEvent::Swapped(i) => self.swapped(i, world),
            ServerEvent::WorkerEnds(i) => self.worker_ends(i),
            ServerEvent::Grouped(i, change) => self.grouped(i, change),
            ServerEvent::Restarted(i, asked) => self.restart_happens(i, asked, world),
            ServerEvent::RestartedByOthers(i) => self.restarted_by_others(i, world),
        }
        true
    }
}
