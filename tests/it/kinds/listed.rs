//! The list of kinds.

use std::collections::BTreeSet;

use drctl::kinds::KINDS;

use crate::support::rig::plan;

/// A kind that is in the list but never built would be ignored in every plan.
#[test]
fn every_kind_of_the_list_is_built_from_a_plan_of_the_tests() {
    let everything = include_str!("../../fixtures/everything.yaml");
    let declared = "components:\n  others: {kind: external, describe: \"somebody else's\"}\n";
    let plans =
        [plan(&everything.replacen("components:\n", declared, 1)), plan(&super::buckets::plan_text())];
    let components = plans.iter().flat_map(|plan| plan.components.values());
    let built: BTreeSet<&str> = components.map(|component| component.kind()).collect();
    assert_eq!(built, KINDS.iter().map(|case| case.name).collect::<BTreeSet<_>>());
}
