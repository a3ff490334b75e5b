//! A service, its tasks and its images.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::capacity::size::Capacity;
use crate::kinds::targeted::{Identity, PATIENCE, Polled, Targeted};
use crate::model::ids::ComponentName;
use crate::model::place::Place;

/// The default quota of tasks of a service (Amazon ECS Developer Guide, «Amazon ECS service quotas»). It is the maximum of a service that
/// Application Auto Scaling does not scale.
pub const MOST_TASKS: u32 = 5_000;

/// A service in one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ServiceRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// The name of its cluster.
    pub cluster: String,
    /// Its name.
    pub service: String,
}

impl ServiceRef {
    /// Its resource ID in Application Auto Scaling (API Reference, `RegisterScalableTarget`, `ResourceId`).
    pub fn resource_id(&self) -> String {
        format!("service/{}/{}", self.cluster, self.service)
    }

    pub(in crate::kinds) fn targeted(&self) -> Targeted<'_> {
        Targeted {
            is_evidence: true,
            seeds_rehearsal: true,
            answers_within: PATIENCE,
            polled: Polled::WithItsService,
            identity: Identity::Within(self.to_string()),
        }
    }

    /// Of its task definition. It needs several calls and may take long, so it must not delay what a recovery needs.
    pub(in crate::kinds) fn task_targeted(&self) -> Targeted<'_> {
        Targeted { polled: Polled::Alone, ..Targeted::ONLY_LOOKED_AT }
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.service)
    }
}

/// A service as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceState {
    /// Its size, and the number of running tasks. Without Application Auto Scaling the minimum is the desired count.
    #[serde(flatten)]
    pub capacity: Capacity,
    /// Its status, if it is not `ACTIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether it runs one task on each container instance, so that it has no desired count.
    #[serde(default)]
    pub daemon: bool,
    /// Whether Application Auto Scaling scales it.
    #[serde(default)]
    pub scalable_target: bool,
    /// Why it is unknown whether Application Auto Scaling scales it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits_unread: Option<String>,
    /// Family and revision of its task definition.
    pub task_definition: String,
    /// The state of its primary deployment.
    pub rollout: Rollout,
    /// Whether it has reached a steady state since it last started tasks.
    pub steady: bool,
    /// Whether the deployment circuit breaker is on, and whether it rolls back.
    pub breaker: Breaker,
    /// Its capacity providers with base and weight; none if a launch type is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
}

/// The state of a deployment (Amazon ECS API Reference, `Deployment`, `rolloutState`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    /// It reached a steady state.
    #[default]
    Completed,
    /// Tasks of the new revision are being started.
    InProgress,
    /// The circuit breaker stopped it. ECS starts no more tasks of it. The reason, in the provider's words.
    Failed(String),
}

/// The deployment circuit breaker (Amazon ECS Developer Guide, «How the Amazon ECS deployment circuit breaker detects failures»).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// A failing deployment goes on for ever.
    #[default]
    Off,
    /// It stops a failing deployment.
    Stops,
    /// It stops a failing deployment and restores the last completed one.
    RollsBack,
}

impl Breaker {
    const fn id(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Stops => "on",
            Self::RollsBack => "on, with rollback",
        }
    }
}

impl ServiceState {
    /// The attributes that no failover changes.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let providers = (!self.providers.is_empty()).then(|| self.providers.join(", "));
        let all = [
            ("task_definition", Some(self.task_definition.clone())),
            ("maximum", Some(self.capacity.size.max.to_string())),
            ("circuit_breaker", Some(self.breaker.id().to_owned())),
            ("capacity_providers", providers),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// The task definition of a service, with the images that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskState {
    /// Family and revision.
    pub definition: String,
    /// CPU units of the task, if they are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory of the task in MiB, if it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The containers, by name.
    pub containers: BTreeMap<String, Image>,
}

/// The image of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// As the task definition names it.
    pub name: String,
    /// Whether it can be pulled.
    pub presence: Presence,
}

impl Image {
    /// Repository and tag or digest. The registry of ECR is left out, because each region has its own.
    pub fn content(&self) -> &str {
        match self.name.split_once('/') {
            Some((_, rest)) if EcrImage::read(&self.name).is_some() => rest,
            _ => &self.name,
        }
    }
}

/// An image in a private registry of Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrImage<'a> {
    /// The account of the registry.
    pub account: &'a str,
    /// The region of the registry.
    pub region: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// The digest, with its algorithm.
    pub digest: Option<&'a str>,
    /// The tag, if there is no digest; `latest` if nothing is named.
    pub tag: Option<&'a str>,
}

impl<'a> EcrImage<'a> {
    /// Reads `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG` or `..@DIGEST` (Amazon ECR User Guide, «Private registry»; «Pulling an
    /// image»). None for an image of another registry.
    pub fn read(name: &'a str) -> Option<Self> {
        let (registry, rest) = name.split_once('/')?;
        let (account, host) = registry.split_once(".dkr.ecr.")?;
        let (region, _) = host.split_once(".amazonaws.com")?;
        if let Some((repository, digest)) = rest.split_once('@') {
            // Of a name with both, the digest counts.
            let repository = repository.split_once(':').map_or(repository, |(repository, _)| repository);
            return Some(Self { account, region, repository, digest: Some(digest), tag: None });
        }
        let (repository, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        Some(Self { account, region, repository, digest: None, tag: Some(tag) })
    }
}

/// Whether an image exists in the registry from which tasks pull it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It exists.
    Present,
    /// It does not exist.
    Missing,
    /// It is pulled from this other region.
    OtherRegion(String),
    /// Not known: it is in a registry that drctl does not ask.
    NotAsked,
    /// Not known: the registry refused the question. The reason, in its words.
    Unread(String),
}
