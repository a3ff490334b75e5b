//! A live drill: a real switchover, and back. Two runs, of which the second knows the first; what a process that dies between them
//! leaves is told by the journal, by `drctl status`, and by the next drill.

use super::drill::Ground;
use super::runs;
use super::start::{Drilled, Ending};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, GREEN, RED};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::event::{Outcome, WorldKind};
use crate::model::ids::{PlanName, SiteName};
use crate::model::runbook::{Drill, Intent};
use crate::model::time::Dur;
use crate::report::summary;
use crate::run::RunState;
use crate::run::drill::{called_off, felt, is_way_there, moved};
use crate::run::state::Mode;

/// Longer than anybody means: users would stay away because of a slip of a finger.
const LONGEST_HOLD: Dur = Dur::mins(7 * 24 * 60);

/// The live drill that left an application away, if the last run that moved it was one.
pub fn halfway<'a>(plan: &PlanName, runs: &'a [RunState]) -> Option<&'a RunState> {
    let moves = |s: &&RunState| {
        let moves = matches!(s.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
        let live = s.created.plan == *plan && s.created.world == WorldKind::Live;
        live && moves && moved(s) && s.mode != Mode::Finished(Outcome::Cancelled)
    };
    runs.iter().filter(moves).max_by_key(|s| s.created_at).filter(|last| is_way_there(last))
}

/// A half of a live drill that nobody has ended.
pub fn broken_off<'a>(plan: &PlanName, runs: &'a [RunState]) -> Option<&'a RunState> {
    runs.iter().rev().find(|s| {
        let live = s.created.plan == *plan && s.created.world == WorldKind::Live;
        live && s.runbook.drill == Some(Drill::Live) && !s.finished()
    })
}

/// What to do about a half that nobody has ended.
pub fn way_on(state: &RunState) -> String {
    let resume = state.created.command("runs resume", "");
    let plan = &state.created.plan;
    match (state.past_return(), is_way_there(state)) {
        (true, true) => format!("{resume} ends it, then drctl drill {plan} --mode live takes users back"),
        (false, true) => {
            format!("{}; or {resume}", state.created.command("runs cancel", " --reason TEXT takes it back"))
        }
        (_, false) => format!("{resume} carries the way back on"),
    }
}

/// What is owed when a half ended and its users are where they are only for a drill.
pub fn way_back_is_owed(state: &RunState) -> Option<String> {
    let there = is_way_there(state) && matches!(state.mode, Mode::Finished(o) if o != Outcome::Cancelled);
    let live = state.created.world == WorldKind::Live;
    let (plan, to) = (&state.created.plan, &state.runbook.to);
    (there && live && moved(state)).then(|| {
        format!("{plan}: users are in {to} for a drill: drctl drill {plan} --mode live takes them back")
    })
}

/// Refuses to begin anything beside a half that is not over.
///
/// # Errors
/// If there is one.
pub fn over_before(store: &SqliteJournal, plan: &PlanName, runs: &[RunState]) -> Result<(), CliError> {
    let Some(half) = broken_off(plan, runs) else { return Ok(()) };
    let run = &half.created.run;
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    let words = if driven { format!("is driven now ({})", half.owner) } else { "is not over".to_owned() };
    Err(CliError {
        code: if driven { "held" } else { "refused" },
        message: format!("live drill {run} of {plan}, {}, {words}", half.runbook.way()),
        hint: Some(if driven { format!("drctl runs watch {run}") } else { way_on(half) }),
        exit: if driven { exit::HELD } else { exit::REFUSED },
    })
}

/// How long a drill stays.
///
/// # Errors
/// If that is no time, or longer than a week.
pub fn hold(text: Option<&str>) -> Result<Option<Dur>, CliError> {
    let hold = text.map(Dur::parse).transpose().map_err(CliError::usage)?;
    match hold.filter(|hold| *hold > LONGEST_HOLD) {
        Some(long) => Err(CliError::usage_fix(
            format!("--hold {long} is longer than {LONGEST_HOLD}"),
            "a switchover, where users are to stay",
        )),
        None => Ok(hold),
    }
}

