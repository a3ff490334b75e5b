//! Services of Amazon ECS, their task definitions and the images of these.
//!
//! Sources: Amazon ECS API Reference (`DescribeServices`, `DescribeTaskDefinition`, `UpdateService`), Application Auto Scaling API Reference
//! (`DescribeScalableTargets`, `RegisterScalableTarget`), Amazon ECR API Reference (`DescribeImages`).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ScalableTarget, ServiceNamespace};
use aws_sdk_ecr::types::ImageIdentifier;
use aws_sdk_ecs::types::{
    CapacityProviderStrategyItem, Deployment, DeploymentRolloutState, SchedulingStrategy, Service,
    ServiceEvent, TaskDefinition,
};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::aws::ecs::{
    Breaker, EcrImage, Image, MOST_TASKS, Presence, Rollout, ScaleService, ServiceRef, ServiceState,
    TaskState,
};
use crate::kinds::shared::capacity::{Capacity, Sent, Size};
use crate::kinds::{State, Target};
use crate::model::place::Place;
use crate::run::outcome::CallOutcome;

/// Services in one describe call (API Reference, `DescribeServices`).
const PAGE: usize = 10;
/// Scalable targets in one describe call (API Reference, `DescribeScalableTargets`).
const TARGETS: usize = 50;

/// Events of the service scheduler (Amazon ECS Developer Guide, «Viewing Amazon ECS service event messages»).
const STEADY: &str = "has reached a steady state";
const STARTED: &str = "has started";
const UNABLE: [&str; 2] = ["unable to place a task", "unable to consistently start tasks"];

/// What was found of services, by cluster and name: none if it does not exist.
type DescribedServices = BTreeMap<(String, String), Option<Service>>;
/// The minimum and maximum of Application Auto Scaling, by resource ID.
type Limits = BTreeMap<String, (u32, u32)>;

impl Aws {
    /// Observes services: one describe call for up to ten of a cluster, and one for the limits of up to fifty.
    pub(super) async fn services(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        let of: BTreeSet<&ServiceRef> = targets.iter().filter_map(|t| service_of(t)).collect();
        let limits = self.limits(place, &of).await;
        let found = match self.describe_services(place, &of).await {
            Ok(found) => found,
            Err(failure) => {
                return targets.iter().map(|_| failure.clone().observation(self.now())).collect();
            }
        };
        let look = |target: &&Target| {
            let of = service_of(target);
            let service = of.and_then(|of| found.get(&key(of))?.as_ref());
            match of.zip(service) {
                Some((of, service)) => {
                    self.seen(State::Service(state(service, of, &limits)), "ecs:DescribeServices")
                }
                None => Observation::NotFound { observed_at: self.now() },
            }
        };
        targets.iter().map(look).collect()
    }

    async fn describe_services(
        &self,
        place: &Place,
        of: &BTreeSet<&ServiceRef>,
    ) -> Result<DescribedServices, Failure> {
        let site = self.site(place).await;
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for of in of {
            clusters.entry(&of.cluster).or_default().push(&of.service);
        }
        let mut found = DescribedServices::new();
        for (cluster, names) in clusters {
            for some in names.chunks(PAGE) {
                let some: Vec<_> = some.iter().map(|n| (*n).to_owned()).collect();
                let call = || {
                    let ask = site.ecs().describe_services().cluster(cluster);
                    ask.set_services(Some(some.clone())).send()
                };
                let services = match self.look("ecs", place, call).await {
                    Ok(page) => page.services().to_vec(),
                    // It has no service then.
                    Err(failure) if is_missing(&failure) => Vec::new(),
                    Err(failure) => return Err(failure),
                };
                let named = services.into_iter().filter_map(|s| Some((s.service_name()?.to_owned(), s)));
                found.extend(named.map(|(name, s)| ((cluster.to_owned(), name), Some(s))));
            }
        }
        Ok(found)
    }

    /// The limits that Application Auto Scaling keeps; an error if it does not say. A recovery does not depend on that.
    async fn limits(&self, place: &Place, of: &BTreeSet<&ServiceRef>) -> Result<Limits, Failure> {
        let site = self.site(place).await;
        let ids: Vec<_> = of.iter().map(|of| of.resource_id()).collect();
        let mut limits = Limits::new();
        for some in ids.chunks(TARGETS) {
            let call = |from: Option<String>| {
                site.scalable_targets()
                    .describe_scalable_targets()
                    .service_namespace(ServiceNamespace::Ecs)
                    .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
                    .set_resource_ids(Some(some.to_vec()))
                    .set_next_token(from)
                    .send()
            };
            let pages = self.pages("application-autoscaling", place, call, |page| page.next_token()).await?;
            let limit = |t: &ScalableTarget| {
                (t.resource_id().to_owned(), (count(t.min_capacity()), count(t.max_capacity())))
            };
            limits.extend(pages.iter().flat_map(|page| page.scalable_targets()).map(limit));
        }
        Ok(limits)
    }

