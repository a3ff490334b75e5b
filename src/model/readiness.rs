//! What a recovery needs, and what is known about it beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::place::Place;
use crate::model::worst::{Weighed, Weight};

/// Calls on one resource that a role must be allowed to make. `{account}` stands for the account of the credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Calls, as IAM names them (`rds:PromoteReadReplica`).
    pub actions: BTreeSet<String>,
}

/// What the credentials of each place must be allowed to do.
#[derive(Debug, Default)]
pub struct Needs(BTreeMap<Place, BTreeMap<String, BTreeSet<String>>>);

impl Needs {
    /// Adds calls on a resource.
    pub fn add(&mut self, place: &Place, resource: String, actions: &[&str]) {
        let of = self.0.entry(place.clone()).or_default().entry(resource).or_default();
        of.extend(actions.iter().map(|action| (*action).to_owned()));
    }

    /// The calls of each place.
    pub fn by_place(self) -> impl Iterator<Item = (Place, Vec<Need>)> {
        let need = |(resource, actions)| Need { resource, actions };
        self.0.into_iter().map(move |(place, needs)| (place, needs.into_iter().map(need).collect()))
    }
}

/// The results of the IAM simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantedState {
    /// The principal whose policies were simulated.
    pub principal: String,
    /// The number of simulated calls.
    #[serde(default)]
    pub asked: usize,
    /// Denied calls, each with its resource.
    pub denied: Vec<String>,
    /// Calls without a result, because it depends on properties of a real call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclear: Vec<String>,
}

/// The quotas of an account, and their use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotasState {
    /// By the provider's name of the quota.
    pub of: BTreeMap<String, Quota>,
}

/// One quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// The current use.
    pub used: i64,
    /// The limit.
    pub max: i64,
}

/// An area of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Whether a replica follows the primary.
    Replica,
    /// How far the replica is behind.
    Lag,
    /// The points in time that a restore can reach.
    Backups,
    /// Whether the fence of the primary could be proven.
    Fence,
    /// Data of the primary that no standby has.
    Unreplicated,
    /// Whether the standby site can carry the load.
    Capacity,
    /// Whether the quotas of the account allow what a recovery creates.
    Quotas,
    /// Whether the credentials allow the calls of a recovery.
    Permissions,
    /// How long resolvers keep the old answer.
    Ttl,
    /// Whether both sides have the same configuration.
    Parity,
    /// What changed since the plan was last verified.
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

    /// Its name.
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

/// The result of a check. The worse one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Ready for a recovery.
    Ready,
    /// A recovery would work, but something would be worse than necessary.
    Degraded,
    /// Not known.
    Unknown,
    /// A recovery would fail, or miss its objectives.
    NotReady,
}

impl Standing {
    /// All results.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Degraded, Self::Unknown, Self::NotReady];

    /// The name for programs.
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

/// The result of a check, what was found, and what to do.
pub type Reading = (Standing, String, Option<String>);

/// Nothing to do.
pub fn ready(facts: impl Into<String>) -> Reading {
    (Standing::Ready, facts.into(), None)
}

/// Something to do.
pub fn not(standing: Standing, facts: impl Into<String>, fix: &str) -> Reading {
    (standing, facts.into(), Some(fix.to_owned()))
}

/// The check with this result.
pub fn check(area: Area, about: impl Into<String>, (standing, facts, fix): Reading) -> Check {
    Check { area, about: about.into(), standing, facts, fix }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Its area.
    pub area: Area,
    /// The component or the site.
    pub about: String,
    /// The result.
    pub standing: Standing,
    /// The findings.
    pub facts: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Weighed for Check {
    fn weight(&self) -> Weight {
        match self.standing {
            Standing::NotReady => Weight::Blocking,
            Standing::Unknown | Standing::Degraded => Weight::Warning,
            Standing::Ready => Weight::Note,
        }
    }

    fn about(&self) -> &str {
        &self.about
    }
}
