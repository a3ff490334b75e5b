//! `drctl explain`

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::Printer;
use crate::plan::catalog;
use crate::plan::shape::suggest;

/// Explains one id, or lists them all.
pub fn run(printer: &Printer, id: Option<&str>) -> Result<u8, CliError> {
    let Some(id) = id else {
        for id in catalog::ids() {
            let title = catalog::find(id).map_or("", |e| e.title);
            printer.line(&format!("{id:<26} {title}"));
        }
        return Ok(exit::DONE);
    };
    let Some(found) = catalog::find(id) else {
        let hint = suggest(id, catalog::ids()).map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        return Err(CliError::usage_fix(
            format!("there is nothing called `{id}`{hint}"),
            "drctl explain lists everything",
        ));
    };
    printer.line(&format!("{}\n  {}\n\nwhy: {}\nfix: {}", found.id, found.title, found.why, found.what));
    Ok(exit::DONE)
}
