//! What is due in a simulated world: one heap of times for all, and the events of each owner.

use std::collections::BTreeMap;

use super::SimulatedWorld;
use crate::kinds::operation::Operation;
use crate::model::time::Timestamp;

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Of the world itself: the network, the clocks, those who watch.
    World,
    /// A call that takes effect after its caller gave up.
    Call,
    /// Of the component with this number.
    Component(usize),
}

/// Calls that take effect later, by event.
pub(super) type Calls = BTreeMap<u64, Operation>;

/// The times of all events. Events of one instant happen in the order in which they were scheduled.
#[derive(Default)]
pub(super) struct Heap {
    due: BTreeMap<(Timestamp, u64), Owner>,
    next: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: Timestamp, owner: Owner) -> u64 {
        let event = self.next;
        self.due.insert((at, event), owner);
        self.next += 1;
        event
    }

    pub(super) fn pop(&mut self, by: Timestamp) -> Option<(Timestamp, Owner, u64)> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= by)?;
        let ((at, event), owner) = entry.remove_entry();
        Some((at, owner, event))
    }
}

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
