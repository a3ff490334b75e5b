//! A live drill: a real switchover, and back. It has two runs, and the second one names the first. If a process dies between them, the
//! journal, `drctl status` and the next drill show what is left to do.

use super::drill::Ground;
use super::ending::Ending;
use super::runs;
use super::start::Drilled;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::printer::{GREEN, RED};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::Role;
use crate::model::ids::{PlanName, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::plan::types::Component;
use crate::record::event::{Outcome, WorldKind};
use crate::report::summary;
use crate::run::RunState;
use crate::run::drill::{called_off, felt, is_way_there, moved};
use crate::run::state::Mode;

/// The longest `--hold`. A longer one is probably a typing error.
const LONGEST_HOLD: Dur = Dur::mins(7 * 24 * 60);

/// The first move of a live drill, if it was the last run that moved the application. Each rehearsal has its own estate, so only its return
/// moves its users back.
pub fn halfway<'a>(plan: &PlanName, runs: &'a [RunState]) -> Option<&'a RunState> {
    let moves = |s: &&RunState| {
        let moves = matches!(s.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
        let live = s.created.plan == *plan && s.created.world == WorldKind::Live;
        live && moves && moved(s) && s.mode != Mode::Finished(Outcome::Cancelled)
    };
    let rehearsed = |s: &&RunState| {
        s.created.plan == *plan
            && s.created.world != WorldKind::Live
            && stays_away(s)
            && !runs.iter().any(|back| returned(s, back))
    };
    let live = runs.iter().filter(moves).max_by_key(|s| s.created_at).filter(|last| is_way_there(last));
    live.or_else(|| runs.iter().rev().find(rehearsed))
}

/// Whether a run moved the users of this first half back.
fn returned(half: &RunState, back: &RunState) -> bool {
    back.created.returns.as_ref() == Some(&half.created.run)
        && back.mode == Mode::Finished(Outcome::Recovered)
}

/// When an application was last moved, or moved back after a failed attempt. An unfinished run counts as moving it now.
pub fn last_moved(plan: &PlanName, runs: &[RunState]) -> Option<Timestamp> {
    let moves = |s: &&RunState| {
        let moves = matches!(s.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
        s.created.plan == *plan && moves && (moved(s) || felt(s))
    };
    runs.iter().filter(moves).map(|s| s.finished_at.unwrap_or(s.last_at)).max()
}

/// A move of a live drill that is not finished.
pub fn broken_off<'a>(plan: &PlanName, runs: &'a [RunState]) -> Option<&'a RunState> {
    runs.iter()
        .rev()
        .find(|s| s.created.plan == *plan && s.runbook.drill == Some(Drill::Live) && !s.finished())
}

/// What to do about an unfinished move.
pub fn way_on(state: &RunState) -> String {
    let resume = state.created.command("runs resume", "");
    match (state.past_return(), is_way_there(state)) {
        (true, true) => {
            format!("run {resume} to end it, then {} to move users back", again(state))
        }
        (false, true) => {
            let cancel = state.created.command("runs cancel", " --reason TEXT");
            format!("run {cancel} to undo it, or {resume} to continue it")
        }
        (_, false) => format!("run {resume} to continue the return"),
    }
}

/// What to do while users are in the other site only for a drill.
pub fn way_back_is_owed(state: &RunState) -> Option<String> {
    let (plan, to) = (&state.created.plan, &state.runbook.to);
    stays_away(state)
        .then(|| format!("{plan}: users are in {to} for a drill. To move them back, run {}", again(state)))
}

/// The same for this run, if users are still away because of it.
pub fn owed_by(state: &RunState, runs: &[RunState]) -> Option<String> {
    let half = halfway(&state.created.plan, runs)?;
    way_back_is_owed(half).filter(|_| half.created.run == state.created.run)
}

/// The command that starts the return.
fn again(state: &RunState) -> String {
    let plan = &state.created.plan;
    match &state.created.world {
        WorldKind::Live => format!("drctl drill {plan} --mode live"),
        WorldKind::Sandbox { scenario, seed, .. } => {
            format!("drctl drill {plan} --mode live --sandbox {scenario} --seed {seed}")
        }
    }
}

