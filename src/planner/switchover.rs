//! Switchover and failback: planned, with zero loss. Both sites answer; nothing is promoted that is not first caught up.

use super::Refusal;
use super::capacity::scale_all;
use super::failover::guards;
use super::steps::Draft;
use super::traffic::redirect_all;
use crate::model::waiver::Rule;
use crate::plan::types::Spec;

/// Derives the steps.
pub fn derive(draft: &mut Draft<'_>) {
    let plan = draft.input.plan;
    if draft.from.as_ref() == Some(&draft.input.request.to) {
        // Already there: scaling and records below find nothing to do, so the runbook stays empty.
        draft.notes.push(format!("{} is active already", draft.input.request.to));
    } else {
        for component in plan.components.values() {
            if let Spec::Database(_) = component.spec {
                let facts = format!(
                    "`{}` is aws.rds: the old primary has to be rebuilt as a replica, which drctl cannot do yet",
                    component.name
                );
                draft.refuse(Refusal::new(
                    Rule::NotImplemented,
                    Some(&component.name),
                    facts,
                    "a later version, or the steps by hand",
                ));
            }
        }
    }
    let identities = draft.identities();
    let guards = guards(draft, &identities);
    draft.evidence();
    scale_all(draft, &guards);
    redirect_all(draft, &guards);
}
