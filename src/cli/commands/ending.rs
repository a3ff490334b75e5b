//! The documents and screens for the results of commands that start or continue runs.

use serde_json::{Value, json};

use super::outcome;
use crate::app::ending::{Came, Ending, Verdict, worst};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::report::summary;

/// The document for programs.
pub fn document(ending: &Ending) -> Option<Value> {
    let (plan, code) = (&ending.plan, ending.code);
    let mut document = match &ending.came {
        Came::Unknown => return None,
        Came::Ran => {
            let run = ending.run.as_ref()?;
            outcome::document(&summary::report(run, run.last_at), code, &ending.timing)
        }
        Came::Refused(intent, to, refusals) => json!({
            "schema_version": 1, "plan": plan, "intent": intent, "to": to, "outcome": "refused",
            "refusals": refusals, "exit_code": code,
        }),
        Came::Shown(begins, runbook) => json!({
            "schema_version": 1, "plan": plan, "outcome": "dry_run", "begins": begins.document(),
            "runbook": runbook,
        }),
        Came::Nothing(intent, to) => json!({
            "schema_version": 1, "plan": plan, "intent": intent, "to": to, "outcome": "nothing_to_do",
            "exit_code": code,
        }),
        Came::NeededFirst(first) => json!({
            "schema_version": 1, "plan": plan, "outcome": "not_started", "exit_code": code,
            "error": {"code": "needed_first", "hint": format!("recover {first} first")},
        }),
        Came::Failed(e) => json!({
            "schema_version": 1, "plan": plan, "outcome": "refused", "exit_code": code,
            "error": {"code": e.code, "message": e.message, "hint": e.hint},
        }),
        Came::Broken => json!({
            "schema_version": 1, "plan": plan, "outcome": "not_started", "exit_code": code,
            "error": {"code": "plan_has_errors", "hint": "correct the findings of drctl check"},
        }),
    };
    if let Some(Verdict { passed, users_in, words }) = &ending.verdict {
        document["verdict"] = json!({"passed": passed, "users_in": users_in, "words": words});
    }
    Some(document)
}

/// Prints the screen of a run.
pub fn screen(printer: &Printer, ending: &Ending) {
    if let Some(run) = &ending.run {
        outcome::screen(printer, run, &ending.timing);
    }
}

/// Prints the document for the runs of one command.
pub fn show(printer: &Printer, endings: &[Ending]) {
    if printer.format == Format::Json {
        let documents: Vec<_> = endings.iter().filter_map(document).collect();
        match documents.len() {
            1 => printer.document(&documents[0]),
            _ => printer
                .document(&json!({"schema_version": 1, "runs": documents, "exit_code": worst(endings)})),
        }
    }
}

/// The same. Returns the exit code.
pub fn tell(printer: &Printer, endings: &[Ending]) -> u8 {
    show(printer, endings);
    worst(endings)
}
