//! Operations on an ECS service.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::ecs::{Rollout, ServiceRef, ServiceState};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::capacity::{Beside, Resize, Size};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Called, Judged, Progress, State, Target};
use crate::model::call::{Call, call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, Late, OnStop, Properties, QUIET, Undo};

/// Changes the desired count of a service, and the limits of Application Auto Scaling, if it scales the service.
///
/// The limits go first. Otherwise a scale-in between the two calls would undo the count, and a count below the minimum is raised again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleService {
    /// The service.
    pub service: ServiceRef,
    /// The sizes when the runbook was made. The undo restores them.
    pub from: Size,
    /// The new sizes.
    pub to: Size,
    /// The number of running tasks that is enough to continue.
    pub proceed_at: u32,
    /// Whether Application Auto Scaling scales it.
    pub scalable_target: bool,
}

impl ScaleService {
    const fn resize(&self) -> Resize<'_> {
        let (from, to, proceed_at) = (self.from, self.to, self.proceed_at);
        Resize { component: &self.service.component, from, to, proceed_at }
    }
}

impl Op for ScaleService {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { on_stop: OnStop::GoesOnInAFailover, made_up_for: true, ..QUIET }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(Self { from: self.to, to: self.from, proceed_at: 0, ..self.clone() })
    }

    /// Counts are absolute, so a repeated call has the same effect.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some(self.resize().left_out("tasks"))
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.service.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Service(self.service.clone())
    }

    /// A change that will be undone anyway need not take effect: it is enough that it was requested.
    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Service(service) if of.leaving => Judged::stands(service.capacity.size != self.from),
            State::Service(service) => scaled(self, service, of.undo),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    fn estimate(&self) -> Estimate {
        self.resize().estimate()
    }

    fn calls(&self) -> Vec<Call> {
        let (of, place) = (&self.service, &self.service.place);
        let region = quoted(&place.region);
        let register = format!(
            "aws application-autoscaling register-scalable-target --region {region} --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id {} --min-capacity {} --max-capacity {}",
            quoted(&of.resource_id()),
            self.to.min,
            self.to.max
        );
        let (cluster, service) = (quoted(&of.cluster), quoted(&of.service));
        let update = format!(
            "aws ecs update-service --region {region} --cluster {cluster} --service {service} --desired-count {}",
            self.to.desired
        );
        let look = format!(
            "aws ecs describe-services --region {region} --cluster {cluster} --services {service}   # until {} are running in a steady state",
            self.proceed_at
        );
        let limits = self
            .scalable_target
            .then(|| call("application-autoscaling", "RegisterScalableTarget", &place.name, true, register));
        let count = call("ecs", "UpdateService", &place.name, true, update);
        limits.into_iter().chain([count, call("ecs", "DescribeServices", &place.name, false, look)]).collect()
    }

    fn changes(&self) -> Vec<Change> {
        let of = &self.service;
        let service = format!("aws_ecs_service {}", of.service);
        let target = format!("aws_appautoscaling_target {}", of.resource_id());
        let change = |resource: &str, attribute: &str, before: u32, after: u32| {
            let changed = before != after;
            changed.then(|| {
                Change::new(&of.place.name, resource, attribute, before.to_string(), after.to_string())
            })
        };
        let limits = self.scalable_target.then(|| {
            [
                change(&target, "min_capacity", self.from.min, self.to.min),
                change(&target, "max_capacity", self.from.max, self.to.max),
            ]
        });
        let count = change(&service, "desired_count", self.from.desired, self.to.desired);
        limits.into_iter().flatten().chain([count]).flatten().collect()
    }
}

impl fmt::Display for ScaleService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scale {} from {} to {}", self.service, self.from.desired, self.to.desired)
    }
}

/// A running task may still fail its health checks. So if all tasks are needed, the service must also have reached a steady state: the
/// scheduler says so when it has the desired number of healthy tasks (Amazon ECS Developer Guide, «Viewing Amazon ECS service event
/// messages»).
fn scaled(scale: &ScaleService, service: &ServiceState, undo: bool) -> Judged {
    let all = scale.proceed_at >= scale.to.desired;
    let enough = service.capacity.in_service >= scale.proceed_at;
    let counts = service.steady || !all;
    let failed = match &service.rollout {
        Rollout::Failed(why) => Some(why),
        Rollout::Completed | Rollout::InProgress => None,
    };
    if let (false, false, Some(why)) = (undo, enough, failed) {
        return Judged::Wrong(format!(
            "the deployment of {} failed, and ECS starts no more tasks of it: {why}",
            service.task_definition
        ));
    }
    let why = if enough && !counts { "; the service has not reached a steady state" } else { "" };
    let beside = Beside { set: true, counts, why: why.to_owned() };
    scale.resize().judge(&service.capacity, &beside, undo)
}
