//! Capacity at the target.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Draft, all, step};
use super::{Refusal, safety};
use crate::inventory::Known;
use crate::kinds::aws::autoscaling::{Autoscaling, GroupAt, GroupSize, Scale};
use crate::kinds::{Operation, Role, Target};
use crate::model::ids::{ComponentName, StepId};
use crate::model::waiver::Rule;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::Phase;

/// Scales every group of the target. Dependencies do not matter here: capacity takes longest, so all groups start at once.
pub fn scale_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Role::Capacity(spec) = component.role() else { continue };
        let Some(scale) = scale(draft, component, spec) else { continue };
        let timeout = spec.at.get(&draft.input.request.to).and_then(|a| a.timeout);
        let mut step = step(
            &format!("scale.{}", component.name),
            Phase::Scale,
            Some(&component.name),
            Action::Op(Operation::Scale(scale)),
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

/// Processes without which no instance comes into service (Amazon EC2 Auto Scaling User Guide, «Suspend and resume processes»).
const NEEDED: &[&str] = &["Launch", "AddToLoadBalancer"];

fn scale(draft: &mut Draft<'_>, component: &Component, spec: &Autoscaling) -> Option<Scale> {
    let input = draft.input;
    let name = &component.name;
    let Some((at, group)) =
        spec.at.get(&input.request.to).zip(spec.group(input.plan, name, &input.request.to))
    else {
        let facts = format!("`{name}` has no group in {}", input.request.to);
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "add the group under `at:`"));
        return None;
    };
    let target = Target::Group(group.clone());
    if !safety::must_answer(draft, name, &target) {
        return None;
    }
    let now = input.estate.group(&target, input.now).value()?.clone();
    let wanted = wanted_capacity(draft, component, spec, at)?.max(now.size.desired);
    let mut desired = wanted;
    if wanted > now.size.max {
        let facts = format!("{} needs {wanted} instances, but its maximum is {}", group.group, now.size.max);
        draft.refuse(Refusal::new(
            Rule::CapacityAboveMaximum,
            Some(name),
            facts,
            format!("raise the maximum to {wanted} or more"),
        ));
        desired = now.size.max;
    }
    let to = GroupSize { min: now.size.min.max(desired), desired, max: now.size.max };
    // If the capacity is set and in service, there is nothing to do. If it is set but not in service yet, the run still waits for it.
    let blocked: BTreeSet<String> =
        now.suspended.iter().filter(|p| NEEDED.contains(&p.as_str())).cloned().collect();
    if to == now.size && now.in_service >= share(desired, at.proceed_percent) {
        return None;
    }
    if !blocked.is_empty() {
        let processes: Vec<_> = blocked.iter().map(String::as_str).collect();
        draft.notes.push(format!(
            "{} has suspended processes: {}. drctl resumes them, because no instance starts without them",
            group.group,
            processes.join(", ")
        ));
    }
    let proceed_at = share(desired, at.proceed_percent);
    Some(Scale { group, from: now.size, to, proceed_at, resume: blocked, suspend: BTreeSet::new() })
}

/// max(floor, ceil(percent of the source's in-service capacity)).
fn wanted_capacity(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Autoscaling,
    at: &GroupAt,
) -> Option<u32> {
    let input = draft.input;
    let floor = at.capacity_floor.unwrap_or(0);
    let source = draft.from.clone().and_then(|from| spec.group(input.plan, &component.name, &from));
    let known = source.map(Target::Group).map_or(Known::Never, |t| input.estate.group(&t, input.now));
    match known {
        Known::Fresh(group) => Some(floor.max(share(group.in_service, at.capacity_percent))),
        Known::Stale(group, age) => {
            let wanted = floor.max(share(group.in_service, at.capacity_percent));
            draft.notes.push(format!(
                "capacity of `{}` comes from an observation {age} old: {} in service",
                component.name, group.in_service
            ));
            Some(wanted)
        }
        Known::Never if at.capacity_floor.is_some() => {
            draft.notes.push(format!(
                "capacity of `{}` was never observed at the source. drctl uses its floor of {floor}",
                component.name
            ));
            Some(floor)
        }
        Known::Never => {
            let facts = format!(
                "capacity of `{}` was never observed at the source, and the plan gives no `capacity_floor`",
                component.name
            );
            draft.refuse(Refusal::new(
                Rule::NotRecoverable,
                Some(&component.name),
                facts,
                "set `capacity_floor`, or run drctl observe while the source answers",
            ));
            None
        }
    }
}

/// Percent of a number, rounded up.
fn share(of: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}
