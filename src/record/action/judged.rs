//! What an operation of a kind says about what was seen.
#![deny(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;

use crate::kinds::{Found, Judged, Op, Parts, Progress, Readings, State};
use crate::record::action::Action;

/// One arm for each operation, and none for what a run does itself.
macro_rules! operation {
    ($action:expr, $op:ident => $answer:expr) => {
        match $action {
            Action::Scale($op) => $answer,
            Action::Switch($op) => $answer,
            Action::SetHealthObject($op) => $answer,
            Action::SetRoutingControls($op) => $answer,
            Action::UpdateClientSecret($op) => $answer,
            Action::Check(_)
            | Action::Fence(_)
            | Action::Unfence(_)
            | Action::Promote(_)
            | Action::Withdraw(_)
            | Action::AddClusterInstance(_)
            | Action::Rejoin(_)
            | Action::Rename(_)
            | Action::Restore(_)
            | Action::Write(_)
            | Action::Run(_)
            | Action::Gate(_)
            | Action::Wait { .. } => None,
        }
    };
}

impl Action {
    /// What an observation means for the operation; none if it is no operation of a kind.
    pub fn judge(&self, seen: &State, of: &Progress<'_>) -> Option<Judged> {
        operation!(self, op => Some(op.judge(seen, of)))
    }

    /// Where its changes are, if they can be made one by one. Those at positions that are not in scope are left out.
    pub fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        operation!(self, op => op.parts(seen, in_scope))
    }

    /// What was read of the things that a call with these parts replaces, where the action does not say exactly that.
    pub fn read(&self, seen: &State, part: &[u32]) -> Option<Found> {
        operation!(self, op => op.read(seen, part))
    }

    /// The action with what was read in the place of what the runbook took for granted.
    pub fn bound(&self, read: &Readings) -> Cow<'_, Self> {
        let bound = match self {
            Self::Scale(op) => op.bound(read).map(Self::Scale),
            Self::Switch(op) => op.bound(read).map(Self::Switch),
            Self::SetHealthObject(op) => op.bound(read).map(Self::SetHealthObject),
            Self::SetRoutingControls(op) => op.bound(read).map(Self::SetRoutingControls),
            Self::UpdateClientSecret(op) => op.bound(read).map(Self::UpdateClientSecret),
            Self::Check(_)
            | Self::Fence(_)
            | Self::Unfence(_)
            | Self::Promote(_)
            | Self::Withdraw(_)
            | Self::AddClusterInstance(_)
            | Self::Rejoin(_)
            | Self::Rename(_)
            | Self::Restore(_)
            | Self::Write(_)
            | Self::Run(_)
            | Self::Gate(_)
            | Self::Wait { .. } => None,
        };
        bound.map_or(Cow::Borrowed(self), Cow::Owned)
    }
}
