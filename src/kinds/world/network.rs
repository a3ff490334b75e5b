//! Who reaches whom: the loss of a site, and parts of the network that are cut for a time. A cut stops no server and no call that was
//! accepted.

use super::SimulatedWorld;
use super::scenario::Link;
use crate::model::ids::SiteName;
use crate::model::time::Timestamp;

impl SimulatedWorld {
    /// The home site is lost.
    pub fn lose(&mut self) {
        self.lost_at = Some(self.now);
        self.dead |= self.scenario.primary_dies;
    }

    /// It can be reached again.
    pub const fn come_back(&mut self) {
        self.back = true;
    }

    /// When it was lost.
    pub const fn lost_at(&self) -> Option<Timestamp> {
        self.lost_at
    }

    fn is_cut(&self, link: Link) -> bool {
        self.scenario.cuts.iter().flatten().any(|cut| {
            let since = self.began + cut.after;
            cut.link == link && since <= self.now && cut.lasts.is_none_or(|lasts| self.now < since + lasts)
        })
    }

    /// Whether nobody outside reaches the home site.
    pub fn home_is_lost(&self) -> bool {
        self.lost_at.is_some() && !self.back || self.is_cut(Link::Home)
    }

    /// Whether nobody outside reaches a site.
    pub fn is_lost(&self, site: &str) -> bool {
        if site == self.home.as_str() {
            return self.home_is_lost();
        }
        self.sites.contains(site) && self.is_cut(Link::Recovery)
    }

    /// Whether drctl reaches no server of a site.
    pub fn is_unseen(&self, site: &str) -> bool {
        self.is_lost(site) || site == self.home.as_str() && self.is_cut(Link::Drctl)
    }

    /// Whether its control plane does not answer drctl either.
    pub fn is_dark(&self, site: &str) -> bool {
        let home = site == self.home.as_str();
        self.is_unseen(site) && (!home || self.scenario.control_plane_lost || self.is_cut(Link::Drctl))
    }

    /// Whether the servers of a site are gone.
    pub fn is_dead(&self, site: &SiteName) -> bool {
        self.dead && *site == self.home
    }

    /// Whether the network between two sites is cut, apart from a loss of the home site.
    pub fn is_apart(&self, one: &str, other: &str) -> bool {
        one != other && (self.is_cut(Link::Sites) || self.is_cut(Link::Recovery))
    }

    /// Whether clients in one site reach servers in another.
    pub fn reaches(&self, from: &str, to: &str) -> bool {
        from == to || !self.is_lost(from) && !self.is_lost(to) && !self.is_apart(from, to)
    }

    /// Whether nothing that is sent in one site arrives in another.
    pub fn is_severed(&self, from: &SiteName, to: &SiteName) -> bool {
        let from_home = *from == self.home && *to != self.home;
        let silent = self.home_is_lost() && (!self.scenario.replicates || self.dead);
        from_home && silent || self.is_apart(to.as_str(), from.as_str())
    }

    /// Whether clients in a site still write, if its servers accept that.
    pub fn has_clients(&self, site: &SiteName) -> bool {
        *site != self.home || !self.is_lost(site.as_str()) || !self.clients_gone
    }

    /// How far the clock of a server of a component was ahead at a time, in milliseconds.
    pub fn clock(&self, component: &str, (site, place): (&SiteName, &str), at: Timestamp) -> i64 {
        let most = self.scenario.skew.millis();
        let drawn = self.roll(&["clock", component, place], 2 * most + 1);
        let set = self
            .scenario
            .clock_step
            .filter(|step| step.at_home == (*site == self.home) && at >= self.began + step.after);
        drawn.cast_signed() - most.cast_signed() + set.map_or(0, |step| step.by_ms)
    }
}
