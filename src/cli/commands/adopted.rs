//! `drctl runs import` and `drctl runs adopt`

use std::path::Path;

use crate::app::adopted::Taken;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::{adopted, exit};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::RunId;

/// Imports a run from a file.
pub fn import(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    path: &Path,
) -> Result<u8, AppError> {
    let (run, events) = adopted::import((context, printer), store, path)?;
    printer.note(&format!(
        "run {run} is imported and read-only. To take it over, run drctl runs adopt {run} --reason TEXT"
    ));
    if printer.format != Format::Human {
        printer.document(
            &serde_json::json!({"schema_version": 1, "run_id": run, "events": events, "adopted": false}),
        );
    }
    Ok(exit::DONE)
}

/// Takes over an imported run.
pub fn adopt(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    reason: &str,
) -> Result<u8, AppError> {
    let Taken { who, other_operators } = adopted::adopt(context, printer, store, run, reason)?;
    printer.note(&format!(
        "{} adopted run {run}{}",
        who.who,
        if other_operators { "; its operators differ from those in drctl.yaml. To continue the run, add its operators to drctl.yaml, or start a new recovery" } else { "" }
    ));
    if printer.format != Format::Human {
        printer.document(&serde_json::json!({
            "schema_version": 1, "run_id": run, "adopted": true, "by": who.who, "signed": who.signature.is_some(),
        }));
    }
    Ok(exit::DONE)
}
