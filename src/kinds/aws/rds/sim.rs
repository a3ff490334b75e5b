//! How an RDS instance behaves: its status lags behind what was accepted, renames take minutes, and a replica is created anew. The
//! declared name keeps its entry, so that DNS names and groups find it. A renamed instance gets an entry of its own.

use std::collections::BTreeSet;

use super::operator::RdsOperator;
use super::ops::Rename;
use super::plan::Rds;
use super::published::NEW_NAME;
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::operator::Operator as _;
use crate::kinds::shared::database::server::{DatabaseRef, DatabaseRole, DatabaseState};
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::shared::database::sim::server::{GONE, Isolation, Job, Product, SimulatedServer, Worker};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::copy::RestoreJob;
use crate::kinds::shared::restore::op::RestoreStep;
use crate::kinds::shared::restore::sim::Keeper;
use crate::kinds::simulated::{NetworkChange, Simulated, SimulatedPart};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Refused, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

const PRODUCT: Product =
    Product { follows: false, subscribes: true, tells_its_log: |db| db.admin_secret.is_some() };

/// The shortest time of a rename; the longest is four minutes more.
const RENAME: Dur = Dur(NEW_NAME.0 - 120_000);

/// The instances of one component.
pub struct SimulatedRds {
    servers: Servers,
    agenda: Agenda<InstanceEvent>,
}

/// A scheduled event of an instance, by its index.
enum InstanceEvent {
    /// The control plane shows that it is being promoted.
    Modifying(usize),
    /// It has its new name.
    Renamed(usize, String),
    /// It is created.
    Created(usize),
}

impl Simulated for SimulatedRds {
    type Spec = Rds;

    fn build(
        spec: &Rds,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let servers = Servers::new(&spec.0, &PRODUCT, (owner, name), plan, world);
        Self { servers, agenda: Agenda::new(owner) }
    }

    fn start_from(&mut self, feed: &Feed, _: &mut SimulatedWorld) {
        self.servers.start_from(feed, |status| RdsOperator.serves(status));
    }

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::Promote(Promote { db, .. }) => self.promote(db, world),
            Operation::Rejoin(Rejoin { db, source, .. }) => self.create_replica(db, source, world),
            Operation::Rename(Rename { db, to }) => self.rename(db, to, world),
            Operation::Restore(RestoreStep { part, of }) => self.servers.restore((*part, of), RENAME, world),
            other => self.servers.apply(other, world),
        }
    }

    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Database(db) => {
                let server = self.servers.find(db).ok().map(|i| self.database(i, world));
                server.or_else(|| self.beside(db, world)).map(State::Database)
            }
            Target::Backups(of) => {
                self.servers.find(&of.db).ok()?;
                Some(State::Backups(Box::new(self.servers.backups(of, Keeper::Service, world))))
            }
            other => self.servers.observe(other, world),
        }
    }

    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        let Some(event) = self.agenda.take(event) else { return self.servers.due(event, world) };
        match event {
            InstanceEvent::Modifying(i) => self.servers.all[i].status = "modifying",
            InstanceEvent::Renamed(i, to) => self.renamed(i, &to),
            InstanceEvent::Created(i) => {
                self.servers.all[i].status = "available";
                self.servers.cut(world);
            }
        }
        true
    }

    fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence> {
        self.servers.answers(target, world)
    }

    fn oldest(&self, target: &Target, world: &SimulatedWorld) -> Dur {
        Servers::oldest(target, world)
    }

    fn aged(&self, old: State, now: &State) -> State {
        Servers::aged(old, now)
    }

    fn network_changed(&mut self, change: NetworkChange, world: &mut SimulatedWorld) {
        match change {
            NetworkChange::Cut => self.servers.cut(world),
            NetworkChange::Mended => self.servers.mend(world),
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Store(&self.servers)
    }

    fn servers(&mut self) -> Option<&mut Servers> {
        Some(&mut self.servers)
    }
}

/// A call that has to wait, because the instance is changing.
fn busy(why: impl Into<String>) -> Refused {
    Refused::for_now("InvalidDBInstanceState", why)
}

fn exists() -> Refused {
    Refused::for_now("DBInstanceAlreadyExists", "DB instance already exists")
}

impl SimulatedRds {
    /// The status stays `available` for a while after the call was accepted. A completion test must not trust it.
    fn promote(&mut self, db: &DatabaseRef, world: &mut SimulatedWorld) -> Answer {
        let mut modifying = world.now;
        let ends = |n: &str, world: &SimulatedWorld| {
            modifying = world.after(1_000 + world.roll(&["modifying", &db.id, n], 4_000));
            let longer = world.scenario.promotion_takes.millis();
            modifying + Dur(longer + 60_000 + world.roll(&["promote", &db.id, n], 90_000))
        };
        self.servers.promote(db, ends, world)?;
        let i = self.servers.find(db)?;
        self.agenda.schedule(modifying, InstanceEvent::Modifying(i), world);
        Ok(None)
    }

