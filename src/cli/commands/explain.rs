//! `drctl explain`

use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::model::shape::suggest;
use crate::plan::catalog;

/// Explains one ID, or lists all IDs.
pub fn run(printer: &Printer, id: Option<&str>) -> Result<u8, AppError> {
    let Some(id) = id else {
        let all: Vec<_> = catalog::ids().filter_map(catalog::find).collect();
        if printer.format != Format::Human {
            let explained: Vec<_> = all.iter().map(document).collect();
            printer.document(&serde_json::json!({"schema_version": 1, "explanations": explained}));
            return Ok(exit::DONE);
        }
        for e in all {
            printer.line(&format!("{:<26} {}", e.id, e.title));
        }
        return Ok(exit::DONE);
    };
    let Some(found) = catalog::find(id) else {
        return Err(AppError::usage_fix(
            format!("there is no finding or rule `{id}`{}", near(id)),
            "run drctl explain for the list",
        ));
    };
    match printer.format {
        Format::Human => printer
            .lines(&format!("{}\n  {}\n\nwhy: {}\nfix: {}", found.id, found.title, found.why, found.what)),
        _ => printer.document(&document(&found)),
    }
    Ok(exit::DONE)
}

fn document(e: &catalog::Explanation) -> serde_json::Value {
    serde_json::json!({"schema_version": 1, "id": e.id, "title": e.title, "why": e.why, "fix": e.what})
}

/// Suggestions: the ID with the smallest spelling difference, or all IDs that contain the word.
fn near(word: &str) -> String {
    let quoted = |ids: &[&str]| ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    if let Some(one) = suggest(word, catalog::ids()) {
        return format!("; did you mean {}?", quoted(&[one]));
    }
    let word = word.to_lowercase();
    let parts: Vec<&str> = word.split(['-', '_', ' ']).filter(|part| part.len() > 2).collect();
    let has = |id: &&str| {
        id.split('-')
            .any(|of| parts.iter().any(|part| of == *part || suggest(part, [of].into_iter()).is_some()))
    };
    let all: Vec<&str> = catalog::ids().filter(has).collect();
    if all.is_empty() { String::new() } else { format!("; similar IDs: {}", quoted(&all)) }
}
