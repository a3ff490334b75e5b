//! A database server of any kind: which one it is, and what is observed of it.

pub(crate) mod calls;
mod looks;
mod plan;

use crate::model::ids::ComponentName;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::aurora::ClusterState;
use crate::kinds::aws::rds::InstanceSettings;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
use crate::model::measure::ClockReading;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};
pub use looks::{Available, CaughtUp, Follows, Promotable};
pub use plan::{
    BACKUP_EVERY, CANARY, Database, DatabaseAt, EXPENDABLE, HARMLESS_FIELD, VERIFY_FIELD, database,
};

/// Who runs a database, and so how it is promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// An RDS instance: the control plane promotes a read replica.
    #[default]
    Rds,
    /// A PostgreSQL server of one's own, with streaming replication: everything is done over its own protocol.
    Postgres,
    /// A cluster of an Aurora global database: the service moves the writer from one cluster to another.
    Aurora,
}

impl Engine {
    /// Whether it is the engine of journals that name none.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A database server at one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// The provider's identifier.
    pub id: String,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Engine::is_default")]
    pub engine: Engine,
    /// `host:port/database`, from the plan or from the last look at it: SQL works while the control plane is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The prepared security group that lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_group: Option<String>,
    /// A reference to administrator credentials; never the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret: Option<String>,
    /// The machine of a server of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The global database that a cluster belongs to: an identity above the sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// What people vouch for: it may log in or run while the server is fenced by SQL, and writes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harmless: Vec<Harmless>,
    /// Unlogged tables whose rows may be lost with a promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expendable: Vec<String>,
    /// How clients come to it: the fence by SQL has to refuse them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<crate::kinds::shared::secret::ClientWay>,
}

/// Who or what may stay while a server is fenced by SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Harmless {
    /// A role that may continue to log in.
    Role {
        /// Its name.
        name: String,
        /// Only its sessions of this `application_name`; all of them if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// A background process, by its `backend_type` in `pg_stat_activity`.
    Process(String),
}

impl Harmless {
    /// Whether it vouches for a role.
    pub fn vouches_for(&self, role: &str) -> bool {
        matches!(self, Self::Role { name, .. } if name == role)
    }

    /// Whether it vouches for a session.
    pub fn covers(&self, role: &str, application: &str) -> bool {
        match self {
            Self::Role { name, application: only } => {
                name == role && only.as_deref().is_none_or(|only| only == application)
            }
            Self::Process(_) => false,
        }
    }
}

/// The machine of a server of one's own: how it is reached, and where the server lives on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// What stands in front of `sh` to run it there as the owner of the data, such as `ssh -o BatchMode=yes postgres@db-west`.
    pub run: Vec<String>,
    /// The data folder.
    pub data: String,
    /// The folder of the server's programs; those of the path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<String>,
    /// The settings file, where it is not in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Stops it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Starts it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// A reference to the login with which standbys replicate from it, and it from others.
    pub replication_secret: String,
}

impl DatabaseRef {
    /// Whether both name one server, however it is reached.
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.place == other.place
    }

    /// With the endpoint that was observed, unless the plan names one.
    #[must_use]
    pub fn reached_at(mut self, endpoint: Option<&String>) -> Self {
        self.endpoint = self.endpoint.or_else(|| endpoint.cloned());
        self
    }
}

/// Whose answer is a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The server's own, at its address.
    Server,
    /// The service's that runs it, in its region.
    Service,
}

/// An answer of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AliveState {
    /// Who answered, in words.
    pub who: String,
}

/// Which part a database server plays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseRole {
    /// Takes writes, or would if it were not fenced.
    #[default]
    Writer,
    /// Replays another server.
    Replica {
        /// The server it replays, as the provider names it.
        source: String,
    },
}

/// A database server as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseState {
    /// Its part.
    pub role: DatabaseRole,
    /// The provider's status word, for RDS for example `available` or `modifying`.
    pub status: String,
    /// When the last commit it holds was made: on a replica the last one replayed.
    #[serde(default)]
    pub last_commit: Option<Timestamp>,
    /// The same by the clock of the server that made it: two of these are compared without any other clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_there: Option<Timestamp>,
    /// The clock that stamps its commits, as it was last read: its own, or that of the server which it streams from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReading>,
    /// How `last_commit` was found: `sql`, or `replica_lag` with its known falsehood on an idle source.
    #[serde(default)]
    pub last_commit_source: Option<String>,
    /// Age of the newest backup that can be restored from.
    #[serde(default)]
    pub backup_age_ms: Option<Dur>,
    /// Security groups attached and active.
    #[serde(default)]
    pub security_groups: BTreeSet<String>,
    /// What a server and its physical replicas share, and no other server has: PostgreSQL's system identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// Where it is in the write-ahead log: a standby has replayed everything up to there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalPoint>,
    /// Whether a replica gets what its source writes, as it is written; none where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// What the last fence by SQL left, on the server that it fenced and on every replica that replayed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_token: Option<String>,
    /// Where a replica that streams gets it from: `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// `host:port/database` that clients connect to.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Its endpoint leads to a server that takes writes, and the control plane calls it a replica: SQL would act on another server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endpoint_mismatch: bool,
    /// What of its settings will hurt in a recovery, each in a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// Of a writer, what its physical standbys do not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplicated: Vec<Unreplicated>,
    /// Of a managed instance, what another one like it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<InstanceSettings>>,
    /// Of an Aurora cluster, what it consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Box<ClusterState>>,
}

impl DatabaseState {
    /// Whether it is a replica.
    pub fn is_replica(&self) -> bool {
        matches!(self.role, DatabaseRole::Replica { .. })
    }

    /// Whether it gets what another server writes, as far as that can be seen: of a managed replica the control plane names its source.
    pub fn follows_source(&self, engine: Engine, source: &DatabaseRef) -> bool {
        let DatabaseRole::Replica { source: named } = &self.role else { return false };
        match engine {
            Engine::Postgres => self.streaming == Some(true),
            Engine::Rds | Engine::Aurora => {
                self.streaming != Some(false) && names(named, &source.id, &source.place.region)
            }
        }
    }
}

/// What a real write found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WroteState {
    /// Committed and read back.
    pub ok: bool,
    /// The server that took it.
    pub server: String,
}

/// Whether the provider means that resource: by an id within one region, by an ARN across two.
pub fn names(said: &str, id: &str, region: &str) -> bool {
    let parts: Vec<&str> = said.split(':').collect();
    parts.last() == Some(&id) && (parts.len() < 6 || parts[3] == region)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn one_name_in_two_regions_is_two_resources() {
        let arn = "arn:aws:rds:us-west-2:111122223333:cluster:orders";
        assert!(names(arn, "orders", "us-west-2") && names("orders", "orders", "us-west-2"));
        assert!(!names(arn, "orders", "us-east-1") && !names(arn, "order", "us-west-2"));
    }
}
