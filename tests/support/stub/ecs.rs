//! Services of Amazon ECS whose tasks take time to start and to stop, their limits in Application Auto Scaling, and their image in ECR.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::{Micros, SECOND};
use super::estate::{Draw, Region};
use super::options::Options;
use super::router::{Asked, Service as Api};
use super::stats::Drawn;
use super::wire::{ACCOUNT, Fault};

pub const SERVICE: Api = Api {
    name: "ecs",
    namespace: "AmazonEC2ContainerServiceV20141113",
    operations: &["DescribeServices", "DescribeTaskDefinition", "UpdateService"],
};

pub const SCALABLE_TARGETS: Api = Api {
    name: "application-autoscaling",
    namespace: "AnyScaleFrontendService",
    operations: &["DescribeScalableTargets", "RegisterScalableTarget"],
};

pub const REGISTRY: Api =
    Api { name: "ecr", namespace: "AmazonEC2ContainerRegistry_V20150921", operations: &["DescribeImages"] };

/// Services in one DescribeServices (Amazon ECS API Reference).
const MOST_SERVICES: usize = 10;
/// Resource IDs in one DescribeScalableTargets (Application Auto Scaling API Reference).
const MOST_TARGETS: usize = 50;
/// Tasks of a service (Amazon ECS Developer Guide, «Amazon ECS service quotas»).
const MOST_TASKS: u64 = 5_000;
/// The family of every task definition, and the repository of its image.
const FAMILY: &str = "web";

struct Service {
    min: u64,
    max: u64,
    desired: u64,
    /// The tasks that ran before the last change.
    before: u64,
    /// When the last change began, and when its tasks all run or are gone.
    began: Micros,
    steady: Micros,
    changes: u64,
}

/// The services of both regions, by name.
pub struct Services {
    regions: [BTreeMap<String, Service>; 2],
    draw: Draw,
    service_ms: u64,
    pub changes: Drawn,
}

/// The cluster of a region.
fn cluster(region: Region) -> &'static str {
    match region {
        Region::West => "shop",
        Region::East => "shop-dr",
    }
}

impl Services {
    pub fn new(options: &Options, draw: Draw) -> Self {
        let build = |region: Region| {
            let size = if region == Region::West { 2 } else { 0 };
            (1..=options.services).map(|number| (format!("web-{number:05}"), Service::new(size))).collect()
        };
        let regions = Region::ALL.map(build);
        Self { regions, draw, service_ms: options.service_ms, changes: Drawn::default() }
    }

    pub fn handle(&mut self, api: &str, asked: &Asked<'_>) -> Result<Value, Fault> {
        let Some(region) = asked.region else { return Err(no_cluster()) };
        match (api, asked.operation) {
            ("ecr", _) => images(region, asked),
            (_, "DescribeServices") => self.describe(region, asked),
            (_, "DescribeTaskDefinition") => task_definition(region, asked),
            (_, "UpdateService") => self.update(region, asked),
            (_, "DescribeScalableTargets") => self.scalable_targets(region, asked),
            _ => self.register(region, asked),
        }
    }

    /// For each region: services that want tasks, and how many of these have all of them running.
    pub fn census(&self, now: Micros) -> [(usize, usize); 2] {
        Region::ALL.map(|region| {
            let wanting = self.regions[region.index()].values().filter(|service| service.desired > 0);
            let met = wanting.clone().filter(|service| service.running(now) == service.desired);
            (wanting.count(), met.count())
        })
    }

