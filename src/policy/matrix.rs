//! What the rules that apply ask for together: the strictest of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Spec;
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

/// What a run of a plan needs. What was planned is no emergency, whatever it is called: it waits for those who have to agree.
pub fn demand_of(policy: &Policy, plan: &Plan, intent: Intent, severity: Severity) -> Demand {
    demand_with(policy, plan, (intent, severity), &|hook| stands_in(hook, intent))
}

/// The same, of the hooks that a runbook really has.
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

/// Whether runbooks for that have steps that a hook could stand beside, where no runbook was made yet.
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

/// What a run changes that people have to agree to. A region failover is treated as a change of its databases and names.
fn changes(plan: &Plan, intent: Intent) -> BTreeSet<Change> {
    match intent {
        // A copy beside production changes nothing of it.
        Intent::Drill => BTreeSet::new(),
        Intent::Restore => BTreeSet::from([Change::Database]),
        Intent::Reprotect => {
            let all = plan.components.values().filter_map(|component| change(&component.spec));
            all.filter(|change| *change != Change::Dns).collect()
        }
        Intent::Failover | Intent::Switchover | Intent::Failback => {
            plan.components.values().filter_map(|component| change(&component.spec)).collect()
        }
    }
}

const fn change(spec: &Spec) -> Option<Change> {
    match spec {
        Spec::Database(_) => Some(Change::Database),
        Spec::Route53(_) => Some(Change::Dns),
        Spec::Clients(_) => Some(Change::Configuration),
        // Nothing of a bucket is changed.
        Spec::Autoscaling(_) | Spec::Buckets(_) | Spec::External(_) => None,
    }
}

/// What a run needs before it may continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// How bad it is.
    pub severity: Severity,
    /// What is changed.
    pub changes: Vec<Change>,
    /// The rules that apply, with what each asks for.
    pub rules: Vec<Applied>,
    /// Seats that somebody has to take, each a person of its own.
    pub by: Vec<String>,
    /// Whether that may be overridden, and by whom.
    pub override_by: Option<Override>,
}

/// A rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which.
    pub rule: String,
    /// Its seats, and for each that adds nobody the seat of another rule that stands for it.
    pub by: Vec<(String, Option<String>)>,
}

/// What all rules that apply ask for: every seat of every rule, but for those that a stricter one stands for.
pub fn demand(policy: &Policy, severity: Severity, changes: &BTreeSet<Change>) -> Demand {
    let own = policy.severities.get(&severity).map(|rule| rule.by.as_slice()).unwrap_or_default();
    let mut rules: Vec<(String, &[String])> = vec![(format!("severity {severity}"), own)];
    for change in changes {
        let by = policy.changes.get(change).map(|rule| rule.by.as_slice()).unwrap_or_default();
        rules.push((format!("a change to {change}"), by));
    }
    // Without a change there is nothing to agree to.
    if changes.is_empty() {
        rules.clear();
    }
    let all = together(rules.iter().map(|(_, by)| *by));
    let mut by = all;
    // A seat that others stand for is left out where every rule still finds as many people as it asks for.
    for seat in by.clone() {
        let Some(at) = by.iter().position(|s| *s == seat) else { continue };
        let mut without = by.clone();
        without.remove(at);
        let holds = |rule: &[String]| {
            let fits = |wanted: usize, seat: usize| stands_for(policy, &without[seat], &rule[wanted]);
            left_over(rule.len(), without.len(), &fits).is_empty()
        };
        if rules.iter().all(|(_, rule)| holds(rule)) {
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

/// Every seat as often as the rule asks for it that asks for it most often.
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

/// Whether whoever takes a seat could take the other one as well, by the roles that theirs includes.
fn stands_for(policy: &Policy, seat: &str, other: &str) -> bool {
    let covers = |role: &str| {
        takes(other, role)
            || policy.includes.get(role).is_some_and(|below| below.iter().any(|role| takes(other, role)))
    };
    seat.split(" or ").all(covers)
}

/// What the policy asks for, and nobody is there to say. It stops only what it is asked for, and that before anything is done.
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

/// Overrides that the policy provides for emergencies, and that nobody is there to make: found on a calm day, and not in the emergency.
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
            // Somebody asks for the run, and that is another one.
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

/// What a plan may be asked for that nobody could approve.
fn beyond(plan: &Plan, settings: &Settings) -> Vec<String> {
    let (authority, policy) = (&settings.authority, &settings.policy);
    let everybody: Vec<&str> = authority.operators.keys().map(String::as_str).collect();
    let mut found = Vec::new();
    let intents =
        [Intent::Failover, Intent::Restore, Intent::Switchover, Intent::Failback, Intent::Reprotect];
    // A live drill moves as a switchover does, at a severity of its own.
    let asked = intents.map(|intent| (intent, false)).into_iter().chain([(Intent::Switchover, true)]);
    for (intent, drill) in asked {
        let severity = policy.severity(None, intent, drill);
        let by = demand_of(policy, plan, intent, severity).by;
        // Somebody asks for it, and that is another one.
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
