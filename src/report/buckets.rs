//! The state of replicated buckets at the end of a run: what was pending before it, and what a sample showed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::shared::buckets::{Arriving, ComparedState};
use crate::kinds::{Fact, Operation, State, Target};
use crate::model::ids::ComponentName;
use crate::model::intent::{Drill, Intent};
use crate::record::action::{Action, Check};
use crate::record::runbook::Phase;
use crate::run::RunState;
use crate::run::state::Work;

/// A pair of buckets. The RPO does not include it, because a sample proves nothing about other objects.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct BucketReport {
    /// What was pending for the target site before the run changed anything, according to S3's metrics.
    pub arriving: Vec<Arriving>,
    /// The same in words, one line for each rule.
    pub text: Vec<String>,
    /// The comparison of some objects, made when writes had ended, if the fence held.
    pub compared: Option<ComparedState>,
    /// The same in words, with each object whose copy differs.
    pub found: Vec<String>,
}

/// The pairs of buckets that a run observed, if it moved anything. `kept_out`: whether every fence is proven.
pub fn of_run(state: &RunState, kept_out: bool) -> BTreeMap<ComponentName, BucketReport> {
    let mut all: BTreeMap<ComponentName, BucketReport> = BTreeMap::new();
    let moves = matches!(state.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
    if !moves || state.runbook.drill == Some(Drill::Tabletop) {
        return all;
    }
    for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
        match &step.action {
            Action::Check(Check::Evidence { targets }) if step.phase == Phase::Evidence => {
                for target in targets {
                    let Target::Bucket(of) = target else { continue };
                    let report = all.entry(of.component.clone()).or_default();
                    let there = of.place.name == state.runbook.to.as_str();
                    for one in arriving(target, &at.facts).into_iter().flatten().filter(|_| there) {
                        report.text.push(format!("to {} {one}", of.bucket));
                        report.arriving.push(one);
                    }
                }
            }
            Action::Op(Operation::CompareObjects(of)) => {
                let report = all.entry(of.source.component.clone()).or_default();
                let found = at.facts.iter().find_map(|fact| match fact {
                    Fact::Compared { found, .. } => Some(found.clone()),
                    _ => None,
                });
                let why =
                    || at.work.reason.clone().unwrap_or_else(|| "the run did not reach this step".to_owned());
                let text =
                    found.as_ref().map_or_else(|| format!("not compared: {}", why()), ToString::to_string);
                let writers = if kept_out || found.is_none() || kept_out_then(state, &at.work) {
                    ""
                } else {
                    "; nothing shows that writers were stopped"
                };
                let text = text + writers;
                let gaps = found.iter().flat_map(|found| &found.gaps).map(ToString::to_string);
                report.found = std::iter::once(text).chain(gaps).collect();
                report.compared = found;
            }
            _ => {}
        }
    }
    for report in all.values_mut().filter(|report| report.found.is_empty()) {
        report.found.push("not compared: the source did not answer when drctl planned the run".to_owned());
    }
    all
}

/// Whether a fence of every fenced component was proven before a step started, and not lifted before it ended. Later it may be lifted.
fn kept_out_then(state: &RunState, compared: &Work) -> bool {
    let Some((began, ended)) = compared.started_at.zip(compared.ended_at) else { return false };
    let mut held: BTreeMap<&ComponentName, bool> = BTreeMap::new();
    for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
        let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
        let proven = at.facts.iter().any(|fact| matches!(fact, Fact::Fenced { .. }));
        let before = proven && at.work.ended_at.is_some_and(|proven| proven <= began);
        let lifted = at.undo.as_ref().and_then(|undo| undo.started_at).into_iter().chain(at.undo_asked).min();
        *held.entry(&fence.db.component).or_default() |=
            before && lifted.is_none_or(|lifted| lifted >= ended);
    }
    !held.is_empty() && held.into_values().all(|held| held)
}

fn arriving(target: &Target, facts: &[Fact]) -> Option<Vec<Arriving>> {
    let key = target.key();
    facts.iter().find_map(|fact| match fact {
        Fact::Seen { target, state: State::Bucket(state) } if *target == key => Some(state.arriving.clone()),
        _ => None,
    })
}
