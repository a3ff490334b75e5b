//! What the engine asks of an Auto Scaling group.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{GroupRef, GroupState};
use super::ops::Scale;
use super::plan::{Autoscaling, KEYS, build};
use super::sim::SimulatedGroups;
use crate::kinds::aws::{arn, places};
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::shared::capacity;
use crate::kinds::shared::capacity::scales::{Scales, Scaling, Unscalable};
use crate::kinds::shared::capacity::share::CapacityShare;
use crate::kinds::shared::capacity::size::{Capacity, Size};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;

impl Kind for Autoscaling {
    type Sim = SimulatedGroups;

    const CASE: Case =
        Case { name: "aws.autoscaling", keys: &KEYS, called: &["asg", "autoscale", "scaling", "nodegroup"] };

    fn build(node: &Node) -> Option<Self> {
        Some(build(node))
    }

    fn lint(&self, of: &mut Lint<'_>) {
        places::lint(&self.sites(), of);
        capacity::lint(self, of);
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

    fn samples(&self, _: &ComponentName, _: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        Vec::new()
    }

    fn checks(&self, _: &ComponentName, _: &dyn Surroundings, _: &dyn Sight) -> Vec<Check> {
        Vec::new()
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

/// Processes without which no instance comes into service (Amazon EC2 Auto Scaling User Guide, «Suspend and resume processes»).
const NEEDED: &[&str] = &["Launch", "AddToLoadBalancer"];

impl Scales for Autoscaling {
    fn thing(&self) -> &'static str {
        "group"
    }

    fn unit(&self) -> &'static str {
        "instance"
    }

    fn name_in(&self, site: &SiteName) -> Option<&str> {
        self.at.get(site).map(|at| at.group.as_str())
    }

    fn shares(&self) -> BTreeMap<&SiteName, &CapacityShare> {
        self.at.iter().map(|(site, at)| (site, &at.share)).collect()
    }

    fn target(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<Target> {
        self.group(plan, name, site).map(Target::Group)
    }

    fn scale(&self, of: &Target, seen: &State, to: Size, proceed_at: u32) -> Result<Scaling, Unscalable> {
        let (Target::Group(group), State::Group(now)) = (of, seen) else { return Err(Unscalable::other(of)) };
        let blocked: BTreeSet<String> =
            now.suspended.iter().filter(|p| NEEDED.contains(&p.as_str())).cloned().collect();
        let note = (!blocked.is_empty()).then(|| {
            let processes: Vec<_> = blocked.iter().map(String::as_str).collect();
            format!(
                "{} has suspended processes: {}. drctl resumes them, because no instance starts without them",
                group.group,
                processes.join(", ")
            )
        });
        let (group, from, suspend) = (group.clone(), now.capacity.size, BTreeSet::new());
        let operation = Scale { group, from, to, proceed_at, resume: blocked, suspend }.into();
        Ok(Scaling { operation, note })
    }

    fn observed(&self) -> fn(Capacity) -> State {
        |capacity| State::Group(GroupState { capacity, ..GroupState::default() })
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
