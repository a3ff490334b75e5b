//! Plans that refer to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::{Role, Target};
use crate::model::document::Spanned;
use crate::model::finding::Finding;
use crate::model::ids::PlanName;
use crate::model::shape::suggest;
use crate::plan::Plan;
use crate::plan::types::Component;

/// The findings about plans that are used together. `whole`: no other plan exists.
pub fn among(plans: &[&Plan], whole: bool) -> Vec<Finding> {
    let mut by_name: BTreeMap<&PlanName, &Plan> = BTreeMap::new();
    let mut found = Vec::new();
    for plan in plans {
        match by_name.get(&plan.name) {
            Some(first) => found.push(twice(plan, first)),
            None => drop(by_name.insert(&plan.name, plan)),
        }
    }
    found.extend(shared(plans));
    for plan in by_name.values() {
        for after in &plan.after {
            match by_name.get(&after.value) {
                None if whole => found.push(unknown(plan, after, &by_name)),
                None => {}
                Some(_) if waits_for(&by_name, &after.value, &plan.name) => found.push(circular(plan, after)),
                Some(_) => {}
            }
        }
    }
    found
}

fn twice(plan: &Plan, first: &Plan) -> Finding {
    let message = format!("{} is a plan named `{}`, too", first.file, plan.name);
    Finding::error("plan-name-twice", &plan.file, Some(plan.named), message)
        .because("drctl tells plans, their runs and their reports apart by name")
        .fix("give one of them another name")
}

fn unknown(plan: &Plan, after: &Spanned<PlanName>, known: &BTreeMap<&PlanName, &Plan>) -> Finding {
    let others = known.keys().map(|name| name.as_str()).filter(|name| *name != plan.name.as_str());
    let meant =
        suggest(after.value.as_str(), others).map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
    let message = format!("there is no plan named `{}`{meant}", after.value);
    Finding::error("unknown-plan", &plan.file, Some(after.span), message)
        .because("the plan would not wait for what it needs")
        .fix("correct the name, or remove it from `after`")
}

/// Databases, groups and services that an earlier plan has, too.
fn shared(plans: &[&Plan]) -> Vec<Finding> {
    let mut owners: BTreeMap<String, (&Plan, &Component)> = BTreeMap::new();
    let mut found = Vec::new();
    for plan in plans {
        let changed =
            plan.components.values().filter(|c| matches!(c.role(), Role::Store(_) | Role::Capacity(_)));
        for component in changed {
            let targets = component.spec.targets(&component.name, *plan);
            let keys: BTreeSet<String> = targets.iter().filter_map(Target::identity).collect();
            let taken =
                keys.iter().find_map(|key| owners.get(key).filter(|(other, _)| other.name != plan.name));
            if let Some(owner) = taken {
                found.push(taken_by(plan, component, *owner));
            }
            for key in keys {
                owners.entry(key).or_insert((plan, component));
            }
        }
    }
    found
}

fn taken_by(plan: &Plan, component: &Component, (other, first): (&Plan, &Component)) -> Finding {
    let message = format!("`{}` is the same as `{}` of plan `{}`", component.name, first.name, other.name);
    Finding::error("one-thing-two-plans", &plan.file, Some(component.span), message)
        .because("a run of each plan would change it, and the guards of the plans do not exclude each other")
        .fix(format!("declare it in one plan, and write `after: [{}]` in the other", other.name))
}

fn circular(plan: &Plan, after: &Spanned<PlanName>) -> Finding {
    let message = match plan.name == after.value {
        true => format!("`{}` waits for itself", plan.name),
        false => format!("`{}` and `{}` wait for each other", plan.name, after.value),
    };
    Finding::error("plan-cycle", &plan.file, Some(after.span), message)
        .because("drctl cannot start any of them first")
        .fix("remove one of the `after` entries")
}

/// Whether a plan waits for another one, directly or not.
fn waits_for(plans: &BTreeMap<&PlanName, &Plan>, from: &PlanName, other: &PlanName) -> bool {
    let (mut seen, mut next) = (Vec::new(), vec![from]);
    while let Some(name) = next.pop() {
        if name == other {
            return true;
        }
        if !seen.contains(&name) {
            seen.push(name);
            next.extend(plans.get(name).iter().flat_map(|plan| plan.after.iter().map(|after| &after.value)));
        }
    }
    false
}
