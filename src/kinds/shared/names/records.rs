//! The record sets of a hosted zone.

use crate::model::ids::ComponentName;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::targeted::Targeted;
use crate::model::place::Place;
use crate::model::time::Dur;

/// A hosted zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ZoneRef {
    /// The component whose records are in it.
    pub component: ComponentName,
    /// The connection to it.
    pub place: Place,
    /// The zone's id.
    pub zone: String,
}

impl ZoneRef {
    /// Of its record sets. They are no evidence: they are in the runbook, exactly as they were read, and listing them again would only use
    /// up Route 53's limit.
    pub(in crate::kinds) fn records_targeted(&self) -> Targeted<'_> {
        Targeted { seeds_rehearsal: true, ..Targeted::ONLY_LOOKED_AT }
    }
}

/// The requested record sets of one zone that exist.
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
    /// Whether it is the same set as another one, whatever the answers are.
    pub fn same_set(&self, other: &Self) -> bool {
        self.name == other.name && self.rtype == other.rtype && self.set_identifier == other.set_identifier
    }

    /// The answer in one line.
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

    /// How long resolvers may cache its answer. Aliases have the TTL of their target, 60 s for load balancers (AWS, Route 53 Developer
    /// Guide, «Choosing between alias and non-alias records»).
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

    /// The same set with another TTL, if it has one of its own.
    #[must_use]
    pub fn with_ttl(&self, ttl_s: u64) -> Self {
        let answer = match &self.answer {
            RecordAnswer::Values { values, .. } => RecordAnswer::Values { ttl_s, values: values.clone() },
            alias @ RecordAnswer::Alias { .. } => alias.clone(),
        };
        Self { answer, ..self.clone() }
    }
}

/// How long the answers of these sets may be cached.
pub fn kept<'a>(sets: impl IntoIterator<Item = &'a RecordSet>) -> Dur {
    sets.into_iter().map(RecordSet::kept).max().unwrap_or_default()
}

/// The answer of a record set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordAnswer {
    /// Values with a TTL.
    Values {
        /// The TTL in seconds.
        ttl_s: u64,
        /// The values, sorted.
        values: Vec<String>,
    },
    /// Another name at the provider, whose TTL applies.
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

/// The state of a submitted DNS change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// Not yet on all authoritative servers.
    Pending,
    /// On all of them.
    Insync,
}
