//! `drctl report`

use crate::cli::args::{Global, ReportArgs, ReportCommand, ReportFormat};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, Printer};
use crate::executor::create;
use crate::journal::Journal as _;
use crate::model::event::WorldKind;
use crate::model::ids::RunId;
use crate::report::{markdown, overrides, summary};
use crate::world::World;

/// Writes the report of one run.
pub fn run(global: &Global, printer: &Printer, args: &ReportArgs) -> Result<u8, CliError> {
    let ReportCommand::Run { run, format } = &args.command;
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
        report.overrides = overrides::of(&state, clock.now().max(state.last_at));
    }
    match format {
        ReportFormat::Md if printer.format == Format::Human => {
            let text = markdown::render(&report).map_err(|e| CliError {
                exit: exit::BUG,
                ..CliError::usage(format!("the report cannot be rendered: {e}"))
            })?;
            printer.text(&text);
        }
        ReportFormat::Md | ReportFormat::Json => {
            printer.document(&serde_json::to_value(&report).unwrap_or_default())
        }
    }
    Ok(exit::DONE)
}
