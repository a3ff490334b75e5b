//! `drctl report`

use crate::cli::args::{Global, ReportArgs, ReportCommand, ReportFormat};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::files::write_new;
use crate::cli::printer::{Format, Printer};
use crate::cli::{exit, herald};
use crate::executor::create;
use crate::journal::Journal as _;
use crate::model::event::WorldKind;
use crate::model::ids::RunId;
use crate::report::{duties, html, markdown, overrides, summary};
use crate::world::World;

/// Writes the report of one run.
pub fn run(global: &Global, printer: &Printer, args: &ReportArgs) -> Result<u8, CliError> {
    let (run, format, out) = match &args.command {
        ReportCommand::Run { run, format, out } => (run, format, out),
        ReportCommand::Compliance(args) => return super::compliance::run(global, printer, args),
    };
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let run = RunId::new(run.as_str());
    let records = store.read(&run)?;
    store.check_head(&run, &records)?;
    let state = create::replay(&run, &records)?;
    let mut report = summary::report(&state, state.last_at);
    // What is owed goes on being late after the run was over.
    if state.created.world == WorldKind::Live {
        let clock = World::live().map_err(|e| CliError::usage(format!("no timers: {e}")))?;
        let now = clock.now().max(state.last_at);
        report.overrides = overrides::of(&state, now);
        report.duties = duties::of_run(&state, &herald::told_of_runs(&store)?, now);
        report.duties.retain(|owed| !owed.what.starts_with("approval:"));
    }
    let text = match format {
        ReportFormat::Md => markdown::render(&report),
        ReportFormat::Html => html::render(&report, &state),
        ReportFormat::Json => {
            serde_json::to_string_pretty(&report).map(|text| text + "\n").map_err(|e| e.to_string())
        }
    };
    let text = text.map_err(|e| CliError {
        exit: exit::BUG,
        ..CliError::usage(format!("the report cannot be rendered: {e}"))
    })?;
    match out {
        Some(path) => {
            write_new(path, &text, 0o600)?;
            printer.note(&format!("wrote {}", path.display()));
        }
        // Programs read one document, whatever people would have read.
        None if printer.format != Format::Human => {
            printer.document(&serde_json::to_value(&report).unwrap_or_default());
        }
        None => printer.text(&text),
    }
    Ok(exit::DONE)
}
