//! Operations that consist of changes which can be made one by one: a batch that the provider refuses is taken apart.

/// Changes that move together and are never separated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// As people say it.
    pub name: String,
    /// Positions in the operation. Of a group that can be changed, those that are not as they will be.
    pub changes: Vec<u32>,
    /// What is there, and what should be, of a group that somebody else changed.
    pub differs: String,
}

/// Where the groups of an operation are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// As they will be.
    pub done: Vec<Group>,
    /// As they were: they can be changed.
    pub ready: Vec<Group>,
    /// Neither: somebody else changed them.
    pub foreign: Vec<Group>,
    /// How many changes the operation has in all.
    pub changes: usize,
}
