//! Capacity at the target.

use std::collections::BTreeMap;

use super::form::{all, step};
use super::refusal::Refusal;
use super::safety;
use super::steps::Draft;
use crate::inventory::Knowledge;
use crate::kinds::shared::capacity::{CapacityShare, Scales, Size};
use crate::kinds::{Op as _, Operation, Role};
use crate::model::ids::{ComponentName, StepId};
use crate::model::plain::count;
use crate::model::waiver::Rule;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::Phase;

/// Scales everything at the target. Dependencies do not matter here: capacity takes longest, so all of it starts at once.
pub fn scale_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Role::Capacity(spec) = component.role() else { continue };
        let Some(scale) = scale(draft, component, spec) else { continue };
        let timeout = spec.shares().get(&draft.input.request.to).and_then(|share| share.timeout);
        let mut step = step(
            &format!("scale.{}", component.name),
            Phase::Scale,
            Some(&component.name),
            Action::Op(scale),
        );
        step.needs = all(&guards[&component.name]);
        if let Some(timeout) = timeout {
            step.estimate.timeout_ms = timeout;
            step.estimate.expected_ms = step.estimate.expected_ms.min(timeout);
        }
        let id = draft.push(step);
        draft.ready.insert(component.name.clone(), vec![id]);
    }
}

/// Tells what stays in service in the site that users leave on the way home: no step makes it smaller again. In the home site the capacity
/// stays on purpose, and the return of a live drill still needs what its first move leaves.
pub fn stays(draft: &mut Draft<'_>) {
    let (input, Some(from)) = (draft.input, draft.from.clone()) else { return };
    let (plan, request) = (input.plan, &input.request);
    let leaves = from != request.to && request.to == plan.home.value;
    if !leaves || request.drill.is_some() && !request.returns {
        return;
    }
    for component in plan.components.values() {
        let Role::Capacity(spec) = component.role() else { continue };
        let Some(target) = spec.target(plan, &component.name, &from) else { continue };
        let seen = input.estate.state(&target, input.now);
        let Some(seen) = seen.value() else { continue };
        let Some(now) = seen.capacity().filter(|now| now.in_service > 0) else { continue };
        let smaller = Size { min: 0, desired: 0, max: now.size.max };
        let calls = spec.scale(&target, seen, smaller, 0).map(|of| of.operation.calls()).unwrap_or_default();
        let commands: Vec<_> =
            calls.into_iter().filter(|call| call.mutates).map(|call| call.command).collect();
        if commands.is_empty() {
            continue;
        }
        let (what, unit) = (spec.name_in(&from).unwrap_or_default(), spec.unit());
        draft.notes_after_move.push(format!(
            "{what} in {from} keeps {} after the move, and costs money. If it is smaller in normal operation, set its size if nobody has done it yet, for example to 0: {}",
            count(now.in_service, unit),
            commands.join("; ")
        ));
    }
}

fn scale(draft: &mut Draft<'_>, component: &Component, spec: &dyn Scales) -> Option<Operation> {
    let input = draft.input;
    let (name, to) = (&component.name, &input.request.to);
    let shares = spec.shares();
    let Some((share, target)) = shares.get(to).zip(spec.target(input.plan, name, to)) else {
        let facts = format!("`{name}` has no {} in {to}", spec.thing());
        let fix = format!("add the {} under `at:`", spec.thing());
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, fix));
        return None;
    };
    if !safety::must_answer(draft, name, &target) {
        return None;
    }
    let seen = input.estate.state(&target, input.now);
    let seen = seen.value()?;
    let now = seen.capacity()?;
    let wanted = wanted_capacity(draft, component, spec, share)?.max(now.size.desired);
    let mut desired = wanted;
    if wanted > now.size.max {
        let what = spec.name_in(to).unwrap_or_default();
        let facts = format!("{what} needs {wanted} {}s, but its maximum is {}", spec.unit(), now.size.max);
        let fix = format!("raise the maximum to {wanted} or more");
        draft.refuse(Refusal::new(Rule::CapacityAboveMaximum, Some(name), facts, fix));
        desired = now.size.max;
    }
    let size = Size { min: now.size.min.max(desired), desired, max: now.size.max };
    let proceed_at = share.proceed_at(desired);
    // If the capacity is set and in service, there is nothing to do. If it is set but not in service yet, the run still waits for it.
    if size == now.size && now.in_service >= proceed_at {
        return None;
    }
    match spec.scale(&target, seen, size, proceed_at) {
        Ok(scaling) => {
            draft.notes.extend(scaling.note);
            Some(scaling.operation)
        }
        Err(why) => {
            draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), why.facts, why.fix));
            None
        }
    }
}

/// The capacity that the source has in service, as far as anybody knows, turned into what the target must reach.
fn wanted_capacity(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &dyn Scales,
    share: &CapacityShare,
) -> Option<u32> {
    let input = draft.input;
    let name = &component.name;
    let source = draft.from.clone().and_then(|from| spec.target(input.plan, name, &from));
    let known = source.map_or(Knowledge::Never, |target| input.estate.capacity(&target, input.now));
    match known {
        Knowledge::Fresh(source) => return share.wanted(Some(source.in_service)),
        Knowledge::Stale(source, age) => {
            draft.notes.push(format!(
                "capacity of `{name}` comes from an observation {age} old: {} in service",
                source.in_service
            ));
            return share.wanted(Some(source.in_service));
        }
        Knowledge::Never => {}
    }
    let wanted = share.wanted(None);
    match wanted {
        Some(floor) => draft.notes.push(format!(
            "capacity of `{name}` was never observed at the source. drctl uses its floor of {floor}"
        )),
        None => {
            let facts = format!(
                "capacity of `{name}` was never observed at the source, and the plan gives no `capacity_floor`"
            );
            let fix = "set `capacity_floor`, or run drctl observe while the source answers";
            draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, fix));
        }
    }
    wanted
}
