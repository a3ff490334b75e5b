//! A database server of any kind: its identity and its observed state.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::ClusterState;
use super::instance::InstanceSettings;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::targeted::{Identity, PATIENCE, Polled, Targeted};
use crate::model::ids::ComponentName;
use crate::model::measure::ClockReading;
use crate::model::place::{Place, endpoint_parts};
use crate::model::time::{Dur, Timestamp};

/// Who operates a database, which determines how it is promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// An RDS instance: the control plane promotes a read replica.
    #[default]
    Rds,
    /// A self-managed PostgreSQL server with streaming replication: everything uses its own protocol.
    Postgres,
    /// A cluster of an Aurora global database: the service moves the writer from one cluster to another.
    Aurora,
}

impl Engine {
    /// Whether a provider runs it.
    pub const fn is_managed(self) -> bool {
        match self {
            Self::Rds | Self::Aurora => true,
            Self::Postgres => false,
        }
    }

    /// Whether the service that runs it has the backups that drctl restores. Otherwise they are asked of a host.
    pub const fn has_service_backups(self) -> bool {
        match self {
            Self::Rds => true,
            Self::Postgres | Self::Aurora => false,
        }
    }

    /// Whether it is the default engine, which journals leave out.
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
    /// Who operates it.
    #[serde(default, skip_serializing_if = "Engine::is_default")]
    pub engine: Engine,
    /// `host:port/database`, from the plan or the last observation, so that SQL works while the control plane is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The prepared security group that blocks everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_group: Option<String>,
    /// A reference to administrator credentials; never the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_secret: Option<String>,
    /// The machine of a self-managed server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The global database that a cluster belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// Sessions and processes that people declared harmless: they may stay while the server is fenced by SQL, because they write nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harmless: Vec<Harmless>,
    /// Unlogged tables whose rows may be lost with a promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expendable: Vec<String>,
    /// The connections of clients, which a fence by SQL must refuse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<crate::kinds::shared::secret::login::ClientWay>,
}

/// A session or process that may stay while a server is fenced by SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Harmless {
    /// A role that may continue to log in.
    Role {
        /// Its name.
        name: String,
        /// Only its sessions with this `application_name`; all sessions if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
    },
    /// A background process, by its `backend_type` in `pg_stat_activity`.
    Process(String),
}

impl Harmless {
    /// Whether it declares a role harmless.
    pub fn vouches_for(&self, role: &str) -> bool {
        matches!(self, Self::Role { name, .. } if name == role)
    }

    /// Whether it declares a session harmless.
    pub fn covers(&self, role: &str, application: &str) -> bool {
        match self {
            Self::Role { name, application: only } => {
                name == role && only.as_deref().is_none_or(|only| only == application)
            }
            Self::Process(_) => false,
        }
    }
}

/// The machine of a self-managed server: how to reach it, and the location of the server on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The words before `sh` that run a command there as the owner of the data, such as `ssh -o BatchMode=yes postgres@db-west`.
    pub run: Vec<String>,
    /// The data folder.
    pub data: String,
    /// The folder of the server's programs; if absent, those on the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<String>,
    /// The configuration file, if it is not in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The command that stops it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The command that starts it; `pg_ctl` if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<String>,
    /// A reference to the login for replication, from it and to it.
    pub replication_secret: String,
}

impl DatabaseRef {
    /// Whether both are the same server, however they are reached.
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id && self.place == other.place
    }

    /// The same with the observed endpoint, unless the plan names one.
    #[must_use]
    pub fn reached_at(mut self, endpoint: Option<&String>) -> Self {
        self.endpoint = self.endpoint.or_else(|| endpoint.cloned());
        self
    }

    pub(in crate::kinds) fn targeted(&self) -> Targeted<'_> {
        Targeted {
            is_evidence: true,
            seeds_rehearsal: true,
            answers_within: PATIENCE,
            polled: Polled::WithItsService,
            identity: self.identity(),
        }
    }

    fn identity(&self) -> Identity<'_> {
        if let Some(global) = self.global.as_deref() {
            return Identity::MemberOf(global);
        }
        if self.engine.is_managed() {
            return Identity::Named(&self.id);
        }
        let address = self.endpoint.as_deref().and_then(endpoint_parts);
        address.map_or(Identity::None, |(host, port, _)| Identity::At(format!("{host}:{port}")))
    }
}

