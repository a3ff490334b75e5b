//! Kind `external`: declared and displayed, but recovered by people.

mod sim;

use std::collections::BTreeSet;

use self::sim::NotSimulated;
use super::surroundings::Surroundings;
use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::{Case, Keys, Shape, opt};

const KEYS: Keys = Keys {
    name: "external component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt("describe", Shape::Prose, "what recovers it (text for people)"),
    ],
};

/// Something that people recover.
#[derive(Clone, Debug)]
pub struct External;

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
