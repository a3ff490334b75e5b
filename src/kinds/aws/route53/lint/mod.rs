//! Findings about record sets: a switch of them reaches users in time, and not before their database.

mod followed;
mod values;

use std::collections::BTreeSet;

use crate::kinds::lint::Lint;
use crate::kinds::shared::names::plan::{Names, Policy, Record, SwitchBy};
use crate::kinds::shared::names::records::RecordAnswer;
use crate::model::shape::suggest;
use crate::model::time::Dur;

/// Finds what would go wrong with the record sets of a zone.
pub(super) fn lint(zone: &Names, of: &mut Lint<'_>) {
    let (plan, name) = (of.plan, of.name);
    if plan.connection(&zone.via.value).is_none() {
        let hint = suggest(&zone.via.value, plan.connections().keys().map(String::as_str));
        let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
        of.error(
            "unknown-connection",
            zone.via.span,
            format!("`via` names `{}`, which is not declared{hint}", zone.via.value),
            "a zone does not belong to a site; the connection says how drctl reaches it",
            "declare the connection under `connections:`",
        );
    }
    for (n, record) in zone.records.iter().enumerate() {
        lint_record(record, of);
        values::lint(record, of);
        if let Some(first) = zone.records.iter().take(n).find(|first| is_same(first, record)) {
            lint_twice(first, record, of);
        }
        if zone.switch == SwitchBy::Record {
            lint_one_answer(record, of);
        }
    }
    match &zone.switch {
        SwitchBy::Record => {}
        SwitchBy::Object(object) => followed::object(zone, object, of),
        SwitchBy::Controls(controls) => followed::controls(zone, controls, of),
    }
    let stores: Vec<_> = plan.components().into_iter().filter(|(_, spec)| spec.is_store()).collect();
    let dynamic = zone.records.iter().any(|r| !r.is_static);
    if stores.is_empty() || !dynamic {
        return;
    }
    let reach = plan.reach(name);
    if !stores.iter().any(|(store, _)| reach.contains(*store)) {
        of.error(
            "traffic-without-database",
            of.span,
            format!("traffic of `{name}` does not depend on any database of the plan"),
            "drctl could send users to a site whose database is not writable yet",
            "add the database to `needs:`, or mark the records `serves: static`",
        );
    }
}

/// Whether both are one record set in Route 53: names are compared without case (RFC 4343), and sets by their identifiers.
fn is_same(a: &Record, b: &Record) -> bool {
    let sets = |of: &Record| of.at.values().filter_map(|at| at.set.clone()).collect::<BTreeSet<_>>();
    let simple = [a, b].iter().any(|record| record.policy == Policy::Simple);
    let name = |of: &Record| of.name.trim_end_matches('.').to_ascii_lowercase();
    name(a) == name(b) && a.rtype == b.rtype && (simple || !sets(a).is_disjoint(&sets(b)))
}

fn lint_twice(first: &Record, record: &Record, of: &mut Lint<'_>) {
    of.error(
        "record-twice",
        record.span,
        format!("{} {} is declared twice, first in line {}", record.name, record.rtype, first.span.line),
        "Route 53 has one record set of that name and type, and would refuse the second change after drctl promoted the database",
        "remove one of them, or merge their values",
    );
}

/// A simple record set says where the application is active, but not if every site has the same answer.
fn lint_one_answer(record: &Record, of: &mut Lint<'_>) {
    let answers: BTreeSet<String> = record.at.values().map(|at| format!("{:?}", at.answer)).collect();
    if record.policy == Policy::Simple && !record.is_static && record.at.len() > 1 && answers.len() == 1 {
        of.error(
            "record-same-everywhere",
            record.span,
            format!("{} {} has the same answer in every site", record.name, record.rtype),
            "a switch would change nothing, and drctl cannot tell from the record set which site is active",
            "write the answer of each site, or mark the record set `serves: static`",
        );
    }
}

fn lint_record(record: &Record, of: &mut Lint<'_>) {
    let rto = of.objectives.rto_ms;
    let has_values = record.at.values().any(|at| matches!(at.answer, RecordAnswer::Values { .. }));
    match &record.ttl {
        Some(ttl) if ttl.value > rto => of.error(
            "ttl-above-rto",
            ttl.span,
            format!("{} has a TTL of {}, longer than the RTO of {rto}", record.name, ttl.value),
            "resolvers keep the old answer for one TTL after the switch, and drctl cannot shorten that time",
            &lower_ttl(rto),
        ),
        Some(ttl) if ttl.value.times(4) > rto => of.warn(
            "ttl-near-rto",
            ttl.span,
            format!(
                "the TTL of {} ({}) uses more than a quarter of the RTO of {rto}",
                record.name, ttl.value
            ),
            "the TTL adds to the time of all other steps",
            &lower_ttl(rto),
        ),
        None if has_values => of.error(
            "record-without-ttl",
            record.span,
            format!("{} has values and no `ttl`", record.name),
            "a change must name the record set exactly, including its TTL",
            "add `ttl: 60s`",
        ),
        _ => {}
    }
    if record.policy != Policy::Simple && record.at.values().any(|at| at.set.is_none()) {
        of.error(
            "record-without-set",
            record.span,
            format!("{} needs a set identifier for each site", record.name),
            "Route 53 distinguishes weighted and failover record sets of one name by this identifier",
            "add `set:` to each answer",
        );
    }
    if record.policy == Policy::Weighted && record.at.values().all(|at| at.weight == 0) {
        of.error(
            "no-weight",
            record.span,
            format!("every weight of {} is 0", record.name),
            "the weights describe the normal state; if all are 0, Route 53 returns all answers",
            "set a weight for the home site, for example 100",
        );
    }
}

/// A quarter of the RTO, and at most a minute.
fn lower_ttl(rto: Dur) -> String {
    match (rto.millis() / 4_000).min(60) {
        0 => "lower the TTL, and set a longer RTO: no record set can follow this one".to_owned(),
        seconds => format!("lower the TTL, for example to {seconds}s"),
    }
}