    fn describe(&self, region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
        in_cluster(region, asked)?;
        let names: Vec<_> = asked.texts("services").collect();
        if names.is_empty() || names.len() > MOST_SERVICES {
            return Err(invalid(&format!("services: 1 to {MOST_SERVICES}")));
        }
        let services = &self.regions[region.index()];
        let (found, missing): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| services.contains_key(*name));
        let shown =
            found.into_iter().filter_map(|name| Some(services.get(name)?.show(region, name, asked.now)));
        let missing =
            missing.into_iter().map(|name| json!({"arn": service_arn(region, name), "reason": "MISSING"}));
        Ok(json!({"services": shown.collect::<Vec<_>>(), "failures": missing.collect::<Vec<_>>()}))
    }

    fn update(&mut self, region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
        in_cluster(region, asked)?;
        let name = asked.text("service");
        let missing = || Fault::new(400, "ServiceNotFoundException", "Service not found.");
        let service = self.regions[region.index()].get_mut(name).ok_or_else(missing)?;
        if let Some(desired) = count(asked, "desiredCount")? {
            let changed = service.resize(desired, self.draw, self.service_ms, name, asked.now);
            changed.into_iter().for_each(|took| self.changes.add(asked.now, took));
        }
        Ok(json!({"service": service.show(region, name, asked.now)}))
    }

    fn scalable_targets(&self, region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
        let ids: Vec<_> = asked.texts("ResourceIds").collect();
        if ids.is_empty() || ids.len() > MOST_TARGETS {
            return Err(Fault::new(400, "ValidationException", format!("ResourceIds: 1 to {MOST_TARGETS}")));
        }
        let show = |id: &str| {
            let service = self.regions[region.index()].get(scaled(region, id)?)?;
            Some(json!({
                "ServiceNamespace": "ecs",
                "ResourceId": id,
                "ScalableDimension": "ecs:service:DesiredCount",
                "MinCapacity": service.min,
                "MaxCapacity": service.max,
                "RoleARN": format!("arn:aws:iam::{ACCOUNT}:role/scaling"),
                "CreationTime": 0,
            }))
        };
        Ok(json!({"ScalableTargets": ids.into_iter().filter_map(show).collect::<Vec<_>>()}))
    }

    /// The count follows limits that it is outside of (Application Auto Scaling API Reference, `RegisterScalableTarget`).
    fn register(&mut self, region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
        let id = asked.text("ResourceId");
        let invalid = |message: &str| Fault::new(400, "ValidationException", message);
        let name = scaled(region, id).ok_or_else(|| invalid("Unknown ResourceId."))?;
        let service = self.regions[region.index()].get_mut(name);
        let service = service.ok_or_else(|| invalid("ECS service doesn't exist."))?;
        let low = count(asked, "MinCapacity")?.unwrap_or(service.min);
        let high = count(asked, "MaxCapacity")?.unwrap_or(service.max);
        if low > high {
            return Err(invalid("Maximum capacity cannot be less than minimum capacity."));
        }
        (service.min, service.max) = (low, high);
        let desired = service.desired.clamp(low, high);
        let changed = service.resize(desired, self.draw, self.service_ms, name, asked.now);
        changed.into_iter().for_each(|took| self.changes.add(asked.now, took));
        let arn =
            format!("arn:aws:application-autoscaling:{}:{ACCOUNT}:scalable-target/{name}", region.name());
        Ok(json!({"ScalableTargetARN": arn}))
    }
}

impl Service {
    const fn new(size: u64) -> Self {
        Self { min: size, max: 8, desired: size, before: size, began: 0, steady: 0, changes: 0 }
    }

    const fn running(&self, now: Micros) -> u64 {
        if now < self.steady { self.before } else { self.desired }
    }

    /// Starts to move towards a new count and returns how long that takes; none if nothing has to change.
    fn resize(&mut self, desired: u64, draw: Draw, base_ms: u64, name: &str, now: Micros) -> Option<Micros> {
        if desired == self.desired {
            return None;
        }
        self.before = self.running(now);
        let took = draw.duration(base_ms, name, self.changes);
        self.changes += 1;
        (self.desired, self.began, self.steady) = (desired, now, now + took);
        Some(took)
    }

