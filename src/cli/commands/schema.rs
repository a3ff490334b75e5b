//! `drctl schema` and `drctl completions`

use clap_complete::Shell;

use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::args::SchemaOf;
use crate::cli::complete;
use crate::cli::printer::Printer;
use crate::model::evidence::Manifest;
use crate::plan::{schema, shapes};
use crate::record::event::Event;
use crate::report::RunReport;
use crate::report::compliance::Compliance;

/// Prints a JSON Schema.
pub fn run(printer: &Printer, of: SchemaOf) -> Result<u8, AppError> {
    let schema = match of {
        SchemaOf::Plan => schema::schema(&shapes::PLAN, "drctl plan"),
        SchemaOf::Settings => schema::schema(&shapes::SETTINGS, "drctl.yaml"),
        SchemaOf::Event => schemars::schema_for!(Event).to_value(),
        SchemaOf::Report => schemars::schema_for!(RunReport).to_value(),
        SchemaOf::Compliance => schemars::schema_for!(Compliance).to_value(),
        SchemaOf::Evidence => schemars::schema_for!(Manifest).to_value(),
    };
    printer.line(&format!("{schema:#}"));
    Ok(exit::DONE)
}

/// Prints the script that completes commands, plans, sites, runs and steps.
///
/// # Errors
/// If there is none for this shell.
pub fn completions(printer: &Printer, shell: Shell) -> Result<u8, AppError> {
    let script = complete::script(&shell.to_string()).map_err(|e| AppError::usage(e.to_string()))?;
    printer.text(&script);
    Ok(exit::DONE)
}
