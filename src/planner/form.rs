//! The form of one step, of its needs, and of what a hook asks of it.

use std::collections::BTreeSet;

use crate::kinds::Operation;
use crate::model::ids::{ComponentName, StepId};
use crate::model::intent::Intent;
use crate::plan::types::Hook;
use crate::record::action::Action;
use crate::record::estimate::estimate;
use crate::record::runbook::{Need, OnFailure, Phase, Step};

/// A step that waits for nothing and halts the run if it fails.
pub fn step(id: &str, phase: Phase, component: Option<&ComponentName>, action: Action) -> Step {
    Step {
        id: StepId::new(id),
        phase,
        component: component.cloned(),
        estimate: estimate(&action),
        action,
        needs: Vec::new(),
        unless: None,
        on_failure: OnFailure::Halt,
        background: false,
        debt: false,
        notes: Vec::new(),
        forecasts: Vec::new(),
    }
}

/// Needs for all these steps to be done, each once.
pub fn all(steps: &[StepId]) -> Vec<Need> {
    let unique: BTreeSet<_> = steps.iter().collect();
    unique.into_iter().map(|s| Need { step: s.clone(), settled: false }).collect()
}

/// Whether a step belongs to the phase and component of a hook.
pub(super) fn stands_beside(hook: &Hook, step: &Step) -> bool {
    step.phase == hook.phase
        && !step.background
        // Nothing waits for a comparison, and neither do hooks.
        && !matches!(step.action, Action::Op(Operation::CompareObjects(_)))
        && (hook.component.is_none() || hook.component == step.component)
}

/// Whether it needs approval, wherever it is in the runbook. A hook without `change` may change anything, so while users are served it
/// waits like every change. In an outage it runs, like fences and capacity.
pub(super) fn is_asked_for(hook: &Hook, intent: Intent) -> bool {
    hook.change.is_some() || !hook.says && intent.starts_served()
}
