//! Observed states: the state of one target at one moment, in the provider's own terms where they matter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::autoscaling::group::GroupState;
use crate::kinds::aws::ecs::service::{ServiceState, TaskState};
use crate::kinds::control::{CommandState, GuardState, IdentityState};
use crate::kinds::shared::buckets::{BucketState, ComparedState};
use crate::kinds::shared::capacity::size::Capacity;
use crate::kinds::shared::database::server::{AliveState, DatabaseState, WroteState};
use crate::kinds::shared::fence::method::FenceState;
use crate::kinds::shared::names::answers::AnswersState;
use crate::kinds::shared::names::controls::ControlsState;
use crate::kinds::shared::names::health_object::HealthObjectState;
use crate::kinds::shared::names::records::{ChangeState, RecordsState};
use crate::kinds::shared::rebuild::RebuildState;
use crate::kinds::shared::restore::copy::{BackupsState, RestoreState};
use crate::kinds::shared::secret::login::SecretState;
use crate::model::readiness::{GrantedState, QuotasState};

impl State {
    /// Whether it may contain a secret: the output of a command or a job, or a message of a provider. There is no wildcard here, so that a
    /// new state requires a decision.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub const fn may_hold_secrets(&self) -> bool {
        match self {
            Self::Command(_)
            | Self::Rebuild(_)
            | Self::Backups(_)
            | Self::Restore(_)
            | Self::Group(_)
            | Self::Service(_)
            | Self::Task(_)
            | Self::Fence(_)
            | Self::Granted(_)
            | Self::Bucket(_)
            | Self::Compared(_)
            | Self::Alive(_)
            | Self::Answers(_) => true,
            // Names, numbers and words of the provider. These states are too frequent to scrub.
            Self::Database(_) | Self::Records(_) | Self::Change(_) | Self::Identity(_) | Self::Quotas(_) => {
                false
            }
            // Compared character by character with what drctl wrote, or with the plan.
            Self::Guard(_) | Self::HealthObject(_) | Self::Controls(_) | Self::Secret(_) | Self::Wrote(_) => {
                false
            }
        }
    }

    /// The attributes that no failover changes, so roles, sizes and statuses are left out. Record sets are left out as well: the plan
    /// states them.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn shape(&self) -> BTreeMap<String, String> {
        match self {
            Self::Database(db) => db.shape(),
            Self::Group(group) => group.shape(),
            Self::Service(service) => service.shape(),
            Self::Bucket(bucket) => bucket.shape(),
            Self::Task(_)
            | Self::Records(_)
            | Self::Change(_)
            | Self::Identity(_)
            | Self::Fence(_)
            | Self::Alive(_)
            | Self::Guard(_)
            | Self::HealthObject(_)
            | Self::Controls(_)
            | Self::Secret(_)
            | Self::Answers(_)
            | Self::Wrote(_)
            | Self::Command(_)
            | Self::Rebuild(_)
            | Self::Backups(_)
            | Self::Restore(_)
            | Self::Granted(_)
            | Self::Quotas(_)
            | Self::Compared(_) => BTreeMap::new(),
        }
    }

    /// The capacity, if it is of something that is scaled.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub const fn capacity(&self) -> Option<&Capacity> {
        match self {
            Self::Group(group) => Some(&group.capacity),
            Self::Service(service) => Some(&service.capacity),
            Self::Database(_)
            | Self::Task(_)
            | Self::Records(_)
            | Self::Change(_)
            | Self::Identity(_)
            | Self::Fence(_)
            | Self::Alive(_)
            | Self::Guard(_)
            | Self::HealthObject(_)
            | Self::Controls(_)
            | Self::Secret(_)
            | Self::Answers(_)
            | Self::Wrote(_)
            | Self::Command(_)
            | Self::Rebuild(_)
            | Self::Backups(_)
            | Self::Restore(_)
            | Self::Granted(_)
            | Self::Quotas(_)
            | Self::Bucket(_)
            | Self::Compared(_) => None,
        }
    }
}

/// The state of any target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum State {
    /// A database server.
    Database(DatabaseState),
    /// A group of instances.
    Group(GroupState),
    /// A service of Amazon ECS.
    Service(ServiceState),
    /// The task definition of a service.
    Task(TaskState),
    /// Record sets of one zone.
    Records(RecordsState),
    /// A submitted DNS change.
    Change(ChangeState),
    /// The identity of the credentials.
    Identity(IdentityState),
    /// Whether a fence holds.
    Fence(FenceState),
    /// An answer from a database server or its service.
    Alive(AliveState),
    /// The guard object of a component.
    Guard(GuardState),
    /// An object that health checks watch.
    HealthObject(HealthObjectState),
    /// Routing controls.
    Controls(ControlsState),
    /// The endpoint in a client's secret.
    Secret(SecretState),
    /// The answers of name servers and resolvers.
    Answers(AnswersState),
    /// The result of a real write.
    Wrote(WroteState),
    /// A command that was run.
    Command(CommandState),
    /// A server that is being made a standby of another one.
    Rebuild(Box<RebuildState>),
    /// The backups from which a time can be restored.
    Backups(Box<BackupsState>),
    /// A part of a restore.
    Restore(Box<RestoreState>),
    /// The results of IAM for the credentials.
    Granted(GrantedState),
    /// The quotas of an account.
    Quotas(QuotasState),
    /// A bucket.
    Bucket(BucketState),
    /// The comparison of objects with their copies.
    Compared(ComparedState),
}
