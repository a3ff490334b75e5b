//! The methods of a fence, the fences of a server, and their observed state.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::targeted::Targeted;
use crate::model::measure::ClockReading;
use crate::model::properties::InDoubt;
use crate::model::provider::ProviderName;
use crate::model::time::{Dur, Timestamp};

/// A method that keeps writes from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceMethod {
    /// Application roles lose their login, and their sessions are terminated. Works while the control plane is down.
    Sql,
    /// The databases accept no connections from anybody, and their sessions are terminated.
    AllowConnections,
    /// Rules at the top of `pg_hba.conf`, written by a job on the server's host, reject every client, and their sessions are terminated.
    PgHba,
    /// A job on the host stops the server, and a mark in its data folder makes it start only as a standby.
    Stop,
    /// A prepared security group replaces the others, and a restart ends the sessions: a group alone leaves tracked connections open.
    SecurityGroup,
}

/// The properties of a fence method.
struct Rung {
    id: &'static str,
    provider: ProviderName,
    /// Whether the server's catalog keeps a part of it, which physical standbys replay, so that a promoted one has it as well.
    replicates: bool,
    /// Whether a census of the server proves it, which also shows the end of its WAL.
    census: bool,
    /// Whether it runs on the machine of the server, which needs `host:` in the plan.
    host: bool,
    in_doubt: InDoubt,
}

impl FenceMethod {
    /// All fence methods.
    pub const ALL: [Self; 5] =
        [Self::Sql, Self::AllowConnections, Self::PgHba, Self::Stop, Self::SecurityGroup];

    /// A rehearsal begins with the fences that hold.
    pub(in crate::kinds) fn targeted(self) -> Targeted<'static> {
        Targeted { seeds_rehearsal: true, ..Targeted::ONLY_LOOKED_AT }
    }

    const fn rung(self) -> Rung {
        // The state is absolute, so a repeated call has the same effect.
        let in_doubt = InDoubt::Repeat;
        let (provider, host) = (ProviderName::Postgres, false);
        match self {
            Self::Sql => Rung { id: "sql", provider, replicates: true, census: true, host, in_doubt },
            Self::AllowConnections => {
                Rung { id: "allow_connections", provider, replicates: true, census: true, host, in_doubt }
            }
            // The file is not in the catalog, but the word about the end of the WAL is. A copy of the data folder contains the file.
            Self::PgHba => {
                Rung { id: "pg_hba", provider, replicates: true, census: true, host: true, in_doubt }
            }
            Self::Stop => {
                Rung { id: "stop", provider, replicates: false, census: false, host: true, in_doubt }
            }
            Self::SecurityGroup => Rung {
                id: "security_group",
                provider: ProviderName::Aws,
                replicates: false,
                census: false,
                host,
                // It ends with a reboot, which should not be repeated without need; and groups take a while to become active.
                in_doubt: InDoubt::ObserveAfter(Dur::secs(20)),
            },
        }
    }

    /// The fence method with this ID.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.id() == id)
    }

    /// Its ID in plans and step names.
    pub const fn id(self) -> &'static str {
        self.rung().id
    }

    /// A description.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::AllowConnections => "databases that accept no connections",
            Self::PgHba => "pg_hba.conf",
            Self::Stop => "stop",
            Self::SecurityGroup => "security group",
        }
    }

    /// The provider that sets and proves it.
    pub const fn provider(self) -> ProviderName {
        self.rung().provider
    }

    /// Whether it is set and proven at the server itself, by SQL or by a job on its host.
    pub const fn by_sql(self) -> bool {
        match self.provider() {
            ProviderName::Postgres => true,
            ProviderName::Aws | ProviderName::Dns | ProviderName::Local => false,
        }
    }

    /// Whether a physical standby replays it with the catalog. Then it is lifted there after a promotion.
    pub const fn replicates(self) -> bool {
        self.rung().replicates
    }

    /// Whether a census of the server proves it, which shows the end of the WAL and leaves a word that standbys replay.
    pub const fn tells_the_end(self) -> bool {
        self.rung().census
    }

    /// Whether it needs `host:` in the plan, because it runs on the machine of the server.
    pub const fn needs_host(self) -> bool {
        self.rung().host
    }

    /// What to do if the result of setting or lifting it is unknown.
    pub const fn in_doubt(self) -> InDoubt {
        self.rung().in_doubt
    }
}

/// One fence method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// The old primary.
    pub db: DatabaseRef,
    /// The method.
    pub method: FenceMethod,
    /// The security groups before the fence, so that it can be lifted exactly. The ones that are read right before the change count; these
    /// are the last ones that were seen before the runbook was made.
    #[serde(default)]
    pub groups_before: Vec<String>,
}

impl Fence {
    /// Whether groups other than the fence's own are among these, so that clients may connect.
    pub fn admits<'g>(&self, mut groups: impl Iterator<Item = &'g String>) -> bool {
        groups.any(|group| Some(group) != self.db.fence_group.as_ref())
    }

    /// Whether somebody replaced the fence by groups that were not there before it. An undo leaves them alone.
    pub fn replaced(&self, seen: &FenceState) -> bool {
        let own = |group: &String| Some(group) == self.db.fence_group.as_ref();
        self.admits(self.groups_before.iter())
            && self.admits(seen.groups.iter())
            && !seen.groups.iter().any(own)
            && !seen.groups.iter().eq(BTreeSet::from_iter(&self.groups_before))
    }
}

/// The progress of a fence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FenceStage {
    /// Not set at all.
    #[default]
    Open,
    /// Partly set: not proven, but something must be lifted.
    Partial,
    /// A call is still taking effect.
    UnderWay,
    /// The first of its two calls has taken effect, and the second is due.
    Half,
    /// Completely set, but something else may still write; waiting does not help.
    Ineffective,
    /// Proven.
    Proven,
}

/// The result of the proof of a fence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FenceState {
    /// True only if it is proven that the application can no longer write.
    pub proven: bool,
    /// What the proof found, for the report.
    pub proof: String,
    /// The old primary's last commit, if the method can read it.
    #[serde(default)]
    pub last_commit: Option<Timestamp>,
    /// The same by the clock of the server that made it. Two such times can be compared without any other clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_there: Option<Timestamp>,
    /// A reading of that clock, taken with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReading>,
    /// The end of its WAL at the time of the proof. A standby that has replayed up to there lacks nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal: Option<WalPoint>,
    /// The word that this fence left. A replica that has it replicates this very server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// Whether the server is a replica: then it takes no writes, and is not an old primary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica: bool,
    /// The progress.
    #[serde(default)]
    pub stage: FenceStage,
    /// What would prevent the proof of this fence, as far as that is known without setting it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// Why the last commit in the WAL may not be the last write, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<String>,
    /// The attached security groups, for a fence by security group.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// What the server has and its physical standbys lack, read with the proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplicated: Vec<Unreplicated>,
}
