//! The state of a simulated estate at each instant: which server would acknowledge a write, which clients reach which server, and the rows
//! of each server. It contains no judgement; a test works out what it means.

use std::collections::BTreeSet;

use super::build::listens;
use super::estate::Estate;
use crate::kinds::aws::route53::RecordSet;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Timestamp;

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What it is a server of.
    pub component: ComponentName,
    /// Where it is.
    pub site: SiteName,
    /// Its name.
    pub id: String,
    /// Set aside under another name: the plan declares it no more.
    pub aside: bool,
    /// It would acknowledge a write of a client that reaches it.
    pub accepts: bool,
    /// It would let in a client that has no session yet.
    pub admits: bool,
    /// Rows land in it: clients reach it that would write, or a worker applies what comes from elsewhere.
    pub reached: bool,
    /// The server that it follows.
    pub follows: Option<String>,
    /// Of a server that followed another one: up to when it has what was written there.
    pub kept: Option<Timestamp>,
}

/// The names of one component, as they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The component.
    pub component: ComponentName,
    /// By authoritative servers.
    pub published: Vec<RecordSet>,
    /// By the resolvers of users.
    pub cached: Vec<RecordSet>,
}

/// Where the clients of a component in one site are led: a place without a server leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The clients.
    pub component: ComponentName,
    /// Where they are.
    pub site: SiteName,
    /// Site and name of the server.
    pub leads_to: Option<(SiteName, String)>,
}

/// One instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Sites that nobody outside reaches.
    pub unreached: BTreeSet<SiteName>,
    /// Those of them of which no control plane tells anything either.
    pub dark: BTreeSet<SiteName>,
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
    /// From now on everything is written down.
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
        let capacity = self.groups.iter();
        let unreached: BTreeSet<_> =
            self.is_lost(self.home.as_str()).then(|| self.home.clone()).into_iter().collect();
        Moment {
            at: self.now,
            dark: unreached.iter().filter(|_| self.scenario.control_plane_lost).cloned().collect(),
            unreached,
            servers: servers.collect(),
            capacity: capacity
                .map(|g| (g.reference.component.clone(), g.site.clone(), g.in_service))
                .collect(),
            names: names.collect(),
            ways: ways.collect(),
        }
    }
}