    /// Events come newest first (Amazon ECS Developer Guide, «Viewing Amazon ECS service event messages»).
    fn show(&self, region: Region, name: &str, now: Micros) -> Value {
        let running = self.running(now);
        let event = |at: Micros, words: &str| {
            let message = format!("(service {name}) {words}");
            json!({"id": format!("{name}-{at}"), "createdAt": at / SECOND, "message": message})
        };
        let mut events = Vec::new();
        if self.changes > 0 {
            if now >= self.steady {
                events.push(event(self.steady, "has reached a steady state."));
            }
            let verb = if self.desired < self.before { "has stopped" } else { "has started" };
            events.push(event(
                self.began,
                &format!("{verb} {} running tasks.", self.desired.abs_diff(self.before)),
            ));
        }
        let definition = format!("arn:aws:ecs:{}:{ACCOUNT}:task-definition/{FAMILY}:1", region.name());
        json!({
            "serviceArn": service_arn(region, name),
            "serviceName": name,
            "clusterArn": format!("arn:aws:ecs:{}:{ACCOUNT}:cluster/{}", region.name(), cluster(region)),
            "status": "ACTIVE",
            "desiredCount": self.desired,
            "runningCount": running,
            "pendingCount": self.desired.saturating_sub(running),
            "launchType": "FARGATE",
            "taskDefinition": definition,
            "schedulingStrategy": "REPLICA",
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
            "deployments": [{
                "id": "ecs-svc/1",
                "status": "PRIMARY",
                "taskDefinition": definition,
                "desiredCount": self.desired,
                "runningCount": running,
                "rolloutState": "COMPLETED",
            }],
            "events": events,
        })
    }
}

/// The service that a resource ID of a region names.
fn scaled(region: Region, id: &str) -> Option<&str> {
    id.strip_prefix("service/")?.strip_prefix(cluster(region))?.strip_prefix('/')
}

fn service_arn(region: Region, name: &str) -> String {
    format!("arn:aws:ecs:{}:{ACCOUNT}:service/{}/{name}", region.name(), cluster(region))
}

fn task_definition(region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
    let wanted = format!("task-definition/{FAMILY}:1");
    if !asked.text("taskDefinition").ends_with(&wanted) {
        return Err(Fault::new(400, "ClientException", "Unable to describe task definition."));
    }
    let region = region.name();
    let image = format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{FAMILY}:1.0");
    Ok(json!({"taskDefinition": {
        "taskDefinitionArn": format!("arn:aws:ecs:{region}:{ACCOUNT}:{wanted}"),
        "family": FAMILY,
        "revision": 1,
        "status": "ACTIVE",
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{"name": FAMILY, "image": image, "essential": true}],
    }}))
}

fn images(region: Region, asked: &Asked<'_>) -> Result<Value, Fault> {
    let repository = asked.text("repositoryName");
    if repository != FAMILY {
        let message = format!("The repository {repository} does not exist in {}.", region.name());
        return Err(Fault::new(400, "RepositoryNotFoundException", message));
    }
    Ok(json!({"imageDetails": [{
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageTags": ["1.0"],
        "imageDigest": format!("sha256:{}", "0".repeat(64)),
        "imageSizeInBytes": 1,
    }]}))
}

fn in_cluster(region: Region, asked: &Asked<'_>) -> Result<(), Fault> {
    if asked.text("cluster") == cluster(region) { Ok(()) } else { Err(no_cluster()) }
}

fn no_cluster() -> Fault {
    Fault::new(400, "ClusterNotFoundException", "Cluster not found.")
}

fn invalid(message: &str) -> Fault {
    Fault::new(400, "InvalidParameterException", message)
}

fn count(asked: &Asked<'_>, key: &str) -> Result<Option<u64>, Fault> {
    match &asked.input[key] {
        Value::Null => Ok(None),
        given => given
            .as_u64()
            .filter(|tasks| *tasks <= MOST_TASKS)
            .map(Some)
            .ok_or_else(|| invalid(&format!("{key} must be a number from 0 to {MOST_TASKS}"))),
    }
}
