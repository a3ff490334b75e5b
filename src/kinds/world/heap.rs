//! What is due in a simulated world: one heap of times for all.

use std::collections::BTreeMap;

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
