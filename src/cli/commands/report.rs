//! `drctl report`

use std::path::Path;

use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::files::write_new;
use crate::app::{exit, inbox, notifier, uploads};
use crate::cli::args::{DocumentFormat, DocumentKind, Global, ReportArgs, ReportCommand, ReportFormat};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::executor::create;
use crate::journal::lock::RunLock;
use crate::journal::{Journal as _, StoreError};
use crate::model::plain;
use crate::model::time::Timestamp;
use crate::record::event::{Event, WorldKind};
use crate::report::{RunReport, documents, duties, html, markdown, overrides, summary, trace};
use crate::run::RunState;

/// Writes a report.
pub fn run(global: &Global, printer: &Printer, args: &ReportArgs) -> Result<u8, AppError> {
    match &args.command {
        ReportCommand::Run { run, format, out } => {
            let asked = read(global, printer, run)?;
            if matches!(format, ReportFormat::Otlp) {
                let trace = trace::document_of(&asked.state.created.run, &asked.events);
                return written(printer, pretty(&trace), out.as_deref(), &trace).map(|done| asked.code(done));
            }
            let text = match format {
                ReportFormat::Md => markdown::render(&asked.report),
                ReportFormat::Html => html::render(&asked.report, &asked.state),
                ReportFormat::Json | ReportFormat::Otlp => pretty(&asked.report),
            };
            written(printer, text, out.as_deref(), &asked.report).map(|done| asked.code(done))
        }
        ReportCommand::Document { run, kind, format, out } => {
            let asked = read(global, printer, run)?;
            let kind = match kind {
                DocumentKind::Rollback => documents::Kind::Rollback,
                DocumentKind::Incident => documents::Kind::Incident,
                DocumentKind::PostIncident => documents::Kind::PostIncident,
            };
            let told = asked.told.as_deref();
            let document = documents::document(kind, &asked.report, &asked.state, told);
            let text = match format {
                DocumentFormat::Md => Ok(documents::markdown(&document)),
                DocumentFormat::Json => pretty(&document),
            };
            written(printer, text, out.as_deref(), &document).map(|done| asked.code(done))
        }
        ReportCommand::Compliance(args) => super::compliance::run(global, printer, args),
    }
}

/// A run, and what to show about it.
struct ReportedRun {
    report: RunReport,
    state: RunState,
    events: Vec<Event>,
    /// When people were notified, if that is known.
    told: Option<Vec<Timestamp>>,
    /// Whether the ledger behind it is whole.
    whole: bool,
}

impl ReportedRun {
    /// The exit code: nobody may rely on a report of a broken store.
    const fn code(&self, done: u8) -> u8 {
        if self.whole { done } else { exit::NOT_RECOVERED }
    }
}

fn read(global: &Global, printer: &Printer, run: &str) -> Result<ReportedRun, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let run = crate::app::run_names::read(&store, run)?;
    let records = store.read(&run)?;
    store.check_head(&run, &records)?;
    let whole = super::audit::ledger_is_whole(printer, &store, (&run, &records))?;
    // What people decided counts, also while no process of the run has read it.
    let mut state = inbox::read(&store, create::replay(&run, &records)?)?;
    let live = state.created.world == WorldKind::Live;
    state.ask_as_of(if live { now()?.max(state.last_at) } else { state.last_at });
    let mut report = summary::report(&state, state.last_at);
    if !RunLock::is_held(&Context::lock_folder(&store), &run) {
        report.note_undriven(&state, now()?);
    }
    report.from_file = store.imported()?.waiting.contains_key(&run);
    match store.may_act(&run) {
        // That the store is older than its checkpoints is said by every command.
        Ok(()) | Err(StoreError::PutBack(_)) => {}
        Err(e) => printer.note(&e.to_string()),
    }
    let told = notifier::told_of_runs(&store)?;
    // Duties can become overdue after the end of the run.
    if live {
        let now = now()?.max(state.last_at);
        report.overrides = overrides::of_run(&state, now);
        report.duties = duties::of_run(&state, &told, now);
        report.duties.retain(|owed| !owed.what.starts_with("approval:"));
        report.owe(&state);
        report.debts.extend(uploads::owed_of(&context, &run)?);
    }
    let events = records.iter().filter_map(|record| Event::read(&record.bytes).ok()).collect();
    Ok(ReportedRun { report, state, events, told: told.get(&run).cloned(), whole })
}

fn pretty(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map(|text| plain::json(&text) + "\n").map_err(|e| e.to_string())
}

fn written(
    printer: &Printer,
    text: Result<String, String>,
    out: Option<&Path>,
    document: &impl serde::Serialize,
) -> Result<u8, AppError> {
    let text = text.map_err(|e| AppError {
        exit: exit::BUG,
        ..AppError::usage(format!("drctl cannot render the report: {e}"))
    })?;
    match out {
        Some(path) => {
            write_new(path, &text, 0o600)?;
            printer.note(&format!("wrote {}", path.display()));
        }
        // With a machine format, the output is one document, whatever the format for people would be.
        None if printer.format != Format::Human => {
            printer.record(&serde_json::to_value(document).unwrap_or_default());
        }
        None => printer.page(&text),
    }
    Ok(exit::DONE)
}
