//! Failover: the source is lost or failing. Fences and scales in parallel, measures, promotes, verifies, switches, confirms.

use std::collections::BTreeMap;

use super::buckets::compare_all;
use super::capacity::scale_all;
use super::databases::promote_all;
use super::steps::Draft;
use super::traffic::redirect_all;
use crate::kinds::Operation;
use crate::kinds::shared::promotion::Promote;
use crate::model::ids::{ComponentName, StepId};
use crate::record::action::Action;

/// Derives the steps.
pub fn derive(draft: &mut Draft<'_>) {
    let identities = draft.identities();
    let guards = guards(draft, &identities);
    draft.evidence();
    scale_all(draft, &guards);
    promote_all(draft, &guards);
    compare_all(draft);
    debts(draft);
    redirect_all(draft, &guards);
}

/// Takes the guard of every component that the run changes, before the first change.
pub fn guards(draft: &mut Draft<'_>, needs: &[StepId]) -> BTreeMap<ComponentName, Vec<StepId>> {
    let plan = draft.input.plan;
    let names = plan.components.values().filter(|c| c.role().is_changed()).map(|c| &c.name);
    // The first guard decides between two operators. If all were taken at once, each operator might get some of them and nobody all.
    let mut needs = needs.to_vec();
    let mut guards = BTreeMap::new();
    for (i, name) in names.enumerate() {
        let guard = draft.guard(name, &needs);
        if i == 0 {
            needs.clone_from(&guard);
        }
        guards.insert(name.clone(), guard);
    }
    guards
}

/// Pending fences of earlier runs are tried in the background.
fn debts(draft: &mut Draft<'_>) {
    let debts = draft.input.debts.to_vec();
    for debt in debts {
        // A fence method of this run already fences the same server.
        let same = draft
            .steps()
            .iter()
            .any(|s| matches!(&s.action, Action::Op(Operation::Fence(f)) if debt.rungs.iter().any(|r| r.db.is(&f.db))));
        // A server that this run promotes is no longer an old primary.
        let promoted = draft.steps().iter().any(
            |s| matches!(&s.action, Action::Op(Operation::Promote(Promote { db, .. })) if debt.rungs.iter().any(|r| r.db.is(db))),
        );
        if !same && !promoted {
            draft.notes.push(format!(
                "run {} left `{}` unfenced since {}. This run tries the fence again",
                debt.run, debt.component, debt.since
            ));
            draft.fence(debt.rungs, &[], true);
        }
    }
}
