//! The operations of kinds among the actions of a run.

/// Asks the operation of a kind; the rest of the arms are for what a run does itself. There is no wildcard, so that a new verb does not
/// compile until somebody has decided.
macro_rules! operation {
    ($action:expr, $op:ident => $answer:expr, $($rest:tt)*) => {
        match $action {
            $crate::record::action::Action::Fence($op) => $answer,
            $crate::record::action::Action::Unfence($op) => $answer,
            $crate::record::action::Action::Promote($op) => $answer,
            $crate::record::action::Action::Withdraw($op) => $answer,
            $crate::record::action::Action::AddClusterInstance($op) => $answer,
            $crate::record::action::Action::Rejoin($op) => $answer,
            $crate::record::action::Action::Rename($op) => $answer,
            $crate::record::action::Action::Restore($op) => $answer,
            $crate::record::action::Action::Scale($op) => $answer,
            $crate::record::action::Action::Switch($op) => $answer,
            $crate::record::action::Action::SetHealthObject($op) => $answer,
            $crate::record::action::Action::SetRoutingControls($op) => $answer,
            $crate::record::action::Action::UpdateClientSecret($op) => $answer,
            $crate::record::action::Action::WriteCanary($op) => $answer,
            $crate::record::action::Action::WriteAsClient($op) => $answer,
            $crate::record::action::Action::Run($op) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::Available($op)) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::Promotable($op)) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::CaughtUp($op)) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::Follows($op)) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::Answers($op)) => $answer,
            $crate::record::action::Action::Check($crate::record::action::Check::Compare($op)) => $answer,
            $($rest)*
        }
    };
}

/// The looks that a run takes for itself: whose credentials, who holds the guard, what may be lost, what is kept, what probes say.
macro_rules! own_looks {
    () => {
        $crate::record::action::Check::Identity { .. }
            | $crate::record::action::Check::Guard { .. }
            | $crate::record::action::Check::Evidence { .. }
            | $crate::record::action::Check::Exposure { .. }
            | $crate::record::action::Check::Probe { .. }
    };
}

pub(crate) use operation;

use std::borrow::Cow;

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Found, Judged, Op, Parts, Progress, Readings, State, Target};
use crate::model::change::Change;
use crate::model::properties::Late;
use crate::record::action::Action;

impl Action {
    /// What an observation means for the operation; none if it is no operation of a kind.
    pub fn judge(&self, seen: &State, of: &Progress<'_>) -> Option<Judged> {
        operation!(self, op => Some(op.judge(seen, of)),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None)
    }

    /// What it means for the operation that its target does not exist.
    pub fn absent(&self, target: &Target, of: &Progress<'_>) -> Option<Judged> {
        operation!(self, op => Some(op.absent(target, of)),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None)
    }

    /// Where its changes are, if they can be made one by one. Those at positions that are not in scope are left out.
    pub fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        operation!(self, op => op.parts(seen, in_scope),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None)
    }

    /// The action with only the changes at these positions; the whole of it where it is made as a whole.
    pub fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Cow<'_, Self> {
        let only = match self {
            Self::Fence(op) => op.only(in_scope).map(Self::Fence),
            Self::Unfence(op) => op.only(in_scope).map(Self::Unfence),
            Self::Promote(op) => op.only(in_scope).map(Self::Promote),
            Self::Withdraw(op) => op.only(in_scope).map(Self::Withdraw),
            Self::AddClusterInstance(op) => op.only(in_scope).map(Self::AddClusterInstance),
            Self::Rejoin(op) => op.only(in_scope).map(Self::Rejoin),
            Self::Rename(op) => op.only(in_scope).map(Self::Rename),
            Self::Restore(op) => op.only(in_scope).map(Self::Restore),
            Self::Scale(op) => op.only(in_scope).map(Self::Scale),
            Self::Switch(op) => op.only(in_scope).map(Self::Switch),
            Self::SetHealthObject(op) => op.only(in_scope).map(Self::SetHealthObject),
            Self::SetRoutingControls(op) => op.only(in_scope).map(Self::SetRoutingControls),
            Self::UpdateClientSecret(op) => op.only(in_scope).map(Self::UpdateClientSecret),
            Self::WriteCanary(op) => op.only(in_scope).map(Self::WriteCanary),
            Self::WriteAsClient(op) => op.only(in_scope).map(Self::WriteAsClient),
            Self::Run(op) => op.only(in_scope).map(Self::Run),
            Self::Check(_) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None,
        };
        only.map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// Whether a call with these parts, after this was read, is one of the action.
    pub fn allows(&self, part: &[u32], found: Option<&Found>) -> bool {
        operation!(self, op => op.allows(part, found),
        Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => {
            part.is_empty() && found.is_none()
        })
    }

    /// What was read of the things that a call with these parts replaces, where the action does not say exactly that.
    pub fn read(&self, seen: &State, part: &[u32]) -> Option<Found> {
        operation!(self, op => op.read(seen, part),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None)
    }

    /// The action with what was read in the place of what the runbook took for granted.
    pub fn bound(&self, read: &Readings) -> Cow<'_, Self> {
        let bound = match self {
            Self::Fence(op) => op.bound(read).map(Self::Fence),
            Self::Unfence(op) => op.bound(read).map(Self::Unfence),
            Self::Promote(op) => op.bound(read).map(Self::Promote),
            Self::Withdraw(op) => op.bound(read).map(Self::Withdraw),
            Self::AddClusterInstance(op) => op.bound(read).map(Self::AddClusterInstance),
            Self::Rejoin(op) => op.bound(read).map(Self::Rejoin),
            Self::Rename(op) => op.bound(read).map(Self::Rename),
            Self::Restore(op) => op.bound(read).map(Self::Restore),
            Self::Scale(op) => op.bound(read).map(Self::Scale),
            Self::Switch(op) => op.bound(read).map(Self::Switch),
            Self::SetHealthObject(op) => op.bound(read).map(Self::SetHealthObject),
            Self::SetRoutingControls(op) => op.bound(read).map(Self::SetRoutingControls),
            Self::UpdateClientSecret(op) => op.bound(read).map(Self::UpdateClientSecret),
            Self::WriteCanary(op) => op.bound(read).map(Self::WriteCanary),
            Self::WriteAsClient(op) => op.bound(read).map(Self::WriteAsClient),
            Self::Run(op) => op.bound(read).map(Self::Run),
            Self::Check(_) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None,
        };
        bound.map_or(Cow::Borrowed(self), Cow::Owned)
    }

    /// What Terraform or GitOps would revert of it. A guard is no resource.
    pub fn changes(&self) -> Vec<Change> {
        operation!(self, op => op.changes(),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => Vec::new())
    }

    /// What it means to leave it out, for a person who may; none where nobody may.
    pub fn left_out(&self) -> Option<String> {
        operation!(self, op => op.left_out(),
            Self::Check(own_looks!()) => Some("continues without this check".to_owned()),
            Self::Wait { .. } => Some("continues at once".to_owned()),
            Self::Write(_) | Self::Gate(_) => None)
    }

    /// The store that it acts on, if it acts on one.
    pub fn store(&self) -> Option<&DatabaseRef> {
        operation!(self, op => op.store(),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None)
    }

    /// How long after its call its effect may still come.
    pub(super) fn late(&self) -> Late {
        operation!(self, op => op.late(),
            Self::Check(own_looks!()) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => Late::Settles)
    }
}
