//! How a PostgreSQL server of one's own behaves: it ends its recovery without a restart, a request to promote it is forgotten in one, and
//! it is rewound to follow another server.

use super::plan::Postgres;
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::shared::database::sim::server::Product;
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rebuild::{JobStage, RebuildState};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::op::RestoreStep;
use crate::kinds::shared::restore::sim::Keeper;
use crate::kinds::simulated::{NetworkChange, Simulated, SimulatedPart};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

const PRODUCT: Product = Product { follows: false, subscribes: true, tells_its_log: |_| true };

/// The word of its status when it serves.
const SERVING: &str = "available";

/// A server was rewound, and follows another one.
#[derive(Clone, Copy, Debug)]
struct Rejoined {
    server: usize,
    source: usize,
}

/// The servers of one component.
pub struct SimulatedPostgres {
    servers: Servers,
    agenda: Agenda<Rejoined>,
}

impl Simulated for SimulatedPostgres {
    type Spec = Postgres;

    fn build(
        spec: &Postgres,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let servers = Servers::new(&spec.0, &PRODUCT, (owner, name), plan, world);
        Self { servers, agenda: Agenda::new(owner) }
    }

    fn start_from(&mut self, feed: &Feed, _: &mut SimulatedWorld) {
        self.servers.start_from(feed, |status| status == SERVING);
    }

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::Promote(Promote { db, .. }) => {
                let ends = |n: &str, world: &SimulatedWorld| {
                    let starts = 1_000 + world.roll(&["modifying", &db.id, n], 4_000);
                    let waits = world.scenario.promotion_waits.millis();
                    world.after(starts + waits + world.roll(&["promote", &db.id, n], 3_000))
                };
                self.servers.promote(db, ends, world)
            }
            Operation::Withdraw(Withdraw { db }) => self.servers.withdraw(db, world),
            Operation::Rejoin(Rejoin { db, source, .. }) => self.rejoin(db, source, world),
            Operation::Restore(RestoreStep { part, of }) => {
                self.servers.restore((*part, of), Dur::ZERO, world)
            }
            other => self.servers.apply(other, world),
        }
    }

    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        let servers = &self.servers;
        match target {
            Target::Database(db) => {
                servers.find(db).ok().map(|i| State::Database(servers.database(i, world)))
            }
            Target::Rebuild { db, .. } => {
                servers.find(db).ok().map(|i| State::Rebuild(Box::new(self.rebuild(i, world))))
            }
            Target::Backups(of) => {
                servers.find(&of.db).ok()?;
                Some(State::Backups(Box::new(servers.backups(of, Keeper::Archive, world))))
            }
            other => servers.observe(other, world),
        }
    }

    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        let Some(rejoined) = self.agenda.take(event) else { return self.servers.due(event, world) };
        let Rejoined { server, source } = rejoined;
        if self.servers.is_between(server, source, world) {
            self.agenda.schedule(world.now + Dur::secs(30), rejoined, world);
        } else {
            self.servers.follow(server, source, world);
        }
        true
    }

    fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence> {
        match target {
            Target::Database(db) if self.servers.is_stopped(db) => Err(Silence::Refuses),
            other => self.servers.answers(other, world),
        }
    }

    /// It is asked itself.
    fn oldest(&self, _: &Target, _: &SimulatedWorld) -> Dur {
        Dur::ZERO
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

impl SimulatedPostgres {
    fn rejoin(&mut self, db: &DatabaseRef, source: &DatabaseRef, world: &mut SimulatedWorld) -> Answer {
        let (server, source) = (self.servers.find(db)?, self.servers.find(source)?);
        // It stops first, so it takes no writes from then on.
        let of = &mut self.servers.all[server];
        of.stopped_at.get_or_insert(world.now);
        of.status = "stopped";
        let takes = 20_000 + world.roll(&["rejoin", &db.id], 60_000);
        self.agenda.schedule(world.after(takes), Rejoined { server, source }, world);
        Ok(None)
    }

    fn rebuild(&self, i: usize, world: &SimulatedWorld) -> RebuildState {
        let db = &self.servers.all[i];
        let stage = if db.status == "stopped" { JobStage::Running } else { JobStage::None };
        let runs = db.status == "available" && !db.fenced.contains(&FenceMethod::Stop);
        let server = runs.then(|| self.servers.database(i, world));
        RebuildState { server, stage, tail: "rewinding".to_owned(), diverged: None }
    }
}
