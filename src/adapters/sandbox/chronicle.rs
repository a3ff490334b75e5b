//! The state of a simulated estate at each instant: which server would acknowledge a write, which clients reach which server, and the rows
//! of each server. It contains no judgement; a test works out what it means.

use std::collections::BTreeSet;

use super::build::listens;
use super::estate::Estate;
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
pub struct Way {
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
    pub ways: Vec<Way>,
}

impl Estate {
    /// Starts to record the state at each instant.
    pub(super) fn chronicle(&mut self) {
        self.moments.get_or_insert_default();
        self.note_moment();
    }

    pub(super) fn note_moment(&mut self) {
        if self.moments.is_none() {
            return;
        }
        let moment = self.moment();
        if let Some(moments) = &mut self.moments {
            moments.push(moment);
        }
    }

    fn moment(&self) -> Moment {
        let servers = (0..self.dbs.len()).map(|i| {
            let db = &self.dbs[i];
            Server {
                component: db.reference.component.clone(),
                site: db.site.clone(),
                id: db.reference.id.clone(),
                aside: db.retired,
                accepts: self.accepts(db),
                admits: self.accepts(db) && !self.is_attached(i),
                reached: self.takes_writes(db),
                follows: db.source.clone(),
                kept: if db.source.is_some() { Some(self.replayed(i)) } else { db.frozen_at },
                restored_to: db.restored_to,
                clock_ms: self.clock(db, self.now),
            }
        });
        let ways = self.secrets.iter().map(|(of, led)| {
            let leads = |d: &&super::estate::Db| {
                d.reference.component == led.of
                    && of.leading_to(&listens(&d.reference)).as_ref() == Some(&led.fields)
            };
            let to = self.dbs.iter().find(leads);
            Way {
                component: of.component.clone(),
                site: SiteName::new(of.place.name.as_str()),
                leads_to: to.map(|d| (d.site.clone(), d.reference.id.clone())),
            }
        });
        let names = self.zones.iter().map(|z| Names {
            component: z.reference.component.clone(),
            published: z.published.clone(),
            cached: z.cached.clone(),
        });
        let capacity = self.pools.iter();
        let sites = |of: &dyn Fn(&str) -> bool| {
            self.sites.iter().filter(|s| of(s.as_str())).map(|s| SiteName::new(s.as_str())).collect()
        };
        Moment {
            at: self.now,
            unreached: sites(&|site| self.is_lost(site)),
            unseen: sites(&|site| self.is_unseen(site)),
            dark: sites(&|site| self.is_dark(site)),
            apart: self.is_apart("", self.home.as_str()),
            servers: servers.collect(),
            capacity: capacity
                .map(|p| (p.component.clone(), p.site.clone(), p.capacity.in_service))
                .collect(),
            names: names.collect(),
            ways: ways.collect(),
        }
    }
}
