//! `drctl audit`

use crate::cli::args::{AuditArgs, AuditCommand, Global};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, GREEN, Printer, RED};
use crate::journal::verify::{self, Contents};
use crate::model::authority::Authority;
use crate::model::event::{Event, What};

/// Checks the whole store.
pub fn run(global: &Global, printer: &Printer, args: &AuditArgs) -> Result<u8, CliError> {
    let AuditCommand::Verify = args.command;
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let contents = store.contents()?;
    let audit = verify::audit(&contents);
    let (unsigned, others) = whose(&contents, &context.settings.authority);
    if printer.format == Format::Human {
        for fault in &audit.faults {
            printer.line(&format!(
                "{} run {}, event {}: {}",
                printer.paint(RED, "broken"),
                fault.run,
                fault.seq,
                fault.why
            ));
        }
        let word = if audit.faults.is_empty() {
            printer.paint(GREEN, "whole")
        } else {
            printer.paint(RED, "NOT whole")
        };
        printer.line(&format!(
            "{word}: {} runs, {} events, {} faults in {}",
            audit.runs,
            audit.events,
            audit.faults.len(),
            store.path().display()
        ));
        if !context.settings.authority.is_empty() {
            let lists = [
                ("asked for by nobody's key", &unsigned),
                ("of other operators than drctl.yaml has now", &others),
            ];
            for (what, runs) in lists.into_iter().filter(|(_, runs)| !runs.is_empty()) {
                printer.line(&format!("{} {what}: {}", runs.len(), runs.join(", ")));
            }
        }
    } else {
        let faults: Vec<_> = audit
            .faults
            .iter()
            .map(|f| serde_json::json!({"run": f.run, "event": f.seq, "why": f.why}))
            .collect();
        printer.document(&serde_json::json!({"schema_version": 1, "runs": audit.runs, "events": audit.events, "faults": faults,
            "unsigned_runs": unsigned, "runs_of_other_operators": others}));
    }
    Ok(if audit.faults.is_empty() { exit::DONE } else { exit::NOT_RECOVERED })
}

/// Runs without operators, and with others than these. Those of a run are as its first event has them: only whoever keeps drctl.yaml
/// knows whether they were the right ones.
fn whose(contents: &Contents, now: &Authority) -> (Vec<String>, Vec<String>) {
    let (mut unsigned, mut others) = (Vec::new(), Vec::new());
    for record in contents.events.iter().filter(|r| r.seq == 1) {
        let Ok(Event { what: What::RunCreated(created), .. }) = serde_json::from_slice(&record.bytes) else {
            continue;
        };
        if created.authority.is_empty() {
            unsigned.push(created.run.to_string());
        } else if created.authority != *now {
            others.push(created.run.to_string());
        }
    }
    (unsigned, others)
}
