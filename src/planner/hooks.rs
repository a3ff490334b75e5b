//! Commands of the plan's author, put before or after a phase.
//!
//! A hook only ever adds waiting: what a phase waited for, it still waits for. So no hook can bring traffic before a database.
//! Where phases of several components interleave it stands before the first, or after the last, of its steps.

use std::collections::BTreeSet;

use super::approvals::APPROVAL;
use super::steps::step;
use crate::kinds::Operation;
use crate::model::ids::StepId;
use crate::model::intent::Intent;
use crate::plan::Plan;
use crate::plan::types::Hook;
use crate::record::action::Action;
use crate::record::runbook::{Need, OnFailure, Step};

/// Inserts every hook that has something to stand beside.
pub fn insert(plan: &Plan, intent: Intent, steps: &mut Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    for hook in &plan.hooks {
        if hook.after { after(hook, intent, steps) } else { before(hook, intent, steps) }
    }
}

/// Whether a step is of the part of a phase that a hook names.
pub(super) fn stands_beside(hook: &Hook, step: &Step) -> bool {
    step.phase == hook.phase
        && !step.background
        // Nothing waits for a comparison, hooks neither.
        && !matches!(step.action, Action::Op(Operation::CompareObjects(_)))
        && (hook.component.is_none() || hook.component == step.component)
}

/// Whether people approve before it runs, wherever it is in the runbook. If a hook does not say what it changes, that is unknown. While
/// users are served, it then waits, like everything that changes something. In an outage it runs, like fences and capacity.
fn is_asked_for(hook: &Hook, intent: Intent) -> bool {
    hook.change.is_some() || !hook.says && matches!(intent, Intent::Switchover | Intent::Failback)
}

fn new_step(hook: &Hook, intent: Intent, mut needs: Vec<Need>, steps: &[Step]) -> Step {
    let gate = steps.iter().find(|s| is_asked_for(hook, intent) && s.id.as_str() == APPROVAL);
    let agreed = gate.map(|gate| Need { step: gate.id.clone(), settled: false });
    needs.extend(agreed.filter(|need| !needs.contains(need)));
    let mut step = step(
        &format!("hook.{}", hook.name),
        hook.phase,
        hook.component.as_ref(),
        Action::Op(Operation::Run(hook.command.clone())),
    );
    step.estimate.timeout_ms = hook.timeout;
    step.estimate.expected_ms = step.estimate.expected_ms.min(hook.timeout);
    step.on_failure = hook.on_failure;
    step.needs = needs;
    step
}

fn wait(id: &StepId, hook: &Hook) -> Need {
    Need { step: id.clone(), settled: hook.on_failure == OnFailure::Continue }
}

fn before(hook: &Hook, intent: Intent, steps: &mut Vec<Step>) {
    let Some(first) = steps.iter().position(|s| stands_beside(hook, s)) else { return };
    let inside: Vec<_> = steps.iter().filter(|s| stands_beside(hook, s)).map(|s| s.id.clone()).collect();
    let mut needs: Vec<Need> = Vec::new();
    let after = descendants(steps, &inside);
    for need in steps.iter().filter(|s| inside.contains(&s.id)).flat_map(|s| &s.needs) {
        // What itself waits for a step of the phase cannot be waited for before all of it.
        if !inside.contains(&need.step) && !after.contains(&need.step) && !needs.contains(need) {
            needs.push(need.clone());
        }
    }
    let new = new_step(hook, intent, needs, steps);
    for step in steps.iter_mut().filter(|s| inside.contains(&s.id)) {
        step.needs.push(wait(&new.id, hook));
    }
    // Needed steps may stand later in the list than the first that waits for them; the order is restored below.
    steps.insert(first, new);
    sort(steps);
}

fn after(hook: &Hook, intent: Intent, steps: &mut Vec<Step>) {
    let inside: Vec<_> = steps.iter().filter(|s| stands_beside(hook, s)).map(|s| s.id.clone()).collect();
    if inside.is_empty() {
        return;
    }
    let settled = |s: &Step| s.on_failure == OnFailure::Continue;
    let needs = steps.iter().filter(|s| inside.contains(&s.id));
    let needs = needs.map(|s| Need { step: s.id.clone(), settled: settled(s) }).collect();
    let new = new_step(hook, intent, needs, steps);
    // A later phase of one component may come before this phase of another that needs it: that one cannot wait for all of it.
    let before = ancestors(steps, &inside);
    let later = |s: &Step| s.phase > hook.phase && !s.background && !before.contains(&s.id);
    for step in steps.iter_mut().filter(|s| later(s)) {
        step.needs.push(wait(&new.id, hook));
    }
    steps.push(new);
    sort(steps);
}

/// Everything that these steps wait for, however far back.
fn ancestors(steps: &[Step], of: &[StepId]) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    // Each step stands after all that it needs.
    for step in steps.iter().rev() {
        if of.contains(&step.id) || found.contains(&step.id) {
            found.extend(step.needs.iter().map(|n| n.step.clone()));
        }
    }
    found
}

/// Everything that waits for one of these steps, however far on.
fn descendants(steps: &[Step], of: &[StepId]) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    for step in steps {
        if step.needs.iter().any(|n| of.contains(&n.step) || found.contains(&n.step)) {
            found.insert(step.id.clone());
        }
    }
    found
}

/// Puts each step after all that it needs, keeping the order otherwise.
fn sort(steps: &mut Vec<Step>) {
    let mut left = std::mem::take(steps);
    while !left.is_empty() {
        let ready =
            left.iter().position(|s| s.needs.iter().all(|n| !left.iter().any(|other| other.id == n.step)));
        // Without a ready step there would be a circle, which hooks cannot make: they only point from earlier to later phases.
        steps.push(left.remove(ready.unwrap_or(0)));
    }
}
