//! What the engine asks of a kind of component.

use std::collections::BTreeSet;

use super::surroundings::Surroundings;
use crate::kinds::lint::Lint;
use crate::kinds::shared::capacity::scales::Scales;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::shared::copies::Copies;
use crate::kinds::shared::database::plan::Database;
use crate::kinds::shared::names::plan::Names;
use crate::kinds::simulated::Simulated;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs, Reading};
use crate::model::shape::Case;
use crate::model::time::Timestamp;

/// One kind of component, as a plan declares it.
///
/// No method has a default, so that nobody adds a kind without deciding each of them.
pub trait Kind: Sized {
    /// How it behaves in a simulation.
    type Sim: Simulated<Spec = Self>;

    /// Its name in plans, its keys, and what people call it.
    const CASE: Case;

    /// The component that a plan declares; none if the shape already refused what it depends on.
    fn build(node: &Node) -> Option<Self>;

    /// Finds what would go wrong with it in a recovery, when the plan is checked.
    fn lint(&self, of: &mut Lint<'_>);

    /// What it does for the application.
    fn role(&self) -> Role<'_>;

    /// The sites that it names.
    fn sites(&self) -> BTreeSet<SiteName>;

    /// What drctl observes of it.
    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target>;

    /// What drctl observes of it only to judge readiness, because that takes many calls. `active` is the active site; `seed` chooses samples.
    fn samples(
        &self,
        name: &ComponentName,
        plan: &dyn Surroundings,
        active: &SiteName,
        seed: &str,
    ) -> Vec<Target>;

    /// What readiness checks of it beyond what its role needs, such as differences between the sites that only this kind can see.
    fn checks(&self, name: &ComponentName, plan: &dyn Surroundings, seen: &dyn Sight) -> Vec<Check>;

    /// What the credentials must be allowed to do for every recovery that the plan describes.
    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs);
}

/// What a component does for its application. Intents speak of roles, never of kinds. What a new one needs is in CONTRIBUTING, «Add a
/// role».
#[derive(Clone, Copy, Debug)]
pub enum Role<'a> {
    /// It takes writes in one site, and is promoted in another.
    Store(&'a Database),
    /// It does the work, and is scaled.
    Capacity(&'a dyn Scales),
    /// It leads users to a site.
    Traffic(&'a Names),
    /// It connects to a store, and has to be pointed to the new one.
    Clients(&'a Clients),
    /// The provider copies it between the sites.
    Copy(&'a dyn Copies),
    /// The plan declares it; people recover it.
    Declared,
}

/// What holds for every component of a role. There is no wildcard here, so that a new role requires each decision.
#[deny(clippy::wildcard_enum_match_arm)]
impl Role<'_> {
    /// Whether a run may change it, so that the run first takes its guard.
    pub const fn is_changed(self) -> bool {
        match self {
            Self::Store(_) | Self::Capacity(_) | Self::Traffic(_) | Self::Clients(_) => true,
            Self::Copy(_) | Self::Declared => false,
        }
    }

    /// Whether a move of it moves users or their writes.
    pub const fn moves_users(self) -> bool {
        match self {
            Self::Store(_) | Self::Traffic(_) | Self::Clients(_) => true,
            Self::Capacity(_) | Self::Copy(_) | Self::Declared => false,
        }
    }
}

/// What readiness has observed.
pub trait Sight {
    /// The active site, if it is known.
    fn active(&self) -> Option<&SiteName>;

    /// The state of a target.
    ///
    /// # Errors
    /// The result of a check that needs this state, because nothing current is known.
    fn state(&self, target: &Target) -> Result<&State, Reading>;

    /// The result of a check that needs the state of a target, because nothing current is known.
    fn unseen(&self, target: &Target) -> Reading;

    /// Whether anything is known of a target, even that it could not be observed.
    fn asked(&self, target: &Target) -> bool;

    /// The current time.
    fn now(&self) -> Timestamp;
}
