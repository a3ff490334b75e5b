//! Whether users are served, and what really happened to their writes.

use std::collections::BTreeSet;

use super::estate::{Estate, Zone};
use super::server::{Db, listens};
use super::truth::Truth;
use crate::kinds::shared::secret::ClientSecret;
use crate::model::ids::SiteName;
use crate::record::runbook::{Probe, ProbeRole};

impl Estate {
    /// Whether these servers of a site can serve users, if they reach it.
    fn serves(&self, (dbs, pools): &(Vec<usize>, Vec<usize>)) -> bool {
        pools.iter().all(|&p| self.pools[p].capacity.in_service > 0)
            && dbs.iter().all(|&d| self.accepts(&self.dbs[d]))
    }

    /// Whether users are served, or would be if they reached these sites.
    fn served(&self, reached: impl Fn(&str) -> bool) -> bool {
        if self.zones.is_empty() {
            let sites: BTreeSet<_> =
                self.dbs.iter().map(|d| &d.site).chain(self.pools.iter().map(|p| &p.site)).collect();
            return sites
                .into_iter()
                .any(|site| reached(site.as_str()) && self.serves(&self.all_servers(site)));
        }
        let leads_somewhere = |zone: &Zone, site: &Option<SiteName>| {
            site.as_ref().is_some_and(|site| {
                let servers = zone.servers.get(site);
                reached(site.as_str()) && self.led(zone, site) && servers.is_none_or(|s| self.serves(s))
            })
        };
        self.zones.iter().all(|zone| zone.cached_to.iter().all(|site| leads_somewhere(zone, site)))
    }

    /// Whether the secrets of clients in a site point to servers that take their writes.
    fn led(&self, zone: &Zone, site: &SiteName) -> bool {
        let reads = |of: &ClientSecret| of.place.name == site.as_str() && zone.needs.contains(&of.component);
        self.secrets.iter().filter(|(of, _)| reads(of)).all(|(of, led)| {
            let there = |d: &Db| {
                d.reference.component == led.of
                    && self.accepts(d)
                    && self.reaches(site.as_str(), d.site.as_str())
                    && of.leading_to(&listens(&d.reference)).as_ref() == Some(&led.fields)
            };
            self.dbs.iter().any(there)
        })
    }

    fn all_servers(&self, site: &SiteName) -> (Vec<usize>, Vec<usize>) {
        let declared = |i: &usize| self.dbs[*i].site == *site && !self.dbs[*i].retired;
        let dbs = (0..self.dbs.len()).filter(declared).collect();
        (dbs, (0..self.pools.len()).filter(|&i| self.pools[i].site == *site).collect())
    }

    /// Records changes of whether users are served, and any violation of an invariant.
    pub(super) fn note_users(&mut self) {
        self.note_writers();
        let served = self.served(|site| !self.is_lost(site));
        if self.truth.turns.last().is_none_or(|(_, before)| *before != served) {
            self.truth.turns.push((self.now, served));
        }
        let mut writers = vec![false; self.dbs.len()];
        let two = self
            .dbs
            .iter()
            .filter(|d| self.takes_writes(d))
            .any(|d| std::mem::replace(&mut writers[d.component], true));
        match (two, self.two_since) {
            (true, None) => self.two_since = Some(self.now),
            (false, Some(since)) => {
                self.truth.two_primaries_ms = self.truth.two_primaries_ms.plus(self.now.since(since));
                self.two_since = None;
            }
            _ => {}
        }
        let early = |zone: &Zone, site: &SiteName| {
            let ready = |(dbs, _): &(Vec<usize>, Vec<usize>)| dbs.iter().all(|&d| self.accepts(&self.dbs[d]));
            *site != self.active && !zone.servers.get(site).is_none_or(ready)
        };
        self.truth.traffic_before_database |=
            self.zones.iter().any(|z| z.published_to.iter().flatten().any(|site| early(z, site)));
        self.note_moment();
    }

    /// What really happened so far.
    pub(super) fn truth(&self) -> Truth {
        let mut truth = self.truth.clone();
        let promoted = |i: &usize| self.dbs[*i].won && self.dbs[*i].source.is_none();
        for i in (0..self.dbs.len()).filter(promoted) {
            let lost = truth.lost_ms.entry(self.dbs[i].reference.component.clone()).or_default();
            *lost = self.loss(i).max(*lost);
        }
        if let Some(since) = self.two_since {
            truth.two_primaries_ms = truth.two_primaries_ms.plus(self.now.since(since));
        }
        truth
    }

    /// The result of a probe by drctl.
    pub(super) fn probe(&self, probe: &Probe) -> bool {
        match (probe.role, &probe.site) {
            (ProbeRole::Site, Some(site)) => {
                let of_zones =
                    |z: &Zone| self.led(z, site) && z.servers.get(site).is_none_or(|s| self.serves(s));
                !self.is_unseen(site.as_str()) && self.zones.iter().all(of_zones)
            }
            _ => self.served(|site| !self.is_unseen(site)),
        }
    }
}
