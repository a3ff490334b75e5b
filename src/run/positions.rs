//! Positions of the steps that decisions look for. They are found once, so that the cost of a decision does not depend on the length of the
//! runbook.

use std::collections::BTreeMap;

use crate::kinds::Operation;
use crate::kinds::shared::database::Promotable;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::restore::{RestoreJob, RestoreStep};
use crate::model::ids::{ComponentName, StepId};
use crate::record::action::{Action, Write};
use crate::record::runbook::{Runbook, Step};

/// Positions in order, by component.
type ByComponent = BTreeMap<ComponentName, Vec<usize>>;

/// Positions in the runbook of a run, which never changes.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    /// All steps.
    pub(super) steps: BTreeMap<StepId, usize>,
    /// Fences, without those of an earlier run.
    pub(super) rungs: ByComponent,
    /// Promotions.
    pub(super) promotions: ByComponent,
    /// Checks of the server that is or becomes the new primary.
    pub(super) targets: ByComponent,
    /// The steps that put restored data in place.
    pub(super) swaps: ByComponent,
    /// The steps that take guards.
    pub(super) guards: ByComponent,
    /// The steps that release guards.
    pub(super) releases: ByComponent,
    /// The steps that rename a server.
    pub(super) renames: Vec<usize>,
}

impl Positions {
    /// The positions in a runbook.
    pub(super) fn new(runbook: &Runbook) -> Self {
        let all = || runbook.steps.iter().enumerate();
        let of = |component: &dyn Fn(&Step) -> Option<&ComponentName>| {
            all().filter_map(|(i, step)| component(step).map(|name| (name.clone(), i))).fold(
                ByComponent::new(),
                |mut found, (name, i)| {
                    found.entry(name).or_default().push(i);
                    found
                },
            )
        };
        Self {
            steps: all().map(|(i, step)| (step.id.clone(), i)).collect(),
            rungs: of(&|step| fenced(step).filter(|_| !step.debt)),
            promotions: of(&promoted),
            targets: of(&observed),
            swaps: of(&restored),
            guards: of(&guarded),
            releases: of(&released),
            renames: all()
                .filter(|(_, s)| matches!(&s.action, Action::Op(op) if op.renames().is_some()))
                .map(|(i, _)| i)
                .collect(),
        }
    }
}

/// The first position for a component.
pub(super) fn first(all: &ByComponent, component: &ComponentName) -> Option<usize> {
    all.get(component).and_then(|found| found.first()).copied()
}

fn fenced(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Op(Operation::Fence(fence)) => Some(&fence.db.component),
        _ => None,
    }
}

fn promoted(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Op(Operation::Promote(Promote { db, .. })) => Some(&db.component),
        _ => None,
    }
}

fn observed(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Op(Operation::CheckPromotable(Promotable { db })) => Some(&db.component),
        _ => None,
    }
}

fn restored(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, of })) => Some(&of.db.component),
        _ => None,
    }
}

fn guarded(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Write(Write::Guard { component, .. }) => Some(component),
        _ => None,
    }
}

fn released(step: &Step) -> Option<&ComponentName> {
    match &step.action {
        Action::Write(Write::ReleaseGuard { component, .. }) => Some(component),
        _ => None,
    }
}
