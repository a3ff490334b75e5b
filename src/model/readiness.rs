//! What a recovery needs before the day, and what is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Calls that a role has to be allowed, of one resource. `{account}` in it is the account of the credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Calls, as IAM names them (`rds:PromoteReadReplica`).
    pub actions: BTreeSet<String>,
}

/// The results of IAM for those.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantedState {
    /// Whose policies were simulated.
    pub principal: String,
    /// How many calls were asked about.
    #[serde(default)]
    pub asked: usize,
    /// Calls that are denied, each with its resource.
    pub denied: Vec<String>,
    /// Calls of which the simulation knows no answer, because it depends on what only a real call has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclear: Vec<String>,
}

/// What an account may have, and has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotasState {
    /// By the provider's name of each.
    pub of: BTreeMap<String, Quota>,
}

/// One of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// How much there is.
    pub used: i64,
    /// How much there may be.
    pub max: i64,
}

/// What of a recovery is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Something follows the database that takes the writes.
    Replica,
    /// How far that is behind.
    Lag,
    /// To when a restore could go.
    Backups,
    /// Whether the fence of the database that takes the writes could be proven.
    Fence,
    /// What that database has and no standby does.
    Unreplicated,
    /// Whether the standby site can carry the load.
    Capacity,
    /// Whether the account may have what a recovery makes.
    Quotas,
    /// Whether the credentials may do what a recovery does.
    Permissions,
    /// How long resolvers keep the old answer.
    Ttl,
    /// Whether the two sides are alike.
    Parity,
    /// What changed since the plan was last shown to work.
    Drift,
}

impl Area {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Replica,
        Self::Lag,
        Self::Backups,
        Self::Fence,
        Self::Unreplicated,
        Self::Capacity,
        Self::Quotas,
        Self::Permissions,
        Self::Ttl,
        Self::Parity,
        Self::Drift,
    ];

    /// The word for it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Lag => "lag",
            Self::Backups => "backups",
            Self::Fence => "fence",
            Self::Unreplicated => "unreplicated",
            Self::Capacity => "capacity",
            Self::Quotas => "quotas",
            Self::Permissions => "permissions",
            Self::Ttl => "ttl",
            Self::Parity => "parity",
            Self::Drift => "drift",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// How something stands: the worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As a recovery needs it.
    Ready,
    /// A recovery would work, and something of it would be worse than it has to be.
    Degraded,
    /// Nobody knows.
    Unknown,
    /// A recovery would fail, or miss its objectives.
    NotReady,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Degraded, Self::Unknown, Self::NotReady];

    /// The word for programs.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::NotReady => "not_ready",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::NotReady => "NOT READY",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What of a recovery it is.
    pub area: Area,
    /// The component or the site.
    pub about: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub facts: String,
    /// What helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}
