//! `drctl runs export`

use std::io::Write as _;
use std::path::Path;

use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{Journal as _, written};
use crate::model::ids::RunId;

/// Prints or writes the events of a run, one per line.
///
/// # Errors
/// If the run cannot be read, or the file cannot be written.
pub fn export(
    printer: &Printer,
    store: &SqliteJournal,
    run: &RunId,
    to: Option<&Path>,
) -> Result<u8, AppError> {
    let mut text = String::new();
    for record in store.read(run)? {
        text.push_str(&written::line(&record));
        text.push('\n');
    }
    match to {
        None if printer.format == Format::Json => {
            let events: Vec<serde_json::Value> =
                text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
            printer.record(&serde_json::json!({"schema_version": 1, "run_id": run, "events": events}));
        }
        None => printer.text(&text),
        Some(path) => {
            let mut file = std::fs::File::create(path).map_err(|e| AppError::file(path, &e))?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(|e| AppError::file(path, &e))?;
            printer.note(&format!("wrote {}", path.display()));
            if printer.format != Format::Human {
                printer.document(&serde_json::json!({"schema_version": 1, "run_id": run, "wrote": path.display().to_string()}));
            }
        }
    }
    Ok(exit::DONE)
}
