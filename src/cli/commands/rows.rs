//! Rows of `drctl status`: where each component is, and the fences that runs left.

use std::collections::BTreeMap;

use crate::cli::printer::{DIM, Printer, RED};
use crate::inventory::active::Fencing;
use crate::inventory::{Estate, Knowledge, active};
use crate::kinds::Role;
use crate::kinds::shared::capacity::Scales;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::planner::Debt;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// One row for each component that drctl moves.
pub fn components(
    p: &Printer,
    plan: &Plan,
    (seen, now): (&Estate, Timestamp),
    fencing: &BTreeMap<ComponentName, Fencing>,
) {
    let row = |component: &ComponentName, words: &str| {
        let component = component.as_str();
        p.line(&p.paint(DIM, &format!("    {component:<20} {words}")));
    };
    let votes = active::votes(plan, seen, now);
    for (component, vote) in &votes {
        let writers = plan.components.get(component).map(|c| active::live_writers(plan, seen, c));
        let site = match writers.filter(|writers| writers.len() > 1) {
            Some(all) => all.iter().map(SiteName::as_str).collect::<Vec<_>>().join(" and "),
            None => vote.site.to_string(),
        };
        row(component, &format!("{site}{}", known_for(vote.age)));
    }
    // A group with capacity in several sites, as after a failover, does not show where the application is active.
    for component in plan.components.values().filter(|c| !votes.contains_key(&c.name)) {
        if let Role::Capacity(group) = component.role() {
            row(&component.name, &in_service(plan, (seen, now), &component.name, group));
        }
    }
    for (component, Fencing { site, proven }) in fencing {
        row(
            component,
            &match proven {
                true => format!("fenced in {site}, takes no writes"),
                false => format!("being fenced in {site}, not proven: may still take writes"),
            },
        );
    }
}

fn known_for(age: Dur) -> String {
    if age.millis() > 0 { format!(" (last known, {age} ago)") } else { String::new() }
}

/// What a group has in service in each site.
fn in_service(
    plan: &Plan,
    (seen, now): (&Estate, Timestamp),
    name: &ComponentName,
    group: &dyn Scales,
) -> String {
    let of = |site: &SiteName| {
        let known = seen.capacity(&group.target(plan, name, site)?, now);
        let there = known.value()?.in_service;
        let age = match known {
            Knowledge::Stale(_, age) => age,
            Knowledge::Fresh(_) | Knowledge::Never => Dur::ZERO,
        };
        Some(format!("{site}: {there} in service{}", known_for(age)))
    };
    let all: Vec<String> = group.shares().into_keys().filter_map(of).collect();
    if all.is_empty() { "unknown".to_owned() } else { all.join("; ") }
}

/// Pending fences. In a rehearsal, everything else shows the estate of the last one.
pub fn pending(p: &Printer, owed: &[Debt], last: Option<&RunState>) {
    let shown = last.filter(|last| last.created.world != WorldKind::Live).map(|last| &last.created.run);
    for debt in owed {
        let other = if shown.is_some_and(|shown| *shown != debt.run) { ", another rehearsal" } else { "" };
        let server = debt.rungs.first();
        let server =
            server.map_or_else(String::new, |rung| format!(", {} in {}", rung.db.id, rung.db.place.name));
        let (component, since, run) = (&debt.component, debt.since, &debt.run);
        let words = format!(
            "  FENCE PENDING  {component}{server} since {since} (run {run}{other}); drctl runs resume {run} tries to set it"
        );
        p.line(&p.paint(RED, &words));
    }
}
