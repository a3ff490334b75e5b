//! What the terms of a run make of it: whether they hold together, and whether what was achieved under them proves anything.

use super::RunState;
use crate::model::event::RunCreated;
use crate::model::terms::{Endpoint, Environment};
use crate::plan::terms::known;

/// Why the terms that a run is written to have begun under cannot be those, if they cannot.
pub fn contradiction(created: &RunCreated) -> Option<&'static str> {
    if created.terms.digest() != created.terms_digest {
        return Some("their digest is another: they were changed after it began");
    }
    let others = created.terms.operators != known(&created.authority);
    others.then_some("they name other operators than those whose word it takes")
}

impl RunState {
    /// Addresses that its calls went to, and that are not the provider's own for the service.
    pub fn foreign_endpoints(&self) -> Vec<&Endpoint> {
        self.created.terms.endpoints.union(&self.endpoints).filter(|endpoint| endpoint.is_foreign()).collect()
    }

    /// What the estate was for.
    pub const fn environment(&self) -> Environment {
        self.created.terms.environment
    }

    /// Why nothing that was achieved proves an objective: somebody else than the provider may have answered. In an estate that was declared
    /// a test nothing is proven of production, and figures are judged as they are.
    pub fn proves_no_objective(&self) -> Option<String> {
        let foreign = self.foreign_endpoints();
        if foreign.is_empty() || self.environment() == Environment::Test {
            return None;
        }
        let named: Vec<String> = foreign.into_iter().map(ToString::to_string).collect();
        Some(format!("calls went to endpoints that are not the provider's own: {}", named.join(", ")))
    }

    /// Why it counts for no compliance and verifies no application, if that is so.
    pub fn counts_for_nothing(&self) -> Option<String> {
        let test = || "drctl.yaml declared a test estate (environment: test)".to_owned();
        self.proves_no_objective().or_else(|| (self.environment() == Environment::Test).then(test))
    }
}
