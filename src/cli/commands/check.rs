//! `drctl check`

use std::collections::{BTreeMap, BTreeSet};

use super::summed;
use crate::adapters::sql_trouble;
use crate::app::clock::now;
use crate::app::context::{Context, findings_json};
use crate::app::error::AppError;
use crate::app::{exit, paths};
use crate::cli::args::{CheckArgs, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::cli::render;
use crate::kinds::Role;
use crate::model::finding::{Finding, Severity};
use crate::model::ids::PlanName;
use crate::model::plain::{count, some};
use crate::model::worst::{Weighed as _, Weight};
use crate::plan::lint::plans;
use crate::plan::lint::settings::about;
use crate::plan::settings::{Written, hide_secrets, placeholders_in, secrets_in};
use crate::plan::{Checked, Plan};
use crate::policy::{matrix, schedules, windows};

/// Checks plans and prints all findings. Errors in the settings do not hide those in plans.
pub fn run(global: &Global, printer: &Printer, args: &CheckArgs) -> Result<u8, AppError> {
    let (context, of_settings) = Context::read(&global.options(), printer)?;
    let files = match context.plan_files(&args.paths) {
        Ok(files) if !files.is_empty() => files,
        other => {
            let found = context.findings_of_settings(of_settings);
            render::findings(printer, &found, &|file| context.text_of(file));
            let place = context.base.join(&context.settings.plans);
            return Err(other.err().unwrap_or_else(|| paths::no_plans(&context.base, &place)));
        }
    };
    let many = files.len() > summed::FEW && printer.format == Format::Human;
    // Findings of the settings come first, then those of plans, then those of both together.
    let (mut all, mut checked, mut texts) = (of_settings, Vec::new(), BTreeMap::new());
    all.extend(within(&context));
    for file in &files {
        let (mut found, text) = context.check_file(file)?;
        all.append(&mut found.findings);
        texts.insert(file.display().to_string(), text);
        checked.push(found);
    }
    all.extend(between(&context, args, &checked)?);
    hide_secrets(&mut all);
    let text_of = |file: &str| texts.get(file).cloned().or_else(|| context.text_of(file));
    if printer.format == Format::Human && !many {
        for file in all.chunk_by(|a, b| a.file == b.file) {
            render::findings(printer, file, &text_of);
        }
    }
    let errors = all.iter().filter(|f| f.severity == Severity::Error).count();
    let warnings = all.len() - errors;
    match printer.format {
        Format::Human => {
            let (colour, word) = if errors > 0 { (RED, "errors") } else if warnings > 0 { (YELLOW, "usable") } else { (GREEN, "good") };
            let of = [count(files.len(), "file"), count(errors, "error"), count(warnings, "warning")];
            printer.line(&format!("{}: {}", printer.paint(colour, word), of.join(", ")));
            if many {
                alike(printer, &all, &text_of);
            }
        }
        Format::Json | Format::Jsonl => printer.document(&serde_json::json!({
            "schema_version": 1, "files": files.len(), "errors": errors, "warnings": warnings, "findings": findings_json(&all),
        })),
    }
    Ok(if errors > 0 { exit::USAGE } else { exit::DONE })
}

/// Warnings about settings that are valid.
fn within(context: &Context) -> Vec<Finding> {
    let Some((path, bytes)) = &context.settings_text else { return Vec::new() };
    let name = path.display().to_string();
    [secrets_in(&name, bytes), placeholders_in(&name, bytes)].concat()
}

/// Findings about the settings and plans together.
fn between(context: &Context, args: &CheckArgs, checked: &[Checked]) -> Result<Vec<Finding>, AppError> {
    let (written, settings) = (context.written(), &context.settings);
    let seen: Vec<&Plan> =
        checked.iter().filter_map(|found| found.plan.as_ref().or(found.draft.as_ref())).collect();
    let mut found = about(&written, settings, &seen);
    found.extend(certificates(context, &written, &seen));
    found.extend(matrix::nobody_can(&written, settings, &seen));
    found.extend(matrix::nobody_can_override(&written, settings, &seen));
    found.extend(plans::among(&seen, args.paths.is_empty() && seen.len() == checked.len()));
    // If only some plans are named, or the name of one cannot be read, it is unknown which other plans exist.
    let names: Option<BTreeSet<PlanName>> = checked.iter().map(|found| found.name.clone()).collect();
    if let (true, Some(names), Some(_)) = (args.paths.is_empty(), names, &context.settings_text) {
        found.extend(windows::unbound(&settings.policy, &names, &written, now()?));
        found.extend(schedules::unbound(&settings.schedules, &names, &written));
    }
    Ok(found)
}

/// Reports a CA file for database certificates that cannot be used. An outage is the wrong time to download it.
fn certificates(context: &Context, written: &Written, plans: &[&Plan]) -> Option<Finding> {
    let logs_in = |role| matches!(role, Role::Store(d) if d.has_login());
    let all = plans.iter().flat_map(|plan| plan.components.values().map(move |c| (plan, c)));
    let named: Vec<String> = all
        .filter(|(_, c)| logs_in(c.role()))
        .map(|(plan, c)| format!("`{}` of {}", c.name, plan.name))
        .collect();
    context.settings.sql.ca_file.as_ref().filter(|_| !named.is_empty())?;
    let why = sql_trouble(&context.settings.sql)?;
    let message = "the certificates of `sql.ca_file` in drctl.yaml cannot be used";
    Some(
        Finding::warning("sql-ca-missing", &written.file, written.place(&["sql", "ca_file"]), message)
            .because(format!("{why}: every login to {} would fail", some(&named)))
            .fix("put the file there (docs: databases/tls.md), or name another as `sql.ca_file`"),
    )
}

/// Summarizes the findings of many files: counts each kind, errors and frequent kinds first, then prints the first finding of
/// each kind.
fn alike(printer: &Printer, all: &[Finding], text_of: &dyn Fn(&str) -> Option<String>) {
    let mut kinds: BTreeMap<(Weight, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in all {
        kinds.entry((finding.weight(), finding.id)).or_default().push(finding);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|((weight, _), of)| (*weight, std::cmp::Reverse(of.len())));
    for ((weight, id), of) in &kinds {
        let files: BTreeSet<&str> = of.iter().map(|f| f.file.as_str()).collect();
        let (colour, word) = if *weight == Weight::Blocking { (RED, "error") } else { (YELLOW, "warning") };
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
            render::some_of(printer, std::slice::from_ref(*first), all, text_of);
        }
    }
    if !kinds.is_empty() {
        printer.note("this shows the first of each kind; for all of one file, run drctl check FILE, and for all, --output json");
    }
}
