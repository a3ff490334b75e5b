//! The earlier results of a step, and what people did with it. Retries do not clear them.

use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::EventKind;

/// What a person did with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervention {
    /// Skipped it.
    Skipped,
    /// Claimed that it was done by hand.
    ByHand,
}

/// An intervention by a person, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// What.
    pub way: Intervention,
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
    pub(in crate::run) fn take(&mut self, what: &EventKind, at: Timestamp) {
        self.last = Some(at);
        match what {
            EventKind::StepStarted { .. } => self.began = self.began.or(Some(at)),
            EventKind::StepSkipped { who: Some(who), reason, .. } => {
                let (who, reason) = (who.clone(), Some(reason.clone()));
                self.steered.push(Steered { way: Intervention::Skipped, at, who, reason });
            }
            EventKind::ClaimedDone { who, .. } => {
                self.steered.push(Steered { way: Intervention::ByHand, at, who: who.clone(), reason: None });
            }
            _ => {}
        }
    }
}
