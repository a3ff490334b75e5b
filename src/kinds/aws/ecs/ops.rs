//! Operations on an ECS service.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::ecs::service::{Rollout, ServiceRef, ServiceState};
use crate::kinds::effects::{
    Effects, calls_no_endpoint_of_the_plan, is_more_than_a_row, moves_no_names, renames_nothing,
};
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole_after_a_reading};
use crate::kinds::shared::capacity::resize::{Beside, Resize, Sent};
use crate::kinds::shared::capacity::size::{Capacity, Size};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
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
    /// The sizes when the runbook was made, or right before the call. The undo restores them.
    pub from: Size,
    /// The new sizes.
    pub to: Size,
    /// The number of running tasks that is enough to continue.
    pub proceed_at: u32,
    /// Whether Application Auto Scaling scales it.
    pub scalable_target: bool,
}

impl ScaleService {
    /// What it sends of the sizes.
    pub fn sent(&self) -> Sent {
        let Sent { min, desired, max } = self.resize().sent();
        let limit = |of: Option<u32>| of.filter(|_| self.scalable_target);
        Sent { min: limit(min), desired, max: limit(max) }
    }

    /// What an observation shows of the sizes that it sets. Without Application Auto Scaling there are no limits.
    const fn sizes(&self, seen: &ServiceState) -> Size {
        let size = seen.capacity.size;
        match self.scalable_target {
            true => size,
            false => Size { min: size.desired, desired: size.desired, max: self.from.max },
        }
    }

    const fn resize(&self) -> Resize<'_> {
        let (from, to, proceed_at) = (self.from, self.to, self.proceed_at);
        Resize { component: &self.service.component, from, to, proceed_at }
    }
}

impl Effects for ScaleService {
    fn scaled(&self) -> Option<(Target, Size, Sent)> {
        Some((Target::Service(self.service.clone()), self.to, self.sent()))
    }

    renames_nothing!();
    moves_no_names!();
    calls_no_endpoint_of_the_plan!();
    is_more_than_a_row!();
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
            State::Service(service) if of.leaving => {
                Judged::stands(!self.resize().is_at(self.sizes(service), self.from))
            }
            State::Service(service) => scaled(self, service, of.undo),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole_after_a_reading!();

    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        part.is_empty() && matches!(found, None | Some(FoundValues::Size(_)))
    }

    /// The sizes, if somebody changed them since the runbook was made.
    fn read(&self, seen: &State, _: &[u32]) -> Option<FoundValues> {
        let State::Service(seen) = seen else { return None };
        let unread = self.scalable_target && !seen.scalable_target;
        let size = match unread {
            // Application Auto Scaling does not say which limits it has.
            true => Size { desired: seen.capacity.size.desired, ..self.from },
            false => self.sizes(seen),
        };
        self.resize().read(size).map(FoundValues::Size)
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        let (from, to) = self.resize().bound(read.size()?);
        Some(Self { from, to, ..self.clone() })
    }

    fn estimate(&self) -> Estimate {
        self.resize().estimate()
    }

    fn calls(&self) -> Vec<Call> {
        let (of, place) = (&self.service, &self.service.place);
        let region = quoted(&place.region);
        let Sent { min, desired, max } = self.sent();
        let limits = [("min-capacity", min), ("max-capacity", max)];
        let limits: String =
            limits.iter().filter_map(|(key, to)| Some(format!(" --{key} {}", (*to)?))).collect();
        let register = format!(
            "aws application-autoscaling register-scalable-target --region {region} --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id {}{limits}",
            quoted(&of.resource_id())
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
        let limits = (!limits.is_empty())
            .then(|| call("application-autoscaling", "RegisterScalableTarget", &place.name, true, register));
        let count = desired.map(|_| call("ecs", "UpdateService", &place.name, true, update));
        let look_at_limits = self.scalable_target.then(|| {
            let look = format!(
                "aws application-autoscaling describe-scalable-targets --region {region} --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-ids {}",
                quoted(&of.resource_id())
            );
            call("application-autoscaling", "DescribeScalableTargets", &place.name, false, look)
        });
        limits
            .into_iter()
            .chain(count)
            .chain([call("ecs", "DescribeServices", &place.name, false, look)])
            .chain(look_at_limits)
            .collect()
    }

    fn changes(&self) -> Vec<Change> {
        let of = &self.service;
        let service = format!("aws_ecs_service {of}");
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
    let now = Capacity { size: scale.sizes(service), ..service.capacity.clone() };
    scale.resize().judge(&now, &beside, undo)
}
