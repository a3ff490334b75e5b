//! `drctl policy explain`

use std::collections::BTreeMap;

use serde_json::json;

use crate::app::clock::now;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::{exit, keys};
use crate::cli::args::{Global, PolicyArgs, PolicyCommand};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::model::authority::{Authority, takes};
use crate::model::ids::PlanName;
use crate::model::intent::Intent;
use crate::model::policy::Policy;
use crate::model::severity::Severity;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::policy::matrix::{self, Demand};
use crate::policy::windows;

/// The intents that may need approvals: name, intent, and whether it is a drill.
const INTENTS: [(&str, Intent, bool); 6] = [
    ("failover", Intent::Failover, false),
    ("restore", Intent::Restore, false),
    ("switchover", Intent::Switchover, false),
    ("failback", Intent::Failback, false),
    ("reprotect", Intent::Reprotect, false),
    ("drill", Intent::Switchover, true),
];

/// Shows which approvals are needed, and by which rule.
pub fn run(global: &Global, printer: &Printer, args: &PolicyArgs) -> Result<u8, AppError> {
    let PolicyCommand::Explain { plan, severity, intent, at } = &args.command;
    let at = at.as_deref().map(Timestamp::parse).transpose().map_err(AppError::usage)?;
    let at = at.map_or_else(now, Ok)?;
    let context = Context::load(&global.options(), printer)?;
    let plan = context.plan(plan, printer)?;
    let (policy, authority) = (&context.settings.policy, &context.settings.authority);
    let asked = |(name, _, _): &(&str, Intent, bool)| intent.as_ref().is_none_or(|only| only == name);
    let mut documents = Vec::new();
    if authority.is_empty() {
        printer.note("drctl.yaml has no operators, so drctl can check no identity and requires no approval");
    }
    for (name, intent, drill) in INTENTS.into_iter().filter(asked) {
        let severity = policy.severity(*severity, intent, drill);
        let demand = matrix::demand_of(policy, &plan, intent, severity);
        if printer.format == Format::Human {
            show(printer, (&plan, name), policy, &demand, authority);
            show_when(printer, &plan.name, policy, severity, at);
        }
        let mut said = document(name, &demand, authority);
        let keeps = windows::keeps(policy, severity);
        let closed = windows::closed(policy, &plan.name, severity, at);
        let closed = if keeps { closed } else { Vec::new() };
        said["keeps_to_windows"] = keeps.into();
        said["closed"] = json!(closed);
        documents.push(said);
    }
    if printer.format != Format::Human {
        printer.document(&json!({
            "schema_version": 1, "plan": plan.name, "at": at, "in_force": !authority.is_empty(), "intents": documents,
        }));
    }
    Ok(exit::DONE)
}

fn show(p: &Printer, (plan, intent): (&Plan, &str), policy: &Policy, demand: &Demand, who: &Authority) {
    let severity = demand.severity;
    let live = if intent == "drill" { "live " } else { "" };
    p.line(&format!("{live}{intent} of {} at {severity} ({})", plan.name, severity.means()));
    if let Some(within) = policy.severities.get(&severity).and_then(|rule| rule.respond_within) {
        p.line(&format!("  respond   within {within}"));
    }
    for rule in &demand.rules {
        let seats = rule.by.iter().map(|(seat, above)| match above {
            Some(above) => format!("{seat} (the approval of {above} counts for it)"),
            None => seat.clone(),
        });
        let seats = seats.collect::<Vec<_>>().join(" and ");
        let seats = if seats.is_empty() { "nobody".to_owned() } else { seats };
        p.line(&format!("  rule      {} requires {seats}", rule.rule));
    }
    match demand.by.as_slice() {
        [] => p.line("  together  no approval is required"),
        seats => p.line(&format!(
            "  together  {}, each a different person and none of them the requester; a request is valid for {}",
            seats.join(" and "),
            policy.expires_after
        )),
    }
    for (seat, people) in holders(&demand.by, who) {
        let people = if people.is_empty() { "NOBODY".to_owned() } else { people.join(", ") };
        p.line(&format!("            {seat}: {people}"));
    }
    match &demand.override_by {
        Some(over) => {
            p.line(&format!("  override  {}", over.words()));
            for (seat, people) in holders(&[over.by.as_slice(), &over.also].concat(), who) {
                let people = if people.is_empty() { "NOBODY".to_owned() } else { people.join(", ") };
                p.line(&format!("            {seat}: {people}"));
            }
        }
        None if demand.by.is_empty() => {}
        None => {
            let at: Vec<_> = policy.overriding.at.iter().map(|s: &Severity| s.id()).collect();
            let planned = !matches!(intent, "failover" | "restore");
            let at = if planned {
                "never, because it is planned".to_owned()
            } else if at.is_empty() || policy.overriding.by.is_empty() {
                "at no severity".to_owned()
            } else {
                format!("at {} only", at.join(", "))
            };
            p.line(&format!("  override  {at}"));
        }
    }
}

/// When a run may start.
fn show_when(p: &Printer, plan: &PlanName, policy: &Policy, severity: Severity, at: Timestamp) {
    if policy.windows.is_empty() && policy.blackouts.is_empty() && policy.freeze.is_none() {
        return;
    }
    if !windows::keeps(policy, severity) {
        return p.line(&format!("  when      at any time; {severity} does not wait for windows"));
    }
    let closed = windows::closed(policy, plan, severity, at);
    if closed.is_empty() {
        p.line(&format!("  when      it may start at {at}"));
    }
    for closed in &closed {
        p.line(&format!("  when      NOT at {at}: {} ({})", closed.facts, closed.rule));
    }
    for (word, windows) in [("window", &policy.windows), ("blackout", &policy.blackouts)] {
        for window in windows.iter().filter(|window| window.is_for(plan)) {
            let next = window
                .opens(at)
                .map_or_else(|| "does not repeat".to_owned(), |next| format!("next {}", window.shown(next)));
            p.line(&format!("            {word} {window}: {next}"));
        }
    }
}

fn document(intent: &str, demand: &Demand, who: &Authority) -> serde_json::Value {
    let rules: Vec<_> = demand
        .rules
        .iter()
        .map(|rule| {
            let seats: Vec<_> =
                rule.by.iter().map(|(seat, above)| json!({"role": seat, "covered_by": above})).collect();
            json!({"rule": rule.rule, "by": seats})
        })
        .collect();
    // Another person must be able to request it as well.
    let others = |requester: &str| {
        let others: Vec<&str> =
            who.operators.keys().map(String::as_str).filter(|n| *n != requester).collect();
        who.lacking(&demand.by, &others).is_empty()
    };
    let requesters: Vec<_> = who.operators.keys().filter(|name| others(name)).collect();
    let overridable = demand.override_by.as_ref().is_some_and(|rule| keys::could_override(who, rule, ""));
    json!({
        "intent": intent, "severity": demand.severity, "changes": demand.changes, "rules": rules, "by": demand.by,
        "holders": holders(&demand.by, who), "who_could_ask": requesters,
        "override": demand.override_by, "override_possible": overridable,
    })
}

/// The operators who could fill each seat.
fn holders<'a>(seats: &[String], who: &'a Authority) -> BTreeMap<String, Vec<&'a str>> {
    if who.is_empty() {
        return BTreeMap::new();
    }
    let has = |seat: &str| {
        let could = who.operators.iter().filter(|(_, o)| o.roles.iter().any(|role| takes(seat, role)));
        could.map(|(name, _)| name.as_str()).collect()
    };
    seats.iter().map(|seat| (seat.clone(), has(seat))).collect()
}
