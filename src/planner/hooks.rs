//! Commands of the plan's author, put before or after a phase.
//!
//! A hook only ever adds waiting: what a phase waited for, it still waits for. So no hook can bring traffic before a database.

use super::steps::step;
use crate::model::action::Action;
use crate::model::ids::StepId;
use crate::model::runbook::{Need, OnFailure, Step};
use crate::plan::Plan;
use crate::plan::types::Hook;

/// Inserts every hook that has something to stand beside.
pub fn insert(plan: &Plan, steps: &mut Vec<Step>) {
    if steps.is_empty() {
        return;
    }
    for hook in &plan.hooks {
        if hook.after { after(hook, steps) } else { before(hook, steps) }
    }
}

fn stands_beside(hook: &Hook, step: &Step) -> bool {
    step.phase == hook.phase
        && !step.background
        && (hook.component.is_none() || hook.component == step.component)
}

fn new_step(hook: &Hook, needs: Vec<Need>) -> Step {
    let mut step = step(
        &format!("hook.{}", hook.name),
        hook.phase,
        hook.component.as_ref(),
        Action::Run(hook.command.clone()),
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

fn before(hook: &Hook, steps: &mut Vec<Step>) {
    let Some(first) = steps.iter().position(|s| stands_beside(hook, s)) else { return };
    let inside: Vec<_> = steps.iter().filter(|s| stands_beside(hook, s)).map(|s| s.id.clone()).collect();
    let mut needs: Vec<Need> = Vec::new();
    for need in steps.iter().filter(|s| inside.contains(&s.id)).flat_map(|s| &s.needs) {
        if !inside.contains(&need.step) && !needs.contains(need) {
            needs.push(need.clone());
        }
    }
    let new = new_step(hook, needs);
    for step in steps.iter_mut().filter(|s| inside.contains(&s.id)) {
        step.needs.push(wait(&new.id, hook));
    }
    // Needed steps may stand later in the list than the first that waits for them; the order is restored below.
    steps.insert(first, new);
    sort(steps);
}

fn after(hook: &Hook, steps: &mut Vec<Step>) {
    let inside: Vec<_> = steps.iter().filter(|s| stands_beside(hook, s)).map(|s| s.id.clone()).collect();
    if inside.is_empty() {
        return;
    }
    let needs = inside.iter().map(|step| Need { step: step.clone(), settled: false }).collect();
    let new = new_step(hook, needs);
    for step in steps.iter_mut().filter(|s| s.phase > hook.phase && !s.background) {
        step.needs.push(wait(&new.id, hook));
    }
    steps.push(new);
    sort(steps);
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
