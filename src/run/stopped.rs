//! Stops: a step failed, and nothing goes on until a named person said what is made of it.

use super::state::{RunState, Status};
use crate::model::duty::{Decision, Duty};
use crate::model::event::What;
use crate::model::ids::StepId;
use crate::model::runbook::OnFailure;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;

/// A stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When.
    pub at: Timestamp,
    /// The step that failed.
    pub step: StepId,
    /// Why.
    pub reason: String,
    /// What was made of it, once somebody said so.
    pub answer: Option<Answer>,
}

/// What somebody made of a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// What.
    pub decision: Decision,
    /// Why; nothing where going on, or ending the run, is the answer.
    pub reason: Option<String>,
}

/// That somebody has seen what is going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// What they said.
    pub reason: String,
}

/// What somebody says they did that was owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fulfilled {
    /// What.
    pub duty: Duty,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// Where it is kept.
    pub reference: String,
}

/// What called for a person, and what people said to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// When a step failed and brought the run to a stop.
    pub stops: Vec<Stopped>,
    /// Who has seen what is going on.
    pub acknowledged: Vec<Acknowledged>,
    /// What was done that was owed after it.
    pub fulfilled: Vec<Fulfilled>,
}

impl RunState {
    /// The stop that nobody answered.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.attention.stops.last().filter(|stop| stop.answer.is_none() && !self.finished())
    }

    /// Keeps what calls for a person, and what people said.
    pub(super) fn note_stop(&mut self, what: &What, at: Timestamp) {
        let (who, decision, reason) = match what {
            What::StepFailed { step, reason }
            | What::UndoFailed { step, reason }
            | What::GuardLost { step, reason } => {
                return self.stop(step, reason, at);
            }
            What::Acknowledged { who, decision, reason } => {
                let said = Acknowledged { at, who: who.clone(), reason: reason.clone() };
                self.attention.acknowledged.push(said);
                let Some(decision) = decision else { return };
                (who, *decision, Some(reason.clone()))
            }
            What::Fulfilled { duty, who, reference, .. } => {
                let (duty, who, reference) = (*duty, who.clone(), reference.clone());
                return self.attention.fulfilled.push(Fulfilled { duty, at, who, reference });
            }
            What::Resumed { who } => (who, Decision::FixForward, None),
            What::CancelRequested { who, reason, .. } => (who, Decision::TakeBack, Some(reason.clone())),
            _ => return,
        };
        if let Some(stop) = self.attention.stops.last_mut().filter(|stop| stop.answer.is_none()) {
            stop.answer = Some(Answer { at, who: who.clone(), decision, reason });
        }
    }

    fn stop(&mut self, step: &StepId, reason: &str, at: Timestamp) {
        let Some(position) = self.position(step) else { return };
        let goes_on =
            self.step(position).on_failure == OnFailure::Continue && !self.step(position).action.is_safety();
        // A fence that is owed is tried again and again, beside everything else.
        let beside = self.step(position).background || self.finished();
        if goes_on || beside || self.work(position).status != Status::Failed || self.stopped().is_some() {
            return;
        }
        self.attention.stops.push(Stopped {
            at,
            step: step.clone(),
            reason: reason.to_owned(),
            answer: None,
        });
    }
}
