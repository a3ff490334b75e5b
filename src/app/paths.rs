//! Paths that people write in settings, and folders without plans.

use std::path::{Path, PathBuf};

use super::environment;
use super::error::AppError;
use super::presenter::Presenter;
use crate::model::ids::PlanName;
use crate::model::plain::count;
use crate::model::shape::suggest;
use crate::plan::Settings;

/// The folder that the relative paths in a settings file start from: that of the file, or the one above if that is the folder of the plans.
/// So a file means the same whether a command names it or reads it by default.
pub fn base_of(config: &Path) -> PathBuf {
    let folder = |of: &Path| match of.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let own = folder(config);
    let of_plans = own.file_name().is_some_and(|name| name == "plans") && !own.join("plans").is_dir();
    if of_plans { folder(&own) } else { own }
}

/// The whole path, for messages: a relative one does not say from where.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Relative paths in the settings start from the folder in which drctl works, as with `-C`.
pub fn place(settings: &mut Settings, base: &Path) {
    let placed = |path: &str| match base == Path::new(".") {
        true => environment::expand(path),
        false => base.join(environment::expand(path)),
    };
    let text = |path: &mut String| *path = placed(path).display().to_string();
    settings.key.iter_mut().for_each(text);
    settings.key_passphrase_file.iter_mut().for_each(text);
    settings.sql.ca_path = settings.sql.ca_file.as_deref().map(|path| whole(&placed(path)));
}

/// Tells the presenter of a plan whose file is not in the folder of the plans: no command finds it by its name.
pub fn outside(presenter: &dyn Presenter, plan: &PlanName, (file, folder): (&Path, &Path)) {
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = |path: &Path| path.canonicalize().ok();
    // The settings may also name one file.
    let known =
        real(folder).is_some_and(|folder| real(beside) == Some(folder.clone()) || real(file) == Some(folder));
    if !known {
        presenter.has_plan(plan, file);
    }
}

/// Names the plans that a command leaves out.
pub fn note_left_out(plans: &[String], presenter: &dyn Presenter) {
    if !plans.is_empty() {
        let many = count(plans.len(), "plan has|plans have");
        presenter.note(&format!(
            "{many} errors and {} left out: {}; run drctl check",
            if plans.len() == 1 { "is" } else { "are" },
            plans.join(", ")
        ));
    }
}

/// The folder does not exist, is the one of the plans themselves, or is the wrong one; or there is no plan yet.
pub fn no_plans(base: &Path, place: &Path) -> AppError {
    let there = base.display();
    if !base.is_dir() {
        return AppError::usage_fix(format!("there is no folder {there}"), "correct the path after -C");
    }
    let fix = match base.join("drctl.yaml").is_file() && !place.exists() {
        true => format!(
            "if the plans are in {}, run drctl in the folder above it, for example with -C .. and without --config; or set `plans: .` in its drctl.yaml",
            whole(base).display()
        ),
        false => "run drctl in the folder that has drctl.yaml or plans/, or name it with -C DIR; to create a starter plan, run drctl init".to_owned(),
    };
    AppError::usage_fix(format!("there are no plans in {}", whole(place).display()), fix)
}

/// A suggestion for a plan name that does not exist.
pub fn meant(typed: &str, known: &[String], broken: bool) -> String {
    match suggest(typed, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if broken => "correct the plans above first".to_owned(),
        None if known.is_empty() => "drctl init writes a first plan".to_owned(),
        None => format!("one of: {}", known.join(", ")),
    }
}
