//! Formats findings and refusals for people.

use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::printer::{Printer, RED, YELLOW};
use super::terminal::columns;
use super::wrap;
use crate::app::plan_files::SECRET;
use crate::app::presenter::Presenter;
use crate::model::finding::{Finding, Severity};
use crate::model::ids::PlanName;
use crate::planner::Refusal;

/// A finding, with the text that it points into.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Finding,
    source: Option<NamedSource<String>>,
    width: usize,
    printer: &'a Printer,
}

/// The width of the prefix of each line: the mark, or `help:`.
const MARGIN: usize = 8;

impl Shown<'_> {
    /// Wraps text at spaces only, and never within a command. miette would wrap at hyphens and within long words.
    fn wrapped(&self, text: &str) -> String {
        wrap::lines(&self.printer.commands(text), self.width - MARGIN)
    }
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without an excerpt of the file, its name tells where to look.
        match self.source.as_ref().and(self.finding.span) {
            Some(_) => f.write_str(&self.wrapped(&self.finding.message)),
            None => f.write_str(&self.wrapped(&format!("{}: {}", self.finding.file, self.finding.message))),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.finding.id))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let text = format!("why: {}\nfix: {}", self.finding.cause, self.finding.fix);
        Some(Box::new(self.wrapped(&text)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span.filter(|_| self.source.is_some())?;
        Some(Box::new(std::iter::once(LabeledSpan::new(None, span.offset, span.len.max(1)))))
    }
}

/// Maximum number of findings that are shown. A file with more is probably not a plan.
const MOST: usize = 50;

/// Prints findings with excerpts of their files.
pub fn findings(printer: &Printer, findings: &[Finding], text_of: &dyn Fn(&str) -> Option<String>) {
    some_of(printer, findings, findings, text_of);
}

/// Prints findings that are part of `all`: an excerpt shows no line with a secret, even if that finding is not printed.
pub fn some_of(
    printer: &Printer,
    findings: &[Finding],
    all: &[Finding],
    text_of: &dyn Fn(&str) -> Option<String>,
) {
    let theme = if printer.colour() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let width = match columns() {
        0 => 110,
        wide => wide.clamp(40, 110),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_wrap_lines(false)
        .with_context_lines(1)
        .without_syntax_highlighting();
    if let Some(more) = findings.len().checked_sub(MOST).filter(|n| *n > 0) {
        some_of(printer, &findings[..MOST], all, text_of);
        return printer.note(&format!("and {more} more findings; --output json lists them all"));
    }
    let line = |f: &Finding| f.span.map(|span| (f.file.clone(), span.line));
    let secrets: Vec<_> = all.iter().filter(|f| f.id == SECRET).filter_map(line).collect();
    // An excerpt shows the lines around the finding as well.
    let near = |f: &Finding| {
        line(f)
            .is_some_and(|(file, line)| secrets.iter().any(|(of, at)| *of == file && at.abs_diff(line) < 2))
    };
    for finding in findings {
        // Never show a line that contains a secret.
        let shows = finding.id != SECRET && !near(finding);
        let source =
            text_of(&finding.file).filter(|_| shows).map(|text| NamedSource::new(&finding.file, text));
        let shown = Shown { finding, source, width, printer };
        let mut text = String::new();
        // Writing to a String cannot fail. If the span is wrong, the plain line below has all the information.
        if !shows || handler.render_report(&mut text, &shown).is_err() {
            let at = finding.span.map_or_else(String::new, |s| format!(":{}:{}", s.line, s.column));
            text = printer.commands(&format!(
                "{}{at}: {} [{}]\nwhy: {}\nfix: {}\n",
                finding.file, finding.message, finding.id, finding.cause, finding.fix
            ));
        }
        printer.drawn(&text);
    }
}

/// Prints refusals: the facts, what would fix each, and the option that waives it.
pub fn refusals(printer: &Printer, plan: &str, refusals: &[Refusal]) {
    for refusal in refusals {
        printer.note(&format!("{} {plan}: {refusal}", printer.paint(RED, "refused")));
        printer.note(&format!("    to proceed: {}", refusal.acceptable));
        match &refusal.flag {
            Some(flag) => {
                printer.note(&format!("    a person may accept it: {}", printer.paint(YELLOW, flag)))
            }
            None => printer.note("    it cannot be waived"),
        }
    }
}

impl Presenter for Printer {
    fn note(&self, text: &str) {
        self.note(text);
    }

    fn findings(&self, findings: &[Finding], text_of: &dyn Fn(&str) -> Option<String>) {
        some_of(self, findings, findings, text_of);
    }

    fn has_plan(&self, plan: &PlanName, file: &Path) {
        self.note_plan(plan, file);
    }
}
