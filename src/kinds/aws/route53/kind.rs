//! What the engine asks of record sets.

use std::collections::BTreeSet;

use super::lint;
use super::plan::{KEYS, Route53, SwitchBy, build};
use super::{ControlsRef, ObjectRef, ZoneRef};
use crate::kinds::aws::arn;
use crate::kinds::kind::{Kind, Role, Sight, Surroundings};
use crate::kinds::{Lint, State, Target};
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Route53 {
    const CASE: Case = Case { name: "aws.route53", keys: &KEYS, called: &["dns", "route", "r53"] };

    fn build(node: &Node) -> Option<Self> {
        build(node)
    }

    fn lint(&self, of: &mut Lint<'_>) {
        lint::lint(self, of);
    }

    fn role(&self) -> Role<'_> {
        Role::Traffic(self)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.records.iter().flat_map(|r| r.at.keys().cloned()).collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        let watched = self.object(plan, name).map(Target::HealthObject);
        let turned = self.controls(plan, name).map(Target::Controls);
        self.record_sets(plan, name).into_iter().chain(watched).chain(turned).collect()
    }

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
    }

    fn rehearsed(&self, _: &ComponentName, _: &dyn Surroundings) -> Vec<(Target, State)> {
        Vec::new()
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        if let Some(zone) = self.hosted_zone(plan, name) {
            let hosted = arn::public("route53", &format!("hostedzone/{}", zone.zone));
            let acts = ["route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"];
            needs.add(&zone.place, hosted, &acts);
            needs.add(&zone.place, arn::public("route53", "change/*"), &["route53:GetChange"]);
        }
        if let Some(of) = self.controls(plan, name) {
            let acts = [
                "route53-recovery-cluster:GetRoutingControlState",
                "route53-recovery-cluster:UpdateRoutingControlStates",
            ];
            for control in of.controls.values() {
                needs.add(&of.place, control.clone(), &acts);
            }
        }
        if let Some(of) = self.object(plan, name)
            && let Some(named) = of.parts()
        {
            arn::object(&of.place, named, needs);
        }
    }
}

impl Route53 {
    /// The hosted zone.
    pub fn hosted_zone(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ZoneRef> {
        let place = plan.connection(&self.via.value)?.clone();
        Some(ZoneRef { component: name.clone(), place, zone: self.zone.clone() })
    }

    /// The record sets.
    pub fn record_sets(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<Target> {
        let mut names: Vec<_> = self.records.iter().map(|r| (r.name.clone(), r.rtype.clone())).collect();
        names.sort();
        names.dedup();
        Some(Target::Records { zone: self.hosted_zone(plan, name)?, names })
    }

    /// The object that the health checks watch.
    pub fn object(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ObjectRef> {
        let SwitchBy::Object(object) = &self.switch else { return None };
        let place = plan.site(&object.value.site)?.clone();
        Some(ObjectRef { component: name.clone(), place, url: object.value.url.clone() })
    }

    /// The routing controls that the names follow.
    pub fn controls(&self, plan: &dyn Surroundings, name: &ComponentName) -> Option<ControlsRef> {
        let SwitchBy::Controls(of) = &self.switch else { return None };
        let place = self.hosted_zone(plan, name)?.place;
        let (endpoints, controls) = (of.value.endpoints.clone(), of.value.controls.clone());
        Some(ControlsRef { component: name.clone(), place, endpoints, controls })
    }
}
