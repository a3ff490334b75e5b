//! When each plan of a dry run would begin. A plan that depends on another one begins when that one serves its users.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::ending::Ending;
use crate::model::ids::PlanName;
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::planner::critical_path;
use crate::record::runbook::Runbook;

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

/// How long after the command a plan serves its users, as expected and in the worst case; `None` if it does not.
type Serves = Option<(Dur, Dur)>;

/// When the plans of a dry run would serve their users.
#[derive(Debug, Default)]
pub struct Foreseen(Mutex<BTreeMap<PlanName, Serves>>);

impl Foreseen {
    fn known(&self) -> MutexGuard<'_, BTreeMap<PlanName, Serves>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a plan would begin. The plans that it depends on come first.
    pub fn begins(&self, plan: &Plan) -> Begins {
        let known = self.known();
        let mut begins = Begins::AtOnce;
        for name in plan.after.iter().map(|after| &after.value) {
            let Some(serves) = known.get(name) else { continue };
            begins = match (begins, serves) {
                (Begins::Never(first), _) => Begins::Never(first),
                (_, None) => Begins::Never(name.clone()),
                // Its users are served already.
                (begins, Some((Dur::ZERO, _))) => begins,
                (Begins::After(first, expected, worst), Some((later, worse))) => {
                    let last = if *later > expected { name.clone() } else { first };
                    Begins::After(last, expected.max(*later), worst.max(*worse))
                }
                (Begins::AtOnce, Some((expected, worst))) => Begins::After(name.clone(), *expected, *worst),
            };
        }
        begins
    }

    /// Notes when a plan would serve its users, according to its dry run.
    pub fn note(&self, plan: &Plan, ending: &Ending) {
        let begins = self.begins(plan);
        let document = ending.document.as_ref().unwrap_or(&Value::Null);
        let runbook = serde_json::from_value::<Runbook>(document["runbook"].clone()).ok();
        let serves = match (&begins, runbook) {
            (Begins::Never(_), _) => None,
            (_, Some(runbook)) => {
                let (critical, (expected, worst)) = (critical_path::critical(&runbook), begins.waits());
                Some((expected.plus(critical.expected), worst.plus(critical.worst)))
            }
            (_, None) => (document["outcome"] == "nothing_to_do").then_some((Dur::ZERO, Dur::ZERO)),
        };
        self.known().insert(plan.name.clone(), serves);
    }
}