/// What can answer as a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The server itself, at its address.
    Server,
    /// The service that operates it, in its region.
    Service,
}

impl Sign {
    /// A sign of life that takes longer than a second is none. Each server is checked separately, so that one without an answer delays no
    /// other. One answer of a service counts for all its servers in a region.
    pub(in crate::kinds) fn targeted(self) -> Targeted<'static> {
        let polled = match self {
            Self::Server => Polled::Alone,
            Self::Service => Polled::Under("alive"),
        };
        Targeted { answers_within: Dur::secs(1), polled, ..Targeted::ONLY_LOOKED_AT }
    }
}

/// An answer of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AliveState {
    /// What answered, in words.
    pub who: String,
}

/// The role of a database server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseRole {
    /// The server takes writes, or would without its fence.
    #[default]
    Writer,
    /// It replays another server.
    Replica {
        /// The server that it replays, as the provider names it.
        source: String,
    },
}

/// A database server as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseState {
    /// Its role.
    pub role: DatabaseRole,
    /// The provider's status, for RDS for example `available` or `modifying`.
    pub status: String,
    /// The time of its last commit; on a replica, of the last one replayed.
    #[serde(default)]
    pub last_commit: Option<Timestamp>,
    /// The same by the clock of the server that made it. Two such times can be compared without any other clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_there: Option<Timestamp>,
    /// The last reading of the clock that stamps its commits: its own, or that of the server that it streams from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReading>,
    /// The source of `last_commit`: `sql`, or `replica_lag`, which is inexact on an idle source.
    #[serde(default)]
    pub last_commit_source: Option<String>,
    /// The age of the newest backup that can be restored.
    #[serde(default)]
    pub backup_age_ms: Option<Dur>,
    /// Security groups that are attached and active.
    #[serde(default)]
    pub security_groups: BTreeSet<String>,
    /// PostgreSQL's system identifier, which a server shares only with its physical replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// Its WAL position: a standby has replayed everything up to there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalPoint>,
    /// Whether a replica receives writes as its source makes them; `None` if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// The word of the last fence by SQL, on the fenced server and on every replica that has replayed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_token: Option<String>,
    /// The source of a streaming replica: `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The endpoint for clients: `host:port/database`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Its endpoint leads to a writer although the control plane calls it a replica, so SQL would act on another server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endpoint_mismatch: bool,
    /// Settings that will cause problems in a recovery, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// For a writer: what its physical standbys lack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplicated: Vec<Unreplicated>,
    /// For a standby: the logical slots that it has synchronized and that a promotion keeps; `None` if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_slots: Option<Vec<String>>,
    /// For a managed instance: the settings to create a similar one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<InstanceSettings>>,
    /// For an Aurora cluster: its instances and their state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Box<ClusterState>>,
}

impl DatabaseState {
    /// The attributes that no failover changes.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let instance = self.instance.as_deref().map(InstanceSettings::shape);
        let cluster = self.cluster.as_ref().map(|cluster| cluster.shape());
        instance.into_iter().chain(cluster).flatten().collect()
    }

    /// Whether it is a replica.
    pub fn is_replica(&self) -> bool {
        matches!(self.role, DatabaseRole::Replica { .. })
    }

    /// Whether a service still creates it. It takes no writes of its source yet.
    pub fn is_being_created(&self) -> bool {
        self.status == "creating"
    }

    /// Whether it receives the writes of another server, as far as that is visible. For a managed replica, the control plane names the
    /// source.
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

/// The result of a real write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WroteState {
    /// Whether the row was committed and read back.
    pub ok: bool,
    /// The server that stored it.
    pub server: String,
}

/// Whether the provider's name means this resource: an ID within a region, or an ARN across regions.
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
