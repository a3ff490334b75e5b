//! How an Aurora global database behaves: the service moves the writer, and makes the old writer a secondary as soon as it can.

use std::collections::{BTreeMap, BTreeSet};

use super::operator::AuroraOperator;
use super::ops::AddClusterInstance;
use super::plan::AuroraGlobal;
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::cluster::{ClusterInstance, ClusterState, NewMember};
use crate::kinds::shared::database::operator::{HEADLESS, Operator as _};
use crate::kinds::shared::database::server::{DatabaseRef, DatabaseState};
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::shared::database::sim::server::Product;
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::promotion::{Handover, Promote, Takeover};
use crate::kinds::simulated::{NetworkChange, Simulated, SimulatedPart};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::agenda::Agenda;
use crate::kinds::world::answer::{Answer, Refused, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Dur;

/// The status of a cluster that is taking over.
const MOVING: &str = "switching-over";

const PRODUCT: Product = Product { follows: true, subscribes: false, tells_its_log: |_| false };

/// The clusters of one component.
pub struct SimulatedAurora {
    servers: Servers,
    /// The instances of the cluster in each site.
    instances: BTreeMap<SiteName, Instances>,
    /// Clusters in lost regions, with the writers that they must follow.
    left: Vec<(usize, usize)>,
    agenda: Agenda<ClusterEvent>,
}

#[derive(Default)]
struct Instances {
    /// Whether the cluster was declared without instances.
    headless: bool,
    /// The instance that a run added.
    joined: Option<ClusterInstance>,
}

/// A scheduled event of a cluster, by its index.
#[derive(Clone, Copy, Debug)]
enum ClusterEvent {
    /// The added instance serves.
    Joined(usize),
    /// It takes over.
    TakenOver(usize, Handover),
    /// It becomes a secondary of the other one.
    Second(usize, usize),
}

impl Simulated for SimulatedAurora {
    type Spec = AuroraGlobal;

    fn build(
        spec: &AuroraGlobal,
        (owner, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let servers = Servers::new(&spec.0, &PRODUCT, (owner, name), plan, world);
        // A cluster is declared without instances if the plan gives a class for the instance to add.
        let headless = spec.0.at.iter().map(|(site, at)| {
            let headless = at.instance_class.is_some() && *site != world.active;
            (site.clone(), Instances { headless, joined: None })
        });
        Self { servers, instances: headless.collect(), left: Vec::new(), agenda: Agenda::new(owner) }
    }

    fn start_from(&mut self, feed: &Feed, _: &mut SimulatedWorld) {
        for db in &self.servers.all {
            if let Some(State::Database(seen)) = feed.state(&Target::Database(db.reference.clone())) {
                let headless = seen.status == HEADLESS;
                self.instances.insert(db.site.clone(), Instances { headless, joined: None });
            }
        }
        self.servers.start_from(feed, |status| status == HEADLESS || AuroraOperator.serves(status));
    }

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::Promote(Promote { db, takeover: Some(how), .. }) => self.take_over(db, how, world),
            Operation::AddClusterInstance(AddClusterInstance { db, instance }) => {
                self.add_instance(db, instance, world)
            }
            other => self.servers.apply(other, world),
        }
    }

    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Database(db) => {
                self.servers.find(db).ok().map(|i| State::Database(self.database(i, world)))
            }
            other => self.servers.observe(other, world),
        }
    }

    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        let Some(event) = self.agenda.take(event) else { return self.servers.due(event, world) };
        match event {
            ClusterEvent::Joined(i) => {
                let instances = self.instances.get_mut(&self.servers.all[i].site);
                if let Some(joined) = instances.and_then(|of| of.joined.as_mut()) {
                    joined.status = "available".to_owned();
                }
            }
            ClusterEvent::TakenOver(i, by) => self.taken_over(i, by, world),
            ClusterEvent::Second(i, writer) => self.second(i, writer, world),
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
            NetworkChange::Mended => {
                self.servers.mend(world);
                self.found_again(world);
            }
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Store(&self.servers)
    }

    fn servers(&mut self) -> Option<&mut Servers> {
        Some(&mut self.servers)
    }
}

impl SimulatedAurora {
    /// The service reports the lag of a cluster by its own clock, and calls a secondary connected even if its writer is unreachable.
    fn database(&self, i: usize, world: &SimulatedWorld) -> DatabaseState {
        let replayed = self.servers.all[i].source.is_some().then(|| self.servers.replayed(i, world));
        DatabaseState {
            status: self.status(i).to_owned(),
            last_commit: replayed.map(|at| world.by_observer(at)),
            last_commit_there: None,
            clock: None,
            streaming: replayed.map(|_| true),
            cluster: Some(Box::new(self.cluster(i))),
            ..self.servers.database(i, world)
        }
    }

    /// The instances of a cluster and its state.
    fn cluster(&self, i: usize) -> ClusterState {
        let db = &self.servers.all[i];
        let of = &db.reference;
        let instance = ClusterInstance {
            id: format!("{}-1", of.id),
            class: "db.r6g.large".to_owned(),
            status: "available".to_owned(),
            writer: db.source.is_none(),
        };
        let account = of.place.account.as_deref().unwrap_or("000000000000");
        let instances = self.instances.get(&db.site);
        let first = (!instances.is_some_and(|of| of.headless)).then_some(instance);
        ClusterState {
            arn: format!("arn:aws:rds:{}:{account}:cluster:{}", of.place.region, of.id),
            engine: "aurora-postgresql".to_owned(),
            version: "16.4".to_owned(),
            instances: first.into_iter().chain(instances.and_then(|of| of.joined.clone())).collect(),
            forwarding: Vec::new(),
            data_api: false,
        }
    }

