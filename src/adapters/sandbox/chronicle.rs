//! The state of a simulated estate at each instant: which server would acknowledge a write, which clients reach which server, and the rows
//! of each server. It contains no judgement; a test works out what it means.

use super::estate::Estate;
use super::moment::{Moment, Names, Server, Way};
use super::server::listens;
use crate::model::ids::SiteName;

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
            let leads = |d: &&crate::adapters::sandbox::server::Db| {
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
