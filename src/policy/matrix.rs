//! Combines all rules that apply to a run; the strictest requirements win.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Role;
use crate::model::authority::{left_over, takes};
use crate::model::finding::Finding;
use crate::model::intent::Intent;
use crate::model::plain::some;
use crate::model::policy::{Change, Override, Policy};
use crate::model::severity::Severity;
use crate::plan::settings::Written;
use crate::plan::types::Hook;
use crate::plan::{Plan, Settings};
use crate::record::runbook::Phase;

/// The approvals that a run of a plan needs. Only an incident allows an override: a planned run waits for its approvals.
pub fn demand_of(policy: &Policy, plan: &Plan, intent: Intent, severity: Severity) -> Demand {
    demand_with(policy, plan, (intent, severity), &|hook| stands_in(hook, intent))
}

/// The same for the hooks that a runbook really has.
pub fn demand_with(
    policy: &Policy,
    plan: &Plan,
    (intent, severity): (Intent, Severity),
    has: &dyn Fn(&Hook) -> bool,
) -> Demand {
    let hooks = plan.hooks.iter().filter(|hook| has(hook)).filter_map(|hook| hook.change);
    let changes = changes(plan, intent).into_iter().chain(hooks).collect();
    let mut demand = demand(policy, severity, &changes);
    demand.override_by = demand.override_by.filter(|_| intent.is_incident());
    demand
}

/// Whether runbooks for this intent have steps beside which the hook could run, if no runbook exists yet.
const fn stands_in(hook: &Hook, intent: Intent) -> bool {
    match intent {
        Intent::Failover | Intent::Switchover | Intent::Failback => true,
        Intent::Restore => {
            matches!(
                hook.phase,
                Phase::Promote
                    | Phase::Rewire
                    | Phase::Verify
                    | Phase::Confirm
                    | Phase::Protect
                    | Phase::Watch
                    | Phase::Seal
            )
        }
        Intent::Reprotect => matches!(hook.phase, Phase::Rewire | Phase::Protect | Phase::Seal),
        Intent::Drill => false,
    }
}

/// The changes of a run that may need approval. A region failover counts as a change of its databases and names.
fn changes(plan: &Plan, intent: Intent) -> BTreeSet<Change> {
    match intent {
        // A copy beside production does not change production.
        Intent::Drill => BTreeSet::new(),
        Intent::Restore => BTreeSet::from([Change::Database]),
        Intent::Reprotect => {
            let all = plan.components.values().filter_map(|component| change(component.role()));
            all.filter(|change| *change != Change::Dns).collect()
        }
        Intent::Failover | Intent::Switchover | Intent::Failback => {
            plan.components.values().filter_map(|component| change(component.role())).collect()
        }
    }
}

const fn change(role: Role<'_>) -> Option<Change> {
    match role {
        Role::Store(_) => Some(Change::Database),
        Role::Traffic(_) => Some(Change::Dns),
        Role::Clients(_) => Some(Change::Configuration),
        // drctl changes nothing in a bucket.
        Role::Capacity(_) | Role::Copy(_) | Role::Declared => None,
    }
}

/// The approvals that a run needs before it may continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The severity.
    pub severity: Severity,
    /// The changes.
    pub changes: Vec<Change>,
    /// The rules that apply, with their seats.
    pub rules: Vec<Applied>,
    /// The seats to fill, each by a different person.
    pub by: Vec<String>,
    /// Who may override the approvals, if anybody may.
    pub override_by: Option<Override>,
}

/// A rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its name.
    pub rule: String,
    /// Its seats. If a seat of another rule covers one of them, that seat is given, too.
    pub by: Vec<(String, Option<String>)>,
}

/// The combined requirements: all seats of all rules, except those that a stricter seat covers.
pub fn demand(policy: &Policy, severity: Severity, changes: &BTreeSet<Change>) -> Demand {
    let own = policy.severities.get(&severity).map(|rule| rule.by.as_slice()).unwrap_or_default();
    let mut rules: Vec<(String, &[String])> = vec![(format!("severity {severity}"), own)];
    for change in changes {
        let by = policy.changes.get(change).map(|rule| rule.by.as_slice()).unwrap_or_default();
        rules.push((format!("a change to {change}"), by));
    }
    // Without a change there is nothing to approve.
    if changes.is_empty() {
        rules.clear();
    }
    let all = together(rules.iter().map(|(_, by)| *by));
    let mut by = all;
    // A seat is dropped if every rule still gets as many people as it needs without it.
    for seat in by.clone() {
        let Some(at) = by.iter().position(|s| *s == seat) else { continue };
        let mut without = by.clone();
        without.remove(at);
        if rules.iter().all(|(_, rule)| fills(policy, &without, rule)) {
            by = without;
        }
    }
    let with = changes.iter().filter_map(|c| policy.changes.get(c)).map(|rule| rule.override_with.as_slice());
    let over = &policy.overriding;
    let may = over.at.contains(&severity) && !over.by.is_empty() && !by.is_empty();
    let override_by =
        may.then(|| Override { by: over.by.clone(), also: together(with), within_ms: over.approve_within });
    let kept = by.clone();
    let applied = |(rule, by): (String, &[String])| {
        let other = |seat: &String| kept.iter().find(|k| stands_for(policy, k, seat)).cloned();
        let above = |seat: &String| if kept.contains(seat) { None } else { other(seat) };
        let seats = by.iter().map(|seat| (seat.clone(), above(seat))).collect();
        Applied { rule, by: seats }
    };
    let rules = rules.into_iter().map(applied).collect();
    Demand { severity, changes: changes.iter().copied().collect(), rules, by, override_by }
}

