//! The steps that wait for the approvals of the policy.

use std::collections::{BTreeMap, BTreeSet};

use super::form::{all, is_asked_for, stands_beside, step};
use super::input::Input;
use crate::model::ids::StepId;
use crate::model::intent::{Drill, Intent};
use crate::model::policy::{Change, Policy};
use crate::model::properties::Consent;
use crate::model::severity::Severity;
use crate::plan::types::Hook;
use crate::policy::matrix;
use crate::record::action::{Action, Gate};
use crate::record::runbook::{Need, Phase, Step};

/// The gate for the approvals that the policy requires.
pub const APPROVAL: &str = "approve.policy";

/// Adds one gate at the start for the approvals that the policy requires. Every step that needs approval waits for it, in addition to its
/// other needs. A rehearsal drill changes nothing and waits for nobody: a note says which approvals the run would need.
pub(super) fn ask(input: &Input<'_>, steps: &mut Vec<Step>) -> Option<String> {
    // Approving the first half of a drill covers the way back, so users do not wait there.
    let policy = input.policy.filter(|_| !input.request.returns)?;
    let waits = |s: &Step| has_to_be_agreed_to(s, input.request.intent);
    let stands = |hook: &Hook| {
        // The last phase gets its steps after all others exist.
        let ends = hook.phase == Phase::Seal && !steps.is_empty();
        input.request.intent != Intent::Drill && (ends || steps.iter().any(|s| stands_beside(hook, s)))
    };
    let asks = |hook: &&Hook| is_asked_for(hook, input.request.intent) && stands(hook);
    let hooked = || input.plan.hooks.iter().any(|hook| asks(&hook));
    let first = steps.iter().position(waits).or_else(|| hooked().then_some(0))?;
    let gate = gate(input, policy, &stands)?;
    if input.request.drill == Some(Drill::Rehearsal) {
        return would_wait(input, policy, &gate);
    }
    let after: Vec<StepId> = steps.iter().filter(|s| waits(s)).map(|s| s.id.clone()).collect();
    let behind = behind(steps, &after);
    for step in steps.iter_mut().filter(|s| after.contains(&s.id) && !behind.contains(&s.id)) {
        step.needs.extend(all(std::slice::from_ref(&gate.id)));
    }
    steps.insert(first, gate);
    None
}

/// The approvals that a real run would need, for a drill that does not wait for them.
fn would_wait(input: &Input<'_>, policy: &Policy, gate: &Step) -> Option<String> {
    let Action::Gate(Gate::Approval { by, .. }) = &gate.action else { return None };
    let (intent, severity) = (input.request.intent, severity(input, policy));
    Some(format!(
        "a {intent} at {severity} needs the approval of {}; this drill changes nothing and does not wait for it",
        by.join(" and ")
    ))
}

/// The severity that decides who must approve.
fn severity(input: &Input<'_>, policy: &Policy) -> Severity {
    let request = input.request;
    let drill = request.drill.is_some_and(Drill::has_own_severity);
    let severity = policy.severity(request.severity, request.intent, drill);
    // The approvers of the more severe incident still decide.
    input.continues.and_then(|old| old.severity).map_or(severity, |old| old.min(severity))
}

/// Whether a step needs approval: it changes which server takes writes or whom it admits, data, names, or the configuration of clients. If
/// users are still served, a fence needs approval, too; in an outage it waits for nobody.
pub fn has_to_be_agreed_to(step: &Step, intent: Intent) -> bool {
    match step.action.properties().consent {
        Consent::Never => false,
        Consent::Always => true,
        Consent::WhereUsersAreMoved => step.phase == Phase::Rewire,
        Consent::WhereUsersAreServed => !step.debt && intent.starts_served(),
    }
}

/// Those of these steps that already wait for another one of them.
fn behind(steps: &[Step], these: &[StepId]) -> BTreeSet<StepId> {
    let needs: BTreeMap<&StepId, &[Need]> = steps.iter().map(|s| (&s.id, s.needs.as_slice())).collect();
    let reaches = |from: &StepId| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(id) = next.pop() {
            // A step that waits until another one is settled also continues if that one failed.
            for need in needs.get(id).copied().unwrap_or_default().iter().filter(|n| !n.settled) {
                if these.contains(&need.step) {
                    return true;
                }
                if seen.insert(&need.step) {
                    next.push(&need.step);
                }
            }
        }
        false
    };
    these.iter().filter(|id| reaches(id)).cloned().collect()
}

fn gate(input: &Input<'_>, policy: &Policy, stands: &dyn Fn(&Hook) -> bool) -> Option<Step> {
    let request = input.request;
    let severity = severity(input, policy);
    let demand = matrix::demand_with(policy, input.plan, (request.intent, severity), stands);
    if demand.by.is_empty() {
        return None;
    }
    let changes: Vec<_> = demand.changes.iter().map(|c: &Change| c.id()).collect();
    let drill = request.drill.map_or_else(String::new, |drill| format!(" ({drill} drill)"));
    let (intent, to) = (request.intent, &request.to);
    let ask = format!("{severity} {intent}{drill} to {to}, a change to {}", changes.join(" and "));
    let action = Action::Gate(Gate::Approval {
        ask,
        expires_after_ms: policy.expires_after,
        by: demand.by,
        override_by: demand.override_by,
    });
    Some(step(APPROVAL, Phase::Gate, None, action))
}
