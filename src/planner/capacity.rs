//! Capacity at the target.

use std::collections::BTreeMap;

use super::steps::{Draft, all, step};
use super::{Refusal, safety};
use crate::inventory::Known;
use crate::kinds::shared::capacity::{CapacityShare, Scales, Size};
use crate::kinds::{Operation, Role};
use crate::model::ids::{ComponentName, StepId};
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
    let known = source.map_or(Known::Never, |target| input.estate.capacity(&target, input.now));
    match known {
        Known::Fresh(source) => return share.wanted(Some(source.in_service)),
        Known::Stale(source, age) => {
            draft.notes.push(format!(
                "capacity of `{name}` comes from an observation {age} old: {} in service",
                source.in_service
            ));
            return share.wanted(Some(source.in_service));
        }
        Known::Never => {}
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
