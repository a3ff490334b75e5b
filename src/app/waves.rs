//! The states of the plans of one command, of which some wait for others.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ending::Ending;
use super::error::AppError;
use super::exit;
use super::presenter::Presenter;
use crate::executor::View;
use crate::model::ids::{PlanName, StepId};
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::record::event::Event;
use crate::record::runbook::{OnFailure, Phase};
use crate::run::RunState;
use crate::run::state::Status;

/// The state of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Working,
    /// Since this time.
    Serves(Timestamp),
    /// With this exit code.
    Failed(u8),
}

/// Whether a plan may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Every plan that it depends on serves users.
    Now,
    /// This plan has to serve users first.
    After(PlanName),
    /// This plan will not serve users.
    Never(PlanName),
}

/// The states of all plans of one command.
pub struct Waves {
    /// Whether the plans run at the same time; in a rehearsal one follows the other.
    pub side_by_side: bool,
    /// Whether they are so many that a summary comes before the screens of single plans.
    pub many: bool,
    stands: Mutex<BTreeMap<PlanName, Stand>>,
}

impl Waves {
    /// All plans of a command, of which none serves users yet.
    pub fn new(plans: &[Plan], side_by_side: bool, many: bool) -> Self {
        let stands = plans.iter().map(|p| (p.name.clone(), Stand::Working)).collect();
        Self { side_by_side, many, stands: Mutex::new(stands) }
    }

    fn stands(&self) -> MutexGuard<'_, BTreeMap<PlanName, Stand>> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the state of a plan once. A plan that served users met its dependents' condition, however its watch ends.
    fn settle(&self, plan: &PlanName, stand: Stand) {
        if let Some(now) = self.stands().get_mut(plan).filter(|now| **now == Stand::Working) {
            *now = stand;
        }
    }

    /// A plan cannot even begin, so that those that depend on it must not wait for it.
    pub fn fails(&self, plan: &PlanName) {
        self.settle(plan, Stand::Failed(exit::BUG));
    }

    /// Whether a plan may begin now.
    pub fn turn(&self, plan: &Plan) -> Turn {
        let stands = self.stands();
        let first = |is: fn(&Stand) -> bool| {
            let mut after = plan.after.iter().map(|a| &a.value);
            after.find(|name| stands.get(*name).is_some_and(is)).cloned()
        };
        let failed = first(|stand| matches!(stand, Stand::Failed(_)));
        match (failed, first(|stand| *stand == Stand::Working)) {
            (Some(failed), _) => Turn::Never(failed),
            (None, Some(working)) => Turn::After(working),
            (None, None) => Turn::Now,
        }
    }

    /// The exit code of a plan that does not serve users. A plan that was not started because of that has the same one.
    pub fn code_of(&self, plan: &PlanName) -> u8 {
        match self.stands().get(plan) {
            Some(Stand::Failed(code)) => *code,
            _ => exit::NOT_RECOVERED,
        }
    }

    /// The last of the plans that this one depends on to serve users, and since when.
    pub fn served(&self, plan: &Plan) -> Option<(PlanName, Timestamp)> {
        let stands = self.stands();
        let since = |name: &PlanName| match stands.get(name) {
            Some(Stand::Serves(at)) => Some((name.clone(), *at)),
            _ => None,
        };
        plan.after.iter().filter_map(|a| since(&a.value)).max_by_key(|(_, at)| *at)
    }

    /// Runs a plan, and notes the result for the plans that depend on it.
    pub fn noted(
        &self,
        presenter: &dyn Presenter,
        plan: &Plan,
        work: impl FnOnce() -> Result<Ending, AppError>,
    ) -> Ending {
        let told = work().unwrap_or_else(|e| Ending::failed(presenter, &plan.name, e));
        let stand = match (told.code, &told.run) {
            (exit::DONE | exit::RECOVERED_BUT, Some(run)) => Stand::Serves(run.last_at),
            (exit::DONE | exit::RECOVERED_BUT, None) => Stand::Serves(ALWAYS),
            _ => Stand::Failed(told.code),
        };
        self.settle(&plan.name, stand);
        told
    }
}

/// The end of a plan that had nothing to do: its users were served before.
const ALWAYS: Timestamp = Timestamp::from_millis(0);

/// Tells the other plans when this one serves users.
pub struct Watching<'a> {
    /// The display of this plan.
    pub inner: &'a dyn View,
    /// The states of all plans.
    pub waves: &'a Waves,
    /// This plan.
    pub plan: &'a PlanName,
}

impl View for Watching<'_> {
    fn event(&self, event: &Event, state: &RunState) {
        self.inner.event(event, state);
        if serves(state) {
            self.waves.settle(self.plan, Stand::Serves(event.at));
        }
    }

    fn waiting(&self, step: &StepId, why: &str, now: Timestamp, state: &RunState) {
        self.inner.waiting(step, why, now, state);
    }

    fn tick(&self, now: Timestamp, state: &RunState) {
        self.inner.tick(now, state);
    }
}

/// Whether all steps before the watch are done.
fn serves(state: &RunState) -> bool {
    state.runbook.steps.iter().zip(&state.steps).all(|(step, at)| {
        step.phase >= Phase::Watch
            || step.background
            || match at.work.status {
                Status::Done(_) | Status::Skipped => true,
                Status::Failed => step.on_failure == OnFailure::Continue,
                _ => false,
            }
    })
}
