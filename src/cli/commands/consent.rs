//! The confirmation of a runbook before it starts.

use super::start::Starting;
use crate::app::error::AppError;
use crate::cli::printer::Format;
use crate::kinds::Operation;
use crate::kinds::shared::restore::RestoreStep;
use crate::model::intent::Drill;
use crate::model::severity::Severity;
use crate::model::time::Timestamp;
use crate::model::waiver::Rule;
use crate::plan::Plan;
use crate::planner::{Refusal, critical_path};
use crate::policy::windows::Closed;
use crate::record::action::Action;
use crate::record::runbook::Runbook;
use crate::report::history::History;
use crate::world::World;

impl Starting<'_> {
    fn closed(&self, plan: &Plan, given: Option<Severity>, at: Timestamp) -> Vec<Closed> {
        self.context.closed(&plan.name, (given, self.intent, self.drill.class.is_some()), at)
    }

    /// Requires a reason if the given severity makes a run ignore a closed window.
    fn lifted_by_name(&self, plan: &Plan, now: Timestamp) -> Result<(), AppError> {
        let (given, reason) = (self.args.how.severity, &self.args.how.waive.reason);
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
        let closed = |at| self.closed(plan, self.args.how.severity, at);
        let before: Vec<Rule> = closed(asked).iter().map(|closed| closed.rule).collect();
        let new = |closed: &Closed| {
            !closed.lifted && self.drill.returns.is_none() && !before.contains(&closed.rule)
        };
        let what = "start the run again; the confirmation took too long";
        Ok(closed(world.now()).into_iter().find(new).map(|new| Refusal::new(new.rule, None, new.facts, what)))
    }

    /// Shows the runbook and asks for the site's name, unless the person passed the confirmation as an option.
    fn consent(&self, runbook: &Runbook, history: &History) -> Result<(), AppError> {
        let harmless = self.drill.class.is_some_and(|class| class != Drill::Live);
        if self.args.how.yes || harmless {
            return Ok(());
        }
        if self.printer.format == Format::Human {
            super::plan::show(self.printer, runbook, history);
            self.printer.line(&format!(
                "runbook        {} (approvals refer to this digest)",
                runbook.digest().short()
            ));
        }
        if !self.printer.is_interactive() {
            return Err(AppError::usage_fix(
                "there is no terminal for the confirmation",
                "add --yes; it confirms this runbook and waives nothing",
            ));
        }
        let restored = runbook.steps.iter().find_map(|s| match &s.action {
            Action::Op(Operation::Restore(RestoreStep { of, .. })) => Some(of.db.component.as_str()),
            _ => None,
        });
        let (what, name) = match restored {
            Some(component) => (format!("component of {} to restore", runbook.plan), component),
            None => (format!("target site of {}", runbook.plan), runbook.to.as_str()),
        };
        // The runbook has scrolled away by now.
        self.printer.note(&in_short(runbook));
        match self.printer.ask(&format!("Type the name of the {what}:")) {
            Some(typed) if typed == name => Ok(()),
            Some(typed) if !typed.is_empty() => Err(AppError::usage(format!(
                "not confirmed: `{typed}` was typed and `{name}` was asked for; nothing was done"
            ))),
            _ => Err(AppError::usage(format!("not confirmed: `{name}` was not typed; nothing was done"))),
        }
    }
}

/// What a person confirms: the move, its expected time, and its points of no return.
fn in_short(runbook: &Runbook) -> String {
    let critical = critical_path::critical(runbook);
    let steps = critical_path::points_of_no_return(runbook);
    let steps: Vec<_> = steps.into_iter().map(|(step, _)| step.id.as_str()).collect();
    let no_return = match steps.as_slice() {
        [] => "no point of no return".to_owned(),
        steps => format!("no return after {}", steps.join(", ")),
    };
    let users =
        critical.users.map_or_else(String::new, |(users, _)| format!(", users wait for {users} of it"));
    format!(
        "{} of {}, {}: expected {}{users}; {no_return}",
        runbook.title(),
        runbook.plan,
        runbook.way(),
        critical.expected
    )
}