    /// Observes the task definition of a service, and whether its images exist.
    pub(super) async fn task(&self, of: &ServiceRef) -> Observation {
        match self.read_task(of).await {
            Ok(Some(task)) => self.seen(State::Task(task), "ecs:DescribeTaskDefinition"),
            Ok(None) => Observation::NotFound { observed_at: self.now() },
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_task(&self, of: &ServiceRef) -> Result<Option<TaskState>, Failure> {
        let site = self.site(&of.place).await;
        let found = self.describe_services(&of.place, &BTreeSet::from([of])).await?;
        let Some(service) = found.get(&key(of)).and_then(Option::as_ref) else { return Ok(None) };
        let arn = service.task_definition().unwrap_or_default();
        let call = || site.ecs().describe_task_definition().task_definition(arn).send();
        let answer = self.look("ecs", &of.place, call).await?;
        let Some(task) = answer.task_definition() else { return Ok(None) };
        let mut containers = BTreeMap::new();
        for (name, image) in images(task) {
            let presence = self.presence(&of.place, &image).await;
            containers.insert(name, Image { name: image, presence });
        }
        Ok(Some(TaskState {
            definition: short(arn),
            cpu: task.cpu().map(str::to_owned),
            memory: task.memory().map(str::to_owned),
            containers,
        }))
    }

    async fn presence(&self, place: &Place, image: &str) -> Presence {
        let Some(of) = EcrImage::read(image) else { return Presence::NotAsked };
        if of.region != place.region {
            return Presence::OtherRegion(of.region.to_owned());
        }
        let site = self.site(place).await;
        let call = || {
            let id = ImageIdentifier::builder()
                .set_image_digest(of.digest.map(str::to_owned))
                .set_image_tag(of.tag.map(str::to_owned))
                .build();
            let ask = site.ecr().describe_images().registry_id(of.account).repository_name(of.repository);
            ask.image_ids(id).send()
        };
        match self.look("ecr", place, call).await {
            Ok(page) if page.image_details().is_empty() => Presence::Missing,
            Ok(_) => Presence::Present,
            Err(failure) if is_missing(&failure) => Presence::Missing,
            Err(failure) => Presence::Unread(failure.to_string()),
        }
    }

    /// Sets the limits and the count of a service.
    pub(super) async fn scale_service(&self, scale: &ScaleService) -> CallOutcome {
        let mut accepted = 0;
        match self.scale_service_in_turn(scale, &mut accepted).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) if accepted > 0 => failure.outcome().halfway(),
            Err(failure) => failure.outcome(),
        }
    }

    /// Each call sets a state, so both can be repeated.
    async fn scale_service_in_turn(&self, scale: &ScaleService, accepted: &mut u32) -> Result<(), Failure> {
        let of = &scale.service;
        let site = self.site(&of.place).await;
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let Sent { min, desired, max } = scale.sent();
        if min.or(max).is_some() {
            let call = site
                .scalable_targets()
                .register_scalable_target()
                .service_namespace(ServiceNamespace::Ecs)
                .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
                .resource_id(of.resource_id())
                .set_min_capacity(min.map(number))
                .set_max_capacity(max.map(number))
                .send();
            self.once("application-autoscaling", &of.place, call).await?;
            *accepted += 1;
        }
        if let Some(desired) = desired {
            let ask = site.ecs().update_service().cluster(&of.cluster).service(&of.service);
            self.once("ecs", &of.place, ask.desired_count(number(desired)).send()).await?;
        }
        Ok(())
    }
}

fn service_of<'t>(target: &&'t Target) -> Option<&'t ServiceRef> {
    if let Target::Service(service) = target { Some(service) } else { None }
}

fn key(of: &ServiceRef) -> (String, String) {
    (of.cluster.clone(), of.service.clone())
}

/// `ClusterNotFoundException`, `ServiceNotFoundException`, `RepositoryNotFoundException`, `ImageNotFoundException`.
fn is_missing(failure: &Failure) -> bool {
    failure.is_not_found() || failure.code().is_some_and(|code| code.ends_with("NotFoundException"))
}

