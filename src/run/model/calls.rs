//! What is known about the calls of a step.

/// What is known about the parts of one direction of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartCalls {
    /// Positions of the changes in the last call; empty for all, here and below.
    pub now: Vec<u32>,
    /// Parts that the provider refuses every time, and why.
    pub refused: Vec<(Vec<u32>, String)>,
    /// Parts that were accepted.
    pub accepted: Vec<Vec<u32>>,
    /// Parts whose call had an unknown result at some time. They may be in place, even if later events say otherwise.
    pub doubted: Vec<Vec<u32>>,
}

impl PartCalls {
    /// No call was made.
    pub const fn new() -> Self {
        Self { now: Vec::new(), refused: Vec::new(), accepted: Vec::new(), doubted: Vec::new() }
    }

    /// The last call was accepted.
    pub(in crate::run) fn accept(&mut self) {
        if !self.accepted.contains(&self.now) {
            self.accepted.push(self.now.clone());
        }
    }

    /// The result of the last call is unknown.
    pub(in crate::run) fn doubt(&mut self) {
        if !self.doubted.contains(&self.now) {
            self.doubted.push(self.now.clone());
        }
    }

    /// Whether any call may have had an effect.
    pub const fn acted(&self) -> bool {
        !self.accepted.is_empty() || !self.doubted.is_empty()
    }

    /// Whether a call may have made the change at a position.
    pub fn touched(&self, change: u32) -> bool {
        self.accepted.iter().chain(&self.doubted).any(|part| part.is_empty() || part.contains(&change))
    }
}

/// The result of withdrawing the request of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The withdrawal is in progress.
    Asked,
    /// It could not be withdrawn, as far as is known, for this reason.
    Failed(String),
}
