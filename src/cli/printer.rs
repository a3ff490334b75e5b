//! The only writer to the terminal. Documents go to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use indicatif::ProgressBar;

use super::{environment, rehearsed, wrap};
use crate::model::plain::{self, Colours};

/// The line at the bottom of the terminal, while there is one: whoever writes takes it away for as long.
static LIVE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on this is the line at the bottom; none if there is none any more.
pub fn at_the_bottom(bar: Option<ProgressBar>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes above the line at the bottom.
fn above<T>(write: impl FnOnce() -> T) -> T {
    let bar = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Asks somebody: until they answered there is no line at the bottom, which would be drawn over the question. Others who write meanwhile
/// do not wait for the answer.
pub fn asking<T>(ask: impl FnOnce() -> T) -> T {
    let bar = LIVE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let answer = match &bar {
        Some(bar) => bar.suspend(ask),
        None => ask(),
    };
    at_the_bottom(bar);
    answer
}

/// How many columns there are, if this is a terminal that says so; else none.
fn width(of: impl AsFd) -> usize {
    rustix::termios::tcgetwinsize(of).map_or(0, |size| usize::from(size.ws_col))
}

/// How many columns there are for notes; none where they go elsewhere.
pub fn columns() -> usize {
    width(std::io::stderr())
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document on stdout.
    Json,
    /// Events as they are journalled, a line each.
    Jsonl,
}

/// Writes.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    /// How.
    pub format: Format,
    colour: bool,
    silent: bool,
    rehearsal: bool,
}

impl Printer {
    /// Colours only on a terminal whose owner wants them.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            colour: std::io::stderr().is_terminal()
                && std::io::stdout().is_terminal()
                && !environment::no_color(),
            silent: false,
            rehearsal: false,
        }
    }

    /// One that says nothing: for what runs inside of something that says how it ended.
    #[must_use]
    pub const fn silent(self) -> Self {
        Self { silent: true, ..self }
    }

    /// One that names the commands of a rehearsal.
    #[must_use]
    pub const fn rehearsing(self, rehearsal: bool) -> Self {
        Self { rehearsal: self.rehearsal || rehearsal, ..self }
    }

    /// A text for people, whose commands are those of a rehearsal in one.
    pub fn commands(&self, text: &str) -> String {
        if self.rehearsal { rehearsed::commands(text) } else { text.to_owned() }
    }

    /// Whether colours are used.
    pub const fn colour(&self) -> bool {
        self.colour
    }

    /// Whether a person sits in front of it.
    pub fn is_interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// A line on stdout: one, whatever others wrote into it, and nothing of that does more than being read. A reader that went away is no
    /// error of ours.
    pub fn line(&self, text: &str) {
        self.lines(&text.replace(['\n', '\r'], " "));
    }

    /// Lines on stdout, whose ends are ours.
    pub fn lines(&self, text: &str) {
        let text = match self.format {
            Format::Human => wrap::lines(&self.shown(&self.commands(text)), width(std::io::stdout())),
            Format::Json | Format::Jsonl => plain::json(text),
        };
        if !self.silent {
            let _ = above(|| writeln!(std::io::stdout(), "{text}"));
        }
    }

    /// Text on stdout: as it is into a file or another program, which may hold it against a digest.
    pub fn text(&self, text: &str) {
        if self.silent {
            return;
        }
        let mut out = std::io::stdout();
        let text = if out.is_terminal() { self.shown(text) } else { text.to_owned() };
        let _ = above(|| write!(out, "{text}"));
    }

    /// A line on stderr: one, likewise.
    pub fn note(&self, text: &str) {
        self.notes(&text.replace(['\n', '\r'], " "));
    }

    /// Lines on stderr, whose ends are ours.
    pub fn notes(&self, text: &str) {
        self.drawn(&wrap::lines(&self.shown(&self.commands(text)), columns()));
    }

    /// Lines on stderr that were laid out for its width.
    pub fn drawn(&self, text: &str) {
        if !self.silent {
            let _ = above(|| writeln!(std::io::stderr(), "{}", self.shown(&self.commands(text))));
        }
    }

    /// What a terminal is given.
    pub fn shown(&self, text: &str) -> String {
        plain::terminal(text, if self.colour { Colours::Shown } else { Colours::None })
    }

    /// A JSON document on stdout.
    pub fn document(&self, value: &serde_json::Value) {
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

    /// Asks on stderr and reads a line.
    pub fn ask(&self, question: &str) -> Option<String> {
        asking(|| {
            let _ = write!(std::io::stderr(), "{} ", wrap::lines(&self.shown(question), columns()));
            let _ = std::io::stderr().flush();
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).ok()?;
            Some(answer.trim().to_owned())
        })
    }

    /// Asks for a yes. Anything else is a no.
    pub fn agrees(&self, question: &str) -> bool {
        let answer = self.ask(&format!("{question} [y/N]"));
        answer.is_some_and(|said| matches!(said.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// `text` in a colour, where colours are used.
    pub fn paint(&self, code: u8, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

pub use crate::model::waiver::harmless;

/// Good.
pub const GREEN: u8 = 32;
/// Bad.
pub const RED: u8 = 31;
/// Look at this.
pub const YELLOW: u8 = 33;
/// Less important.
pub const DIM: u8 = 2;
