//! What needed a person in a run, and what people answered.

use std::collections::BTreeMap;

use crate::model::duty::{Decision, Duty};
use crate::model::ids::StepId;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When.
    pub at: Timestamp,
    /// The cause.
    pub why: String,
    /// The person: who requested it, or whose process it was.
    pub by: String,
    /// How many statements of people came before it.
    pub follows: usize,
}

/// A stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// When.
    pub at: Timestamp,
    /// The step that failed.
    pub step: StepId,
    /// Why.
    pub reason: String,
    /// Whether a person has acknowledged it since.
    pub seen: bool,
    /// All decisions about it, with their authors; the last one is valid.
    pub answers: Vec<Answer>,
}

impl Stopped {
    /// The valid decision.
    pub fn answer(&self) -> Option<&Answer> {
        self.answers.last()
    }
}

/// A person's decision about a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// The decision.
    pub decision: Decision,
    /// The reason; none if the decision was made by continuing or ending the run.
    pub reason: Option<String>,
}

/// An acknowledgement: a person has seen the state of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// What the person wrote.
    pub reason: String,
}

/// A duty that somebody confirms to have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fulfilled {
    /// The duty.
    pub duty: Duty,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// Where the evidence is kept.
    pub reference: String,
}

/// An open question to a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Since when it is open, if it is.
    pub since: Option<Timestamp>,
    /// How often that step has asked.
    pub number: u32,
    /// Whether a person has acknowledged it since.
    pub seen: bool,
}

/// What needed a person, and what people answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Step failures that stopped the run.
    pub stops: Vec<Stopped>,
    /// Acknowledgements.
    pub acknowledged: Vec<Acknowledged>,
    /// Duties that were done after the run.
    pub fulfilled: Vec<Fulfilled>,
    /// Questions, by the step that asks.
    pub questions: BTreeMap<StepId, Question>,
    /// Pauses. A pause of a paused run changes nothing.
    pub pauses: Vec<Pause>,
    /// Whether the last of them holds.
    pub paused: bool,
}
