//! What the engine asks of an Auto Scaling group.

use std::collections::BTreeSet;

use super::GroupRef;
use super::plan::{Autoscaling, KEYS, build};
use crate::kinds::aws::arn;
use crate::kinds::kind::{Kind, Role, Surroundings};
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::Needs;
use crate::model::shape::Case;

impl Kind for Autoscaling {
    const CASE: Case =
        Case { name: "aws.autoscaling", keys: &KEYS, called: &["asg", "autoscale", "nodegroup"] };

    fn build(node: &Node) -> Option<Self> {
        Some(build(node))
    }

    fn role(&self) -> Role<'_> {
        Role::Capacity(self)
    }

    fn sites(&self) -> BTreeSet<SiteName> {
        self.at.keys().cloned().collect()
    }

    fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        self.at.keys().filter_map(|site| self.group(plan, name, site)).map(Target::Group).collect()
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        for of in self.at.keys().filter_map(|site| self.group(plan, name, site)) {
            let look = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"];
            needs.add(&of.place, "*".to_owned(), &look);
            let group = format!("autoScalingGroup:*:autoScalingGroupName/{}", of.group);
            let acts = [
                "autoscaling:UpdateAutoScalingGroup",
                "autoscaling:ResumeProcesses",
                "autoscaling:SuspendProcesses",
            ];
            needs.add(&of.place, arn::regional(&of.place, "autoscaling", &group), &acts);
        }
    }
}

impl Autoscaling {
    /// The group in a site.
    pub fn group(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<GroupRef> {
        let at = self.at.get(site)?;
        let place = plan.site(site)?.clone();
        Some(GroupRef { component: name.clone(), place, group: at.group.clone() })
    }
}
