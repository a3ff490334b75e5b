//! Whether users are served, and what really happened to their writes.

use std::collections::BTreeSet;

use super::estate::Estate;
use super::truth::Truth;
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::simulated::SimulatedPart;
use crate::kinds::world::names::{NamesOfZone, SecretRoute};
use crate::model::ids::SiteName;
use crate::record::runbook::{Probe, ProbeRole};

impl Estate {
    /// Every database.
    pub(super) fn stores(&self) -> impl Iterator<Item = &Servers> {
        self.components.iter().filter_map(|of| match of.simulation.part() {
            SimulatedPart::Store(servers) => Some(servers),
            SimulatedPart::Capacity(_) | SimulatedPart::Other => None,
        })
    }

    /// Whether what a component has in a site can serve users, if they reach it.
    fn serves(&self, component: usize, site: &SiteName) -> bool {
        match self.components[component].simulation.part() {
            SimulatedPart::Store(servers) => servers.accepts_in(site, &self.world),
            SimulatedPart::Capacity(pools) => pools.serves(site),
            SimulatedPart::Other => true,
        }
    }

    /// The sites that have servers or capacity.
    fn sites_in_use(&self) -> BTreeSet<&SiteName> {
        let parts = self.components.iter().map(|of| of.simulation.part());
        let sites = parts.map(|part| match part {
            SimulatedPart::Store(servers) => servers.all.iter().map(|d| &d.site).collect::<Vec<_>>(),
            SimulatedPart::Capacity(pools) => pools.all.iter().map(|p| &p.site).collect(),
            SimulatedPart::Other => Vec::new(),
        });
        sites.flatten().collect()
    }

    /// Whether users are served, or would be if they reached these sites.
    fn served(&self, reached: impl Fn(&str) -> bool) -> bool {
        if self.world.names.is_empty() {
            let all = |site: &SiteName| (0..self.components.len()).all(|i| self.serves(i, site));
            return self.sites_in_use().into_iter().any(|site| reached(site.as_str()) && all(site));
        }
        self.world.names.iter().zip(&self.needed).all(|(names, needed)| {
            names.cached_to.iter().all(|site| {
                site.as_ref().is_some_and(|site| {
                    reached(site.as_str())
                        && self.led(names, site)
                        && needed.iter().all(|&i| self.serves(i, site))
                })
            })
        })
    }

    /// Whether the secrets of clients in a site point to servers that take their writes.
    fn led(&self, names: &NamesOfZone, site: &SiteName) -> bool {
        let reads = |of: &ClientSecret| of.place.name == site.as_str() && names.needs.contains(&of.component);
        let there = |secret: &ClientSecret, way: &SecretRoute| match self.part(&way.of) {
            Some(SimulatedPart::Store(servers)) => servers.all.iter().any(|d| {
                d.accepts(&self.world)
                    && self.world.reaches(site.as_str(), d.site.as_str())
                    && d.is_led_to(secret, &way.fields)
            }),
            _ => false,
        };
        self.world.ways.iter().filter(|(of, _)| reads(of)).all(|(secret, way)| there(secret, way))
    }

    /// Whether names lead to a site, after the first switch, in which a database that they need takes no writes.
    fn leads_too_early(&self, needed: &[usize], site: &SiteName) -> bool {
        let ready = |i: &usize| match self.components[*i].simulation.part() {
            SimulatedPart::Store(servers) => servers.accepts_in(site, &self.world),
            SimulatedPart::Capacity(_) | SimulatedPart::Other => true,
        };
        *site != self.world.active && !needed.iter().all(ready)
    }

    /// Records changes of whether users are served, and any violation of an invariant.
    pub(super) fn note_users(&mut self) {
        for servers in self.components.iter_mut().filter_map(|of| of.simulation.servers()) {
            servers.settle(&self.world);
        }
        let (now, served) = (self.world.now, self.served(|site| !self.world.is_lost(site)));
        if self.truth.turns.last().is_none_or(|(_, before)| *before != served) {
            self.truth.turns.push((now, served));
        }
        let writers = |of: &Servers| of.all.iter().filter(|d| d.takes_writes(&self.world)).count();
        let two = self.stores().any(|of| writers(of) > 1);
        match (two, self.two_since) {
            (true, None) => self.two_since = Some(now),
            (false, Some(since)) => {
                self.truth.two_primaries_ms = self.truth.two_primaries_ms.plus(now.since(since));
                self.two_since = None;
            }
            _ => {}
        }
        let zones = self.world.names.iter().zip(&self.needed);
        let early = zones.into_iter().any(|(of, needed)| {
            of.published_to.iter().flatten().any(|site| self.leads_too_early(needed, site))
        });
        self.truth.traffic_before_database |= early;
        self.note_moment();
    }

    /// What really happened so far.
    pub(super) fn truth(&self) -> Truth {
        let mut truth = self.truth.clone();
        for of in self.stores() {
            truth.lost_ms.extend(of.lost(&self.world).map(|lost| (of.component.clone(), lost)));
        }
        if let Some(since) = self.two_since {
            truth.two_primaries_ms = truth.two_primaries_ms.plus(self.world.now.since(since));
        }
        truth
    }

    /// The result of a probe by drctl.
    pub(super) fn probe(&self, probe: &Probe) -> bool {
        match (probe.role, &probe.site) {
            (ProbeRole::Site, Some(site)) => {
                let zones = self.world.names.iter().zip(&self.needed);
                !self.world.is_unseen(site.as_str())
                    && zones.into_iter().all(|(names, needed)| {
                        self.led(names, site) && needed.iter().all(|&i| self.serves(i, site))
                    })
            }
            _ => self.served(|site| !self.world.is_unseen(site)),
        }
    }
}
