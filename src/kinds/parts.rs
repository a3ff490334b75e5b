//! Operations with changes that can be made separately: a batch that the provider rejects is split.

/// Changes that are always made together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name, for people.
    pub name: String,
    /// Positions in the operation. For a group that can still be changed, those that do not have their new value yet.
    pub changes: Vec<u32>,
    /// The current and the expected value, for a group that somebody else changed.
    pub differs: String,
}

/// The state of the groups of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Groups with their new value.
    pub done: Vec<Group>,
    /// Groups with their old value, which can be changed.
    pub ready: Vec<Group>,
    /// Groups with another value, because somebody else changed them.
    pub foreign: Vec<Group>,
    /// The total number of changes in the operation.
    pub changes: usize,
}
