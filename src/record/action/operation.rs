//! What the engine asks of an action. The operations of kinds answer for themselves; what a run does for itself answers here.

use std::borrow::Cow;

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Found, Judged, Op as _, Operation, Parts, Progress, Readings, State, Target};
use crate::model::change::Change;
use crate::model::properties::Late;
use crate::record::action::Action;

impl Action {
    /// The operation of a kind, if it is one.
    pub const fn op(&self) -> Option<&Operation> {
        match self {
            Self::Op(op) => Some(op),
            Self::Check(_) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None,
        }
    }

    /// What an observation means for the operation; none if it is no operation of a kind.
    pub fn judge(&self, seen: &State, of: &Progress<'_>) -> Option<Judged> {
        Some(self.op()?.judge(seen, of))
    }

    /// What it means for the operation that its target does not exist.
    pub fn absent(&self, target: &Target, of: &Progress<'_>) -> Option<Judged> {
        Some(self.op()?.absent(target, of))
    }

    /// Where its changes are, if they can be made one by one. Those at positions that are not in scope are left out.
    pub fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        self.op()?.parts(seen, in_scope)
    }

    /// The action with only the changes at these positions; the whole of it where it is made as a whole.
    pub fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Cow<'_, Self> {
        let only = self.op().and_then(|op| op.only(in_scope));
        only.map_or(Cow::Borrowed(self), |only| Cow::Owned(Self::Op(only)))
    }

    /// Whether a call with these parts, after this was read, is one of the action.
    pub fn allows(&self, part: &[u32], found: Option<&Found>) -> bool {
        self.op().map_or_else(|| part.is_empty() && found.is_none(), |op| op.allows(part, found))
    }

    /// What was read of the things that a call with these parts replaces, where the action does not say exactly that.
    pub fn read(&self, seen: &State, part: &[u32]) -> Option<Found> {
        self.op()?.read(seen, part)
    }

    /// The action with what was read in the place of what the runbook took for granted.
    pub fn bound(&self, read: &Readings) -> Cow<'_, Self> {
        let bound = self.op().and_then(|op| op.bound(read));
        bound.map_or(Cow::Borrowed(self), |bound| Cow::Owned(Self::Op(bound)))
    }

    /// What Terraform or GitOps would revert of it. A guard is no resource.
    pub fn changes(&self) -> Vec<Change> {
        self.op().map(|op| op.changes()).unwrap_or_default()
    }

    /// What it means to leave it out, for a person who may; none where nobody may.
    pub fn left_out(&self) -> Option<String> {
        match self {
            Self::Op(op) => op.left_out(),
            Self::Check(_) => Some("continues without this check".to_owned()),
            Self::Wait { .. } => Some("continues at once".to_owned()),
            Self::Write(_) | Self::Gate(_) => None,
        }
    }

    /// The store that it acts on, if it acts on one.
    pub fn store(&self) -> Option<&DatabaseRef> {
        self.op()?.store()
    }

    /// How long after its call its effect may still come.
    pub(super) fn late(&self) -> Late {
        self.op().map_or(Late::Settles, |op| op.late())
    }
}