/// Whether a rehearsal with this scenario and seed has the estate of the run.
pub fn is_estate_of(state: &RunState, scenario: &str, seed: u64) -> bool {
    matches!(&state.created.world, WorldKind::Sandbox { scenario: of, seed: with, .. } if of == scenario && *with == seed)
}

/// Refuses to start anything while a move of a live drill is not finished.
///
/// # Errors
/// If there is one.
pub fn over_before(store: &SqliteJournal, plan: &PlanName, runs: &[RunState]) -> Result<(), AppError> {
    let Some(half) = broken_off(plan, runs) else { return Ok(()) };
    let run = &half.created.run;
    let driven = RunLock::is_held(&Context::lock_folder(store), run);
    let words =
        if driven { format!("is running now ({})", half.owner) } else { "is not finished".to_owned() };
    Err(AppError {
        code: if driven { "held" } else { "refused" },
        message: format!("live drill {run} of {plan}, {}, {words}", half.runbook.way()),
        hint: Some(if driven { format!("run drctl runs watch {run}") } else { way_on(half) }),
        exit: if driven { exit::HELD } else { exit::REFUSED },
    })
}

/// Parses `--hold`.
///
/// # Errors
/// If it is not a duration, or longer than a week.
pub fn hold(text: Option<&str>) -> Result<Option<Dur>, AppError> {
    let hold = text.map(Dur::parse).transpose().map_err(AppError::usage)?;
    match hold.filter(|hold| *hold > LONGEST_HOLD) {
        Some(long) => Err(AppError::usage_fix(
            format!("--hold {long} is longer than {LONGEST_HOLD}"),
            "use a switchover if users should stay there",
        )),
        None => Ok(hold),
    }
}

/// Whether users are at the target of the first move, according to its journal.
pub fn stays_away(state: &RunState) -> bool {
    is_way_there(state) && matches!(state.mode, Mode::Finished(o) if o != Outcome::Cancelled) && moved(state)
}

/// Why the first move was given up, whatever the outcome of its run.
pub fn gave_up(state: &RunState) -> Option<&str> {
    called_off(state).filter(|_| is_way_there(state))
}

/// Refuses a live drill of a plan in which nothing can move users or their writes. A hook may move them.
///
/// # Errors
/// If nothing can.
pub fn moves_somebody(plan: &Plan) -> Result<(), AppError> {
    let moves = |c: &Component| matches!(c.role(), Role::Store(_) | Role::Traffic(_) | Role::Clients(_));
    if !plan.hooks.is_empty() || plan.components.values().any(moves) {
        return Ok(());
    }
    let name = &plan.name;
    Err(AppError {
        code: "refused",
        message: format!(
            "plan {name} has no database, no names and no clients, so a live drill would move neither users nor their writes and would prove nothing"
        ),
        hint: Some(format!(
            "add to the plan what moves its users, for example a component of the kind aws.route53; to see what a failover does without it, run drctl drill {name} --mode rehearsal"
        )),
        exit: exit::REFUSED,
    })
}

