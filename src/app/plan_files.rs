//! The plans that a command works with.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::AppError;
use super::paths::{meant, no_plans};
use super::presenter::Presenter;
use super::{environment, paths};
use crate::files::{self, Use};
use crate::model::call::quoted;
use crate::model::finding::{Finding, Severity};
use crate::model::ids::PlanName;
use crate::model::secret::Secret;
use crate::plan::Plan;

/// Environment variables that hold secrets of the provider.
const KEYS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
/// A shorter secret may coincide with an ordinary word of a plan.
const LONG: usize = 16;
/// The finding for a secret in a file.
pub const SECRET: &str = "secret-in-plan";

impl Context {
    /// The files of plans.
    ///
    /// # Errors
    /// If a path cannot be read.
    pub fn plan_files(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, AppError> {
        let default = [self.base.join(&self.settings.plans)];
        let paths = if paths.is_empty() { &default[..] } else { paths };
        let mut files = Vec::new();
        for path in paths {
            if !path.is_dir() {
                if paths == default.as_slice() && !path.exists() {
                    return Err(no_plans(&self.base, path));
                }
                files.push(path.clone());
                continue;
            }
            let entries = std::fs::read_dir(path).map_err(|e| AppError::file(path, &e))?;
            let mut found: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
            found.retain(|p| {
                p.extension().is_some_and(|x| x == "yaml" || x == "yml")
                    && p.file_name().is_some_and(|n| n != "drctl.yaml")
            });
            found.sort();
            files.extend(found);
        }
        Ok(files)
    }

    /// Plans by name or file; all plans if none are named. Prints every finding of a plan that cannot be used, and which plans are left
    /// out.
    ///
    /// # Errors
    /// If one is invalid or missing.
    pub fn plans(&self, names: &[String], presenter: &dyn Presenter) -> Result<Vec<Plan>, AppError> {
        let (plans, left_out) = self.usable_plans(names, presenter)?;
        paths::note_left_out(&left_out, presenter);
        Ok(plans)
    }

    /// The same, with the names of the plans that are left out because they have errors.
    ///
    /// # Errors
    /// The same.
    pub fn usable_plans(
        &self,
        names: &[String],
        presenter: &dyn Presenter,
    ) -> Result<(Vec<Plan>, Vec<String>), AppError> {
        let (by_file, by_name): (Vec<_>, Vec<_>) =
            names.iter().partition(|n| n.ends_with(".yaml") || n.ends_with(".yml") || n.contains('/'));
        let paths: Vec<_> = by_file.iter().map(PathBuf::from).collect();
        let files = if names.is_empty() || !by_name.is_empty() {
            [self.plan_files(&[])?, paths].concat()
        } else {
            paths
        };
        let folder = self.base.join(&self.settings.plans);
        let (mut plans, mut broken) = (Vec::<Plan>::new(), Vec::new());
        let (mut known, mut unread) = (Vec::new(), Vec::new());
        for file in files {
            let (checked, text) = self.check_file(&file)?;
            known.extend(checked.plan.as_ref().map(|plan| plan.name.to_string()));
            let named = |plan: &Plan| {
                names.is_empty()
                    || by_file.iter().any(|f| Path::new(f) == file)
                    || by_name.iter().any(|n| **n == plan.name.as_str())
            };
            match checked.plan {
                Some(plan) if named(&plan) => {
                    paths::outside(presenter, &plan.name, (&file, &folder));
                    plans.push(plan);
                }
                Some(_) => {}
                None => {
                    let errors: Vec<_> =
                        checked.findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
                    presenter.findings(&errors, &|_| Some(text.clone()));
                    broken.push(
                        checked.name.as_ref().map_or_else(|| file.display().to_string(), PlanName::to_string),
                    );
                    unread.extend(checked.name);
                }
            }
        }
        if let Some(missing) = by_name.iter().find(|n| !plans.iter().any(|p| p.name.as_str() == n.as_str())) {
            if unread.iter().any(|name| name.as_str() == missing.as_str()) {
                let why = format!("plan {missing} has errors");
                return Err(AppError::usage_fix(why, "correct the findings above"));
            }
            let hint = meant(missing, &known, !broken.is_empty());
            return Err(AppError::usage_fix(
                format!("plan `{missing}` does not exist in {}", folder.display()),
                hint,
            ));
        }
        // An invalid plan must not block the recovery of the others: one that was not named is skipped with a message.
        if !broken.is_empty() && (names.is_empty() || !by_file.is_empty()) && plans.is_empty() {
            let which: String = by_file.iter().map(|file| format!(" {}", quoted(file))).collect();
            let fix = format!("correct the findings above; to show them again, run drctl check{which}");
            return Err(AppError::usage_fix("every plan has errors", fix));
        }
        if plans.is_empty() {
            return Err(no_plans(&self.base, &folder));
        }
        // Somebody who names plans knows which ones the command is about.
        let left_out = if by_name.is_empty() { broken } else { Vec::new() };
        Ok((plans, left_out))
    }

    /// One plan, by name or file.
    ///
    /// # Errors
    /// If it is invalid or missing, or if there are several.
    pub fn plan(&self, name: &str, presenter: &dyn Presenter) -> Result<Plan, AppError> {
        let mut plans = self.plans(std::slice::from_ref(&name.to_owned()), presenter)?;
        match (plans.pop(), plans.is_empty()) {
            (Some(plan), true) => Ok(plan),
            _ => Err(AppError::usage_fix(
                format!("`{name}` matches more than one plan or none"),
                "name one plan",
            )),
        }
    }

    /// Reads and checks one file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn check_file(&self, file: &Path) -> Result<(crate::plan::Checked, String), AppError> {
        let name = file.display().to_string();
        let bytes = match files::read(file, Use::Plan) {
            Ok(bytes) => bytes,
            Err(e) if e.is_missing() => return Err(e.into()),
            // The plans beside it stay usable.
            Err(e) => {
                let finding = Finding::error("plan-unreadable", &name, None, "drctl cannot read the plan")
                    .because(e.why.to_string())
                    .fix(e.fix());
                let unread = crate::plan::Checked { findings: vec![finding], ..Default::default() };
                return Ok((unread, String::new()));
            }
        };
        let mut checked = crate::plan::check(&name, &bytes, &self.settings);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A plan may legitimately contain the address of a channel.
        let names_nothing = |secret: &Secret| !secret.expose().starts_with("http");
        let held = KEYS.into_iter().filter_map(environment::secret).chain(self.held().filter(names_nothing));
        if held.into_iter().any(|secret| secret.expose().len() >= LONG && text.contains(secret.expose())) {
            let finding =
                Finding::error(SECRET, &name, None, "the file contains a secret of this environment")
                    .because("drctl stores plans unchanged in journals, evidence and go-bags")
                    .fix("remove the secret from the file, then rotate it");
            checked.findings.push(finding);
            checked.plan = None;
        }
        Ok((checked, text))
    }
}
