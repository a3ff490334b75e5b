//! A live drill: a real switchover, and back. It has two runs, and the second one names the first. If a process dies between them, the
//! journal, `drctl status` and the next drill show what is left to do.

use super::context::Context;
use super::error::AppError;
use super::exit;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::PlanName;
use crate::model::intent::{Drill, Intent};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::record::event::{Outcome, WorldKind};
use crate::report::onward;
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
    let on = state.to_go_on();
    match (state.past_return(), is_way_there(state)) {
        (true, true) => {
            format!("run {on} to end it, then {} to move users back", again(state))
        }
        (false, true) => {
            let cancel = state.created.command("runs cancel", " --reason TEXT");
            format!("run {cancel} to undo it, or {on} to continue it")
        }
        (_, false) => format!("run {on} to continue the return"),
    }
}

/// What to do while users are in the other site only for a drill, or are not served because a half of it was closed too early.
pub fn way_back_is_owed(state: &RunState, runs: &[RunState]) -> Option<String> {
    let (plan, to) = (&state.created.plan, &state.runbook.to);
    let last = runs.iter().rev().find(|run| run.finished() && is_of(state, run));
    let where_users_are = match last.filter(|last| onward::out(last).is_some()) {
        Some(last) => {
            format!("users are NOT served: run {} was closed before they were served again", last.created.run)
        }
        None => format!("users are in {to} for a drill"),
    };
    stays_away(state).then(|| format!("{plan}: {where_users_are}. To move them back, run {}", again(state)))
}

/// The same for this run, if users are still away because of it.
pub fn owed_by(state: &RunState, runs: &[RunState]) -> Option<String> {
    let half = halfway(&state.created.plan, runs)?;
    way_back_is_owed(half, runs).filter(|_| half.created.run == state.created.run)
}

/// The same for a run that is over: the first half, or a return that did not move its users back.
pub fn owed_after(state: &RunState, runs: &[RunState]) -> Option<String> {
    let half = halfway(&state.created.plan, runs)?;
    way_back_is_owed(half, runs).filter(|_| is_of(half, state))
}

/// Whether a run is this first half, or its return.
pub fn is_of(half: &RunState, run: &RunState) -> bool {
    let first = &half.created.run;
    run.created.run == *first || run.created.returns.as_ref() == Some(first)
}

/// The command that starts the return.
pub fn again(state: &RunState) -> String {
    let plan = &state.created.plan;
    match &state.created.world {
        WorldKind::Live => format!("drctl drill {plan} --mode live"),
        WorldKind::Sandbox { scenario, seed, .. } => {
            format!("drctl drill {plan} --mode live --sandbox={scenario} --seed {seed}")
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
    broken_off(plan, runs).map_or(Ok(()), |half| Err(open(store, half)))
}

/// Refuses to start a return of this first half while another one is not finished.
///
/// # Errors
/// If there is one.
pub fn one_return(store: &SqliteJournal, half: &RunState, runs: &[RunState]) -> Result<(), AppError> {
    let back = |run: &&RunState| run.created.returns.as_ref() == Some(&half.created.run) && !run.finished();
    runs.iter().rev().find(back).map_or(Ok(()), |back| Err(open(store, back)))
}

/// Says that a move is not finished, and how it goes on.
fn open(store: &SqliteJournal, half: &RunState) -> AppError {
    let (run, plan, way) = (&half.created.run, &half.created.plan, half.runbook.way());
    let what = match &half.created.returns {
        Some(first) => format!("the return {run} of live drill {first} of {plan}, {way},"),
        None => format!("live drill {run} of {plan}, {way},"),
    };
    let (code, words, hint, exit) = if RunLock::is_held(&Context::lock_folder(store), run) {
        let watch = half.created.command("runs watch", "");
        ("held", format!("is running now ({})", half.owner), format!("run {watch}"), exit::HELD)
    } else if half.waits_for_people().is_empty() {
        ("refused", "is not finished".to_owned(), way_on(half), exit::REFUSED)
    } else {
        ("waiting", "waits for a person".to_owned(), way_on(half), exit::WAITING)
    };
    AppError { code, message: format!("{what} {words}"), hint: Some(hint), exit }
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
    if !plan.hooks.is_empty() || plan.components.values().any(|c| c.role().moves_users()) {
        return Ok(());
    }
    let name = &plan.name;
    Err(AppError {
        code: "refused",
        message: format!(
            "plan {name} has no database, no names and no clients, so a live drill would move neither users nor their writes and would prove nothing"
        ),
        hint: Some(format!(
            "add to the plan what moves its users (docs: plans/overview.md); to see what a failover does without it, run drctl drill {name} --mode rehearsal"
        )),
        exit: exit::REFUSED,
    })
}
