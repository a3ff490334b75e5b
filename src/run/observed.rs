//! What was observed for a step, and what follows from it.

use crate::inventory::Observation;
use crate::kinds::Target;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::EventKind;

/// How long an observation stays valid for the decision to undo something or to set a fence: a guard, a replica.
pub(super) const FRESH: Dur = Dur::secs(30);
/// The delay after a failed observation: each costs a call and two events.
pub(super) const LOOK_AGAIN: Dur = Dur::secs(5);

/// What was observed for a step.
#[derive(Clone, Debug)]
pub enum StepObservation {
    /// Observations, in the order of the targets.
    Things(Vec<(Target, Observation)>),
    /// The status of a probe.
    Probe(ProbeSight),
    /// Nothing needs to be observed first.
    Nothing,
}

/// The status of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeSight {
    /// Good samples in a row, up to now.
    pub good_in_row: u32,
    /// When the earliest of the last `consecutive` good samples was sent.
    pub window_began: Option<Timestamp>,
}

/// The decision for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepDecision {
    /// Write this event.
    Record(EventKind),
    /// Write the intent, then call.
    Perform(EventKind),
    /// Observe again later; the words are for people.
    Keep(String),
}
