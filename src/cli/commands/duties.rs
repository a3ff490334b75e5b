//! `drctl duties` and `drctl ack`

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{proven, runs};
use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::{exit, inbox, notifier, run_names, run_states};
use crate::cli::args::{AckArgs, DutiesArgs, DutiesCommand, Global};
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::files::{self, Use};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{Digest, PlanName};
use crate::model::time::Timestamp;
use crate::model::waiver::{harmless, one_line};
use crate::record::event::{Signal, WorldKind};
use crate::report::duties::{self, Obligation, Standing};
use crate::run::RunState;

/// Lists duties, or records that one was done.
pub fn run(global: &Global, printer: &Printer, args: &DutiesArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    match &args.command {
        None => list(&context, printer, &store, false),
        Some(DutiesCommand::List { all }) => list(&context, printer, &store, *all),
        Some(DutiesCommand::Done { run, duty, reference, file }) => {
            let sha256 = match file {
                Some(path) => Some(Digest::of(&files::read(path, Use::Document)?)),
                None => None,
            };
            let name = || file.as_ref().map(|path| path.display().to_string());
            let reference = one_line(&reference.clone().or_else(name).unwrap_or_default());
            if reference.trim().is_empty() {
                return Err(AppError::usage_fix(
                    "the proof is missing",
                    "add --reference URL or --file FILE",
                ));
            }
            let signal = Signal::Fulfil { duty: *duty, reference, sha256 };
            runs::send(&context, printer, &store, &run_names::exactly(&store, run)?, signal)
        }
    }
}

/// All duties after runs of a store, done or not.
///
/// # Errors
/// If the ledger cannot be read.
pub fn of_runs(store: &SqliteJournal, runs: &[RunState]) -> Result<Vec<Obligation>, AppError> {
    let (told, at) = (notifier::told_of_runs(store)?, now()?);
    let live = runs.iter().filter(|state| state.created.world == WorldKind::Live);
    Ok(live.flat_map(|state| duties::of_run(state, &told, at.max(state.last_at))).collect())
}

/// The same for `drctl duties`. Nobody has to watch a rehearsal or report about it, and it has its own time, but an override in it is
/// approved afterwards like any other.
fn of_store(
    context: &Context,
    store: &SqliteJournal,
    runs: &[RunState],
) -> Result<Vec<Obligation>, AppError> {
    if !context.is_rehearsal() {
        return of_runs(store, runs);
    }
    let told = BTreeMap::new();
    let all = runs.iter().flat_map(|state| duties::of_run(state, &told, state.last_at));
    Ok(all.filter(|owed| owed.what.starts_with("approval:")).collect())
}

/// A drill that a tier requires.
#[derive(Serialize)]
struct DrillOwed {
    plan: PlanName,
    due_at: Timestamp,
    standing: Standing,
    /// Whether it is due so soon that drctl reminds people.
    #[serde(skip)]
    soon: bool,
    why: String,
}

/// Plans that must be verified by a drill, and until when. Plans that cannot be read are reported by `drctl check`.
fn drills(context: &Context, store: &SqliteJournal, runs: &[RunState]) -> Result<Vec<DrillOwed>, AppError> {
    if context.is_rehearsal() {
        return Ok(Vec::new());
    }
    let (at, quiet) = (now()?, Printer::new(Format::Json).silent());
    let mut all = Vec::new();
    for plan in context.plans(&[], &quiet).unwrap_or_default() {
        let found = proven::as_last_seen(context, store, &plan, runs)?;
        let Some(due_at) = found.until else { continue };
        let standing = if due_at < at { Standing::Overdue } else { Standing::Open };
        let soon = found.remind.is_some_and(|remind| remind <= at);
        all.push(DrillOwed { plan: plan.name, due_at, standing, soon, why: found.why });
    }
    Ok(all)
}

fn list(context: &Context, printer: &Printer, store: &SqliteJournal, all: bool) -> Result<u8, AppError> {
    let runs = run_states::all(store)?;
    let (mut owed, drills) = (of_store(context, store, &runs)?, drills(context, store, &runs)?);
    owed.sort_by_key(|owed| owed.due_at);
    let late = |standing: Standing| usize::from(standing == Standing::Overdue);
    let overdue = owed.iter().map(|owed| late(owed.standing)).sum::<usize>()
        + drills.iter().map(|drill| late(drill.standing)).sum::<usize>();
    let code = if overdue > 0 { exit::RECOVERED_BUT } else { exit::DONE };
    let shown: Vec<&Obligation> = owed
        .iter()
        .filter(|owed| all || !matches!(owed.standing, Standing::Done | Standing::DoneLate))
        .collect();
    let drills: Vec<&DrillOwed> = drills.iter().filter(|drill| all || drill.soon).collect();
    if printer.format != Format::Human {
        printer.document(&json!({
            "schema_version": 1, "overdue": overdue, "duties": shown, "drills": drills, "exit_code": code,
        }));
        return Ok(code);
    }
    for owed in &shown {
        printer.line(&printer.paint(colour(owed.standing), &harmless(&owed.words())));
    }
    for DrillOwed { plan, due_at, standing, why, .. } in &drills {
        let words = format!("drill of {plan}: {}, due {due_at} ({why})", standing.words());
        printer.line(&printer.paint(colour(*standing), &harmless(&words)));
    }
    if shown.is_empty() && drills.is_empty() {
        printer.line("nothing is due");
    }
    Ok(code)
}

const fn colour(standing: Standing) -> u8 {
    match standing {
        Standing::Done => GREEN,
        Standing::Open | Standing::Unknown => YELLOW,
        Standing::Overdue | Standing::DoneLate => RED,
    }
}

/// Records that a named person has seen a review, and their decision.
pub fn ack(global: &Global, printer: &Printer, args: &AckArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let run = run_names::exactly(&store, &args.run)?;
    let signal = Signal::Acknowledge { decision: args.decide, reason: one_line(&args.reason) };
    let code = runs::send(&context, printer, &store, &run, signal)?;
    let driven = RunLock::is_held(&Context::lock_folder(&store), &run);
    // For a run that no process drives, the line before this one names the next command.
    if args.decide.is_some() && driven {
        let state = inbox::read(&store, run_states::one(&store, &run)?)?;
        let resume = state.created.command("runs resume", "");
        let next = state.next_as_decided();
        let next = next.unwrap_or_else(|| format!("once that process has stopped: {resume}"));
        printer.note(&format!("next, {next}"));
    }
    Ok(code)
}
