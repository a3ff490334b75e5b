//! Checks the terms of a run: whether they are consistent, and whether a result under them proves anything.

use std::collections::BTreeSet;

use super::state::{Mode, RunState};
use crate::model::environment::{Endpoint, Environment, Source};
use crate::model::evidence::Under;
use crate::plan::terms::known;
use crate::record::action::Action;
use crate::record::event::{Outcome, RunCreated};

/// Why the recorded terms cannot be those that the run began under, if they cannot.
pub fn contradiction(created: &RunCreated) -> Option<&'static str> {
    if created.terms.digest() != created.terms_digest {
        return Some("their digest differs: they changed after the run started");
    }
    let others = created.terms.operators != known(&created.authority);
    others.then_some("they name different operators than the run accepts")
}

impl RunState {
    /// The endpoints of its calls that are not the provider's own.
    pub fn foreign_endpoints(&self) -> BTreeSet<Endpoint> {
        let named = self.created.terms.endpoints.union(&self.endpoints).cloned();
        let called = self.runbook.steps.iter().filter_map(|step| match &step.action {
            Action::Op(operation) => operation.endpoints(),
            _ => None,
        });
        let planned = called.flat_map(|(service, urls)| {
            urls.values().map(move |url| Endpoint::new(service, url, Source::Plan))
        });
        named.chain(planned).filter(Endpoint::is_foreign).collect()
    }

    /// The environment that the application was declared as.
    pub const fn environment(&self) -> Environment {
        self.created.terms.environment
    }

    /// Why no result proves an objective: another server than the provider's may have answered. A declared test environment proves nothing
    /// about production, so its figures are judged as they are.
    pub fn proves_no_objective(&self) -> Option<String> {
        let foreign = self.foreign_endpoints();
        if foreign.is_empty() || self.environment() == Environment::Test {
            return None;
        }
        let named: Vec<String> = foreign.iter().map(ToString::to_string).collect();
        Some(format!("calls went to endpoints that do not belong to the provider: {}", named.join(", ")))
    }

    /// The terms as reports show them.
    pub fn under(&self) -> Under {
        Under {
            digest: self.created.terms_digest.clone(),
            environment: self.environment(),
            severity: self.severity(),
            foreign_endpoints: self.foreign_endpoints().into_iter().collect(),
            counts_for_nothing: self.counts_for_nothing(),
        }
    }

    /// Whether the run is evidence of whether the application works. A run that ended badly is, whichever server answered.
    pub fn is_evidence(&self) -> bool {
        let good = self.mode == Mode::Finished(Outcome::Recovered);
        match self.counts_for_nothing() {
            None => true,
            Some(_) => self.environment() == Environment::Production && !good,
        }
    }

    /// Why the run counts for no compliance and verifies no application, if that is so.
    pub fn counts_for_nothing(&self) -> Option<String> {
        let test = || "drctl.yaml declares a test environment (environment: test)".to_owned();
        self.proves_no_objective().or_else(|| (self.environment() == Environment::Test).then(test))
    }
}
