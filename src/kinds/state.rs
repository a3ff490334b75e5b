//! What adapters see: the state of one thing at one moment, in the provider's own terms where those matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::autoscaling::GroupState;
use crate::kinds::aws::route53::{AnswersState, ChangeState, ControlsState, HealthObjectState, RecordsState};
use crate::kinds::aws::s3::{BucketState, ComparedState};
use crate::kinds::control::{CommandState, GuardState, IdentityState};
use crate::kinds::shared::database::{AliveState, DatabaseState, WroteState};
use crate::kinds::shared::fence::FenceState;
use crate::kinds::shared::rebuild::RebuildState;
use crate::kinds::shared::restore::{BackupsState, RestoreState};
use crate::kinds::shared::secret::SecretState;
use crate::model::readiness::{GrantedState, QuotasState};

mod secrets;

/// The state of any target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum State {
    /// A database server.
    Database(DatabaseState),
    /// A group of instances.
    Group(GroupState),
    /// Record sets of one zone.
    Records(RecordsState),
    /// A submitted DNS change.
    Change(ChangeState),
    /// Who the credentials are.
    Identity(IdentityState),
    /// Whether a fence holds.
    Fence(FenceState),
    /// Somebody answers where a database is.
    Alive(AliveState),
    /// The guard object of a component.
    Guard(GuardState),
    /// An object that health checks watch.
    HealthObject(HealthObjectState),
    /// Routing controls.
    Controls(ControlsState),
    /// Where a secret leads clients.
    Secret(SecretState),
    /// What name servers and resolvers answer.
    Answers(AnswersState),
    /// What a real write found.
    Wrote(WroteState),
    /// A command that was run.
    Command(CommandState),
    /// A server that is made a standby of another one.
    Rebuild(Box<RebuildState>),
    /// The backups that lead to a time.
    Backups(Box<BackupsState>),
    /// A part of a restore.
    Restore(Box<RestoreState>),
    /// The results of IAM for the credentials.
    Granted(GrantedState),
    /// What the account may have.
    Quotas(QuotasState),
    /// A bucket.
    Bucket(BucketState),
    /// The comparison of objects with their copies.
    Compared(ComparedState),
}
