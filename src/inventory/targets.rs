//! What drctl observes of a plan.

use std::collections::BTreeSet;

use super::Estate;
use crate::kinds::{Role, Target};
use crate::model::place::{CloudProvider, Place};
use crate::plan::types::Plan;

/// Everything of the plan, in a stable order.
pub fn of_plan(plan: &Plan, guard: Option<&Place>) -> Vec<Target> {
    let mut targets = Vec::new();
    // A site without a cloud has no service that could say whose credentials are used.
    let sites = plan.sites.values().map(|site| &site.place);
    for place in sites.chain(connections(plan)).filter(|p| p.cloud == CloudProvider::Aws) {
        targets.push(Target::Identity { place: place.clone() });
    }
    for component in plan.components.values() {
        targets.extend(component.spec.targets(&component.name, plan));
        if let Some(place) = guard {
            targets.push(Target::Guard { component: component.name.clone(), place: place.clone() });
        }
    }
    targets
}

/// The connections that components are reached by. A recovery does not wait for one that only an alarm uses.
pub fn connections(plan: &Plan) -> impl Iterator<Item = &Place> {
    let via = |role| if let Role::Traffic(zone) = role { Some(zone.via.value.as_str()) } else { None };
    let used: BTreeSet<_> = plan.components.values().filter_map(|c| via(c.role())).collect();
    plan.connections.values().filter(move |place| used.contains(place.name.as_str()))
}

/// The places of all sites and all connections.
pub fn places(plan: &Plan) -> impl Iterator<Item = &Place> {
    plan.sites.values().map(|s| &s.place).chain(plan.connections.values())
}

/// Targets that the provider refused to show, and what that means for a recovery.
pub fn refused(plan: &Plan, guard: Option<&Place>, estate: &Estate) -> Vec<(Target, String)> {
    let of = |target: Target| estate.now(&target)?.refused(&target).map(|why| (target, why));
    of_plan(plan, guard).into_iter().filter_map(of).collect()
}
