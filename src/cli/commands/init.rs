//! `drctl init`

use std::io::Write as _;
use std::path::Path;

use crate::cli::args::{Global, InitArgs};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::printer::Printer;
use crate::plan::{schema, shapes};

const SETTINGS: &str = include_str!("../../../plans/drctl.yaml");
const PLAN: &str = include_str!("../../../plans/starter.yaml");

/// Writes a starter plan and settings. What is there already stays as it is.
pub fn run(global: &Global, printer: &Printer, args: &InitArgs) -> Result<u8, CliError> {
    let base = global.directory.clone().unwrap_or_else(|| ".".into());
    let name = &args.name;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') || name.is_empty() {
        return Err(CliError::usage_fix(
            format!("`{name}` cannot be a plan's name"),
            "use letters, digits, `-` and `_`",
        ));
    }
    let plans = base.join("plans");
    std::fs::create_dir_all(&plans).map_err(|e| CliError::file(&plans, &e))?;
    write_new(printer, &plans.join("drctl.yaml"), SETTINGS)?;
    write_new(
        printer,
        &plans.join(format!("{name}.yaml")),
        &PLAN.replacen("plan: starter", &format!("plan: {name}"), 1),
    )?;
    // Editors find these by the first line of the files: completion and checks while typing.
    let of = |record, title| format!("{:#}\n", schema::schema(record, title));
    write_new(printer, &plans.join("plan.schema.json"), &of(&shapes::PLAN, "drctl plan"))?;
    write_new(printer, &plans.join("settings.schema.json"), &of(&shapes::SETTINGS, "drctl.yaml"))?;
    write_new(printer, &base.join(".gitignore"), ".drctl/\n")?;
    printer.line(&format!("next: drctl check, then drctl failover {name} --sandbox --to us-east-1"));
    Ok(exit::DONE)
}

fn write_new(printer: &Printer, path: &Path, text: &str) -> Result<(), CliError> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(|e| CliError::file(path, &e))?;
            printer.line(&format!("wrote {}", path.display()));
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            printer.line(&format!("kept {}", path.display()));
            Ok(())
        }
        Err(e) => Err(CliError::file(path, &e)),
    }
}