    fn rename(&mut self, db: &DatabaseRef, to: &str, world: &mut SimulatedWorld) -> Answer {
        let servers = &mut self.servers;
        let i = servers.find(db)?;
        if servers.all[i].status != "available" {
            return Err(busy(format!("Database instance {} is not in available state.", db.id)));
        }
        let taken = servers.index.get(&(to.to_owned(), db.place.name.clone()));
        if taken.is_some_and(|&other| other != i && servers.all[other].status != GONE) {
            return Err(exists());
        }
        servers.all[i].status = "renaming";
        let takes = RENAME.plus(Dur(world.roll(&["rename", &db.id, to], 240_000)));
        self.agenda.schedule(world.now + takes, InstanceEvent::Renamed(i, to.to_owned()), world);
        Ok(None)
    }

    /// Finishes a rename: the instance gets an entry of its own, or returns to the one of the declared name.
    fn renamed(&mut self, i: usize, to: &str) {
        let servers = &mut self.servers;
        let site = servers.all[i].site.to_string();
        let id = std::mem::replace(&mut servers.all[i].reference.id, to.to_owned());
        let slot = servers.slot(to, &site);
        let place = match slot {
            Some(slot) => {
                let mut back = servers.all[i].clone();
                (back.status, back.retired) = ("available", false);
                servers.all[slot] = back;
                (servers.all[i].status, servers.all[i].retired) = (GONE, true);
                slot
            }
            None => {
                let mut aside = servers.all[i].clone();
                (aside.status, aside.retired) = ("available", true);
                servers.all.push(aside);
                (servers.all[i].status, servers.all[i].reference.id) = (GONE, id.clone());
                servers.all.len() - 1
            }
        };
        servers.index.remove(&(id.clone(), site.clone()));
        servers.index.insert((to.to_owned(), site), place);
        for db in servers.all.iter_mut().filter(|d| d.source.as_ref() == Some(&id)) {
            db.source = Some(to.to_owned());
        }
    }

    fn create_replica(
        &mut self,
        db: &DatabaseRef,
        source: &DatabaseRef,
        world: &mut SimulatedWorld,
    ) -> Answer {
        let servers = &mut self.servers;
        let source = servers.find(source)?;
        let Some(i) = servers.slot(&db.id, &db.place.name) else { return Err(exists()) };
        if servers.all[source].status != "available" {
            return Err(busy("The source is not in available state."));
        }
        let (id, timeline) = (servers.all[source].reference.id.clone(), servers.all[source].timeline);
        let slot = &mut servers.all[i];
        (slot.source, slot.timeline, slot.status) = (Some(id), timeline, "creating");
        (slot.stopped_at, slot.frozen_at, slot.fenced) = (None, None, BTreeSet::new());
        (slot.isolation, slot.worker) = (Isolation::default(), Worker::None);
        servers.index.insert((db.id.clone(), db.place.name.clone()), i);
        let takes = 600_000 + world.roll(&["create", &db.id], 900_000);
        self.agenda.schedule(world.after(takes), InstanceEvent::Created(i), world);
        Ok(None)
    }

    /// drctl does not ask the clocks of managed writers.
    fn database(&self, i: usize, world: &SimulatedWorld) -> DatabaseState {
        let db = &self.servers.all[i];
        let state = self.servers.database(i, world);
        let clock = state.clock.filter(|_| db.source.is_some());
        DatabaseState { clock, instance: Some(Box::new(settings(db))), ..state }
    }

    /// The copy of a server under its own name. Its first backup starts when it serves.
    fn beside(&self, db: &DatabaseRef, world: &SimulatedWorld) -> Option<DatabaseState> {
        let jobs = &self.servers.jobs;
        let is = |job: &&Job| job.of.instance().is_some_and(|new| new.id == db.id);
        let (&(i, _), job) =
            jobs.iter().find(|((_, part), job)| *part == RestoreJob::CreateCopy && is(job))?;
        let gone = [RestoreJob::Swap, RestoreJob::Destroy].iter().any(|part| jobs.contains_key(&(i, *part)));
        let backing_up = job.ends + Dur(60_000 + world.roll(&["first backup", &db.id], 180_000));
        let status = if world.now < backing_up { "backing-up" } else { "available" };
        let there = !gone && job.failed.is_none() && job.ends <= world.now;
        there.then(|| DatabaseState {
            role: DatabaseRole::Writer,
            status: status.to_owned(),
            ..self.database(i, world)
        })
    }
}

/// The settings that the control plane reports.
fn settings(db: &SimulatedServer) -> InstanceSettings {
    let place = &db.reference.place;
    let account = place.account.as_deref().unwrap_or("000000000000");
    InstanceSettings {
        arn: format!("arn:aws:rds:{}:{account}:db:{}", place.region, db.reference.id),
        class: "db.r6g.large".to_owned(),
        backup_days: if db.source.is_none() { 7 } else { 0 },
        ..InstanceSettings::default()
    }
}
