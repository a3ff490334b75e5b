//! A live drill: a real switchover, and back. Two runs, of which the second knows the first; what a process that dies between them
//! leaves is told by the journal, by `drctl status`, and by the next drill.

use super::drill::Ground;
use super::runs;
use super::start::{Drilled, Ending};
use super::status;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, GREEN, RED};
use crate::executor::create;
use crate::journal::Journal as _;
use crate::journal::sqlite::SqliteJournal;
use crate::model::event::{Outcome, WorldKind};
use crate::model::ids::RunId;
use crate::model::runbook::{Drill, Intent};
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::run::RunState;
use crate::run::drill::CALLED_OFF;
use crate::run::state::{Mode, Status};

/// The live drill that left an application away, if the last run that moved it was one.
pub fn halfway<'a>(plan: &Plan, runs: &'a [RunState]) -> Option<&'a RunState> {
    let moved = |s: &&RunState| {
        let moves = matches!(s.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
        s.created.plan == plan.name && s.created.world == WorldKind::Live && moves && s.past_return()
    };
    let last = runs.iter().filter(moved).max_by_key(|s| s.created_at)?;
    (last.runbook.drill == Some(Drill::Live) && last.created.returns.is_none()).then_some(last)
}

/// The first half of a live drill that has to be brought back before anything else.
///
/// # Errors
/// If it is not over itself.
pub fn unfinished(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
) -> Result<Option<RunState>, CliError> {
    if context.scenario()?.is_some() {
        return Ok(None);
    }
    let states = status::states(store)?;
    let Some(first) = halfway(plan, &states) else { return Ok(None) };
    match first.finished() {
        true => Ok(Some(first.clone())),
        false => Err(CliError::usage_fix(
            format!("run {} moved {} to {} and is not over", first.created.run, plan.name, first.runbook.to),
            format!(
                "drctl runs resume {}, then this command again: it takes the way back",
                first.created.run
            ),
        )),
    }
}

impl Ground<'_> {
    /// There and back; or only back, where an earlier one ended in between.
    ///
    /// # Errors
    /// If a run cannot begin, or its journal cannot be written.
    pub fn live(&self, half: Option<RunState>) -> Result<Vec<Ending>, CliError> {
        if let Some(first) = half {
            let (name, run, to) = (&self.plan.name, &first.created.run, &first.runbook.to);
            self.printer.note(&format!("{name}: drill {run} left it in {to}: this is the way back"));
            return Ok(vec![self.back(&first)?]);
        }
        let hold = self.args.hold.as_deref().map(Dur::parse).transpose().map_err(CliError::usage)?;
        let mut there = self.one(Intent::Switchover, Drilled { hold, ..Drilled::default() }, None)?;
        let Some(first) = self.run_of(&there)? else { return Ok(vec![there]) };
        let first = match self.taken_back(first)? {
            Ended::There(first) => first,
            Ended::TakenBack => {
                there.0 = exit::NOT_RECOVERED;
                return Ok(vec![there]);
            }
            Ended::Stuck => return Ok(vec![there]),
        };
        let cut = called_off(&first);
        let mut back = self.back(&first)?;
        if let Some(why) = &cut {
            back.0 = exit::worst(back.0, exit::NOT_RECOVERED);
            self.printer.note(&format!("{}: the drill was {why}", self.plan.name));
        }
        if self.printer.format == Format::Human {
            let (colour, word) = match exit::worst(there.0, back.0) {
                exit::DONE => (GREEN, "passed: there and back, within the objectives"),
                exit::RECOVERED_BUT => (RED, "there and back, and an objective was missed or not proven"),
                _ => (RED, "did not pass"),
            };
            self.printer.line(&format!(
                "\nlive drill of {}: {}",
                self.plan.name,
                self.printer.paint(colour, word)
            ));
        }
        Ok(vec![there, back])
    }

    fn back(&self, first: &RunState) -> Result<Ending, CliError> {
        self.one(Intent::Switchover, Drilled { returns: Some(first), ..Drilled::default() }, None)
    }

    /// The run that a command made, if it made one.
    fn run_of(&self, (_, document): &Ending) -> Result<Option<RunState>, CliError> {
        let run = document.as_ref().and_then(|d| d["run_id"].as_str()).map(RunId::new);
        run.map(|run| Ok(create::replay(&run, &self.store.read(&run)?)?)).transpose()
    }

    /// A first half that failed before the point of no return is taken back at once: that is what a drill owes to its users.
    fn taken_back(&self, first: RunState) -> Result<Ended, CliError> {
        let run = &first.created.run;
        let failed = first.steps.iter().any(|s| s.work.status == Status::Failed);
        match &first.mode {
            Mode::Finished(Outcome::Recovered) => Ok(Ended::There(first)),
            Mode::Finished(_) => Ok(Ended::TakenBack),
            Mode::Running if failed && !first.past_return() && self.interrupts.count() == 0 => {
                self.printer.note(&format!("{}: the drill failed and is taken back", self.plan.name));
                runs::call_off(&self.context, self.printer, &self.store, run, "the drill failed")?;
                Ok(Ended::TakenBack)
            }
            _ => {
                let next = format!(
                    "drctl runs resume {run} carries the drill on, drctl runs cancel {run} takes it back"
                );
                self.printer.note(&format!("{}: {next} as long as nothing was promoted", self.plan.name));
                Ok(Ended::Stuck)
            }
        }
    }
}

/// How the way there ended.
enum Ended {
    There(RunState),
    TakenBack,
    Stuck,
}

/// Why a drill went back before its time.
fn called_off(first: &RunState) -> Option<String> {
    let reasons = first.steps.iter().filter_map(|s| s.work.reason.as_deref());
    reasons.into_iter().find(|r| r.starts_with(CALLED_OFF)).map(str::to_owned)
}
