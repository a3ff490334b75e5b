//! When a plan would begin.

use serde_json::Value;

use crate::model::ids::PlanName;
use crate::model::time::Dur;

/// When a plan would begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begins {
    /// With the command.
    AtOnce,
    /// When this plan serves its users: this long after the command, as expected and in the worst case.
    After(PlanName, Dur, Dur),
    /// Not at all, because this plan would not serve its users.
    Never(PlanName),
}

impl Begins {
    /// How long it waits, as expected and in the worst case.
    pub const fn waits(&self) -> (Dur, Dur) {
        match self {
            Self::After(_, expected, worst) => (*expected, *worst),
            Self::AtOnce | Self::Never(_) => (Dur::ZERO, Dur::ZERO),
        }
    }

    /// In words; `None` if it waits for no other plan.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::AtOnce => None,
            Self::After(first, expected, worst) => Some(format!(
                "when {first} serves its users: expected {expected} after the command, in the worst case {worst}"
            )),
            Self::Never(first) => Some(format!("never: it needs {first}, which would not serve its users")),
        }
    }

    /// For programs; null if it waits for no other plan.
    pub fn document(&self) -> Value {
        match self {
            Self::AtOnce => Value::Null,
            Self::After(first, expected, worst) => serde_json::json!({
                "after": first, "expected_s": expected.as_secs_f64(), "worst_s": worst.as_secs_f64(),
            }),
            Self::Never(first) => {
                serde_json::json!({"after": first, "expected_s": Value::Null, "worst_s": Value::Null})
            }
        }
    }
}
