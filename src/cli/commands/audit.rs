//! `drctl audit`

use crate::cli::args::{AuditArgs, AuditCommand, Global};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::{Format, GREEN, Printer, RED};
use crate::journal::verify;

/// Checks the whole store.
pub fn run(global: &Global, printer: &Printer, args: &AuditArgs) -> Result<u8, CliError> {
    let AuditCommand::Verify = args.command;
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let audit = verify::audit(&store.contents()?);
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
    } else {
        let faults: Vec<_> = audit
            .faults
            .iter()
            .map(|f| serde_json::json!({"run": f.run, "event": f.seq, "why": f.why}))
            .collect();
        printer.document(&serde_json::json!({"schema_version": 1, "runs": audit.runs, "events": audit.events, "faults": faults}));
    }
    Ok(if audit.faults.is_empty() { exit::DONE } else { exit::NOT_RECOVERED })
}
