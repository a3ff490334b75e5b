//! Computes a runbook or refusals from intent, plan, inventory, waivers and time. Pure.
//!
//! There is one file for each intent. `safety` has the rules, `steps` the draft that collects steps. Neither knows a clock or a file.

pub mod approvals;
pub mod assessment;
pub mod buckets;
pub mod capacity;
pub mod clients;
pub mod clocks;
pub mod clusters;
mod commands;
pub mod critical_path;
pub mod databases;
pub mod failover;
pub mod form;
pub mod hooks;
pub mod independence;
mod input;
mod names;
pub mod rebuild;
mod record_sets;
pub mod refusal;
pub mod restore;
pub mod safety;
mod servers;
pub mod steps;
pub mod switchover;
pub mod traffic;
pub mod ttl;
mod unreplicated;

use crate::inventory::{ActiveSite, active};
use crate::model::ids::SiteName;
use crate::model::intent::Intent;
use crate::record::runbook::Runbook;
pub use input::{Busy, Continued, Debt, Input, Request, Wanted, Written};
pub use refusal::Refusal;

/// Computes the runbook.
///
/// # Errors
/// All refusals, so that nobody waives one only to meet the next.
pub fn plan_run(input: &Input<'_>) -> Result<Runbook, Vec<Refusal>> {
    let active = active::active_site(input.plan, input.estate, input.now);
    let mut draft = steps::Draft::new(input, source(input, &active));
    if let Some(old) = input.continues {
        draft.notes.push(format!(
            "continues {} {}: that run ends when this run starts, and nothing that it did is undone",
            old.intent, old.run
        ));
        if let (Some(kept), Some(given)) = (old.severity, input.request.severity)
            && kept < given
        {
            draft
                .notes
                .push(format!("keeps the severity {kept} of run {}, although {given} was given", old.run));
        }
    }
    safety::request(&mut draft, &active);
    safety::half_restored(&mut draft);
    safety::closed(&mut draft);
    if draft.hopeless() {
        return Err(draft.refusals);
    }
    match input.request.intent {
        Intent::Failover => failover::derive(&mut draft),
        Intent::Switchover | Intent::Failback => switchover::derive(&mut draft),
        Intent::Reprotect => switchover::reprotect(&mut draft),
        Intent::Restore | Intent::Drill => restore::derive(&mut draft),
    }
    if draft.mutates() {
        safety::source_health(&mut draft);
    } else {
        safety::fails_where_it_is(&mut draft, &active);
    }
    draft.finish()
}

/// The site to leave: the named one, otherwise the active one.
fn source(input: &Input<'_>, active: &ActiveSite) -> Option<SiteName> {
    // The recovery site itself is not the one to leave, even if somebody promoted there by hand.
    let moved = || input.continues.and_then(|c| c.from.clone()).filter(|from| *from != input.request.to);
    let left = |site: &&SiteName| input.request.intent != Intent::Failover || **site != input.request.to;
    input.request.from.clone().or_else(moved).or_else(|| active.site().filter(left).cloned()).or_else(|| {
        // With two sites, only the other one is left.
        let mut others = input.plan.sites.keys().filter(|s| **s != input.request.to);
        match (others.next(), others.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    })
}
