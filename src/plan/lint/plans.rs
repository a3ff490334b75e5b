//! Plans that refer to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Target;
use crate::model::document::Spanned;
use crate::model::finding::Finding;
use crate::model::ids::PlanName;
use crate::model::shape::suggest;
use crate::plan::types::{Component, Plan};

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

/// Components of plans that are the same database, group or service as an earlier one.
fn same<'a>(plans: &[&'a Plan]) -> Vec<[(&'a Plan, &'a Component); 2]> {
    let mut owners: BTreeMap<String, (&Plan, &Component)> = BTreeMap::new();
    let mut found = Vec::new();
    for plan in plans {
        for component in plan.components.values() {
            let targets = component.spec.targets(&component.name, *plan);
            let known: BTreeSet<String> = targets.iter().filter_map(Target::identity).collect();
            let others = known
                .iter()
                .filter_map(|it| owners.get(it))
                .find(|(of, it)| of.name != plan.name || it.name != component.name);
            found.extend(others.map(|owner| [*owner, (*plan, component)]));
            for it in known {
                owners.entry(it).or_insert((plan, component));
            }
        }
    }
    found
}

/// Components of one plan that are the same database, group or service.
pub fn within(plan: &Plan) -> Vec<Finding> {
    let twice = |[(_, first), (_, component)]: [(&Plan, &Component); 2]| {
        let message = format!("`{}` is the same as `{}`", component.name, first.name);
        Finding::error("component-twice", &plan.file, Some(component.span), message)
            .because("a run would change it twice, and the second change could undo the first")
            .fix("remove one of them, or correct its identifier")
    };
    // The kind of the members of a global database names them all in one finding.
    let members = |component: &Component| {
        component.spec.targets(&component.name, plan).iter().any(|target| target.member_of().is_some())
    };
    let others = same(&[plan]).into_iter().filter(|[_, (_, component)]| !members(component));
    others.map(twice).collect()
}

/// The same for components of several plans.
fn shared(plans: &[&Plan]) -> Vec<Finding> {
    let several = same(plans).into_iter().filter(|[(other, _), (plan, _)]| other.name != plan.name);
    let taken = |[(other, first), (plan, component)]: [(&Plan, &Component); 2]| {
        let message =
            format!("`{}` is the same as `{}` of plan `{}`", component.name, first.name, other.name);
        Finding::error("component-twice", &plan.file, Some(component.span), message)
            .because(
                "a run of each plan would change it, and the guards of the plans do not exclude each other",
            )
            .fix(format!("declare it in one plan, and write `after: [{}]` in the other", other.name))
    };
    several.map(taken).collect()
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
