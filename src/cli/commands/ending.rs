//! The results of commands that start or continue runs: exit codes and documents.

use super::outcome;
use super::outcome::RunTiming;
use crate::adapters::sandbox::Truth;
use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::printer::{Format, Printer};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::run::RunState;

/// The result of a command for one plan.
pub struct Ending {
    /// Its exit code.
    pub code: u8,
    /// The document for programs.
    pub document: Option<serde_json::Value>,
    /// The run, if there was one.
    pub run: Option<Box<RunState>>,
    /// What its screen needs, if that comes after a summary.
    pub held: Option<Box<Held>>,
}

/// A screen that is not printed yet.
pub struct Held {
    /// Elapsed real time.
    pub real: Dur,
    /// Elapsed virtual time, in a rehearsal.
    pub passed: Option<Dur>,
    /// What really happened in the rehearsal.
    pub truth: Option<Truth>,
    /// When the first sample of the public probe was due, in a rehearsal.
    pub phase: Option<Timestamp>,
}

impl Ending {
    /// A result without a run.
    pub const fn without(code: u8, document: serde_json::Value) -> Self {
        Self { code, document: Some(document), run: None, held: None }
    }

    /// The result for an error, if other plans have results of their own.
    pub fn failed(printer: &Printer, plan: &Plan, e: &AppError) -> Self {
        printer.note(&format!("{}: error: {}", plan.name, e.message));
        e.hint.iter().for_each(|hint| printer.note(&format!("{}: fix: {hint}", plan.name)));
        let document = serde_json::json!({
            "schema_version": 1, "plan": plan.name, "outcome": "refused", "exit_code": e.exit,
            "error": {"code": e.code, "message": e.message, "hint": e.hint},
        });
        Self::without(e.exit, document)
    }

    /// The result for a plan that has errors, so that nothing was started for it.
    pub fn broken(plan: &str) -> Self {
        let document = serde_json::json!({
            "schema_version": 1, "plan": plan, "outcome": "not_started", "exit_code": exit::USAGE,
            "error": {"code": "plan_has_errors", "hint": "correct the findings of drctl check"},
        });
        Self::without(exit::USAGE, document)
    }

    /// Prints the screen that was held back.
    pub fn screen(&self, printer: &Printer) {
        if let (Some(run), Some(held)) = (&self.run, &self.held) {
            let (real, passed, truth, phase) = (held.real, held.passed, held.truth.as_ref(), held.phase);
            outcome::screen(printer, run, &RunTiming { real, passed, truth, phase, driven: true });
        }
    }

    /// Raises the exit code above that of the run.
    pub fn worsen(&mut self, code: u8) {
        self.code = exit::worst(self.code, code);
        if let Some(document) = &mut self.document {
            document["exit_code"] = self.code.into();
        }
    }
}

/// Prints the document for the runs of one command. Returns the exit code.
pub fn tell(printer: &Printer, told: Vec<Ending>) -> u8 {
    let worst = told.iter().map(|ending| ending.code).fold(exit::DONE, exit::worst);
    let documents: Vec<_> = told.into_iter().filter_map(|ending| ending.document).collect();
    if printer.format == Format::Json {
        match documents.len() {
            1 => printer.document(&documents[0]),
            _ => printer
                .document(&serde_json::json!({"schema_version": 1, "runs": documents, "exit_code": worst})),
        }
    }
    worst
}
