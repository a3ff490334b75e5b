//! Whether a second site could take over after a run.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::{Fact, Operation};
use crate::model::ids::ComponentName;
use crate::record::action::Action;
use crate::run::RunState;

/// Whether a second site could take over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Protection {
    /// `protected`, `UNPROTECTED`, or `unchanged` where the run promoted nothing.
    pub state: String,
    /// Promoted stores without a standby.
    pub unprotected: Vec<ComponentName>,
    /// What the plan lacks before drctl can make the old primaries standbys.
    pub lacks: Vec<String>,
    /// Transactions that only the old primaries had when this run made them standbys, by store.
    pub diverged: BTreeMap<ComponentName, Vec<Diverged>>,
}

/// A store that was promoted is protected once a standby follows the new primary.
pub fn of_run(state: &RunState) -> Protection {
    let follows = |c: &ComponentName| state.rejoined(c);
    let moved: Vec<_> = state.promoted_at.keys().collect();
    let rebuilt = state.runbook.stores.iter().any(follows);
    let unprotected: Vec<_> = moved.iter().filter(|c| !follows(c)).map(|c| (*c).clone()).collect();
    let word = match (unprotected.is_empty(), moved.is_empty() && !rebuilt) {
        (_, true) => "unchanged",
        (true, _) => "protected",
        (false, _) => "UNPROTECTED",
    };
    let mut diverged: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for fact in state.steps.iter().flat_map(|s| &s.facts) {
        if let Fact::Rejoined { component, diverged: Some(found), .. } = fact {
            diverged.entry(component.clone()).or_default().push(found.clone());
        }
    }
    let lacks = lacks_for_a_standby(state, &unprotected);
    Protection { state: word.to_owned(), unprotected, lacks, diverged }
}

/// Stores that these runs of one world promoted, and that no standby has followed since.
pub fn without_standby(runs: &[&RunState]) -> BTreeSet<ComponentName> {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|state| state.last_at);
    let mut without = BTreeSet::new();
    for state in runs {
        for component in &state.runbook.stores {
            if state.rejoined(component) {
                without.remove(component);
            } else if state.promoted_at.contains_key(component) {
                without.insert(component.clone());
            }
        }
    }
    without
}

/// What the plan lacks before drctl can make the old primaries of these stores standbys.
fn lacks_for_a_standby(state: &RunState, of: &[ComponentName]) -> Vec<String> {
    let fenced = state.runbook.steps.iter().filter(|step| !step.debt).filter_map(|step| match &step.action {
        Action::Op(Operation::Fence(fence)) if of.contains(&fence.db.component) => Some(&fence.db),
        _ => None,
    });
    let lacking: BTreeSet<String> =
        fenced.filter_map(|db| db.lacks()).map(|lacks| format!("{}: {}", lacks.what, lacks.facts)).collect();
    lacking.into_iter().collect()
}
