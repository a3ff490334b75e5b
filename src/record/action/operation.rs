//! What the engine needs to know about an action. Operations of kinds answer for themselves; actions of the run are answered here.

use std::borrow::Cow;

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{FoundValues, Judged, Op as _, Operation, Parts, Progress, Readings, State, Target};
use crate::model::change::Change;
use crate::model::properties::Late;
use crate::record::action::{Action, Check};

impl Action {
    /// The operation of a kind, if it is one.
    pub const fn op(&self) -> Option<&Operation> {
        match self {
            Self::Op(op) => Some(op),
            Self::Check(_) | Self::Write(_) | Self::Gate(_) | Self::Wait { .. } => None,
        }
    }

    /// The judgement of an observation for the operation; none for other actions.
    pub fn judge(&self, seen: &State, of: &Progress<'_>) -> Option<Judged> {
        Some(self.op()?.judge(seen, of))
    }

    /// The judgement if the operation's target does not exist.
    pub fn absent(&self, target: &Target, of: &Progress<'_>) -> Option<Judged> {
        Some(self.op()?.absent(target, of))
    }

    /// The state of its changes, if they can be made one by one. Changes outside the scope are left out.
    pub fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        self.op()?.parts(seen, in_scope)
    }

    /// The action with only the changes in scope; the whole action if it cannot be split.
    pub fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Cow<'_, Self> {
        let only = self.op().and_then(|op| op.only(in_scope));
        only.map_or(Cow::Borrowed(self), |only| Cow::Owned(Self::Op(only)))
    }

    /// Whether a call with this part, after this reading, belongs to the action.
    pub fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        self.op().map_or_else(|| part.is_empty() && found.is_none(), |op| op.allows(part, found))
    }

    /// What was read of the things that a call with this part replaces, if the action does not contain exactly that.
    pub fn read(&self, seen: &State, part: &[u32]) -> Option<FoundValues> {
        self.op()?.read(seen, part)
    }

    /// The action with the readings in place of what the runbook assumed.
    pub fn bound(&self, read: &Readings) -> Cow<'_, Self> {
        let bound = self.op().and_then(|op| op.bound(read));
        bound.map_or(Cow::Borrowed(self), |bound| Cow::Owned(Self::Op(bound)))
    }

    /// The changes that Terraform or GitOps would revert. A guard is not a resource.
    pub fn changes(&self) -> Vec<Change> {
        self.op().map(|op| op.changes()).unwrap_or_default()
    }

    /// What skipping it means; none if nobody may skip it.
    pub fn left_out(&self) -> Option<String> {
        match self {
            Self::Op(op) => op.left_out(),
            Self::Check(Check::Evidence { .. }) => Some("continues without this check".to_owned()),
            Self::Wait { .. } => Some("continues at once".to_owned()),
            Self::Check(
                Check::Identity { .. } | Check::Guard { .. } | Check::Exposure { .. } | Check::Probe { .. },
            )
            | Self::Write(_)
            | Self::Gate(_) => None,
        }
    }

    /// The store that it acts on, if any.
    pub fn store(&self) -> Option<&DatabaseRef> {
        self.op()?.store()
    }

    /// How long after its call it may still take effect.
    pub(super) fn late(&self) -> Late {
        self.op().map_or(Late::Settles, |op| op.late())
    }
}
