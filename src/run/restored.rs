//! What a run that restores a store established about it.

use super::positions::first;
use super::state::{RunState, Status, StepState};
use crate::kinds::shared::restore::{Loss, Restore, RestoreJob, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::ids::ComponentName;
use crate::record::action::Action;
use crate::record::runbook::Step;

impl RunState {
    /// What replaces a component's data, if the run restores it.
    pub fn restores(&self, component: &ComponentName) -> Option<&Restore> {
        match &self.step(first(&self.positions.swaps, component)?).action {
            Action::Op(Operation::Restore(RestoreStep { of, .. })) => Some(of.as_ref()),
            _ => None,
        }
    }

    /// What a restore loses, counted after writes had ended.
    pub fn lost_for_good(&self, component: &ComponentName) -> Option<&Loss> {
        let (_, fenced_at) = self.fenced(component)?;
        let later = |at: &&StepState| at.work.started_at.is_some_and(|began| began >= fenced_at);
        self.steps.iter().filter(later).flat_map(|at| &at.facts).rev().find_map(|f| match f {
            Fact::Restore { component: c, found, .. } if c == component => found.loss.as_ref(),
            _ => None,
        })
    }

    /// Why a copy that was put in place stays there.
    pub fn stays(&self) -> Option<String> {
        let swap = |s: &Step| {
            matches!(s.action, Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, .. })))
        };
        let at = self.runbook.steps.iter().position(swap)?;
        let undo = self.steps[at].undo.as_ref().filter(|u| u.status == Status::Failed)?;
        let reason = undo.reason.as_deref().unwrap_or_default();
        match &self.step(at).action {
            Action::Op(Operation::Restore(RestoreStep { of, .. })) if !super::apply::stays(of, reason) => {
                None
            }
            _ => Some(format!("{}: {reason}", self.step(at).id)),
        }
    }
}
