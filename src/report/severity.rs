//! The severity that each run of a store was decided under.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::{PlanName, RunId};
use crate::model::severity::{Decided, Regraded, Severity};
use crate::model::time::Timestamp;
use crate::record::event::RunCreated;
use crate::run::severity::{Purpose, decided};

/// The severity that a run was decided under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunSeverity {
    /// The run.
    pub run: RunId,
    /// Its application.
    pub plan: PlanName,
    /// When it started.
    pub at: Timestamp,
    /// Whether the severity is lower than usual, or than that of the run that it continues.
    pub lowered: bool,
    /// The severity and its changes.
    #[serde(flatten)]
    pub decided: Decided,
}

impl RunSeverity {
    /// A description of the changes.
    pub fn words(&self) -> String {
        format!("decided under severity {}", self.decided.text)
    }
}

/// Every run with its severity. drctl never lowers the severity of a continued run, so if that happened, it counts as lowered.
pub fn all(runs: &[(&RunCreated, Timestamp)]) -> Vec<RunSeverity> {
    let mut declared: BTreeMap<&RunId, Severity> = BTreeMap::new();
    let mut all = Vec::new();
    for (created, at) in runs {
        let Some(purpose) = Purpose::from_created(created) else { continue };
        let mut decided = decided(created, *at, purpose);
        let mut lowered = decided.is_lowered();
        let before = created.continues.as_ref().and_then(|run| declared.get(run));
        if let Some(before) = before.filter(|before| **before < decided.severity) {
            lowered = true;
            let (by, signed) = (created.requester.who.clone(), created.requester.signature.is_some());
            let to = decided.severity;
            decided.changes.push(Regraded {
                from: *before,
                to,
                by: Some(by),
                signed,
                at: *at,
                kept_from: None,
            });
            decided = Decided::new(to, decided.usual, decided.changes);
        }
        if created.severity.is_some() {
            declared.insert(&created.run, decided.severity);
        }
        all.push(RunSeverity {
            run: created.run.clone(),
            plan: created.plan.clone(),
            at: *at,
            lowered,
            decided,
        });
    }
    all
}
