//! Shows the runs that the application starts or continues.

use super::commands::{ending, plan};
use super::formats::Format;
use super::printer::{GREEN, Printer, RED};
use super::progress::Progress;
use super::render;
use crate::app::begins::Begins;
use crate::app::ending::Ending;
use crate::app::error::AppError;
use crate::app::run_presenter;
use crate::app::run_presenter::{Display, RunPresenter};
use crate::kinds::Operation;
use crate::kinds::shared::restore::RestoreStep;
use crate::model::ids::PlanName;
use crate::planner::{Refusal, critical_path};
use crate::record::action::{Action, Write};
use crate::record::runbook::Runbook;
use crate::report::history::History;

impl RunPresenter for Printer {
    fn is_interactive(&self) -> bool {
        self.is_interactive()
    }

    fn progress(&self, of: Display<'_>, history: History) -> Box<dyn run_presenter::Progress + '_> {
        let progress = match of {
            Display::Beside(plan) => Progress::beside(*self, plan.as_str()),
            Display::Alone(pace) => Progress::new(*self, pace),
        };
        Box::new(progress.knowing(history))
    }

    fn runbook(&self, runbook: &Runbook, history: &History, begins: &Begins, signs: Option<&str>) {
        if self.format == Format::Human {
            plan::show_beginning(self, runbook, history, begins, signs);
            self.line(&format!("runbook        {} ({})", runbook.digest().short(), compared(runbook)));
        }
    }

    fn refused(&self, plan: &PlanName, refusals: &[Refusal]) {
        if self.format == Format::Human {
            render::refusals(self, plan.as_str(), refusals);
        }
    }

    /// Asks for the site's name.
    fn confirmed(&self, runbook: &Runbook, history: &History, signs: Option<&str>) -> Result<(), AppError> {
        if self.format == Format::Human {
            plan::show(self, runbook, history, signs);
            self.line(&format!(
                "runbook        {} (approvals refer to this digest)",
                runbook.digest().short()
            ));
        }
        if !self.is_interactive() {
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
        self.note(&in_short(runbook));
        match self.ask(&format!("Type the name of the {what}:")) {
            Some(typed) if typed == name => Ok(()),
            Some(typed) if !typed.is_empty() => Err(AppError::usage(format!(
                "not confirmed: `{typed}` was typed and `{name}` was asked for; nothing was done"
            ))),
            _ => Err(AppError::usage(format!("not confirmed: `{name}` was not typed; nothing was done"))),
        }
    }

    fn ended(&self, ending: &Ending) {
        if self.format == Format::Human {
            ending::screen(self, ending);
        }
    }

    fn verdict(&self, plan: &PlanName, words: &str, passed: bool) {
        let colour = if passed { GREEN } else { RED };
        self.note(&format!("live drill of {plan}: {}", self.paint(colour, words)));
    }

    fn results(&self, endings: &[Ending]) {
        ending::show(self, endings);
    }
}

impl run_presenter::Progress for Progress {
    fn finish(&self) {
        self.finish();
    }
}

/// How the digest of a runbook that is only shown compares with that of a run.
fn compared(runbook: &Runbook) -> &'static str {
    let guards = |action: &Action| matches!(action, Action::Write(Write::Guard { .. }));
    match runbook.steps.iter().any(|step| guards(&step.action)) {
        true => "a live run names itself in its guards, so its digest differs",
        false => "a run with the same runbook has the same digest",
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
