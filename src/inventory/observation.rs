//! One look at one thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::{State, Target};
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
        /// Whether it is this machine's clock that is wrong, with whose time requests are signed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clock: bool,
    },
    /// The provider refuses the look, and will refuse it until somebody changes something: access is denied, the call is not known
    /// there, the question is not valid. This says nothing about the thing.
    Refused {
        /// The provider's code.
        code: String,
        /// What was asked, for example `rds:DescribeEvents`; empty where nothing was sent.
        call: String,
        /// What the provider said.
        why: String,
        /// Whether the error was about the login, and the object itself was never requested.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        login: bool,
    },
}

/// Codes that say no to the caller and not to the call (AWS, «Common errors» of each service; PostgreSQL, «Error codes»).
const DENIED: &[&str] =
    &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "Forbidden", "42501"];

/// That nobody is let in, in words; the cause follows in brackets.
pub const NO_CREDENTIALS: &str = "no valid credentials";

/// Whether two looks met the same cause: some say before it which login they wanted.
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

    /// Whether anybody answered at all. Who gives the login is another service, and perhaps in another region.
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
            Self::Unobservable { why, .. } => format!("no answer ({why})"),
            Self::Unauthenticated { why, clock: true } => why.clone(),
            Self::Unauthenticated { why, .. } => format!("{NO_CREDENTIALS} ({why})"),
            Self::Refused { why, .. } => format!("refused: {}{}", self.refusal(), in_brackets(why)),
        }
    }

    /// The refusal's code, and what it was said to; empty if the look was not refused.
    fn refusal(&self) -> String {
        match self {
            Self::Refused { code, call, .. } if call.is_empty() => code.clone(),
            Self::Refused { code, call, .. } => format!("{code} for {call}"),
            _ => String::new(),
        }
    }

    /// Why a target that was looked at is not seen, if the provider refuses the look, and what that means for a recovery.
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
            Target::Database(_) | Target::Group(_) | Target::Records { .. } => {
                (format!("drctl cannot observe {target}"), "")
            }
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
