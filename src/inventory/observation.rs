//! One look at one thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::state::State;
use crate::model::time::Timestamp;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Observation {
    /// It is there.
    Value {
        /// How it is.
        state: State,
        /// When it was.
        observed_at: Timestamp,
        /// Who says so, for example `rds:DescribeDBInstances`.
        source: String,
    },
    /// The provider says that there is no such thing.
    NotFound {
        /// When it said so.
        observed_at: Timestamp,
    },
    /// Nobody answered. This says nothing about the thing.
    Unobservable {
        /// Since when.
        since: Timestamp,
        /// What happened instead.
        why: String,
    },
    /// There are no valid credentials: none were found, or they expired. This says nothing about the thing.
    Unauthenticated {
        /// What the credential chain or the provider said.
        why: String,
    },
    /// The credentials may not look.
    Denied {
        /// What the provider said.
        why: String,
    },
}

impl Observation {
    /// The state, if there is one.
    pub const fn state(&self) -> Option<&State> {
        match self {
            Self::Value { state, .. } => Some(state),
            _ => None,
        }
    }

    /// Whether anybody answered at all.
    pub const fn answered(&self) -> bool {
        !matches!(self, Self::Unobservable { .. } | Self::Unauthenticated { .. })
    }

    /// Why there is no state, in words.
    pub fn why_not(&self) -> String {
        match self {
            Self::Value { .. } => "it was seen".to_owned(),
            Self::NotFound { .. } => "the provider knows no such thing".to_owned(),
            Self::Unobservable { why, .. } => format!("nobody answered ({why})"),
            Self::Unauthenticated { why } => format!("there are no valid credentials ({why})"),
            Self::Denied { why } => format!("access was denied ({why})"),
        }
    }
}