/// Whether the people of these seats satisfy each rule for these changes.
pub fn covers(policy: &Policy, by: &[String], severity: Severity, changes: &BTreeSet<Change>) -> bool {
    let own = policy.severities.get(&severity).map(|rule| &rule.by);
    let rules = changes.iter().filter_map(|change| policy.changes.get(change)).map(|rule| &rule.by);
    rules.chain(own).all(|rule| fills(policy, by, rule))
}

/// Whether these seats give a rule as many people as it needs.
fn fills(policy: &Policy, by: &[String], rule: &[String]) -> bool {
    let fits = |wanted: usize, seat: usize| stands_for(policy, &by[seat], &rule[wanted]);
    left_over(rule.len(), by.len(), &fits) == 0
}

/// Every seat, as often as the rule that needs it most often.
fn together<'r>(rules: impl Iterator<Item = &'r [String]>) -> Vec<String> {
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in rules {
        let mut here: BTreeMap<&str, usize> = BTreeMap::new();
        rule.iter().for_each(|seat| *here.entry(seat).or_default() += 1);
        for (seat, n) in here {
            let most = most.entry(seat).or_default();
            *most = n.max(*most);
        }
    }
    most.into_iter().flat_map(|(seat, n)| std::iter::repeat_n(seat.to_owned(), n)).collect()
}

/// Whether everybody who may take one seat may also take the other, including by the roles that theirs includes.
fn stands_for(policy: &Policy, seat: &str, other: &str) -> bool {
    let covers = |role: &str| {
        takes(other, role)
            || policy.includes.get(role).is_some_and(|below| below.iter().any(|role| takes(other, role)))
    };
    seat.split(" or ").all(covers)
}

/// Approvals that the policy requires and nobody can give. Only a run that needs them is affected, and it stops before anything is done.
pub fn nobody_can(written: &Written, settings: &Settings, plans: &[&Plan]) -> Vec<Finding> {
    let unread = ["operators", "policy"].iter().any(|key| settings.unread.contains(*key));
    if settings.authority.is_empty() || unread {
        return Vec::new();
    }
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for plan in plans {
        let found = beyond(plan, settings);
        if !found.is_empty() {
            all.entry(found.join(", ")).or_default().push(plan.name.to_string());
        }
    }
    let finding = |(what, plans): (String, Vec<String>)| {
        let message = format!("not enough people can approve {what} of {}", some(&plans));
        Finding::warning("policy-nobody-can-approve", &written.file, written.place(&["operators"]), message)
            .because("each role needs a different person under `operators:`, and the requester does not count")
            .fix("give people the roles, or set under `policy:` who approves instead; drctl policy explain shows the rules")
    };
    all.into_iter().map(finding).collect()
}

/// Emergency overrides of the policy that nobody can make. It is better to find this before the emergency.
pub fn nobody_can_override(written: &Written, settings: &Settings, plans: &[&Plan]) -> Vec<Finding> {
    let unread = ["operators", "policy"].iter().any(|key| settings.unread.contains(*key));
    let (authority, policy) = (&settings.authority, &settings.policy);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for plan in plans.iter().filter(|_| !authority.is_empty() && !unread) {
        for intent in [Intent::Failover, Intent::Restore] {
            let severity = policy.severity(None, intent, false);
            let Some(rule) = demand_of(policy, plan, intent, severity).override_by else { continue };
            let everybody = || authority.operators.keys().map(String::as_str);
            let overrides = |who: &str, requester: &str| {
                who != requester
                    && authority.has(who, &rule.by)
                    && rule.unfilled(authority, who, requester).is_empty()
            };
            // The requester and the person who overrides must be different.
            if !everybody().any(|requester| everybody().any(|who| overrides(who, requester))) {
                let also = if rule.also.is_empty() {
                    String::new()
                } else {
                    format!(" with {}", rule.also.join(" and "))
                };
                let what = format!("a {intent} at {severity} ({}{also})", rule.by.join(" or "));
                all.entry(what).or_default().push(plan.name.to_string());
            }
        }
    }
    let finding = |(what, plans): (String, Vec<String>)| {
        let message = format!("nobody can override the approvals of {what} of {}", some(&plans));
        let place = written.place(&["operators"]);
        Finding::warning("policy-nobody-can-override", &written.file, place, message)
            .because("an override needs a person with the role who is not the requester, and a different person for each role that must agree at once")
            .fix("give people the roles, or set under `policy: {override: {by: [...]}}` who overrides; `at: []` means that nobody may")
    };
    all.into_iter().map(finding).collect()
}

/// The requests for a plan that nobody could approve.
fn beyond(plan: &Plan, settings: &Settings) -> Vec<String> {
    let (authority, policy) = (&settings.authority, &settings.policy);
    let everybody: Vec<&str> = authority.operators.keys().map(String::as_str).collect();
    let mut found = Vec::new();
    let intents =
        [Intent::Failover, Intent::Restore, Intent::Switchover, Intent::Failback, Intent::Reprotect];
    // A live drill moves as a switchover does, with its own severity.
    let asked = intents.map(|intent| (intent, false)).into_iter().chain([(Intent::Switchover, true)]);
    for (intent, drill) in asked {
        let severity = policy.severity(None, intent, drill);
        let by = demand_of(policy, plan, intent, severity).by;
        // The requester cannot approve.
        let could = everybody.iter().any(|requester| {
            let others: Vec<&str> = everybody.iter().copied().filter(|who| who != requester).collect();
            authority.lacking(&by, &others).is_empty()
        });
        if !by.is_empty() && !could {
            let what = if drill { "live drill".to_owned() } else { intent.to_string() };
            found.push(format!("a {what} at {severity} ({})", by.join(" and ")));
        }
    }
    found
}
