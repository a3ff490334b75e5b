//! The state of a simulated estate at one instant, as a test reads it.

use std::collections::BTreeSet;

use crate::kinds::shared::names::RecordSet;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Timestamp;

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The component that it belongs to.
    pub component: ComponentName,
    /// Its site.
    pub site: SiteName,
    /// Its name.
    pub id: String,
    /// Renamed and set aside: no longer the declared server.
    pub aside: bool,
    /// Would acknowledge a write from a client that reaches it.
    pub accepts: bool,
    /// Would accept a new session.
    pub admits: bool,
    /// Receives writes: from clients that reach it, or from an apply worker.
    pub reached: bool,
    /// The server that it replays.
    pub follows: Option<String>,
    /// If it replays or replayed another server: the time up to which it has that server's writes.
    pub kept: Option<Timestamp>,
    /// If it was restored: the time up to which it then had its own writes.
    pub restored_to: Option<Timestamp>,
    /// How far its own clock is ahead, in milliseconds.
    pub clock_ms: i64,
}

/// The DNS names of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The component.
    pub component: ComponentName,
    /// The answers of authoritative servers.
    pub published: Vec<RecordSet>,
    /// The answers of the users' resolvers.
    pub cached: Vec<RecordSet>,
}

/// The server to which the clients of a component in one site are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRoute {
    /// The clients.
    pub component: ComponentName,
    /// Their site.
    pub site: SiteName,
    /// Site and name of the server; `None` if no server is there.
    pub leads_to: Option<(SiteName, String)>,
}

/// The state at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub at: Timestamp,
    /// Sites that nobody outside can reach.
    pub unreached: BTreeSet<SiteName>,
    /// Sites whose servers drctl cannot reach.
    pub unseen: BTreeSet<SiteName>,
    /// Those of them whose control planes do not answer it either.
    pub dark: BTreeSet<SiteName>,
    /// Whether the sites do not reach each other, although none of them is lost.
    pub apart: bool,
    /// Every database server.
    pub servers: Vec<Server>,
    /// Instances in service, by component and site.
    pub capacity: Vec<(ComponentName, SiteName, u32)>,
    /// Every zone.
    pub names: Vec<Names>,
    /// Every client's secret.
    pub ways: Vec<ClientRoute>,
}
