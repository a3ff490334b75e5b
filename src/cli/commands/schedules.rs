//! `drctl schedules`, a subcommand of `drctl drill`

use std::collections::BTreeMap;

use serde_json::json;

use crate::app::clock::now;
use crate::app::context::{Context, SANDBOX_BEGAN};
use crate::app::error::AppError;
use crate::app::{drill_schedules, exit};
use crate::cli::args::Global;
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::model::schedule::{Fate, Schedule};
use crate::model::time::Timestamp;
use crate::policy::schedules::{Due, RecordedSchedules, Tally};

/// How many drills of each schedule are listed; JSON has all.
const SHOWN: usize = 5;

/// Shows due drills and the results of earlier ones.
pub fn run(global: &Global, printer: &Printer) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store_file().is_file().then(|| context.store()).transpose()?;
    let known = store.as_ref().map_or_else(|| Ok(RecordedSchedules::default()), drill_schedules::known)?;
    // Rehearsed schedules have their own time: drctl serve begins where their last drill ended.
    let now = match context.is_rehearsal() {
        true => known.last.unwrap_or(SANDBOX_BEGAN),
        false => now()?,
    };
    let schedules = &context.settings.schedules;
    if printer.format == Format::Human {
        if context.is_rehearsal() && !schedules.is_empty() {
            printer.line(&format!("now {now}, by the clock of drctl serve --sandbox"));
        }
        let open = store.as_ref().map(|store| drill_schedules::open(store, &known, now)).unwrap_or_default();
        for schedule in schedules {
            show(printer, schedule, (&known, &open), now);
        }
        for name in gone(schedules, &known) {
            printer.line(&format!("{name}: no longer in drctl.yaml"));
            drills(printer, (&known, &open), &name, &|due| due.to_string());
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
    let gone = gone(schedules, &known).into_iter().map(|name| {
        let drills = known.of_schedule(&name);
        let drills = drills.iter().map(|(due, fate)| json!({"due": due, "is": fate}));
        json!({"schedule": name, "is": null, "next_due": null, "drills": drills.collect::<Vec<_>>()})
    });
    printer.document(
        &json!({"schema_version": 1, "now": now, "schedules": all.chain(gone).collect::<Vec<_>>()}),
    );
    Ok(exit::DONE)
}

/// Recorded drills, and what each open one waits for.
type Recorded<'a> = (&'a RecordedSchedules, &'a BTreeMap<Due, String>);

fn show(printer: &Printer, schedule: &Schedule, (known, open): Recorded<'_>, now: Timestamp) {
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
        |due| format!("{} (starts {})", schedule.calendar.shown(due), schedule.begins(due)),
    );
    printer.line(&format!("  next  {next}"));
    if !known.schedules.contains_key(&schedule.name) {
        printer.line(&format!("  {}: no drctl serve has read it yet", printer.paint(YELLOW, "not served")));
    }
    drills(printer, (known, open), &schedule.name, &|due| schedule.calendar.shown(due));
}

/// Schedules with drills in the ledger that drctl.yaml no longer has.
fn gone(schedules: &[Schedule], known: &RecordedSchedules) -> Vec<String> {
    let mut names: Vec<_> = known.fates.keys().map(|(name, _)| name.clone()).collect();
    names.dedup();
    names.retain(|name| !schedules.iter().any(|schedule| schedule.name == *name));
    names
}

/// The number of drills, and the last ones, with all that are open.
fn drills(printer: &Printer, (known, open): Recorded<'_>, name: &str, shown: &dyn Fn(Timestamp) -> String) {
    let drills = known.of_schedule(name);
    let Tally { passed, failed, missed, .. } = known.tally(name);
    if !drills.is_empty() {
        printer.line(&format!(
            "  {passed} passed, {failed} failed, {missed} missed; the last ones, and open items:"
        ));
    }
    for (n, (due, fate)) in drills.iter().rev().enumerate() {
        let (colour, word, why) = match fate {
            Fate::Begun { .. } => {
                (YELLOW, "open", open.get(&(name.to_owned(), *due)).map_or("", String::as_str))
            }
            Fate::Missed { why } => (RED, "MISSED", why.as_str()),
            Fate::Ended { passed: true, why } => (GREEN, "passed", why.as_str()),
            Fate::Ended { passed: false, why } => (RED, "FAILED", why.as_str()),
        };
        if n < SHOWN || matches!(fate, Fate::Begun { .. }) {
            printer.line(&format!("  {}  {}  {why}", shown(*due), printer.paint(colour, word)));
        }
    }
}
