//! What the terms of a run make of it: whether they hold together, and whether what was achieved under them proves anything.

use std::collections::BTreeSet;

use super::RunState;
use super::state::Mode;
use crate::kinds::Operation;
use crate::model::environment::{Endpoint, Environment, Source};
use crate::model::evidence::Under;
use crate::plan::terms::known;
use crate::record::action::Action;
use crate::record::event::{Outcome, RunCreated};

/// How endpoints of routing controls are called.
const CLUSTER: &str = "route53-recovery-cluster";

/// Why the terms that a run is written to have begun under cannot be those, if they cannot.
pub fn contradiction(created: &RunCreated) -> Option<&'static str> {
    if created.terms.digest() != created.terms_digest {
        return Some("their digest differs: they changed after the run started");
    }
    let others = created.terms.operators != known(&created.authority);
    others.then_some("they name different operators than the run accepts")
}

impl RunState {
    /// Addresses that its calls went to, and that are not the provider's own for the service.
    pub fn foreign_endpoints(&self) -> BTreeSet<Endpoint> {
        let named = self.created.terms.endpoints.union(&self.endpoints).cloned();
        let clusters = self.runbook.steps.iter().filter_map(|step| match &step.action {
            Action::Op(Operation::SetRoutingControls(route)) => Some(route.controls.endpoints.values()),
            _ => None,
        });
        let clusters = clusters.flatten().map(|url| Endpoint::new(CLUSTER, url, Source::Plan));
        named.chain(clusters).filter(Endpoint::is_foreign).collect()
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
        let named: Vec<String> = foreign.iter().map(ToString::to_string).collect();
        Some(format!("calls went to endpoints that do not belong to the provider: {}", named.join(", ")))
    }

    /// The terms as reports have them.
    pub fn under(&self) -> Under {
        Under {
            digest: self.created.terms_digest.clone(),
            environment: self.environment(),
            foreign_endpoints: self.foreign_endpoints().into_iter().collect(),
            counts_for_nothing: self.counts_for_nothing(),
        }
    }

    /// Whether it is heard where the question is whether the application works. A run that ended badly is, whoever answered it.
    pub fn is_evidence(&self) -> bool {
        let good = self.mode == Mode::Finished(Outcome::Recovered);
        match self.counts_for_nothing() {
            None => true,
            Some(_) => self.environment() == Environment::Production && !good,
        }
    }

    /// Why it counts for no compliance and verifies no application, if that is so.
    pub fn counts_for_nothing(&self) -> Option<String> {
        let test = || "drctl.yaml declares a test estate (environment: test)".to_owned();
        self.proves_no_objective().or_else(|| (self.environment() == Environment::Test).then(test))
    }
}
