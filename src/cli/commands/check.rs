//! `drctl check`

use crate::cli::args::{CheckArgs, Global};
use crate::cli::context::{Context, findings_json};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::cli::render;
use crate::plan::Severity;

/// Checks plans and prints everything that is wrong with them.
pub fn run(global: &Global, printer: &Printer, args: &CheckArgs) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let files = context.plan_files(&args.paths)?;
    if files.is_empty() {
        let place = context.base.join(&context.settings.plans);
        return Err(CliError::usage_fix(
            format!("there are no plans in {}", place.display()),
            "drctl init writes a starter plan",
        ));
    }
    let mut all = Vec::new();
    for file in &files {
        let (checked, text) = context.check_file(file)?;
        if printer.format == Format::Human {
            render::findings(printer, &checked.findings, &|_| Some(text.clone()));
        }
        all.extend(checked.findings);
    }
    let errors = all.iter().filter(|f| f.severity == Severity::Error).count();
    let warnings = all.len() - errors;
    match printer.format {
        Format::Human => {
            let (colour, word) = if errors > 0 { (RED, "errors") } else if warnings > 0 { (YELLOW, "usable") } else { (GREEN, "good") };
            printer.line(&format!("{}: {} files, {errors} errors, {warnings} warnings", printer.paint(colour, word), files.len()));
        }
        Format::Json | Format::Jsonl => printer.document(&serde_json::json!({
            "schema_version": 1, "files": files.len(), "errors": errors, "warnings": warnings, "findings": findings_json(&all),
        })),
    }
    Ok(if errors > 0 { exit::USAGE } else { exit::DONE })
}
