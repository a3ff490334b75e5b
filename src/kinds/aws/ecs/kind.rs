//! What the engine asks of an ECS service.

use std::collections::{BTreeMap, BTreeSet};

use super::ops::ScaleService;
use super::parity;
use super::plan::{Ecs, KEYS, build};
use super::service::{Rollout, ServiceRef, ServiceState};
use super::sim::SimulatedServices;
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

impl Kind for Ecs {
    type Sim = SimulatedServices;

    const CASE: Case = Case { name: "aws.ecs", keys: &KEYS, called: &["ecs", "fargate", "ecs_service"] };

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
        self.services(name, plan).map(Target::Service).collect()
    }

    /// The task definition takes calls of its own, to ECS and to the registry of its images.
    fn samples(&self, name: &ComponentName, plan: &dyn Surroundings, _: &SiteName, _: &str) -> Vec<Target> {
        self.services(name, plan).map(Target::Task).collect()
    }

    fn checks(&self, name: &ComponentName, plan: &dyn Surroundings, seen: &dyn Sight) -> Vec<Check> {
        let Some(active) = seen.active() else { return Vec::new() };
        let Some(here) = self.service(plan, name, active) else { return Vec::new() };
        let others = self.at.keys().filter(|site| *site != active);
        let others = others.filter_map(|site| self.service(plan, name, site));
        others.flat_map(|there| parity::checks(&here, &there, seen)).collect()
    }

    fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        for of in self.services(name, plan) {
            let service = arn::regional(&of.place, "ecs", &of.resource_id());
            needs.add(&of.place, service, &["ecs:DescribeServices", "ecs:UpdateService"]);
            // These have no resource of their own (Service Authorization Reference, of Amazon ECS and Application Auto Scaling).
            let any = ["ecs:DescribeTaskDefinition", "application-autoscaling:DescribeScalableTargets"];
            needs.add(&of.place, "*".to_owned(), &any);
            let targets = arn::regional(&of.place, "application-autoscaling", "scalable-target/*");
            needs.add(&of.place, targets, &["application-autoscaling:RegisterScalableTarget"]);
            needs.add(&of.place, arn::regional(&of.place, "ecr", "repository/*"), &["ecr:DescribeImages"]);
        }
    }
}

impl Scales for Ecs {
    fn thing(&self) -> &'static str {
        "service"
    }

    fn unit(&self) -> &'static str {
        "task"
    }

    fn name_in(&self, site: &SiteName) -> Option<&str> {
        self.at.get(site).map(|at| at.service.as_str())
    }

    fn shares(&self) -> BTreeMap<&SiteName, &CapacityShare> {
        self.at.iter().map(|(site, at)| (site, &at.share)).collect()
    }

    fn target(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<Target> {
        self.service(plan, name, site).map(Target::Service)
    }

    fn scale(&self, of: &Target, seen: &State, to: Size, proceed_at: u32) -> Result<Scaling, Unscalable> {
        let (Target::Service(service), State::Service(now)) = (of, seen) else {
            return Err(Unscalable::other(of));
        };
        if let Some(why) = unscalable(service, now) {
            return Err(why);
        }
        let deploys = (now.rollout == Rollout::InProgress).then(|| {
            format!(
                "{service} is deploying {}. Tasks of both revisions count as in service",
                now.task_definition
            )
        });
        let unread = now.limits_unread.as_ref().map(|why| {
            format!(
                "Application Auto Scaling does not say whether it scales {service} ({why}). drctl sets the count alone, and a policy may lower it again"
            )
        });
        let notes: Vec<_> = deploys.into_iter().chain(unread).collect();
        let note = (!notes.is_empty()).then(|| notes.join(". "));
        let (service, from, scalable_target) = (service.clone(), now.capacity.size, now.scalable_target);
        let operation = ScaleService { service, from, to, proceed_at, scalable_target }.into();
        Ok(Scaling { operation, note })
    }

    fn observed(&self) -> fn(Capacity) -> State {
        |capacity| {
            let steady = capacity.in_service == capacity.size.desired;
            let task_definition = "app:1".to_owned();
            State::Service(ServiceState { capacity, steady, task_definition, ..ServiceState::default() })
        }
    }
}

/// Why a service cannot be given a size; none if it can.
fn unscalable(service: &ServiceRef, now: &ServiceState) -> Option<Unscalable> {
    let (facts, fix) = match &now.rollout {
        _ if now.status.is_some() => (
            format!("service {service} is {}", now.status.as_deref().unwrap_or_default()),
            "create the service that the plan names, or correct the name in the plan",
        ),
        _ if now.daemon => (
            format!("service {service} runs one task on each container instance and has no desired count"),
            "scale its container instances as an aws.autoscaling component",
        ),
        Rollout::Failed(why) => (
            format!(
                "the deployment of {} by {service} failed, and ECS starts no more tasks of it: {why}",
                now.task_definition
            ),
            "deploy a revision that works: aws ecs update-service --task-definition FAMILY:REVISION",
        ),
        Rollout::Completed | Rollout::InProgress => return None,
    };
    Some(Unscalable { facts, fix: fix.to_owned() })
}

impl Ecs {
    /// The service in a site.
    pub fn service(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        site: &SiteName,
    ) -> Option<ServiceRef> {
        let at = self.at.get(site)?;
        Some(ServiceRef {
            component: name.clone(),
            place: plan.site(site)?.clone(),
            cluster: at.cluster.clone(),
            service: at.service.clone(),
        })
    }

    fn services(&self, name: &ComponentName, plan: &dyn Surroundings) -> impl Iterator<Item = ServiceRef> {
        self.at.keys().filter_map(|site| self.service(plan, name, site))
    }
}
