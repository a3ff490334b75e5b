//! The confirmation of a runbook before it starts.

use super::error::AppError;
use super::start::Starting;
use crate::model::intent::Drill;
use crate::model::severity::Severity;
use crate::model::time::Timestamp;
use crate::model::waiver::Rule;
use crate::plan::Plan;
use crate::planner::Refusal;
use crate::policy::windows::Closed;
use crate::record::runbook::Runbook;
use crate::report::history::History;
use crate::world::World;

impl Starting<'_> {
    fn closed(&self, plan: &Plan, given: Option<Severity>, at: Timestamp) -> Vec<Closed> {
        self.context.closed(&plan.name, (given, self.intent, self.drill.class.is_some()), at)
    }

    /// Requires a reason if the given severity makes a run ignore a closed window.
    fn lifted_by_name(&self, plan: &Plan, now: Timestamp) -> Result<(), AppError> {
        let (given, reason) = (self.options.how.severity, &self.options.how.waive.reason);
        let lifted = self.closed(plan, given, now).into_iter().find(|closed| closed.lifted);
        let kept = self.closed(plan, None, now).iter().any(|closed| !closed.lifted);
        match lifted.filter(|_| kept && given.is_some() && reason.is_none()) {
            None => Ok(()),
            Some(closed) => Err(AppError::usage_fix(
                format!("--severity lets the run start although {}, so a reason is required", closed.facts),
                "add --reason TEXT",
            )),
        }
    }

    /// Asks for the confirmation of the runbook. Returns what began to speak against it while the person was reading.
    pub(super) fn agreed(
        &self,
        plan: &Plan,
        (runbook, history): (&Runbook, &History),
        world: &World,
    ) -> Result<Option<Refusal>, AppError> {
        let asked = world.now();
        self.lifted_by_name(plan, asked)?;
        self.consent(runbook, history)?;
        let closed = |at| self.closed(plan, self.options.how.severity, at);
        let before: Vec<Rule> = closed(asked).iter().map(|closed| closed.rule).collect();
        let new = |closed: &Closed| {
            !closed.lifted && self.drill.returns.is_none() && !before.contains(&closed.rule)
        };
        let what = "start the run again; the confirmation took too long";
        Ok(closed(world.now()).into_iter().find(new).map(|new| Refusal::new(new.rule, None, new.facts, what)))
    }

    /// Asks for the confirmation of the runbook, unless the person passed the confirmation as an option.
    fn consent(&self, runbook: &Runbook, history: &History) -> Result<(), AppError> {
        let harmless = self.drill.class.is_some_and(|class| class != Drill::Live);
        if self.options.how.yes || harmless {
            return Ok(());
        }
        self.presenter.confirmed(runbook, history, self.context.signs_as().as_deref())
    }
}
