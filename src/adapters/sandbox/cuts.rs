//! Parts of the network that are cut for a time. A cut stops no server and no call that was accepted.

use super::estate::{Estate, Transition};
use super::scenario::Link;

impl Estate {
    pub(super) fn schedule_cuts(&mut self) {
        for cut in self.scenario.cuts.into_iter().flatten() {
            let since = self.began + cut.after;
            self.schedule(since, Transition::Cut);
            if let Some(lasts) = cut.lasts {
                self.schedule(since + lasts, Transition::Mended);
            }
        }
        if let Some(step) = self.scenario.clock_step {
            self.schedule(self.began + step.after, Transition::ClockSet);
        }
    }

    fn is_cut(&self, link: Link) -> bool {
        self.scenario.cuts.iter().flatten().any(|cut| {
            let since = self.began + cut.after;
            cut.link == link && since <= self.now && cut.lasts.is_none_or(|lasts| self.now < since + lasts)
        })
    }

    fn home_is_lost(&self) -> bool {
        self.lost_at.is_some() && !self.back || self.is_cut(Link::Home)
    }

    /// Whether nobody outside reaches a site.
    pub(super) fn is_lost(&self, site: &str) -> bool {
        if site == self.home.as_str() {
            return self.home_is_lost();
        }
        self.sites.contains(site) && self.is_cut(Link::Recovery)
    }

    /// Whether drctl reaches no server of a site.
    pub(super) fn is_unseen(&self, site: &str) -> bool {
        self.is_lost(site) || site == self.home.as_str() && self.is_cut(Link::Drctl)
    }

    /// Whether its control plane does not answer drctl either.
    pub(super) fn is_dark(&self, site: &str) -> bool {
        let home = site == self.home.as_str();
        self.is_unseen(site) && (!home || self.scenario.control_plane_lost || self.is_cut(Link::Drctl))
    }

    /// Whether the network between two sites is cut, apart from a loss of the home site.
    pub(super) fn is_apart(&self, one: &str, other: &str) -> bool {
        one != other && (self.is_cut(Link::Sites) || self.is_cut(Link::Recovery))
    }

    /// Whether two servers cannot reach each other for that reason.
    pub(super) fn is_between(&self, one: usize, other: usize) -> bool {
        self.is_apart(self.dbs[one].site.as_str(), self.dbs[other].site.as_str())
    }

    /// Whether clients in one site reach servers in another.
    pub(super) fn reaches(&self, from: &str, to: &str) -> bool {
        from == to || !self.is_lost(from) && !self.is_lost(to) && !self.is_apart(from, to)
    }

    /// Whether nothing from its source reaches a replica.
    fn is_severed(&self, i: usize) -> bool {
        let of = &self.dbs[i];
        let Some(source) = self.source(of) else { return false };
        let from_home = source.site == self.home && of.site != self.home;
        let silent = self.home_is_lost() && (!self.scenario.replicates || self.dead);
        from_home && silent || self.is_apart(of.site.as_str(), source.site.as_str())
    }

    /// Stops the replication that no network carries any more. Writes that were not shipped yet stay where they are.
    pub(super) fn cut(&mut self) {
        for i in 0..self.dbs.len() {
            if self.dbs[i].frozen_at.is_none() && self.is_severed(i) {
                self.dbs[i].frozen_at = Some(self.replayed(i));
                self.cut_off.push(i);
            }
        }
    }

    /// Replicas that receive again continue from their positions if the scenario says so.
    pub(super) fn mend(&mut self) {
        for i in std::mem::take(&mut self.cut_off) {
            if self.is_severed(i) {
                self.cut_off.push(i);
            } else if self.source(&self.dbs[i]).is_some() && self.scenario.heals {
                self.dbs[i].frozen_at = None;
            }
        }
        self.found_again();
    }
}
