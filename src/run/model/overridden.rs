//! An approval that somebody overrode.

use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Person;

/// An approval that somebody overrode in an emergency. It stays on record, and so does its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// Who.
    pub who: Person,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When the approvals are due.
    pub due: Timestamp,
    /// People who approved afterwards.
    pub ratified_by: Vec<Person>,
    /// When the last required approval was given.
    pub ratified_at: Option<Timestamp>,
    /// People who rejected it afterwards, with time and reason. A rejection undoes nothing.
    pub refused: Vec<(Person, String, Timestamp)>,
}

impl Overridden {
    /// How late the approvals are, if they are. Late approvals stay late on record.
    pub fn late(&self, now: Timestamp) -> Option<Dur> {
        let late = self.ratified_at.unwrap_or(now).since(self.due);
        (late > Dur::ZERO).then_some(late)
    }
}
