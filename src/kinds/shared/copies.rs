//! What the provider copies between the sites by itself.

use std::fmt;

use crate::kinds::shared::buckets::Sample;
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::ids::{ComponentName, SiteName};

/// What the engine asks of such a component.
///
/// No method has a default, so that nobody adds a kind without deciding each of them.
pub trait Copies: fmt::Debug {
    /// Whether it has a part in a site.
    fn is_in(&self, site: &SiteName) -> bool;

    /// The comparison of one site's part with its copy in another; `None` if a site has none. `seed` chooses what is compared.
    fn compared(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        sites: (&SiteName, &SiteName),
        seed: &str,
    ) -> Option<Sample>;

    /// Notes for the reader about a copy, before users are moved to it.
    fn notes(&self, of: &Sample, seen: &dyn Observed) -> Vec<String>;

    /// Why a recovery needs nothing of it.
    fn unaided(&self) -> &'static str;
}

/// What was observed.
pub trait Observed {
    /// The state of a target.
    ///
    /// # Errors
    /// Why it is not known.
    fn state(&self, target: &Target) -> Result<&State, String>;
}
