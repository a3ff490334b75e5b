//! The terminal: its width, its status line, and what people type.

use std::io::IsTerminal as _;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use rustix::termios::QueueSelector;

/// The status line at the bottom of the terminal, if there is one. Other output hides it while it is written.
static LIVE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets the status line at the bottom; `None` removes it.
pub fn at_the_bottom(bar: Option<ProgressBar>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes above the status line.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    let bar = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Asks a question. The status line, which would overwrite the question, is off until the answer. Keys that were pressed before the
/// question do not answer it. Other output does not wait for the answer.
pub fn asking<T>(ask: impl FnOnce() -> T) -> T {
    let bar = LIVE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let ask = || {
        discard_typed();
        ask()
    };
    let answer = match &bar {
        Some(bar) => bar.suspend(ask),
        None => ask(),
    };
    at_the_bottom(bar);
    answer
}

/// Discards what was typed at the terminal so far. Input from a file or a pipe was prepared for the questions, so it stays.
fn discard_typed() {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let _ = rustix::termios::tcflush(stdin, QueueSelector::IFlush);
    }
}

/// Asks for a passphrase, which is not shown.
///
/// # Errors
/// If there is no terminal.
pub fn passphrase(asked: &str) -> std::io::Result<String> {
    asking(|| rpassword::prompt_password(asked))
}

/// The number of columns of a terminal; 0 if there is none.
pub(super) fn width(of: impl AsFd) -> usize {
    rustix::termios::tcgetwinsize(of).map_or(0, |size| usize::from(size.ws_col))
}

/// The number of columns for notes; 0 if they do not go to a terminal.
pub fn columns() -> usize {
    width(std::io::stderr())
}