impl Ground<'_> {
    /// There and back; or only back, where an earlier one ended in between.
    ///
    /// # Errors
    /// If a run cannot begin, or its journal cannot be written.
    pub fn live(&self, half: Option<&RunState>) -> Result<Vec<Ending>, CliError> {
        if let Some(first) = half {
            let (name, run, to) = (&self.plan.name, &first.created.run, &first.runbook.to);
            self.printer.note(&format!("{name}: drill {run} left it in {to}: this is the way back"));
            return Ok(vec![self.back(first, false)?]);
        }
        let hold = hold(self.args.hold.as_deref())?;
        let mut there = self.one(Intent::Switchover, Drilled { hold, ..Drilled::default() }, None)?;
        let Some(first) = there.run.take() else { return Ok(vec![there]) };
        match &first.mode {
            Mode::Finished(Outcome::Recovered) => Ok(vec![there, self.back(&first, true)?]),
            Mode::Finished(_) => {
                there.worsen(exit::NOT_RECOVERED);
                Ok(vec![there])
            }
            _ => Ok(vec![self.stopped(there, &first)?]),
        }
    }

    /// Takes users back. `confirmed` if this very process was told to move them.
    fn back(&self, first: &RunState, confirmed: bool) -> Result<Ending, CliError> {
        let drilled = Drilled { returns: Some(first), confirmed, ..Drilled::default() };
        let mut back = self.one(Intent::Switchover, drilled, None)?;
        let report = summary::report(first, first.last_at);
        if let Some(why) = called_off(first) {
            self.printer.note(&format!("{}: the drill was {why}", self.plan.name));
            back.worsen(exit::NOT_RECOVERED);
        } else if !(report.rto.met && report.rpo.met) {
            back.worsen(exit::RECOVERED_BUT);
        }
        if self.printer.format == Format::Human {
            self.verdict(first, &back);
        }
        Ok(back)
    }

    fn verdict(&self, first: &RunState, back: &Ending) {
        let is_back = back.run.as_ref().is_some_and(|run| run.mode == Mode::Finished(Outcome::Recovered));
        let (name, to) = (&self.plan.name, &first.runbook.to);
        let home = first.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
        let (colour, words) = match (is_back, back.code) {
            (true, exit::DONE) => (GREEN, "passed: there and back, within the objectives".to_owned()),
            (true, exit::RECOVERED_BUT) => {
                (RED, "there and back, and an objective was missed or not proven".to_owned())
            }
            (true, _) => (RED, format!("called off; users are in {home} again")),
            (false, _) => (
                RED,
                format!(
                    "USERS ARE NOT BACK from {to}: mend what is named above, then drctl drill {name} --mode live; if {to} is lost, drctl failover {name} --to {home}"
                ),
            ),
        };
        self.printer.line(&format!("\nlive drill of {name}: {}", self.printer.paint(colour, &words)));
    }

    /// A first half that stopped before the point of no return is taken back at once: that is what a drill owes to its users. One that
    /// waits for a person, and has touched nobody, waits.
    fn stopped(&self, mut there: Ending, first: &RunState) -> Result<Ending, CliError> {
        let (name, interrupted) = (&self.plan.name, self.interrupts.count());
        let waits = there.code == exit::WAITING && !felt(first) && interrupted == 0;
        if waits || first.past_return() || interrupted > 1 {
            self.printer.note(&format!("{name}: {}", way_on(first)));
            return Ok(there);
        }
        self.printer.note(&format!("{name}: the drill stopped, and is taken back"));
        let reason = if interrupted > 0 { "stopped by Ctrl-C" } else { "the drill failed" };
        there = runs::call_off(&self.context, self.printer, &self.store, &first.created.run, reason)?;
        there.worsen(exit::NOT_RECOVERED);
        Ok(there)
    }
}
