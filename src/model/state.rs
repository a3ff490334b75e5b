//! What adapters see: the state of one thing at one moment, in the provider's own terms where those matter.

mod instance;
mod secrets;
mod unreplicated;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bucket::{BucketState, ComparedState};
use super::cluster::ClusterState;
use super::ids::SiteName;
use super::measure::ClockReading;
use super::readiness::{GrantedState, QuotasState};
use super::restore::{BackupsState, RestoreState};
use super::time::{Dur, Timestamp};
use super::wal::WalPoint;
pub use instance::InstanceSettings;
pub use unreplicated::{Lost, Unreplicated};

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

/// Words of RDS for an instance that serves (Amazon RDS User Guide, «Viewing Amazon RDS DB instance status»).
pub const SERVING: &[&str] = &[
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "storage-config-upgrade",
    // Blocks come when they are read (after a restore).
    "storage-initialization",
    "storage-optimization",
];

impl DatabaseState {
    /// Whether it is a replica.
    pub fn is_replica(&self) -> bool {
        matches!(self.role, DatabaseRole::Replica { .. })
    }
}

/// A group of instances as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupState {
    /// Its size settings.
    pub size: GroupSize,
    /// Instances that are healthy and in service.
    pub in_service: u32,
    /// Processes that are suspended, such as `Launch`.
    #[serde(default)]
    pub suspended: BTreeSet<String>,
    /// Why the last scaling activity failed, and when, in the provider's words.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// What its instances are made of: a launch template and its version, or a launch configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launches: Option<String>,
}

/// The three sizes of a group. They change together or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupSize {
    /// Never fewer than this.
    pub min: u32,
    /// Wanted now.
    pub desired: u32,
    /// Never more than this.
    pub max: u32,
}

/// Record sets of one zone, those that were asked for and exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordsState {
    /// In the provider's order.
    pub sets: Vec<RecordSet>,
}

/// One resource record set. Two are the same set when name, type and set identifier agree; a change must name the rest exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RecordSet {
    /// Fully qualified, without the final dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME` and so on.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Distinguishes weighted and failover sets of one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    /// How resolvers choose among sets of one name.
    pub policy: RecordPolicy,
    /// What the set answers.
    pub answer: RecordAnswer,
    /// The provider's health check that governs the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
}

impl RecordSet {
    /// Whether it is the same set as another one, whatever it answers.
    pub fn same_set(&self, other: &Self) -> bool {
        self.name == other.name && self.rtype == other.rtype && self.set_identifier == other.set_identifier
    }

    /// Its answer in one line.
    pub fn words(&self) -> String {
        let answer = match &self.answer {
            RecordAnswer::Values { ttl_s, values } => format!("{} ttl {ttl_s}s", values.join(",")),
            RecordAnswer::Alias { name, .. } => format!("alias {name}"),
        };
        match &self.policy {
            RecordPolicy::Simple => answer,
            RecordPolicy::Weighted { weight } => format!("{answer} weight {weight}"),
            RecordPolicy::Failover { primary } => {
                format!("{answer} {}", if *primary { "PRIMARY" } else { "SECONDARY" })
            }
        }
    }

    /// How long resolvers may keep its answer. Aliases are answered with the TTL of their target, 60 s for load balancers (AWS, Route 53
    /// Developer Guide, «Choosing between alias and non-alias records»).
    pub const fn kept(&self) -> Dur {
        match self.answer {
            RecordAnswer::Values { ttl_s, .. } => Dur::secs(ttl_s),
            RecordAnswer::Alias { .. } => Dur::secs(60),
        }
    }

    /// Its own TTL in seconds; an alias has none.
    pub const fn ttl_s(&self) -> Option<u64> {
        match self.answer {
            RecordAnswer::Values { ttl_s, .. } => Some(ttl_s),
            RecordAnswer::Alias { .. } => None,
        }
    }

    /// The same with another TTL, where it has one of its own.
    #[must_use]
    pub fn with_ttl(&self, ttl_s: u64) -> Self {
        let answer = match &self.answer {
            RecordAnswer::Values { values, .. } => RecordAnswer::Values { ttl_s, values: values.clone() },
            alias @ RecordAnswer::Alias { .. } => alias.clone(),
        };
        Self { answer, ..self.clone() }
    }
}

/// How long the answers of some sets may be kept.
pub fn kept<'a>(sets: impl IntoIterator<Item = &'a RecordSet>) -> Dur {
    sets.into_iter().map(RecordSet::kept).max().unwrap_or_default()
}

/// The answer of a record set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordAnswer {
    /// Plain values with a time to live.
    Values {
        /// Time to live in seconds.
        ttl_s: u64,
        /// Sorted.
        values: Vec<String>,
    },
    /// Another name of the provider, whose own TTL counts.
    Alias {
        /// Its name.
        name: String,
        /// Its hosted zone.
        zone: String,
        /// Whether its health counts.
        evaluate_health: bool,
    },
}

/// The routing policy of a record set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordPolicy {
    /// One set, one answer.
    Simple,
    /// Chosen in proportion to the weight; zero is never chosen while another has more.
    Weighted {
        /// 0 to 255.
        weight: u8,
    },
    /// Primary while healthy, else secondary.
    Failover {
        /// True for `PRIMARY`.
        primary: bool,
    },
}

/// Where a submitted DNS change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// Not yet on all authoritative servers.
    Pending,
    /// On all of them.
    Insync,
}

/// Who the credentials are, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityState {
    /// The account.
    pub account: String,
    /// The principal.
    pub arn: String,
}

