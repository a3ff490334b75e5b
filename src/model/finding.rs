//! Findings about a file: what is wrong, where, why, and what to do about it.

use serde::Serialize;

use crate::model::worst::{Weighed, Weight};

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Byte offset.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan is not used.
    Error,
    /// The plan is used, but with a risk.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The id for `drctl explain`.
    pub id: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// The file's name as it was given.
    pub file: String,
    /// The position; none if it is about the whole file.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// Why it is wrong.
    pub cause: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// A finding that prevents the use of the plan.
    pub fn error(id: &'static str, file: &str, span: Option<Span>, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Error, file, span, message.into())
    }

    /// A finding that does not.
    pub fn warning(id: &'static str, file: &str, span: Option<Span>, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, file, span, message.into())
    }

    fn new(id: &'static str, severity: Severity, file: &str, span: Option<Span>, message: String) -> Self {
        Self { id, severity, file: file.to_owned(), span, message, cause: String::new(), fix: String::new() }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl Weighed for Finding {
    fn weight(&self) -> Weight {
        match self.severity {
            Severity::Error => Weight::Blocking,
            Severity::Warning => Weight::Warning,
        }
    }

    /// Within a file, findings keep the order of their places.
    fn about(&self) -> &str {
        &self.file
    }
}