    /// The status, as an adapter reports it.
    fn status(&self, i: usize) -> &'static str {
        let db = &self.servers.all[i];
        let joined = |of: &Instances| of.joined.as_ref().is_some_and(|m| m.status == "available");
        let serves = self.instances.get(&db.site).is_none_or(|of| !of.headless || joined(of));
        if serves { db.status } else { HEADLESS }
    }

    fn add_instance(&mut self, db: &DatabaseRef, instance: &NewMember, world: &mut SimulatedWorld) -> Answer {
        let i = self.servers.find(db)?;
        let of = self.instances.entry(self.servers.all[i].site.clone()).or_default();
        if of.joined.is_some() {
            return Err(Refused::for_now("DBInstanceAlreadyExists", "DB instance already exists"));
        }
        let (id, class) = (instance.id.clone(), instance.class.clone());
        of.joined = Some(ClusterInstance { id, class, status: "creating".to_owned(), writer: false });
        let takes = 240_000 + world.roll(&["equip", &db.id], 240_000);
        self.agenda.schedule(world.after(takes), ClusterEvent::Joined(i), world);
        Ok(None)
    }

    /// Whether a cluster cannot be reached from another one.
    fn is_away(&self, i: usize, other: usize, world: &SimulatedWorld) -> bool {
        world.is_lost(self.servers.all[i].site.as_str()) || self.servers.is_between(i, other, world)
    }

    fn take_over(&mut self, db: &DatabaseRef, how: &Takeover, world: &mut SimulatedWorld) -> Answer {
        let i = self.servers.find(db)?;
        let busy = self.servers.all[i].source.is_none() || self.status(i) != "available";
        if busy {
            let why =
                format!("{} has no instance, is being moved, or is the primary already", how.target_arn);
            return Err(Refused::always("InvalidDBClusterStateFault", why));
        }
        if how.by == Handover::Switchover {
            // A switchover needs the writer, which then stops taking writes.
            let Some(old) = self.writer_of(i).filter(|&old| !self.is_away(old, i, world)) else {
                let why = "the primary cluster is not in available state.";
                return Err(Refused::always("InvalidGlobalClusterStateFault", why));
            };
            let old = &mut self.servers.all[old];
            old.stopped_at.get_or_insert(world.now);
            old.status = MOVING;
        }
        let of = &mut self.servers.all[i];
        of.promotions += 1;
        of.status = MOVING;
        let takes = 30_000 + world.roll(&["take over", &db.id, &of.promotions.to_string()], 60_000);
        self.agenda.schedule(world.after(takes), ClusterEvent::TakenOver(i, how.by), world);
        Ok(None)
    }

    fn writer_of(&self, i: usize) -> Option<usize> {
        let of = self.servers.all[i].source.as_deref()?;
        self.servers.all.iter().position(|d| d.reference.id == of && d.source.is_none())
    }

    fn taken_over(&mut self, i: usize, by: Handover, world: &SimulatedWorld) {
        self.servers.all[i].status = "available";
        let Some(old) = self.writer_of(i) else { return };
        self.servers.all[old].status = "available";
        let lost = self.is_away(old, i, world);
        let servers = &mut self.servers;
        if by != Handover::Switchover || !lost {
            servers.comes_over(i, world);
        }
        if by == Handover::Switchover {
            if lost {
                // The writer cannot hand over, so nothing changes.
                return;
            }
            servers.all[i].frozen_at = Some(world.now);
        } else {
            servers.all[i].frozen_at = Some(servers.replayed(i, world));
        }
        servers.wins(i, world);
        for other in (0..self.servers.all.len()).filter(|&other| other != i) {
            if self.is_away(other, i, world) {
                self.left.push((other, i));
            } else {
                self.second(other, i, world);
            }
        }
    }

    /// The region answers again: the service finds old writers there and makes them secondaries.
    fn found_again(&mut self, world: &mut SimulatedWorld) {
        for (other, writer) in std::mem::take(&mut self.left) {
            if self.is_away(other, writer, world) {
                self.left.push((other, writer));
                continue;
            }
            let id = &self.servers.all[other].reference.id;
            let takes = 30_000 + world.roll(&["found", id], 120_000);
            self.agenda.schedule(world.after(takes), ClusterEvent::Second(other, writer), world);
        }
    }

    /// The old writer becomes a secondary. It keeps the security groups that a fence attached.
    fn second(&mut self, other: usize, writer: usize, world: &SimulatedWorld) {
        if self.servers.all[writer].source.is_some() {
            return;
        }
        let of = &self.servers.all[other];
        let kept: BTreeSet<FenceMethod> =
            of.fenced.iter().copied().filter(|m| *m == FenceMethod::SecurityGroup).collect();
        let alone = of.isolation.alone.then_some(FenceMethod::SecurityGroup);
        self.servers.follow(other, writer, world);
        self.servers.all[other].fenced = kept.into_iter().chain(alone).collect();
    }
}
