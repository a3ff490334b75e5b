//! The earlier results of a step, and what people did with it. Retries do not clear them.

use super::signal::person_of;
use super::state::{RunState, StepState};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::{Event, EventKind};

/// What a person did with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Skipped it.
    Skipped,
    /// Claimed that it was done by hand.
    ByHand,
}

/// An intervention by a person, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// What.
    pub way: Way,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// Why, if a reason was given.
    pub reason: Option<String>,
}

/// The history of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it first started.
    pub began: Option<Timestamp>,
    /// When the last event about it was recorded.
    pub last: Option<Timestamp>,
    /// How often it was tried again after a failure.
    pub retries: u32,
    /// What people did with it.
    pub steered: Vec<Steered>,
}

impl Past {
    pub(super) fn take(&mut self, what: &EventKind, at: Timestamp) {
        self.last = Some(at);
        match what {
            EventKind::StepStarted { .. } => self.began = self.began.or(Some(at)),
            EventKind::StepSkipped { who: Some(who), reason, .. } => {
                let (who, reason) = (who.clone(), Some(reason.clone()));
                self.steered.push(Steered { way: Way::Skipped, at, who, reason });
            }
            EventKind::ClaimedDone { who, .. } => {
                self.steered.push(Steered { way: Way::ByHand, at, who: who.clone(), reason: None });
            }
            _ => {}
        }
    }
}

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
