//! Findings about record sets: a switch of them reaches users in time, and not before their database.

mod followed;
mod values;

use super::{Policy, Record, RecordAnswer, Route53, SwitchBy};
use crate::kinds::Lint;
use crate::model::shape::suggest;

/// Finds what would go wrong with the record sets of a zone.
pub(super) fn lint(zone: &Route53, of: &mut Lint<'_>) {
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
    for record in &zone.records {
        lint_record(record, of);
        values::lint(record, of);
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

fn lint_record(record: &Record, of: &mut Lint<'_>) {
    let rto = of.objectives.rto_ms;
    let has_values = record.at.values().any(|at| matches!(at.answer, RecordAnswer::Values { .. }));
    match &record.ttl {
        Some(ttl) if ttl.value > rto => of.error(
            "ttl-above-rto",
            ttl.span,
            format!("{} has a TTL of {}, longer than the RTO of {rto}", record.name, ttl.value),
            "resolvers keep the old answer for one TTL after the switch, and drctl cannot shorten that time",
            "lower the TTL, for example to 60s",
        ),
        Some(ttl) if ttl.value.millis() * 4 > rto.millis() => of.warn(
            "ttl-near-rto",
            ttl.span,
            format!(
                "the TTL of {} ({}) uses more than a quarter of the RTO of {rto}",
                record.name, ttl.value
            ),
            "the TTL adds to the time of all other steps",
            "lower the TTL, for example to 60s",
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
