//! What a kind may ask of the plan that its component is in.

use std::collections::{BTreeMap, BTreeSet};

use super::list::Spec;
use crate::model::finding::Span;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::place::Place;

/// What a kind may ask of the plan that its component is in.
pub trait Surroundings {
    /// The place of a site.
    fn site(&self, name: &SiteName) -> Option<&Place>;

    /// A connection, or the site of that name.
    fn connection(&self, name: &str) -> Option<&Place>;

    /// Every component, by name.
    fn components(&self) -> Vec<(&ComponentName, &Spec)>;

    /// Every site.
    fn sites(&self) -> &BTreeMap<SiteName, Site>;

    /// Every connection.
    fn connections(&self) -> &BTreeMap<String, Place>;

    /// The site that failback goes to.
    fn home(&self) -> &SiteName;

    /// The objectives of the plan.
    fn objectives(&self) -> Objectives;

    /// The objectives of a component: its own, or else those of the plan.
    fn objectives_of(&self, component: &ComponentName) -> Objectives;

    /// Everything that a component needs to serve, without the component itself.
    fn reach(&self, component: &ComponentName) -> BTreeSet<ComponentName>;
}

/// A site where the application can run.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its place.
    pub place: Place,
    /// False if it is never a target.
    pub recovery: bool,
    /// Where it is declared.
    pub span: Span,
}
