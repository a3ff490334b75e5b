//! The only code that writes to the terminal. Documents go to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use super::formats::Format;
use super::terminal::{above, asking, columns, width};
use super::whereabouts::{USUAL, Whereabouts};
use super::wrap;
use crate::app::environment;
use crate::model::ids::PlanName;
use crate::model::plain::{self, Colours};

/// Writes results and notes.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    /// The output format.
    pub format: Format,
    colour: bool,
    silent: bool,
    /// Where the printed commands work.
    here: &'static Whereabouts,
    rehearsal: bool,
}

impl Printer {
    /// Uses colours on a terminal, unless the person turned them off.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            colour: std::io::stderr().is_terminal()
                && std::io::stdout().is_terminal()
                && !environment::no_color(),
            silent: false,
            here: &USUAL,
            rehearsal: false,
        }
    }

    /// A silent printer, for work inside of something that reports the result.
    #[must_use]
    pub const fn silent(self) -> Self {
        Self { silent: true, ..self }
    }

    /// The same in another format.
    #[must_use]
    pub const fn in_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// A printer whose commands work here when they are copied.
    #[must_use]
    pub const fn at(self, here: &'static Whereabouts) -> Self {
        Self { here, ..self }
    }

    /// The same for messages about a rehearsal.
    #[must_use]
    pub const fn rehearsing(self, rehearsal: bool) -> Self {
        Self { rehearsal: self.rehearsal || rehearsal, ..self }
    }

    /// Notes the file that a plan was read from: commands name the file of a plan that is in no folder of plans.
    pub fn note_plan(&self, plan: &PlanName, file: &Path) {
        self.here.has_plan(plan.as_str(), file);
    }

    /// A text for people. Each command in it works as it stands.
    pub fn commands(&self, text: &str) -> String {
        self.here.commands(text, self.rehearsal)
    }

    /// Whether colours are used.
    pub const fn colour(&self) -> bool {
        self.colour
    }

    /// Whether a person is at the terminal.
    pub fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Writes one line to stdout, whatever the text contains, without control characters. Ignores a reader that closed the pipe.
    pub fn line(&self, text: &str) {
        self.lines(&text.replace(['\n', '\r'], " "));
    }

    /// Writes lines to stdout. The line breaks are drctl's own.
    pub fn lines(&self, text: &str) {
        let text = match self.format {
            Format::Human => wrap::lines(&self.shown(&self.commands(text)), width(std::io::stdout())),
            Format::Json | Format::Jsonl => plain::json(text),
        };
        if !self.silent {
            let _ = above(|| writeln!(std::io::stdout(), "{text}"));
        }
    }

    /// Writes a report to stdout. On a terminal its commands work here. Files and pipes get it unchanged, because it may leave this
    /// machine.
    pub fn page(&self, text: &str) {
        match std::io::stdout().is_terminal() {
            true => self.text(&self.commands(text)),
            false => self.text(text),
        }
    }

    /// Writes text to stdout. Files and pipes get it unchanged, because its digest may be checked.
    pub fn text(&self, text: &str) {
        if self.silent {
            return;
        }
        let mut out = std::io::stdout();
        let text = if out.is_terminal() { self.shown(text) } else { text.to_owned() };
        let _ = above(|| write!(out, "{text}"));
    }

    /// Writes one line to stderr, in the same way.
    pub fn note(&self, text: &str) {
        self.notes(&text.replace(['\n', '\r'], " "));
    }

    /// Writes lines to stderr. The line breaks are drctl's own.
    pub fn notes(&self, text: &str) {
        self.drawn(&wrap::lines(&self.shown(&self.commands(text)), columns()));
    }

    /// Writes lines to stderr that were already laid out for its width, with their commands.
    pub fn drawn(&self, text: &str) {
        if !self.silent {
            let _ = above(|| writeln!(std::io::stderr(), "{}", self.shown(text)));
        }
    }

    /// The text as it appears on a terminal.
    pub fn shown(&self, text: &str) -> String {
        plain::terminal(text, if self.colour { Colours::Shown } else { Colours::None })
    }

    /// A JSON document on stdout.
    pub fn document(&self, value: &serde_json::Value) {
        let mut value = value.clone();
        self.here.in_document(&mut value, self.rehearsal);
        self.here.of_the_store(&mut value);
        self.record(&value);
    }

    /// A JSON document on stdout that is recorded, or may leave this machine.
    pub fn record(&self, value: &serde_json::Value) {
        let text = if self.format == Format::Jsonl { value.to_string() } else { format!("{value:#}") };
        self.lines(&text);
    }

    /// A result: a line for people, a document for programs.
    pub fn tell(&self, words: &str, document: &serde_json::Value) {
        match self.format {
            Format::Human => self.line(words),
            Format::Json | Format::Jsonl => self.document(document),
        }
    }

    /// Whether a person reads the results.
    pub fn is_read(&self) -> bool {
        self.format == Format::Human && std::io::stdout().is_terminal()
    }

    /// Asks on stderr and reads a line.
    pub fn ask(&self, question: &str) -> Option<String> {
        asking(|| {
            let question = wrap::lines(&self.shown(&self.commands(question)), columns());
            let _ = write!(std::io::stderr(), "{question} ");
            let _ = std::io::stderr().flush();
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).ok()?;
            if !answer.ends_with('\n') {
                let _ = writeln!(std::io::stderr());
            }
            Some(answer.trim().to_owned())
        })
    }

    /// Asks for a yes. Every other answer counts as no.
    pub fn agrees(&self, question: &str) -> bool {
        let answer = self.ask(&format!("{question} [y/N]"));
        answer.is_some_and(|said| matches!(said.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// `text` in a colour, if colours are on.
    pub fn paint(&self, code: u8, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes one of the last lines of a process that ends at once. It waits for nothing that the rest of the process holds, so it clears the
/// status line itself.
pub fn last_line(text: &str) {
    let mut err = std::io::stderr();
    let clear = if err.is_terminal() { "\r\u{1b}[2K" } else { "" };
    let text = wrap::lines(&plain::terminal(&plain::line(text), Colours::None), columns());
    let _ = writeln!(err, "{clear}{text}");
}

/// Writes an error, the help or the version of the argument parser. It repeats what was typed, as one line without effect.
pub fn of_clap(error: &clap::Error) {
    let as_words = |text: String| {
        environment::typed().iter().filter(|typed| typed.contains('\n')).fold(text, |text, typed| {
            let value = typed.split_once('=').map_or("", |(_, value)| value);
            let text = text.replace(typed, &plain::line(typed));
            if value.contains('\n') { text.replace(value, &plain::line(value)) } else { text }
        })
    };
    let to_stderr = error.use_stderr();
    let shown = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
    let text = match shown && !environment::no_color() {
        true => plain::terminal(&as_words(error.render().ansi().to_string()), Colours::Shown),
        false => plain::terminal(&as_words(error.render().to_string()), Colours::None),
    };
    let _ = match to_stderr {
        true => write!(std::io::stderr(), "{text}"),
        false => write!(std::io::stdout(), "{text}"),
    };
}

/// Good.
pub const GREEN: u8 = 32;
/// Bad.
pub const RED: u8 = 31;
/// Look at this.
pub const YELLOW: u8 = 33;
/// Less important.
pub const DIM: u8 = 2;
