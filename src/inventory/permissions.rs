//! What the credentials of each place must be allowed to do for every recovery that a plan describes: the same list as in
//! docs/src/deploy/permissions.md, by resource.

use crate::kinds::Target;
use crate::kinds::aws::arn;
use crate::model::place::{CloudProvider, Place};
use crate::model::readiness::Needs;
use crate::plan::types::Plan;
use crate::record::runbook::ProbeVia;

/// One target for each place in AWS.
pub fn of_plan(plan: &Plan, guard: Option<&Place>) -> Vec<Target> {
    let mut needs = Needs::default();
    for component in plan.components.values() {
        component.spec.permissions(&component.name, plan, &mut needs);
        if let Some(place) = guard
            && let Some((bucket, key)) = place.guard_object(&component.name)
        {
            arn::object(place, (&bucket, &key), &mut needs);
        }
    }
    for probe in &plan.probes {
        if let ProbeVia::Alarm { place, .. } = &probe.value.via {
            needs.add(place, "*".to_owned(), &["cloudwatch:DescribeAlarms"]);
        }
    }
    let in_aws = needs.by_place().filter(|(place, _)| place.cloud == CloudProvider::Aws);
    in_aws.map(|(place, needs)| Target::Granted { place, needs }).collect()
}
