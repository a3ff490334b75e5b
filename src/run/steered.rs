//! How often a step was tried, and which statements of people no process of the run has read.

use super::signal::person_of;
use super::state::{RunState, StepState};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::{Event, EventKind};

impl RunState {
    /// Whether a statement of this person and time waits in the store, and no process of the run has read it.
    pub fn is_unread(&self, who: &Person, at: Timestamp) -> bool {
        let said = |event: &Event| {
            let by = match &event.what {
                EventKind::Resumed { who } => Some(who),
                what => person_of(what),
            };
            event.at == at && by == Some(who)
        };
        self.people.iter().rev().take(self.unread).any(said)
    }
}

impl StepState {
    /// When it first started.
    pub fn began(&self) -> Option<Timestamp> {
        self.past.began.or(self.work.started_at)
    }

    /// The number of attempts: calls, or retries after a failure if a retry found no call to make.
    pub fn tries(&self) -> u32 {
        let work = &self.work;
        match self.past.retries {
            0 => work.attempts,
            again => work.attempts.max(again + u32::from(work.started_at.is_some())),
        }
    }
}
