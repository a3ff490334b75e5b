//! What a component that is scaled must offer, and its capacity.

use std::collections::BTreeMap;
use std::fmt;

use super::share::CapacityShare;
use super::size::{Capacity, Size};
use crate::kinds::operation::Operation;
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::ids::{ComponentName, SiteName};

/// A component that is scaled.
pub trait Scales: fmt::Debug {
    /// What is scaled in each site, in words: `group`.
    fn thing(&self) -> &'static str;

    /// One part of the capacity, in words: `instance`.
    fn unit(&self) -> &'static str;

    /// The provider's name of what is scaled in a site.
    fn name_in(&self, site: &SiteName) -> Option<&str>;

    /// How much each site must reach.
    fn shares(&self) -> BTreeMap<&SiteName, &CapacityShare>;

    /// What is scaled in a site.
    fn target(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<Target>;

    /// The operation that gives it a size, and what a reader of the runbook should know of it.
    ///
    /// # Errors
    /// Why it cannot be scaled, and what to do.
    fn scale(&self, of: &Target, seen: &State, to: Size, proceed_at: u32) -> Result<Scaling, Unscalable>;

    /// The state that an observation of this capacity gives.
    fn observed(&self) -> fn(Capacity) -> State;
}

/// Why something cannot be scaled.
#[derive(Debug)]
pub struct Unscalable {
    /// What was observed.
    pub facts: String,
    /// What to do.
    pub fix: String,
}

impl Unscalable {
    /// What was observed is of another kind.
    pub fn other(of: &Target) -> Self {
        Self {
            facts: format!("the answer about {of} was for a different target"),
            fix: "run drctl observe".to_owned(),
        }
    }
}

/// A change of the size, as it goes into a runbook.
#[derive(Debug)]
pub struct Scaling {
    /// The operation.
    pub operation: Operation,
    /// What a reader of the runbook should know.
    pub note: Option<String>,
}
