//! What the engine asks of something that people recover.

use std::collections::BTreeSet;

use super::plan::{External, KEYS};
use super::sim::NotSimulated;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for External {
    type Sim = NotSimulated;

    const CASE: Case = Case { name: "external", keys: &KEYS, called: &[] };

    fn build(_: &Node) -> Option<Self> {
        Some(Self)
    }

    fn lint(&self, _: &mut Lint<'_>) {}

    fn role(&self) -> Role<'_> {
        Role::Declared
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        BTreeSet::new()
    }

    fn targets(&self, _: &ComponentName, _: &dyn Surroundings) -> Vec<Target> {
        Vec::new()
    }

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
    }

    fn permissions(&self, _: &ComponentName, _: &dyn Surroundings, _: &mut Needs) {}
}
