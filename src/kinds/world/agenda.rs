//! The events of one owner, whose times are in the heap of the world.

use std::collections::BTreeMap;

use super::SimulatedWorld;
use super::heap::Owner;
use crate::model::time::Timestamp;

/// The scheduled events of one owner.
#[derive(Debug)]
pub struct Agenda<E> {
    owner: Owner,
    events: BTreeMap<u64, E>,
}

impl<E> Agenda<E> {
    /// Nothing is scheduled.
    pub const fn new(owner: Owner) -> Self {
        Self { owner, events: BTreeMap::new() }
    }

    /// Schedules an event.
    pub fn schedule(&mut self, at: Timestamp, event: E, world: &mut SimulatedWorld) {
        let number = world.heap.push(at, self.owner);
        self.events.insert(number, event);
    }

    /// The event with this number, which happens now, unless it was cancelled.
    pub fn take(&mut self, number: u64) -> Option<E> {
        self.events.remove(&number)
    }

    /// Cancels the events for which this holds.
    pub fn cancel(&mut self, cancelled: impl Fn(&E) -> bool) {
        self.events.retain(|_, event| !cancelled(event));
    }
}
