//! When each plan of a dry run would begin. A plan that depends on another one begins when that one serves its users.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::begins::Begins;
use super::ending::{Came, Ending};
use crate::model::ids::PlanName;
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::planner::critical_path;

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
        let runbook = match &ending.came {
            Came::Shown(_, runbook) => Some(runbook),
            _ => None,
        };
        let serves = match (&begins, runbook) {
            (Begins::Never(_), _) => None,
            (_, Some(runbook)) => {
                let (critical, (expected, worst)) = (critical_path::critical(runbook), begins.waits());
                Some((expected.plus(critical.expected), worst.plus(critical.worst)))
            }
            (_, None) => matches!(ending.came, Came::Nothing(..)).then_some((Dur::ZERO, Dur::ZERO)),
        };
        self.known().insert(plan.name.clone(), serves);
    }
}
