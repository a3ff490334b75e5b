//! Hooks: commands of the plan's author, before or after a phase.
//!
//! A hook only adds waits: a phase keeps all its needs. So no hook can move traffic before a database. If the phases of several components
//! interleave, the hook runs before the first or after the last step of its phase.

use std::collections::BTreeSet;

use super::approvals::APPROVAL;
use super::form::{is_asked_for, stands_beside, step};
use crate::kinds::Operation;
use crate::model::ids::StepId;
use crate::model::intent::Intent;
use crate::plan::Plan;
use crate::plan::types::Hook;
use crate::record::action::{Action, Write};
use crate::record::runbook::{Need, OnFailure, Step};

/// Inserts every hook whose phase has steps.
pub fn insert(plan: &Plan, intent: Intent, steps: &mut Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    for hook in &plan.hooks {
        if hook.after { after(hook, intent, steps) } else { before(hook, intent, steps) }
    }
}

/// The guard under which a hook runs: the one of its component, or the first, which decides between two operators.
fn guard<'s>(hook: &Hook, steps: &'s [Step]) -> Option<&'s Step> {
    let is_guard = |s: &&Step| matches!(s.action, Action::Write(Write::Guard { .. }));
    let own =
        steps.iter().filter(is_guard).find(|s| hook.component.is_some() && s.component == hook.component);
    own.or_else(|| steps.iter().find(is_guard))
}

/// `later` has the steps that wait for the hook: it cannot wait for those.
fn new_step(hook: &Hook, intent: Intent, mut needs: Vec<Need>, (steps, later): (&[Step], &[StepId])) -> Step {
    let gate = steps.iter().find(|s| is_asked_for(hook, intent) && s.id.as_str() == APPROVAL);
    let changes = hook.change.is_some() || !hook.says;
    let guard = guard(hook, steps).filter(|guard| changes && !later.contains(&guard.id));
    for step in gate.into_iter().chain(guard) {
        let need = Need { step: step.id.clone(), settled: false };
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
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
        // A step that itself waits for the phase cannot come before all of it.
        if !inside.contains(&need.step) && !after.contains(&need.step) && !needs.contains(need) {
            needs.push(need.clone());
        }
    }
    let later: Vec<_> = inside.iter().chain(&after).cloned().collect();
    let new = new_step(hook, intent, needs, (steps, &later));
    for step in steps.iter_mut().filter(|s| inside.contains(&s.id)) {
        step.needs.push(wait(&new.id, hook));
    }
    // Needed steps may come later in the list than the first step that waits for them. Sorting restores the order below.
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
    let new = new_step(hook, intent, needs, (steps, &[]));
    // A later phase of one component may come before this phase of another component that needs it. Such a step cannot wait for the whole
    // phase.
    let before = ancestors(steps, &inside);
    let later = |s: &Step| s.phase > hook.phase && !s.background && !before.contains(&s.id);
    for step in steps.iter_mut().filter(|s| later(s)) {
        step.needs.push(wait(&new.id, hook));
    }
    steps.push(new);
    sort(steps);
}

/// Everything that these steps wait for, directly or indirectly.
fn ancestors(steps: &[Step], of: &[StepId]) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    // Each step comes after its needs.
    for step in steps.iter().rev() {
        if of.contains(&step.id) || found.contains(&step.id) {
            found.extend(step.needs.iter().map(|n| n.step.clone()));
        }
    }
    found
}

/// Everything that waits for one of these steps, directly or indirectly.
fn descendants(steps: &[Step], of: &[StepId]) -> BTreeSet<StepId> {
    let mut found = BTreeSet::new();
    for step in steps {
        if step.needs.iter().any(|n| of.contains(&n.step) || found.contains(&n.step)) {
            found.insert(step.id.clone());
        }
    }
    found
}

/// Moves each step after its needs, and otherwise keeps the order.
fn sort(steps: &mut Vec<Step>) {
    let mut left = std::mem::take(steps);
    while !left.is_empty() {
        let ready =
            left.iter().position(|s| s.needs.iter().all(|n| !left.iter().any(|other| other.id == n.step)));
        // Without a ready step there would be a cycle, which hooks cannot create: they only point from earlier to later phases.
        steps.push(left.remove(ready.unwrap_or(0)));
    }
}
