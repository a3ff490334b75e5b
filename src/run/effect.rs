//! What a process does next for a run, and why it stops.

use crate::model::time::Timestamp;
use crate::record::event::EventKind;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write these events.
    Record(Vec<EventKind>),
    /// Observe the target of the step, and judge the result.
    Look(usize),
    /// The step took too long: record its failure with the last observation.
    Expire(usize),
    /// Read the guard, and withdraw the request of the step, which may still take effect.
    Withdraw(usize),
    /// Decide again at this time, at the latest.
    WakeAt(Timestamp),
    /// This process can do nothing more.
    Stop(Stop),
}

/// Why a process stops driving a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The run is over.
    Finished,
    /// A step failed and nothing else can continue.
    Failed(String),
    /// A gate blocks the run.
    Blocked(String),
    /// The run waits for an approval.
    Approval(String),
    /// Somebody paused it.
    Paused,
    /// Somebody cancelled it after a point of no return.
    PastReturn,
}
