//! Whether a runbook waits for the approvals that its terms require.
//!
//! The planner adds the gate for them. But whoever can write a journal can write a runbook without it, and sign that as the requester.

use std::collections::{BTreeMap, BTreeSet};

use super::severity::{Purpose, decided};
use crate::kinds::{Op as _, Operation};
use crate::model::ids::StepId;
use crate::model::intent::{Drill, Intent};
use crate::model::policy::{Change, ChangeRule, Policy, SeverityRule};
use crate::model::properties::Moves;
use crate::model::severity::Severity;
use crate::model::terms::Terms;
use crate::model::time::Timestamp;
use crate::planner::approvals::has_to_be_agreed_to;
use crate::policy::matrix;
use crate::record::action::{Action, Gate};
use crate::record::event::{RunCreated, WorldKind};
use crate::record::runbook::{Runbook, Step};

/// Why a runbook is not one that its terms allow, if that is so.
pub fn unapproved(created: &RunCreated, runbook: &Runbook, at: Timestamp) -> Option<String> {
    let rehearsed = runbook.drill == Some(Drill::Rehearsal) && created.world != WorldKind::Live;
    // The approval of the first half of a live drill covers the way back.
    let returns = created.returns.is_some() && runbook.drill == Some(Drill::Live);
    if created.authority.is_empty() || rehearsed || returns {
        return None;
    }
    let purpose = Purpose { intent: runbook.intent, drill: runbook.drill };
    let severity = decided(created, at, purpose).severity;
    let policy = policy(&created.terms);
    let steps: BTreeMap<&StepId, &Step> = runbook.steps.iter().map(|step| (&step.id, step)).collect();
    runbook.steps.iter().find_map(|step| {
        let changes = BTreeSet::from([change(step, runbook.intent)?]);
        let needed = matrix::demand(&policy, severity, &changes).by;
        let covered = needed.is_empty()
            || waits_for(step, &steps, &|by| matrix::covers(&policy, by, severity, &changes));
        (!covered).then(|| {
            format!(
                "the terms require the approval of {} for {}, but the runbook does not wait for it",
                needed.join(" and "),
                step.id
            )
        })
    })
}

/// What a step changes that needs approval. The planner asks for at least that, and for more where the plan says so.
fn change(step: &Step, intent: Intent) -> Option<Change> {
    let Action::Op(op) = &step.action else { return None };
    if matches!(op, Operation::Promote(_)) {
        return Some(Change::Database);
    }
    if intent == Intent::Drill || !has_to_be_agreed_to(step, intent) {
        return None;
    }
    // The same as the planner counts: a restore changes a database, and a new standby moves no names.
    let moves = matches!(intent, Intent::Failover | Intent::Switchover | Intent::Failback);
    match op.properties().moves {
        Moves::ByName => moves.then_some(Change::Dns),
        Moves::BySecret => (moves || intent == Intent::Reprotect).then_some(Change::Configuration),
        Moves::Nobody => op.store().map(|_| Change::Database),
    }
}

/// Whether a step starts only after an approval by people who suffice. A step that waits until another one is settled also starts if that
/// one failed.
fn waits_for(step: &Step, steps: &BTreeMap<&StepId, &Step>, suffice: &dyn Fn(&[String]) -> bool) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![step]);
    while let Some(step) = next.pop() {
        if let Action::Gate(Gate::Approval { by, .. }) = &step.action
            && suffice(by)
        {
            return true;
        }
        let needs = step.needs.iter().filter(|need| !need.settled);
        next.extend(needs.filter(|need| seen.insert(&need.step)).filter_map(|need| steps.get(&need.step)));
    }
    false
}

/// The approvals in the terms of a run.
fn policy(terms: &Terms) -> Policy {
    let list = |key: &str| -> Vec<String> {
        let text = terms.settings.get(key).map_or("none", String::as_str);
        text.split(", ").filter(|one| *one != "none").map(str::to_owned).collect()
    };
    let severities = Severity::ALL.into_iter().map(|severity| {
        let by = list(&format!("policy.severities.{severity}.by"));
        (severity, SeverityRule { by, respond_within: None })
    });
    let changes = Change::ALL.into_iter().map(|change| {
        let by = list(&format!("policy.changes.{change}.by"));
        (change, ChangeRule { by, override_with: Vec::new() })
    });
    let below = terms.settings.keys().filter_map(|key| key.strip_prefix("policy.includes."));
    let includes =
        below.map(|role| (role.to_owned(), list(&format!("policy.includes.{role}")).into_iter().collect()));
    Policy {
        severities: severities.collect(),
        changes: changes.collect(),
        includes: includes.collect(),
        ..Policy::default()
    }
}
