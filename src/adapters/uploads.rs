//! An upload of a bundle to a sink, and what the sink answers.

use super::secrets::scrubbed;
use crate::model::ids::Digest;
use crate::model::sink::{Lock, StoredObject};
use crate::model::time::Timestamp;

/// A bundle to deliver.
pub struct Upload<'a> {
    /// The bundle's file name.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// The digest of the content.
    pub sha256: &'a Digest,
    /// The end of the lock, if it is written now.
    pub until: Timestamp,
    /// The earliest acceptable end of the lock.
    pub least: Timestamp,
    /// The mode of the lock.
    pub lock: Lock,
}

/// Why a sink is not known to hold a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkError {
    /// The sink cannot be reached, so the next bundle would fail as well.
    Down(String),
    /// It did not accept or did not return this bundle. A later attempt may succeed.
    Later(String),
    /// It holds something else, no longer holds it, or locks it too briefly: a person has to look.
    Differs(String),
}

impl SinkError {
    /// The message of a sink, without secrets that this process knows.
    pub(super) fn scrubbed(self) -> Self {
        match self {
            Self::Down(why) => Self::Down(scrubbed(why)),
            Self::Later(why) => Self::Later(scrubbed(why)),
            Self::Differs(why) => Self::Differs(scrubbed(why)),
        }
    }

    /// The reason, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Down(why) | Self::Later(why) | Self::Differs(why) => why,
        }
    }
}

/// What a sink holds.
pub enum SinkContent {
    /// This object.
    Held(StoredObject),
    /// Nothing, or nothing that drctl may see.
    Nothing {
        /// The sink's message.
        why: String,
        /// The sink's own time, if it reported one.
        date: Option<Timestamp>,
    },
}
