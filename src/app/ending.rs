//! The results of commands that start or continue runs.

use super::begins::Begins;
use super::error::AppError;
use super::presenter::Presenter;
use super::run_outcome::RunTiming;
use super::{exit, run_outcome};
use crate::executor::Ended;
use crate::model::ids::{PlanName, SiteName};
use crate::model::intent::Intent;
use crate::model::waiver::Rule;
use crate::planner::Refusal;
use crate::record::runbook::Runbook;
use crate::run::RunState;

/// The result of a command for one plan.
pub struct Ending {
    /// The plan.
    pub plan: String,
    /// Its exit code.
    pub code: u8,
    /// What came of it.
    pub came: Came,
    /// The run, if there was one.
    pub run: Option<Box<RunState>>,
    /// The durations of the run.
    pub timing: RunTiming,
    /// Whether its screen comes after a summary.
    pub held_back: bool,
    /// The verdict on a live drill.
    pub verdict: Option<Verdict>,
}

/// What came of a command for one plan.
pub enum Came {
    /// A run, which stopped or ended.
    Ran,
    /// It was refused.
    Refused(Intent, SiteName, Vec<Refusal>),
    /// A dry run: when it would begin, and its runbook.
    Shown(Begins, Box<Runbook>),
    /// There was nothing to do.
    Nothing(Intent, SiteName),
    /// This plan has to serve users first, and does not.
    NeededFirst(PlanName),
    /// An error, while other plans have results of their own.
    Failed(AppError),
    /// The plan has errors, so that nothing was started for it.
    Broken,
    /// Its thread ended without a result.
    Unknown,
}

/// The verdict on a live drill.
pub struct Verdict {
    /// Whether users moved there and back within the objectives.
    pub passed: bool,
    /// Where users are.
    pub users_in: String,
    /// In words.
    pub words: String,
}

impl Ending {
    /// A result without a run.
    pub fn without(plan: &str, code: u8, came: Came) -> Self {
        let timing = RunTiming::shown(true);
        Self { plan: plan.to_owned(), code, came, run: None, timing, held_back: false, verdict: None }
    }

    /// The result of a run.
    pub fn of_run(ended: Ended, timing: RunTiming) -> Self {
        let (plan, code) = (ended.state.created.plan.to_string(), run_outcome::code(&ended));
        let run = Some(Box::new(ended.state));
        Self { plan, code, came: Came::Ran, run, timing, held_back: false, verdict: None }
    }

    /// The result for an error, if other plans have results of their own.
    pub fn failed(presenter: &dyn Presenter, plan: &PlanName, e: AppError) -> Self {
        presenter.note(&format!("{plan}: error: {}", e.message));
        e.hint.iter().for_each(|hint| presenter.note(&format!("{plan}: fix: {hint}")));
        Self::without(plan.as_str(), e.exit, Came::Failed(e))
    }

    /// The result for a plan that has errors, so that nothing was started for it.
    pub fn broken(plan: &str) -> Self {
        Self::without(plan, exit::USAGE, Came::Broken)
    }

    /// Raises the exit code above that of the run.
    pub fn worsen(&mut self, code: u8) {
        self.code = exit::worst(self.code, code);
    }

    /// Whether it was only blocked: it was not tried, so it did not fail.
    pub fn is_blocked(&self) -> bool {
        let Came::Refused(_, _, refusals) = &self.came else { return false };
        !refusals.is_empty() && refusals.iter().all(|refusal| refusal.rule == Rule::DrillBlocked)
    }

    /// The outcome in one word, for results without a run.
    pub const fn outcome(&self) -> Option<&'static str> {
        match self.came {
            Came::Ran | Came::Unknown => None,
            Came::Refused(..) | Came::Failed(_) => Some("refused"),
            Came::Shown(..) => Some("dry_run"),
            Came::Nothing(..) => Some("nothing_to_do"),
            Came::NeededFirst(_) | Came::Broken => Some("not_started"),
        }
    }

    /// Why it did not start.
    pub fn why_not(&self) -> String {
        match &self.came {
            Came::Failed(e) => e.message.clone(),
            Came::Refused(_, _, refusals) if !refusals.is_empty() => refusals[0].facts.clone(),
            _ => self.outcome().unwrap_or("it did not start").to_owned(),
        }
    }
}

/// The exit code for the results of one command.
pub fn worst(endings: &[Ending]) -> u8 {
    endings.iter().map(|ending| ending.code).fold(exit::DONE, exit::worst)
}
