//! The state of a simulated estate at each instant: which server would acknowledge a write, which clients reach which server, and the rows
//! of each server. It contains no judgement; a test works out what it means.

use super::estate::Estate;
use super::moment::{ClientRoute, Moment, Names, Server};
use crate::kinds::shared::capacity::sim::Pool;
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::simulated::SimulatedPart;
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
        let world = &self.world;
        let ways = world.ways.iter().map(|(of, way)| {
            let to = self.stores().filter(|store| store.component == way.of).flat_map(|store| &store.all);
            let to = to.into_iter().find(|d| d.is_led_to(of, &way.fields));
            ClientRoute {
                component: of.component.clone(),
                site: SiteName::new(of.place.name.as_str()),
                leads_to: to.map(|d| (d.site.clone(), d.reference.id.clone())),
            }
        });
        let names = world.names.iter().map(|of| Names {
            component: of.component.clone(),
            published: of.published.clone(),
            cached: of.cached.clone(),
        });
        let capacity = self.components.iter().flat_map(|of| match of.simulation.part() {
            SimulatedPart::Capacity(pools) => {
                let in_service = pools.all.iter();
                let of = |pool: &Pool| (pools.component.clone(), pool.site.clone(), pool.capacity.in_service);
                in_service.map(of).collect()
            }
            SimulatedPart::Store(_) | SimulatedPart::Other => Vec::new(),
        });
        let sites = |of: &dyn Fn(&str) -> bool| {
            world.sites.iter().filter(|s| of(s.as_str())).map(|s| SiteName::new(s.as_str())).collect()
        };
        Moment {
            at: world.now,
            unreached: sites(&|site| world.is_lost(site)),
            unseen: sites(&|site| world.is_unseen(site)),
            dark: sites(&|site| world.is_dark(site)),
            apart: world.is_apart("", world.home.as_str()),
            servers: self.stores().flat_map(|of| self.servers(of)).collect(),
            capacity: capacity.collect(),
            names: names.collect(),
            ways: ways.collect(),
        }
    }

    fn servers<'a>(&'a self, of: &'a Servers) -> impl Iterator<Item = Server> + 'a {
        let world = &self.world;
        of.all.iter().zip(0..).map(move |(db, i)| Server {
            component: db.reference.component.clone(),
            site: db.site.clone(),
            id: db.reference.id.clone(),
            aside: db.retired,
            accepts: db.accepts(world),
            admits: db.accepts(world) && !db.is_attached(),
            reached: db.takes_writes(world),
            follows: db.source.clone(),
            kept: if db.source.is_some() { Some(of.replayed(i, world)) } else { db.frozen_at },
            restored_to: db.restored_to,
            clock_ms: db.clock(world, world.now),
        })
    }
}
