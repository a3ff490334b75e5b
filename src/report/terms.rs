//! Runs whose terms differ from those of the run before. If somebody weakens a policy or an objective for one run and restores it
//! afterwards, the report names both runs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::compliance::asked::ReportRequest;
use crate::model::environment::Environment;
use crate::model::ids::{ComponentName, PlanName, RunId};
use crate::model::objectives::Objectives;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::RunCreated;
use crate::report::compliance::history::{NO_TIER, tier_of};
use crate::run::RunState;

/// A run whose terms differ from those of the run before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TermsChange {
    /// The run.
    pub run: RunId,
    /// Its application.
    pub plan: PlanName,
    /// When it started.
    pub at: Timestamp,
    /// The run before it in the ledger.
    pub before: RunId,
    /// What changed, one line each: `tiers.critical.rto: 15m -> 4h`.
    pub changes: Vec<String>,
    /// The first later run whose terms are again those of the run before.
    pub changed_back_by: Option<RunId>,
    /// The run whose change this one undoes.
    pub undoes: Option<RunId>,
}

impl TermsChange {
    /// A description for people.
    pub fn words(&self) -> String {
        let what = match self.changes.is_empty() {
            true => "the difference is too small to show".to_owned(),
            false => self.changes.join("; "),
        };
        let back = match (&self.undoes, &self.changed_back_by) {
            (Some(run), _) => format!("; this reverts the change of run {run}"),
            (None, Some(run)) => format!("; reverted by run {run}"),
            (None, None) => "; not reverted".to_owned(),
        };
        format!(
            "decided under terms that differ from those of the previous run {}: {what}{back}",
            self.before
        )
    }
}

/// All changes of terms. Runs are in the order of the ledger; the terms of the first are the baseline.
pub fn changes(runs: &[(&RunCreated, Timestamp)]) -> Vec<TermsChange> {
    let mut all: Vec<TermsChange> = Vec::new();
    for (i, pair) in runs.windows(2).enumerate() {
        let [(before, _), (is, at)] = pair else { continue };
        if before.terms == is.terms {
            continue;
        }
        // The latest change that these terms undo.
        let undone =
            (0..i).rev().find(|&k| runs[k].0.terms != runs[k + 1].0.terms && runs[k].0.terms == is.terms);
        let later = runs[i + 2..].iter().find(|(later, _)| later.terms == before.terms);
        all.push(TermsChange {
            run: is.run.clone(),
            plan: is.plan.clone(),
            at: *at,
            before: before.run.clone(),
            changes: is.terms.changes(&before.terms),
            changed_back_by: later.map(|(later, _)| later.run.clone()),
            undoes: undone.map(|k| runs[k + 1].0.run.clone()),
        });
    }
    all
}

/// The objectives that a run is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The objectives of the application.
    pub objectives: Objectives,
    /// The objectives of each component.
    pub components: BTreeMap<ComponentName, Objectives>,
}

impl Held {
    /// The objectives of a component.
    pub fn of_component(&self, component: &ComponentName) -> Objectives {
        self.components.get(component).copied().unwrap_or(self.objectives)
    }

    /// The shortest recovery time of all.
    pub fn rto(&self) -> Dur {
        let own = self.components.values().map(|of| of.rto_ms);
        own.min().map_or(self.objectives.rto_ms, |own| own.min(self.objectives.rto_ms))
    }

    /// The objectives that are stricter than the run's own, as text.
    pub fn loosened(&self, run: &RunState) -> Vec<String> {
        let book = &run.runbook;
        let of = |name: &str, own: Objectives, held: Objectives| {
            [
                loosened(&format!("RTO{name}"), own.rto_ms, held.rto_ms),
                loosened(&format!("RPO{name}"), own.rpo_ms, held.rpo_ms),
            ]
        };
        let apart = |(component, held): &(&ComponentName, &Objectives)| {
            book.component_objectives.contains_key(*component) || **held != self.objectives
        };
        let components = self.components.iter().filter(apart);
        let all =
            components.flat_map(|(name, held)| of(&format!(" of {name}"), book.objectives_of(name), *held));
        of("", book.objectives, self.objectives).into_iter().chain(all).flatten().collect()
    }
}

/// The objectives that a run is held to: the strictest of its own and of those of earlier runs, both in the period of the report and of the
/// last run before it. So loosening an objective does not improve the report of that period.
pub fn held_to(run: &RunState, all: &[RunState], asked: &ReportRequest) -> Held {
    let own = run.runbook.objectives;
    let counts = |r: &&RunState| {
        r.created.world == run.created.world
            && r.environment() == Environment::Production
            && (r.created_at, &r.created.run) < (run.created_at, &run.created.run)
    };
    let earlier = || all.iter().filter(counts);
    let since = |of: &dyn Fn(&&RunState) -> bool| {
        let last = earlier().filter(of).filter(|r| r.created_at < asked.since).map(|r| r.created_at).max();
        last.unwrap_or(asked.since)
    };
    let strictest = |own: Objectives, other: Objectives| Objectives {
        rto_ms: own.rto_ms.min(other.rto_ms),
        rpo_ms: own.rpo_ms.min(other.rpo_ms),
    };
    let of_plan = |r: &&RunState| r.created.plan == run.created.plan;
    let from = since(&of_plan);
    let known = || earlier().filter(of_plan).filter(|r| r.created_at >= from);
    let mut held = known().map(|r| r.runbook.objectives).fold(own, strictest);
    let about: BTreeSet<&ComponentName> =
        run.runbook.steps.iter().filter_map(|s| s.component.as_ref()).collect();
    let of = |component: &ComponentName| {
        let own = run.runbook.objectives_of(component);
        known().map(|r| r.runbook.objectives_of(component)).fold(own, strictest)
    };
    let mut components: BTreeMap<_, _> = about.into_iter().map(|c| (c.clone(), of(c))).collect();
    // A plan with its own objectives never promised those of its tier.
    let tier = tier_of(run);
    if tier != NO_TIER && !has_own(run) {
        let from = since(&|_| true);
        // Its own terms count as well: whoever writes a journal could write a runbook with other objectives than its tier has.
        let until = earlier().filter(|r| r.created_at >= from).chain([run]);
        let tiers = until.filter_map(|r| r.created.terms.tiers.get(&tier));
        held = tiers.map(|tier| tier.objectives).fold(held, strictest);
        let plain = |component: &ComponentName| !run.runbook.component_objectives.contains_key(component);
        let plain = components.iter_mut().filter(|(component, _)| plain(component));
        plain.for_each(|(_, of)| *of = strictest(*of, held));
    }
    Held { objectives: held, components }
}

fn has_own(run: &RunState) -> bool {
    let read = crate::model::document::parse("plan", run.created.plan_text.as_bytes());
    read.ok().is_some_and(|tree| tree.get("objectives").is_some())
}

/// The text for an objective that is stricter than the run's own.
fn loosened(name: &str, own: Dur, held: Dur) -> Option<String> {
    (held < own).then(|| {
        format!("{name}: the objective of the run is {own}, but drctl holds it to {held}, which the store recorded earlier")
    })
}
