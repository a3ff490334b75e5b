//! The loop that acts: load, apply, decide, append the intent, perform, append the result.
//!
//! Only this module holds journal, adapters and world together. It decides nothing: `run` does, and asking it again changes
//! nothing.

mod adopted;
pub mod create;
pub mod drive;
pub mod poll;
pub mod sentry;
pub mod survey;

use thiserror::Error;

use crate::adapters::Cloud;
use crate::journal::{AppendError, Journal, StoreError};
use crate::model::ids::StepId;
use crate::model::time::Timestamp;
use crate::probe::Prober;
use crate::record::event::Event;
use crate::run::illegal::Illegal;
use crate::run::{RunState, Stop};
use crate::world::World;

/// Everything that driving a run needs.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The journal.
    pub journal: &'a dyn Journal,
    /// The providers.
    pub cloud: &'a dyn Cloud,
    /// Probes.
    pub prober: &'a dyn Prober,
    /// Clock and random numbers.
    pub world: &'a World,
    /// The display.
    pub view: &'a dyn View,
    /// How often a person interrupted this process.
    pub interrupts: &'a dyn Fn() -> u32,
    /// How long to keep waiting if only a person can help.
    pub patience: Patience,
}

/// Whether a process waits for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// No: it stops, and the run can be resumed.
    Stop,
    /// Yes: it waits for their signals.
    Wait,
}

/// A display of the run. It shows events once they are in the journal.
pub trait View {
    /// An event is in the journal.
    fn event(&self, event: &Event, state: &RunState);
    /// A step waits for this reason.
    fn waiting(&self, step: &StepId, why: &str, now: Timestamp, state: &RunState);
    /// This is the time of the run, whether or not anything happens.
    fn tick(&self, _now: Timestamp, _state: &RunState) {}
}

/// Shows nothing.
pub struct Silent;

impl View for Silent {
    fn event(&self, _event: &Event, _state: &RunState) {}
    fn waiting(&self, _step: &StepId, _why: &str, _now: Timestamp, _state: &RunState) {}
}

/// How a process left a run.
#[derive(Debug)]
pub struct Ended {
    /// Why it stopped.
    pub stop: Stop,
    /// The run.
    pub state: RunState,
}

/// Why a process cannot continue a run.
#[derive(Debug, Error)]
pub enum DriveError {
    /// The journal did not accept an event. Nothing was done after that.
    #[error("the run stops because drctl cannot write its journal: {0}")]
    Append(#[from] AppendError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal holds an event that this version does not know.
    #[error("this version of drctl cannot read event {seq} of run {run} ({tool} wrote the run): {why}")]
    Unknown {
        /// The run.
        run: String,
        /// The event.
        seq: u64,
        /// The version that created the run.
        tool: String,
        /// What is wrong.
        why: String,
    },
    /// The journal has an event that is not legal there.
    #[error("event {seq} of run {run} is not valid in a run of drctl: {why}")]
    Foreign {
        /// The run.
        run: String,
        /// The event.
        seq: u64,
        /// Why.
        why: Illegal,
    },
    /// An event that this process created is not legal.
    #[error("event {seq} of run {run}: {why}")]
    Illegal {
        /// The run.
        run: String,
        /// The event.
        seq: u64,
        /// Why.
        why: Illegal,
    },
}
