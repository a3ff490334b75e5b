//! What the engine asks of record sets.

use std::collections::BTreeSet;

use super::lint;
use super::plan::{KEYS, Route53, build};
use super::sim::SimulatedZone;
use crate::kinds::aws::arn;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Route53 {
    type Sim = SimulatedZone;

    const CASE: Case = Case { name: "aws.route53", keys: &KEYS, called: &["dns", "route", "r53"] };

    fn build(node: &Node) -> Option<Self> {
        build(node).map(Self)
    }

    fn lint(&self, of: &mut Lint<'_>) {
        lint::lint(&self.0, of);
    }

    fn role(&self) -> Role<'_> {
        Role::Traffic(&self.0)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.0.records.iter().flat_map(|r| r.at.keys().cloned()).collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        let watched = self.0.object(plan, name).map(Target::HealthObject);
        let turned = self.0.controls(plan, name).map(Target::Controls);
        self.0.record_sets(plan, name).into_iter().chain(watched).chain(turned).collect()
    }

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        if let Some(zone) = self.0.hosted_zone(plan, name) {
            let hosted = arn::public("route53", &format!("hostedzone/{}", zone.zone));
            let acts = ["route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"];
            needs.add(&zone.place, hosted, &acts);
            needs.add(&zone.place, arn::public("route53", "change/*"), &["route53:GetChange"]);
        }
        if let Some(of) = self.0.controls(plan, name) {
            let acts = [
                "route53-recovery-cluster:GetRoutingControlState",
                "route53-recovery-cluster:UpdateRoutingControlStates",
            ];
            for control in of.controls.values() {
                needs.add(&of.place, control.clone(), &acts);
            }
        }
        if let Some(of) = self.0.object(plan, name)
            && let Some(named) = of.parts()
        {
            arn::object(&of.place, named, needs);
        }
    }
}
