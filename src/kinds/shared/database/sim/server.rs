//! A simulated database server: its groups and restarts, the fences in its catalog, and its subscription.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::restore::copy::{Restore, RestoreJob};
use crate::kinds::shared::secret::login::ClientSecret;
use crate::kinds::world::SimulatedWorld;
use crate::model::ids::SiteName;
use crate::model::time::{Dur, Timestamp};

/// The status of a declared name that no instance has.
pub const GONE: &str = "gone";

/// What differs between the products that run databases.
pub struct Product {
    /// Whether an old writer follows the new one as soon as it can, without anybody's call.
    pub follows: bool,
    /// Whether a subscription can write into it.
    pub subscribes: bool,
    /// Whether drctl can query its WAL position by SQL.
    pub tells_its_log: fn(&DatabaseRef) -> bool,
}

/// A database server.
#[derive(Clone)]
pub struct SimulatedServer {
    pub site: SiteName,
    pub reference: DatabaseRef,
    /// The server that it replays. A writer has none.
    pub source: Option<String>,
    pub lag: Dur,
    pub status: &'static str,
    pub groups: BTreeSet<String>,
    /// The fence methods that keep clients from writing.
    pub fenced: BTreeSet<FenceMethod>,
    pub isolation: Isolation,
    pub catalog: Catalog,
    pub worker: Worker,
    /// When the writer stopped acknowledging writes.
    pub stopped_at: Option<Timestamp>,
    /// When replay ended, with the last commit replayed.
    pub frozen_at: Option<Timestamp>,
    pub promotions: u32,
    /// The time to which it was last restored.
    pub restored_to: Option<Timestamp>,
    /// Whether this was the last promoted server of its component.
    pub won: bool,
    /// Its timeline. Every promotion starts a new one.
    pub timeline: u32,
    /// Renamed and set aside: no longer the declared server.
    pub retired: bool,
    /// Whether drctl can query its WAL position by SQL.
    pub tells_its_log: bool,
}

/// The security groups and restarts of a server.
#[derive(Clone, Default)]
pub struct Isolation {
    /// The number of the last change of groups, and whether it is still in progress.
    pub change: u32,
    pub changing: bool,
    /// The group of the fence is the only active one: no new session is accepted.
    pub alone: bool,
    /// The number of accepted restarts, and whether the last one is still pending.
    pub asked: u32,
    pub restarting: bool,
    /// The time of each restart, and when the provider reports it.
    pub restarts: Vec<(Timestamp, Option<Timestamp>)>,
}

impl Isolation {
    /// An earlier fence.
    pub fn in_force() -> Self {
        Self { alone: true, ..Self::default() }
    }
}

/// The state of a fence method that the catalog records.
#[derive(Clone)]
pub enum Change {
    /// Set at the server of this name.
    Set(String),
    Lifted,
}

/// The changes of the fences in the catalog of a server, in order.
#[derive(Clone, Default)]
pub struct Catalog(pub Vec<(Timestamp, FenceMethod, Change)>);

impl Catalog {
    /// The fence methods that are set at a WAL position, with the server that each was set on.
    pub fn at(&self, position: Timestamp) -> BTreeMap<FenceMethod, &str> {
        let mut rungs = BTreeMap::new();
        for (_, method, change) in self.0.iter().filter(|(at, ..)| *at <= position) {
            match change {
                Change::Set(by) => drop(rungs.insert(*method, by.as_str())),
                Change::Lifted => drop(rungs.remove(method)),
            }
        }
        rungs
    }

    pub fn up_to(&self, position: Timestamp) -> Self {
        Self(self.0.iter().filter(|(at, ..)| *at <= position).cloned().collect())
    }
}

/// The worker of a subscription. It writes, but is not a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Worker {
    #[default]
    None,
    Alive,
    Ended,
}

/// A job on a simulated host.
pub struct Job {
    /// When it ends.
    pub ends: Timestamp,
    /// Why it will have failed, if so.
    pub failed: Option<&'static str>,
    /// What it restores.
    pub of: Restore,
}

/// The last job of each server and part.
pub type Jobs = BTreeMap<(usize, RestoreJob), Job>;

/// The endpoint of a simulated server.
pub fn listens(db: &DatabaseRef) -> String {
    db.endpoint.clone().unwrap_or_else(|| format!("{}.{}.sandbox:5432", db.id, db.place.name))
}

impl SimulatedServer {
    /// Whether it would acknowledge a write of a client that reaches it.
    pub fn accepts(&self, world: &SimulatedWorld) -> bool {
        self.source.is_none()
            && self.status == "available"
            && self.fenced.is_empty()
            && !world.is_dead(&self.site)
    }

    /// Whether it takes writes, from clients that reach it or from an apply worker.
    pub fn takes_writes(&self, world: &SimulatedWorld) -> bool {
        self.accepts(world) && world.has_clients(&self.site) || self.applies(world)
    }

    /// Whether an apply worker writes into it. A fence that only keeps clients out does not end the worker, nor does a group with an
    /// outbound rule.
    pub fn applies(&self, world: &SimulatedWorld) -> bool {
        let passes = |m: &FenceMethod| *m == FenceMethod::SecurityGroup && world.scenario.groups_pass;
        let ends = |m: &FenceMethod| !m.tells_the_end() && !passes(m);
        let runs = self.source.is_none() && self.status == "available" && !world.is_dead(&self.site);
        runs && self.worker == Worker::Alive && !self.fenced.iter().any(ends)
    }

    /// Whether the group of the fence is the only one attached, active or not.
    pub fn is_attached(&self) -> bool {
        self.groups.len() == 1 && self.groups.iter().next() == self.reference.fence_group.as_ref()
    }

    /// How far its clock was ahead at a time, in milliseconds.
    pub fn clock(&self, world: &SimulatedWorld, at: Timestamp) -> i64 {
        let of = &self.reference;
        world.clock(of.component.as_str(), (&self.site, &of.place.name), at)
    }

    /// Records in the catalog that a fence method is set, if the catalog keeps it.
    pub fn keep(&mut self, method: FenceMethod, at: Timestamp) {
        if method.replicates() {
            let by = Change::Set(self.reference.id.clone());
            self.catalog.0.push((at, method, by));
        }
    }

    /// Whether its endpoint is the one to which these fields of a secret lead.
    pub fn is_led_to(&self, secret: &ClientSecret, fields: &BTreeMap<String, String>) -> bool {
        secret.leading_to(&listens(&self.reference)).as_ref() == Some(fields)
    }
}
