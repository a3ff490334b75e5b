//! A message to send, and why it was not accepted.

use crate::model::notice::{Notice, SecretAt};
use crate::model::secret::Secret;
use crate::model::time::Timestamp;

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, without any secret.
    pub why: String,
    /// Whether trying again may help.
    pub again: bool,
}

impl Failure {
    /// A failure that a retry may solve.
    pub fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true }
    }

    /// A failure that no retry can solve.
    pub fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false }
    }
}

/// Reads a secret.
pub type Reveal<'a> = &'a dyn Fn(&SecretAt) -> Result<Secret, String>;

/// A message to send.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The content.
    pub notice: &'a Notice,
    /// Threads of a pager that this message ends.
    pub closes: &'a [String],
    /// When it is sent.
    pub at: Timestamp,
}