fn count(n: i32) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// The last part of an ARN: family and revision of a task definition.
fn short(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

fn images(task: &TaskDefinition) -> Vec<(String, String)> {
    let containers = task.container_definitions().iter();
    containers.filter_map(|c| Some((c.name()?.to_owned(), c.image()?.to_owned()))).collect()
}

fn state(service: &Service, of: &ServiceRef, limits: &Result<Limits, Failure>) -> ServiceState {
    let desired = count(service.desired_count());
    let kept = limits.as_ref().ok().and_then(|limits| limits.get(&of.resource_id()));
    // Nothing lowers the count of a service that is not scaled.
    let (min, max) = kept.copied().unwrap_or((desired, MOST_TASKS.max(desired)));
    let primary = service.deployments().iter().find(|d| d.status() == Some("PRIMARY"));
    let rollout = primary.map_or(Rollout::Completed, rollout);
    let events = service.events();
    ServiceState {
        capacity: Capacity {
            size: Size { min, desired, max },
            in_service: count(service.running_count()),
            last_failure: failure(events),
        },
        status: service.status().filter(|status| *status != "ACTIVE").map(str::to_owned),
        daemon: service.scheduling_strategy() == Some(&SchedulingStrategy::Daemon),
        scalable_target: kept.is_some(),
        limits_unread: limits.as_ref().err().map(Failure::to_string),
        task_definition: service.task_definition().map(short).unwrap_or_default(),
        steady: rollout == Rollout::Completed && steady(events),
        rollout,
        breaker: breaker(service),
        providers: service.capacity_provider_strategy().iter().map(provider).collect(),
    }
}

/// Deployments of other controllers than ECS have no rollout state.
fn rollout(primary: &Deployment) -> Rollout {
    match primary.rollout_state() {
        Some(DeploymentRolloutState::Failed) => {
            Rollout::Failed(primary.rollout_state_reason().unwrap_or("no reason given").to_owned())
        }
        Some(DeploymentRolloutState::InProgress) => Rollout::InProgress,
        _ => Rollout::Completed,
    }
}

/// Whether the service has been steady since it last started tasks. Events come newest first, and the oldest are dropped.
fn steady(events: &[ServiceEvent]) -> bool {
    let of = |e: &&ServiceEvent| e.message().is_some_and(|m| m.contains(STEADY) || m.contains(STARTED));
    events.iter().find(of).is_none_or(|newest| newest.message().is_some_and(|m| m.contains(STEADY)))
}

/// Why it could not start tasks, if it has not been steady since.
fn failure(events: &[ServiceEvent]) -> Option<String> {
    let mut messages = events.iter().filter_map(ServiceEvent::message).take_while(|m| !m.contains(STEADY));
    messages.find(|m| UNABLE.iter().any(|words| m.contains(words))).map(str::to_owned)
}

fn breaker(service: &Service) -> Breaker {
    let breaker = service.deployment_configuration().and_then(|c| c.deployment_circuit_breaker());
    match breaker {
        Some(breaker) if breaker.enable() && breaker.rollback() => Breaker::RollsBack,
        Some(breaker) if breaker.enable() => Breaker::Stops,
        _ => Breaker::Off,
    }
}

fn provider(of: &CapacityProviderStrategyItem) -> String {
    format!("{}, base {}, weight {}", of.capacity_provider(), of.base(), of.weight())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(messages: &[&str]) -> Vec<ServiceEvent> {
        messages.iter().map(|m| ServiceEvent::builder().message(*m).build()).collect()
    }

    const STEADY_NOW: &str = "(service web) has reached a steady state.";
    const STARTED_NOW: &str = "(service web) has started 8 tasks: (task 1).";
    const NO_ROOM: &str =
        "(service web) was unable to place a task. Reason: Capacity is unavailable at this time.";

    #[test]
    fn a_service_is_steady_when_its_scheduler_said_so_after_the_last_start() {
        assert!(steady(&events(&[STEADY_NOW, STARTED_NOW])));
        assert!(!steady(&events(&[STARTED_NOW, STEADY_NOW])));
        assert!(!steady(&events(&[NO_ROOM, STARTED_NOW, STEADY_NOW])));
        // ECS keeps the newest events alone, and a service that is stable for long has none of either.
        assert!(steady(&events(&[])));
    }

    #[test]
    fn what_failed_before_the_service_was_steady_again_is_past() {
        assert_eq!(failure(&events(&[STARTED_NOW, NO_ROOM, STEADY_NOW])), Some(NO_ROOM.to_owned()));
        assert_eq!(failure(&events(&[STEADY_NOW, NO_ROOM])), None);
    }
}
