//! `drctl duties` and `drctl ack`

use serde_json::json;

use super::sent;
use crate::app::context::Context;
use crate::app::duties::DrillOwed;
use crate::app::error::AppError;
use crate::app::{duties, exit, inbox, run_names, run_states};
use crate::cli::args::{AckArgs, DutiesArgs, DutiesCommand, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::files::{self, Use};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::Digest;
use crate::model::waiver::{harmless, one_line};
use crate::record::event::Signal;
use crate::report::duties::{Obligation, Standing};

/// Lists duties, or records that one was done.
pub fn run(global: &Global, printer: &Printer, args: &DutiesArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    match &args.command {
        None => list(&context, printer, &store, false),
        Some(DutiesCommand::List { all }) => list(&context, printer, &store, *all),
        Some(DutiesCommand::Done { run, duty, reference, file }) => {
            let sha256 = match file {
                Some(path) => Some(Digest::of_bytes(&files::read(path, Use::Document)?)),
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
            sent::send(&context, printer, &store, &run_names::exactly(&store, run)?, signal)
        }
    }
}

fn list(context: &Context, printer: &Printer, store: &SqliteJournal, all: bool) -> Result<u8, AppError> {
    let runs = run_states::all(store)?;
    let (mut owed, drills) =
        (duties::of_store(context, store, &runs)?, duties::drills(context, store, &runs)?);
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
    let code = sent::send(&context, printer, &store, &run, signal)?;
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
