//! The earlier results of a step, and what people did to it. None of that is forgotten when it is tried again.

use super::state::StepState;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::EventKind;

/// What a person did to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was left out.
    Skipped,
    /// It was done by hand, as somebody says.
    ByHand,
}

/// That, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// What.
    pub way: Way,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// Why, if it was said.
    pub reason: Option<String>,
}

/// The past of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it was started first.
    pub began: Option<Timestamp>,
    /// How often it was tried again after it had failed.
    pub retries: u32,
    /// What people did to it.
    pub steered: Vec<Steered>,
}

impl Past {
    pub(super) fn take(&mut self, what: &EventKind, at: Timestamp) {
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

impl StepState {
    /// When it was started first.
    pub fn began(&self) -> Option<Timestamp> {
        self.past.began.or(self.of_run().started_at)
    }

    /// How often it was tried: by calls, or again after it had failed, where a later try found no call to make.
    pub fn tries(&self) -> u32 {
        let work = self.of_run();
        match self.past.retries {
            0 => work.attempts,
            again => work.attempts.max(again + u32::from(work.started_at.is_some())),
        }
    }
}
