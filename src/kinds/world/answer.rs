//! The answer to a call in a simulated world.

use crate::kinds::operation::Operation;
use crate::model::again::Again;

/// The answer of a provider: a token by which the completion is watched, or the reason why it refuses.
pub type Answer = Result<Option<String>, Refused>;

/// The error code for an operation that is not one of the kind that was asked.
pub const UNKNOWN: &str = "NotSimulated";

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The error code of the provider.
    pub code: &'static str,
    /// Its message.
    pub why: String,
    /// Whether trying again may help.
    pub again: Again,
}

impl Refused {
    /// However often it is called.
    pub fn always(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), again: Again::Never }
    }

    /// Until something else has ended.
    pub fn for_now(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), again: Again::Later }
    }

    /// As a whole; parts of it may be accepted.
    pub fn as_a_whole(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), again: Again::InParts }
    }

    /// The operation is not one of this kind. Each kind answers this for all operations that it does not name, so that it need not know
    /// those of other kinds. A rehearsal with an operation that no kind names fails, and a test finds such an operation before that.
    pub fn unknown(op: &Operation) -> Self {
        Self::always(UNKNOWN, format!("the sandbox does not simulate this: {op}"))
    }
}

/// Why nothing answers about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Packets are swallowed.
    TimesOut,
    /// Nobody listens.
    Refuses,
    /// The service says that it is down.
    Unavailable,
}

impl Silence {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TimesOut => "no answer within 10s",
            Self::Refuses => "connection refused",
            Self::Unavailable => "ServiceUnavailable",
        }
    }
}
