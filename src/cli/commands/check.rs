//! `drctl check`

use std::collections::{BTreeMap, BTreeSet};

use super::summed;
use crate::cli::args::{CheckArgs, Global};
use crate::cli::context::{Context, findings_json};
use crate::cli::error::CliError;
use crate::cli::printer::{Format, GREEN, Printer, RED, YELLOW};
use crate::cli::{exit, now, render};
use crate::model::finding::{Finding, Severity};
use crate::model::plain::count;
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
    let many = files.len() > summed::FEW && printer.format == Format::Human;
    let (mut all, mut plans, mut texts) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for file in &files {
        let (checked, text) = context.check_file(file)?;
        if many {
            texts.insert(file.display().to_string(), text);
        } else if printer.format == Format::Human {
            render::findings(printer, &checked.findings, &|_| Some(text.clone()));
        }
        all.extend(checked.findings);
        plans.extend(checked.plan.map(|plan| plan.name));
    }
    if let Some((path, bytes)) = &context.settings_text {
        let name = path.display().to_string();
        let mut found = secrets_in(&name, bytes);
        found.extend(placeholders_in(&name, bytes));
        if printer.format == Format::Human && !many {
            render::findings(printer, &found, &|_| None);
        }
        all.extend(found);
    }
    // Who names some of the plans only does not thereby say that there are no others.
    if let (true, Some((path, _))) = (args.paths.is_empty(), &context.settings_text) {
        let (settings, path) = (&context.settings, path.display().to_string());
        let mut unbound = windows::unbound(&settings.policy, &plans, &path, now()?);
        unbound.extend(schedules::unbound(&settings.schedules, &plans, &path));
        if printer.format == Format::Human && !many {
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
            if many {
                alike(printer, &all, &texts);
            }
        }
        Format::Json | Format::Jsonl => printer.document(&serde_json::json!({
            "schema_version": 1, "files": files.len(), "errors": errors, "warnings": warnings, "findings": findings_json(&all),
        })),
    }
    Ok(if errors > 0 { exit::USAGE } else { exit::DONE })
}

/// Findings of many files: each kind once, errors and what is in most files first, with the first of them in full.
fn alike(printer: &Printer, all: &[Finding], texts: &BTreeMap<String, String>) {
    let mut kinds: BTreeMap<(bool, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in all {
        kinds.entry((finding.severity != Severity::Error, finding.id)).or_default().push(finding);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|((warning, _), of)| (*warning, std::cmp::Reverse(of.len())));
    for ((warning, id), of) in &kinds {
        let files: BTreeSet<&str> = of.iter().map(|f| f.file.as_str()).collect();
        let (colour, word) = if *warning { (YELLOW, "warning") } else { (RED, "error") };
        let words = format!(
            "  {:>4}  {}  {id} in {}",
            of.len(),
            printer.paint(colour, word),
            count(files.len(), "file")
        );
        printer.line(&words);
    }
    for (_, of) in &kinds {
        if let Some(first) = of.first() {
            render::findings(printer, std::slice::from_ref(*first), &|file| texts.get(file).cloned());
        }
    }
    if !kinds.is_empty() {
        printer.note("this shows the first of each kind; for all of one file, run drctl check FILE, and for all, --output json");
    }
}
