//! The result of one attempt to observe a target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::{State, Target};
use crate::model::time::Timestamp;

/// What one attempt to observe a target found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Observation {
    /// The target exists.
    Value {
        /// The state that it is in.
        state: State,
        /// The time that the state is from.
        observed_at: Timestamp,
        /// The source of the state, for example `rds:DescribeDBInstances`.
        source: String,
    },
    /// The provider says that the target does not exist.
    NotFound {
        /// When it said so.
        observed_at: Timestamp,
    },
    /// Nobody answered. This says nothing about the thing.
    Unobservable {
        /// Since when there has been no answer.
        since: Timestamp,
        /// What happened instead of an answer.
        why: String,
    },
    /// There are no valid credentials: none were found, or they expired. This says nothing about the thing.
    Unauthenticated {
        /// What the credential chain or the provider said.
        why: String,
        /// Whether this machine's clock is the cause: it is wrong, and requests are signed with its time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clock: bool,
    },
    /// The provider refuses the request, and will keep refusing it until somebody changes something: access is denied, the call
    /// is unknown there, or the request is not valid. This says nothing about the thing.
    Refused {
        /// The provider's code.
        code: String,
        /// The call that was refused, for example `rds:DescribeEvents`; empty if nothing was sent.
        call: String,
        /// What the provider said.
        why: String,
        /// Whether reading the login failed, so that the target itself was never requested.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        login: bool,
    },
}

/// Codes that reject the caller, not the call (AWS, «Common errors» of each service; PostgreSQL, «Error codes»).
const DENIED: &[&str] =
    &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "Forbidden", "42501"];

/// The message for credentials that are missing or not valid; the cause follows in brackets.
pub const NO_CREDENTIALS: &str = "no valid credentials";

/// Whether two messages give the same cause. Some messages put the login that they needed in front of it.
pub fn same_cause(one: &str, other: &str) -> bool {
    one.ends_with(other) || other.ends_with(one)
}

impl Observation {
    /// The state, if there is one.
    pub const fn state(&self) -> Option<&State> {
        match self {
            Self::Value { state, .. } => Some(state),
            _ => None,
        }
    }

    /// Whether the target's service answered. An answer about the login does not count: it comes from another service, perhaps in
    /// another region.
    pub const fn answered(&self) -> bool {
        !matches!(
            self,
            Self::Unobservable { .. } | Self::Unauthenticated { .. } | Self::Refused { login: true, .. }
        )
    }

    /// Why there is no state, in words.
    pub fn why_not(&self) -> String {
        match self {
            Self::Value { .. } => "observed".to_owned(),
            Self::NotFound { .. } => "the provider does not have it".to_owned(),
            Self::Unobservable { why, .. } if why.starts_with("no answer") => why.clone(),
            Self::Unobservable { why, .. } => format!("no answer ({why})"),
            Self::Unauthenticated { why, clock: true } => why.clone(),
            Self::Unauthenticated { why, .. } => format!("{NO_CREDENTIALS} ({why})"),
            Self::Refused { why, .. } => format!("refused: {}{}", self.refusal(), in_brackets(why)),
        }
    }

    /// The code of the refusal and the call that was refused; empty if the request was not refused.
    fn refusal(&self) -> String {
        match self {
            Self::Refused { code, call, .. } if call.is_empty() => code.clone(),
            Self::Refused { code, call, .. } => format!("{code} for {call}"),
            _ => String::new(),
        }
    }

    /// If the provider refused to show a target: why, and what that means for a recovery.
    pub fn refused(&self, target: &Target) -> Option<String> {
        let Self::Refused { code, why, .. } = self else { return None };
        let (means, else_) = match target {
            Target::Fence { method, .. } if matches!(self, Self::Refused { login: true, .. }) => {
                let words = method.words();
                (
                    format!("drctl can neither set nor prove the fence by {words} without the login"),
                    "use another fence method",
                )
            }
            Target::Fence { method, .. } => {
                (format!("drctl cannot prove the fence by {}", method.words()), "use another fence method")
            }
            Target::Guard { component, .. } => (
                format!("drctl cannot read who holds the guard of {component}"),
                "waive the guard check by name",
            ),
            _ => (format!("drctl cannot observe {target}"), ""),
        };
        let grant = if DENIED.contains(&code.as_str()) { "grant it" } else { "" };
        let help: Vec<_> = [grant, else_].into_iter().filter(|words| !words.is_empty()).collect();
        let help = if help.is_empty() { String::new() } else { format!("; {}", help.join(" or ")) };
        Some(format!("{}: {means}{help}{}", self.refusal(), in_brackets(why)))
    }
}

fn in_brackets(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}
