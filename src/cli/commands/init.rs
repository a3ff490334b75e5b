//! `drctl init`

use std::io::Write as _;
use std::path::Path;

use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::args::{Global, InitArgs};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::plan::{schema, shapes};

const SETTINGS: &str = include_str!("../../../plans/drctl.yaml");
const PLAN: &str = include_str!("../../../plans/starter.yaml");

/// Writes a starter plan and settings. Existing settings are kept; an existing plan is an error.
pub fn run(global: &Global, printer: &Printer, args: &InitArgs) -> Result<u8, AppError> {
    let base = global.directory.clone().unwrap_or_else(|| ".".into());
    let name = &args.name;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') || name.is_empty() {
        return Err(AppError::usage_fix(
            format!("`{name}` is not a valid plan name"),
            "use letters, digits, `-` and `_`",
        ));
    }
    let plans = base.join("plans");
    std::fs::create_dir_all(&plans).map_err(|e| AppError::file(&plans, &e))?;
    let plan = PLAN.replace("starter", name);
    let file = plans.join(format!("{name}.yaml"));
    if file.exists() {
        return Err(AppError::usage_fix(
            format!("{} already exists; nothing was written", file.display()),
            format!("drctl check says what is wrong with it; drctl init {name}-2 begins another plan"),
        ));
    }
    // Settings beside the plans would be ignored if there are some in the folder above.
    let above = base.join("drctl.yaml");
    let settings = if above.exists() { above } else { plans.join("drctl.yaml") };
    // Editors use the schema in the first line of the files for completion and validation.
    let of = |record, title| format!("{:#}\n", schema::schema(record, title));
    let files = [
        (settings, SETTINGS.to_owned()),
        (file, plan),
        (plans.join("plan.schema.json"), of(&shapes::PLAN, "drctl plan")),
        (plans.join("settings.schema.json"), of(&shapes::SETTINGS, "drctl.yaml")),
        (base.join(".gitignore"), ".drctl/\n".to_owned()),
    ];
    let (mut wrote, mut kept) = (Vec::new(), Vec::new());
    for (path, text) in &files {
        let new = write_new(path, text)?;
        if printer.format == Format::Human {
            printer.line(&format!("{} {}", if new { "wrote" } else { "kept" }, path.display()));
        }
        if new { &mut wrote } else { &mut kept }.push(path.display().to_string());
    }
    let next = format!("drctl check, then drctl failover {name} --sandbox --to us-east-1");
    let document =
        serde_json::json!({"schema_version": 1, "plan": name, "wrote": wrote, "kept": kept, "next": next});
    printer.tell(&format!("next: {next}"), &document);
    Ok(exit::DONE)
}

/// Returns whether the file was created; an existing one is kept.
fn write_new(path: &Path, text: &str) -> Result<bool, AppError> {
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(|e| AppError::file(path, &e))?;
            Ok(true)
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(AppError::file(path, &e)),
    }
}
