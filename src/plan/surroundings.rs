//! What the kinds of the components may ask of a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::graph;
use super::types::Plan;
use crate::kinds::{Site, Spec, Surroundings};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::place::Place;

impl Surroundings for Plan {
    fn site(&self, name: &SiteName) -> Option<&Place> {
        self.sites.get(name).map(|site| &site.place)
    }

    fn connection(&self, name: &str) -> Option<&Place> {
        self.connections.get(name).or_else(|| self.site(&SiteName::new(name)))
    }

    fn components(&self) -> Vec<(&ComponentName, &Spec)> {
        self.components.iter().map(|(name, component)| (name, &component.spec)).collect()
    }

    fn sites(&self) -> &BTreeMap<SiteName, Site> {
        &self.sites
    }

    fn connections(&self) -> &BTreeMap<String, Place> {
        &self.connections
    }

    fn home(&self) -> &SiteName {
        &self.home.value
    }

    fn objectives(&self) -> Objectives {
        self.objectives
    }

    fn objectives_of(&self, component: &ComponentName) -> Objectives {
        self.components.get(component).and_then(|c| c.objectives).unwrap_or(self.objectives)
    }

    fn reach(&self, component: &ComponentName) -> BTreeSet<ComponentName> {
        graph::reach(self, component)
    }
}