/// How far a fence has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceStage {
    /// Nothing of it is there.
    #[default]
    Open,
    /// Some of it is there: not enough to prove it, and something to lift.
    Partial,
    /// A call of it takes its time.
    UnderWay,
    /// The first of its two calls has had its effect, and the second is due.
    Half,
    /// All of it is there, and something else may write all the same: no waiting proves it.
    Ineffective,
    /// It holds.
    Proven,
}

/// What the proof of a fence found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FenceState {
    /// True only with proof that the application can no longer write.
    pub proven: bool,
    /// What was found, for the report.
    pub proof: String,
    /// The old primary's last commit, where the method can see it.
    #[serde(default)]
    pub last_commit: Option<Timestamp>,
    /// The same by the clock of the server that made it: two of these are compared without any other clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_there: Option<Timestamp>,
    /// That clock, read with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReading>,
    /// Where its write-ahead log ended when the proof was taken: what has replayed that lacks nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalPoint>,
    /// What this fence left: a replica that has it is one of this very server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// Whether the server is a replica: it takes no writes, and is no old primary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica: bool,
    /// How far it has come, for fences that take two calls.
    #[serde(default)]
    pub stage: FenceStage,
    /// What would keep this fence from being proven, as far as that can be told without setting it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// Why the last commit in the log may not be the last one, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<String>,
    /// What the server has that its physical standbys do not, as read with the proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplicated: Vec<Unreplicated>,
}

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthObjectState {
    /// Who put it there; none where it is not.
    #[serde(default)]
    pub holder: Option<String>,
}

/// Routing controls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlsState {
    /// Whether the control of each site is `On`.
    pub on: BTreeMap<SiteName, bool>,
}

impl ControlsState {
    /// The site that users are sent to, if it is one.
    pub fn leads_to(&self) -> Option<&SiteName> {
        let mut on = self.on.iter().filter(|(_, on)| **on).map(|(site, _)| site);
        on.next().filter(|_| on.next().is_none())
    }
}

/// Where a secret leads clients. Nothing else of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretState {
    /// The fields that name a server, as text.
    pub fields: BTreeMap<String, String>,
    /// The region of the secret that it is a replica of: it cannot be changed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_of: Option<String>,
    /// Whether a rotation is under way: a version has the label AWSPENDING.
    #[serde(default)]
    pub rotating: bool,
    /// The service that manages it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

/// What name servers and resolvers answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswersState {
    /// Each server that was asked, for each name.
    pub servers: Vec<ServerAnswer>,
}

/// What one server answers for one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerAnswer {
    /// The server.
    pub server: String,
    /// Whether it is one of the zone's own: it answers from the zone, and keeps nothing.
    pub authoritative: bool,
    /// The name.
    pub name: String,
    /// Whether it answered as wanted; none where it did not answer.
    pub right: Option<bool>,
    /// What it answered, or why it did not.
    pub said: String,
}

/// Who holds a component's guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardState {
    /// The run that holds it, and its owner; none when it is free.
    #[serde(default)]
    pub holder: Option<String>,
}

/// What a real write found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WroteState {
    /// Committed and read back.
    pub ok: bool,
    /// The server that took it.
    pub server: String,
}

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandState {
    /// Its exit code; none while it runs.
    pub exit: Option<i32>,
    /// The last lines of its output, without secrets.
    pub tail: String,
}

/// How far a server is from being a standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildState {
    /// What it is, if it answers.
    #[serde(default)]
    pub server: Option<DatabaseState>,
    /// The job on its host.
    pub stage: JobStage,
    /// The last lines that the job wrote.
    #[serde(default)]
    pub tail: String,
    /// What was committed there and nowhere else.
    #[serde(default)]
    pub diverged: Option<Diverged>,
}

/// A job on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// Never started.
    None,
    /// Under way.
    Running,
    /// Broken off: it was started and runs no more, and did not say how it ended.
    Gone,
    /// Over.
    Ended {
        /// Its exit code.
        exit: i32,
    },
    /// Nobody can look: the host does not answer.
    Unseen,
}

/// What an old primary committed after the new one had left its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diverged {
    /// How many transactions that changed rows of tables; none where they were not counted.
    #[serde(default)]
    pub transactions: Option<u64>,
    /// Where the histories part, if that was found.
    #[serde(default)]
    pub fork: Option<WalPoint>,
    /// When the first was committed, by that server's clock.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// When the last was.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// Where their log, or all of the data from before, is kept on that host.
    pub kept: String,
    /// What they changed, by table; the tables whose rows were exported first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<DivergedTable>,
    /// How many tables are not among these, and the file on that host that has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// What was changed in a table on an old primary and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DivergedTable {
    /// With its schema, as that server calls it; a file where it has no name any more.
    pub table: String,
    /// Rows inserted, by the log.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted. They can only be counted.
    pub deleted: u64,
    /// How many rows were exported, where the plan lists it under `reconcile:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<u64>,
    /// The file on that host (CSV with a header).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl DivergedTable {
    /// In words.
    pub fn words(&self) -> String {
        let Self { table, inserted, updated, deleted, .. } = self;
        let changed = match inserted + updated + deleted {
            0 => "changed as a whole (emptied or rewritten), or before the histories diverged".to_owned(),
            _ => format!("{inserted} rows inserted, {updated} updated, {deleted} deleted"),
        };
        match (self.exported, &self.file) {
            (Some(rows), Some(file)) => format!("{table}: {changed}; {rows} exported to {file}"),
            _ => format!("{table}: {changed}; not compared: it is not under `reconcile:`"),
        }
    }
}