impl Ground<'_> {
    /// Moves users there and back, or only back if an earlier process ended in between.
    ///
    /// # Errors
    /// If the first move cannot start, or its journal cannot be written.
    pub fn live(&self, half: Option<&RunState>) -> Result<Vec<Ending>, AppError> {
        if let Some(first) = half {
            let (name, run, to) = (&self.plan.name, &first.created.run, &first.runbook.to);
            self.printer.note(&format!("{name}: drill {run} left it in {to}; this run moves users back"));
            return Ok(vec![self.back(first, false)]);
        }
        let hold = hold(self.args.hold.as_deref())?;
        let mut there = self.one(Intent::Switchover, Drilled { hold, ..Drilled::default() }, None)?;
        let Some(first) = there.run.take() else { return Ok(vec![there]) };
        match &first.mode {
            Mode::Finished(Outcome::Recovered) => Ok(vec![there, self.back(&first, true)]),
            Mode::Finished(_) => {
                there.worsen(exit::NOT_RECOVERED);
                Ok(vec![there])
            }
            _ => Ok(vec![self.stopped(there, &first)?]),
        }
    }

    /// Moves users back. `confirmed` if this process was told to move them. Whatever the result, it reports where users are.
    fn back(&self, first: &RunState, confirmed: bool) -> Ending {
        let drilled = Drilled { returns: Some(first), confirmed, ..Drilled::default() };
        let mut back = self
            .one(Intent::Switchover, drilled, None)
            .unwrap_or_else(|e| Ending::failed(self.printer, &self.plan, &e));
        if self.args.how.dry_run {
            return back;
        }
        let nothing = |document: &serde_json::Value| document["outcome"] == "nothing_to_do";
        let is_back = match &back.run {
            Some(run) => run.mode == Mode::Finished(Outcome::Recovered),
            None => back.document.as_ref().is_some_and(nothing),
        };
        let report = summary::report(first, first.last_at);
        let why = called_off(first).map(str::to_owned);
        let idle = (is_back && back.run.is_none())
            .then(|| "the return found nothing to do, so no run of this drill moved users back".to_owned());
        if !is_back || why.is_some() {
            back.worsen(exit::NOT_RECOVERED);
        } else if idle.is_some() || !(report.rto.met && report.rpo.met) {
            back.worsen(exit::RECOVERED_BUT);
        }
        self.verdict(first, &mut back, is_back, why.or(idle).as_deref());
        back
    }

    fn verdict(&self, first: &RunState, back: &mut Ending, is_back: bool, why: Option<&str>) {
        let (name, to) = (&self.plan.name, &first.runbook.to);
        let home = first.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
        let (colour, words) = match (is_back, why, back.code) {
            (false, ..) => (
                RED,
                format!(
                    "USERS ARE NOT BACK from {to}. Correct the problem above, then run drctl drill {name} --mode live. If {to} is lost, run drctl failover {name} --to {home}"
                ),
            ),
            (true, Some(why), _) => (RED, format!("{why}; users are in {home} again")),
            (true, None, exit::DONE) => {
                (GREEN, "passed: users moved there and back within the objectives".to_owned())
            }
            (true, None, _) => {
                (RED, "users moved there and back, but an objective was missed or not proven".to_owned())
            }
        };
        self.printer.note(&format!("live drill of {name}: {}", self.printer.paint(colour, &words)));
        if let Some(document) = &mut back.document {
            let users_in = if is_back { home } else { to.as_str() };
            let passed = is_back && back.code == exit::DONE;
            document["verdict"] = serde_json::json!({"passed": passed, "users_in": users_in, "words": words});
        }
    }

    /// drctl undoes a first half that stopped before the point of no return at once, because a drill must not leave users waiting. If a
    /// person steers the run, it waits for that person. If its source is gone, a failover can use it.
    fn stopped(&self, mut there: Ending, first: &RunState) -> Result<Ending, AppError> {
        let (name, interrupted) = (&self.plan.name, self.interrupts.count());
        let asks = there.code == exit::WAITING && !felt(first);
        let steered = interrupted == 0 && (asks || first.mode == Mode::Paused);
        if steered || first.past_return() || interrupted > 1 {
            self.printer.note(&format!("{name}: {}", way_on(first)));
            return Ok(there);
        }
        there.worsen(exit::NOT_RECOVERED);
        if let Some(from) = self.gone(first)? {
            let to = &first.runbook.to;
            let words = format!("nothing in {from} answers, so users cannot move back");
            self.printer.note(&format!(
                "{name}: {words}. To continue with the proven state, run drctl failover {name} --to {to}"
            ));
            return Ok(there);
        }
        if first.cancelled_at.is_some() {
            let resume = first.created.command("runs resume", "");
            self.printer.note(&format!("{name}: drctl could not undo it yet; {resume} tries again"));
            return Ok(there);
        }
        self.printer.note(&format!("{name}: the drill stopped; drctl undoes it"));
        let reason = if interrupted > 0 { "stopped by Ctrl-C" } else { "the drill failed" };
        let run = &first.created.run;
        let mut ended = runs::call_off(&self.context, self.printer, &self.store, run, reason)?;
        ended.worsen(exit::NOT_RECOVERED);
        Ok(ended)
    }

    /// The source site, if it no longer answers.
    fn gone(&self, first: &RunState) -> Result<Option<SiteName>, AppError> {
        let Some(from) = first.runbook.from.clone().filter(|_| first.created.world == WorldKind::Live) else {
            return Ok(None);
        };
        Ok(self.look()?.0.is_dark(from.as_str()).then_some(from))
    }
}
