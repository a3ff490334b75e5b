//! A simulated database server: its groups and restarts, the fences in its catalog, its subscription, and the jobs on its host.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::shared::database::{ClusterInstance, DatabaseRef};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restore::{Part, Restore};
use crate::model::ids::SiteName;
use crate::model::time::{Dur, Timestamp};

/// The status of a declared name that no instance has.
pub(super) const GONE: &str = "gone";

/// A database server.
#[derive(Clone)]
pub(super) struct Db {
    pub(super) site: SiteName,
    /// The same number for all servers of a component.
    pub(super) component: usize,
    pub(super) reference: DatabaseRef,
    /// The server that it replays. A writer has none.
    pub(super) source: Option<String>,
    pub(super) lag: Dur,
    pub(super) status: &'static str,
    pub(super) groups: BTreeSet<String>,
    /// The fence methods that keep clients from writing.
    pub(super) fenced: BTreeSet<FenceMethod>,
    pub(super) isolation: Isolation,
    pub(super) catalog: Catalog,
    pub(super) worker: Worker,
    /// When the writer stopped acknowledging writes.
    pub(super) stopped_at: Option<Timestamp>,
    /// When replay ended, with the last commit replayed.
    pub(super) frozen_at: Option<Timestamp>,
    pub(super) promotions: u32,
    /// The time to which it was last restored.
    pub(super) restored_to: Option<Timestamp>,
    /// Whether this was the last promoted server of its component.
    pub(super) won: bool,
    /// Its timeline. Every promotion starts a new one.
    pub(super) timeline: u32,
    /// Renamed and set aside: no longer the declared server.
    pub(super) retired: bool,
    /// Whether the cluster was declared without instances.
    pub(super) headless: bool,
    /// The instance that a run added.
    pub(super) joined: Option<ClusterInstance>,
}

/// The security groups and restarts of a server.
#[derive(Clone, Default)]
pub(super) struct Isolation {
    /// The number of the last change of groups, and whether it is still in progress.
    pub(super) change: u32,
    pub(super) changing: bool,
    /// The group of the fence is the only active one: no new session is accepted.
    pub(super) alone: bool,
    /// The number of accepted restarts, and whether the last one is still pending.
    pub(super) asked: u32,
    pub(super) restarting: bool,
    /// The time of each restart, and when the provider reports it.
    pub(super) restarts: Vec<(Timestamp, Option<Timestamp>)>,
}

/// A scheduled event of a server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happens {
    /// The change of groups with this number becomes active.
    Grouped(u32),
    /// The requested restart with this number happens.
    Restarted(u32),
    /// Somebody else restarts the server.
    ByOthers,
}

impl Isolation {
    /// An earlier fence.
    pub(super) fn in_force() -> Self {
        Self { alone: true, ..Self::default() }
    }
}

/// The state of a fence method that the catalog records.
#[derive(Clone)]
pub(super) enum Change {
    /// Set at the server of this name.
    Set(String),
    Lifted,
}

/// The changes of the fences in the catalog of a server, in order.
#[derive(Clone, Default)]
pub(super) struct Catalog(pub(super) Vec<(Timestamp, FenceMethod, Change)>);

impl Catalog {
    /// The fence methods that are set at a WAL position, with the server that each was set on.
    pub(super) fn at(&self, position: Timestamp) -> BTreeMap<FenceMethod, &str> {
        let mut rungs = BTreeMap::new();
        for (_, method, change) in self.0.iter().filter(|(at, ..)| *at <= position) {
            match change {
                Change::Set(by) => drop(rungs.insert(*method, by.as_str())),
                Change::Lifted => drop(rungs.remove(method)),
            }
        }
        rungs
    }

    pub(super) fn up_to(&self, position: Timestamp) -> Self {
        Self(self.0.iter().filter(|(at, ..)| *at <= position).cloned().collect())
    }
}

/// The worker of a subscription. It writes, but is not a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Worker {
    #[default]
    None,
    Alive,
    Ended,
}

/// A job on a simulated host.
pub(super) struct Job {
    pub(super) ends: Timestamp,
    pub(super) failed: Option<&'static str>,
    pub(super) of: Restore,
}

/// The last job of each server and part.
pub(super) type Jobs = BTreeMap<(usize, Part), Job>;

/// The endpoint of a simulated server.
pub(super) fn listens(db: &DatabaseRef) -> String {
    db.endpoint.clone().unwrap_or_else(|| format!("{}.{}.sandbox:5432", db.id, db.place.name))
}
