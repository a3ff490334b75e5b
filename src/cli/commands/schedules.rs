//! `drctl schedules`

use serde_json::json;

use super::serve;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::cli::{exit, now};
use crate::model::schedule::{Fate, Schedule};
use crate::model::time::Timestamp;
use crate::policy::schedules::Known;

/// Shows what is due when, and what became of what was.
pub fn run(global: &Global, printer: &Printer) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let known = match context.store_file().is_file() {
        true => serve::known(&context.store()?)?,
        false => Known::default(),
    };
    // In a rehearsal it is as late as was last done.
    let now = match known.last.filter(|_| context.is_rehearsal()) {
        Some(last) => last,
        None => now()?,
    };
    let schedules = &context.settings.schedules;
    if printer.format == Format::Human {
        for schedule in schedules {
            show(printer, schedule, &known, now);
        }
        if schedules.is_empty() {
            printer.line("drctl.yaml has no `schedules:`; drctl serve --help shows one");
        }
        return Ok(exit::DONE);
    }
    let all = schedules.iter().map(|schedule| {
        let drills = known.of_schedule(&schedule.name);
        let drills = drills.iter().map(|(due, fate)| json!({"due": due, "is": fate}));
        let next = schedule.calendar.after(now);
        json!({
            "schedule": schedule.name, "is": schedule.is, "next_due": next, "begins": next.map(|due| schedule.begins(due)),
            "drills": drills.collect::<Vec<_>>(),
        })
    });
    printer.document(&json!({"schema_version": 1, "now": now, "schedules": all.collect::<Vec<_>>()}));
    Ok(exit::DONE)
}

fn show(printer: &Printer, schedule: &Schedule, known: &Known, now: Timestamp) {
    let is = &schedule.is;
    printer.line(&format!(
        "{}: {} drill of {}, {}",
        schedule.name,
        is.drill.id(),
        is.plan,
        schedule.calendar
    ));
    let next = schedule.calendar.after(now).map_or_else(
        || "never again".to_owned(),
        |due| format!("{} (begins {})", schedule.calendar.shown(due), schedule.begins(due)),
    );
    printer.line(&format!("  next  {next}"));
    if !known.schedules.contains_key(&schedule.name) {
        printer.line(&format!("  {}: no drctl serve has seen it yet", printer.paint(YELLOW, "not served")));
    }
    for (due, fate) in known.of_schedule(&schedule.name).iter().rev().take(5) {
        let (colour, word, why) = match fate {
            Fate::Begun { .. } => (YELLOW, "open", ""),
            Fate::Missed { why } => (RED, "MISSED", why.as_str()),
            Fate::Ended { passed: true, why } => (GREEN, "passed", why.as_str()),
            Fate::Ended { passed: false, why } => (RED, "FAILED", why.as_str()),
        };
        let (due, word) = (schedule.calendar.shown(*due), printer.paint(colour, word));
        printer.line(&format!("  {due}  {word}  {why}"));
    }
}
