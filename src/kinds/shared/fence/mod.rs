//! The fence methods: the properties of each, in one table.

mod calls;
mod op;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
use crate::model::measure::ClockReading;
use crate::model::properties::InDoubt;
use crate::model::time::{Dur, Timestamp};

pub use op::Unfence;

/// How writes are kept from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceMethod {
    /// Application roles may not log in and their sessions are ended. Works while the control plane is down.
    Sql,
    /// The databases take no connections, whoever asks, and their sessions are ended.
    AllowConnections,
    /// Rules in front of its `pg_hba.conf`, which its host puts there, reject every client, and their sessions are ended.
    PgHba,
    /// The server is stopped by its host, and a mark in its data folder makes whatever starts it a standby.
    Stop,
    /// A prepared security group replaces the others, and sessions are ended: a group alone leaves tracked connections open.
    SecurityGroup,
}

/// The properties of a fence method.
struct Rung {
    id: &'static str,
    service: &'static str,
    /// Whether something of it is kept in the server's catalog, which physical standbys replay: then a promoted one has that, too.
    replicates: bool,
    /// Whether it is proven by a census of the server, which also tells where its log ends.
    census: bool,
    /// Whether the machine of the server does it, by `host:` of the plan.
    host: bool,
    in_doubt: InDoubt,
}

impl FenceMethod {
    /// All fence methods.
    pub const ALL: [Self; 5] =
        [Self::Sql, Self::AllowConnections, Self::PgHba, Self::Stop, Self::SecurityGroup];

    const fn rung(self) -> Rung {
        // Absolute states: asked for twice they end where asking once does.
        let in_doubt = InDoubt::Repeat;
        let (service, host) = ("sql", false);
        match self {
            Self::Sql => Rung { id: "sql", service, replicates: true, census: true, host, in_doubt },
            Self::AllowConnections => {
                Rung { id: "allow_connections", service, replicates: true, census: true, host, in_doubt }
            }
            // The file is no part of the catalog; the word that says where the log ended is, and whoever copies a data folder copies the file.
            Self::PgHba => {
                Rung { id: "pg_hba", service, replicates: true, census: true, host: true, in_doubt }
            }
            Self::Stop => {
                Rung { id: "stop", service, replicates: false, census: false, host: true, in_doubt }
            }
            Self::SecurityGroup => Rung {
                id: "security_group",
                service: "rds",
                replicates: false,
                census: false,
                host,
                // It ends in a reboot, which is not made twice without need; and groups take a while to become active.
                in_doubt: InDoubt::ObserveAfter(Dur::secs(20)),
            },
        }
    }

    /// The fence method with this ID.
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.id() == id)
    }

    /// The id used in plans and step names.
    pub const fn id(self) -> &'static str {
        self.rung().id
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::AllowConnections => "databases that accept no connections",
            Self::PgHba => "pg_hba.conf",
            Self::Stop => "stop",
            Self::SecurityGroup => "security group",
        }
    }

    /// The service that carries it out.
    pub const fn service(self) -> &'static str {
        self.rung().service
    }

    /// Whether it comes over to a physical standby with everything else that the catalog has: after a promotion it is lifted there.
    pub const fn replicates(self) -> bool {
        self.rung().replicates
    }

    /// Whether its proof is a census of the server, which tells where the log ends and leaves a word that standbys replay.
    pub const fn tells_the_end(self) -> bool {
        self.rung().census
    }

    /// Whether it needs `host:` in the plan: the machine of the server does it.
    pub const fn needs_host(self) -> bool {
        self.rung().host
    }

    /// What to do when the fate of its call, or of the one that lifts it, is unknown.
    pub const fn in_doubt(self) -> InDoubt {
        self.rung().in_doubt
    }
}

/// One fence method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// The old primary.
    pub db: DatabaseRef,
    /// How.
    pub method: FenceMethod,
    /// The security groups it had, so that the fence can be lifted exactly.
    #[serde(default)]
    pub groups_before: Vec<String>,
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
