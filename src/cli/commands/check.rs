//! `drctl check`

use std::collections::BTreeSet;

use crate::cli::args::{CheckArgs, Global};
use crate::cli::context::{Context, findings_json};
use crate::cli::error::CliError;
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::cli::render;
use crate::cli::{exit, now};
use crate::model::plain::count;
use crate::plan::Severity;
use crate::plan::settings::{placeholders_in, secrets_in};
use crate::policy::{schedules, windows};

/// Checks plans and prints everything that is wrong with them.
pub fn run(global: &Global, printer: &Printer, args: &CheckArgs) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let files = context.plan_files(&args.paths)?;
    if files.is_empty() {
        let place = context.base.join(&context.settings.plans);
        return Err(CliError::usage_fix(
            format!("there are no plans in {}", place.display()),
            "to create a starter plan, run drctl init",
        ));
    }
    let (mut all, mut plans) = (Vec::new(), BTreeSet::new());
    for file in &files {
        let (checked, text) = context.check_file(file)?;
        if printer.format == Format::Human {
            render::findings(printer, &checked.findings, &|_| Some(text.clone()));
        }
        all.extend(checked.findings);
        plans.extend(checked.plan.map(|plan| plan.name));
    }
    if let Some((path, bytes)) = &context.settings_text {
        let name = path.display().to_string();
        let mut found = secrets_in(&name, bytes);
        found.extend(placeholders_in(&name, bytes));
        if printer.format == Format::Human {
            render::findings(printer, &found, &|_| None);
        }
        all.extend(found);
    }
    // Who names some of the plans only does not thereby say that there are no others.
    if let (true, Some((path, _))) = (args.paths.is_empty(), &context.settings_text) {
        let (settings, path) = (&context.settings, path.display().to_string());
        let mut unbound = windows::unbound(&settings.policy, &plans, &path, now()?);
        unbound.extend(schedules::unbound(&settings.schedules, &plans, &path));
        if printer.format == Format::Human {
            render::findings(printer, &unbound, &|_| None);
        }
        all.extend(unbound);
    }
    let errors = all.iter().filter(|f| f.severity == Severity::Error).count();
    let warnings = all.len() - errors;
    match printer.format {
        Format::Human => {
            let (colour, word) = if errors > 0 { (RED, "errors") } else if warnings > 0 { (YELLOW, "usable") } else { (GREEN, "good") };
            let of = [count(files.len(), "file"), count(errors, "error"), count(warnings, "warning")];
            printer.line(&format!("{}: {}", printer.paint(colour, word), of.join(", ")));
        }
        Format::Json | Format::Jsonl => printer.document(&serde_json::json!({
            "schema_version": 1, "files": files.len(), "errors": errors, "warnings": warnings, "findings": findings_json(&all),
        })),
    }
    Ok(if errors > 0 { exit::USAGE } else { exit::DONE })
}
