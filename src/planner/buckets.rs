//! Buckets: S3 replicates them, so drctl changes nothing in them. It reports beforehand what the copy may lack, and compares them
//! afterwards.

use super::steps::{Draft, step};
use crate::inventory::Observation;
use crate::kinds::aws::s3::{BucketRef, BucketState, Buckets, Versioning};
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{SiteName, StepId};
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::{Need, OnFailure, Phase, Step};

/// Adds a comparison for each bucket whose source answers, after writes have ended. Nothing waits for it.
pub fn compare_all(draft: &mut Draft<'_>) {
    let plan = draft.input.plan;
    let Some(from) = draft.from.clone() else { return };
    for component in plan.components.values() {
        if let Role::Copy(spec) = component.role() {
            compare(draft, component, spec, &from);
        }
    }
}

fn compare(draft: &mut Draft<'_>, component: &Component, spec: &Buckets, from: &SiteName) {
    let (plan, to) = (draft.input.plan, &draft.input.request.to);
    let seed = draft.input.request.run.as_str();
    let Some(sample) = spec.compared(plan, &component.name, (from, to), seed) else {
        let without = [from, to].into_iter().find(|site| !spec.at.contains_key(*site));
        draft.notes.extend(without.map(|site| format!("`{}` has no bucket in {site}", component.name)));
        return;
    };
    let notes = notes(draft, (&sample.source, &sample.copy));
    draft.notes.extend(notes);
    if seen(draft, &sample.source).is_none() {
        return;
    }
    let mut step = step(
        &format!("compare.{}", component.name),
        Phase::Measure,
        Some(&component.name),
        Action::Op(Operation::CompareObjects(sample)),
    );
    step.on_failure = OnFailure::Continue;
    step.needs = fenced(draft);
    draft.push(step);
}

/// Clients that write rows also write objects, so new objects appear until the databases are fenced. A comparison after the fences and
/// measurements is about the same moment.
fn fenced(draft: &Draft<'_>) -> Vec<Need> {
    let compares = |s: &Step| matches!(s.action, Action::Op(Operation::CompareObjects(_)));
    let before =
        |s: &&Step| matches!(s.phase, Phase::Fence | Phase::Measure) && !s.background && !compares(s);
    let ids: Vec<StepId> = draft.steps().iter().filter(before).map(|s| s.id.clone()).collect();
    ids.into_iter().map(|step| Need { step, settled: true }).collect()
}

fn seen<'d>(draft: &'d Draft<'_>, of: &BucketRef) -> Option<&'d BucketState> {
    match draft.input.estate.now(&Target::Bucket(of.clone()))?.state()? {
        State::Bucket(state) => Some(state),
        _ => None,
    }
}

/// Notes for the reader about a copy, before users are moved to it.
fn notes(draft: &Draft<'_>, (source, copy): (&BucketRef, &BucketRef)) -> Vec<String> {
    let name = &copy.component;
    let mut all = vec![format!(
        "`{name}`: S3 replicates it. Objects that {} may lack do not count toward the RPO",
        copy.bucket
    )];
    let mut note = |text: String| all.push(format!("`{name}`: {text}"));
    match seen(draft, copy) {
        Some(state) => {
            let arriving = state.arriving_from(source, seen(draft, source), &copy.bucket);
            for of in &arriving {
                note(format!("to {} {of}", copy.bucket));
            }
            if arriving.is_empty() {
                let why = state.unread.clone();
                let why = why.unwrap_or_else(|| "S3 publishes no metrics for its replication".to_owned());
                note(format!("the replication delay of {} is unknown: {why}", copy.bucket));
            }
            if state.versioning != Versioning::Enabled
                || state.rule_to(&source.bucket, &source.prefix).is_none()
            {
                note(format!(
                    "no rule replicates {} back to {}, so new objects exist in one region only",
                    copy.bucket, source.bucket
                ));
            }
        }
        None => {
            let target = Target::Bucket(copy.clone());
            let why = draft.input.estate.now(&target);
            let why = why.map_or_else(|| "not observed".to_owned(), Observation::why_not);
            note(format!("{} in {}: {why}", copy.bucket, copy.place.name));
        }
    }
    match seen(draft, source) {
        Some(state)
            if state.versioning == Versioning::Enabled
                && state.rule_to(&copy.bucket, &copy.prefix).is_some() => {}
        Some(_) => note(format!("no rule replicates all of {} to {}", source.bucket, copy.bucket)),
        None => note(format!("{} does not answer, so drctl does not compare the buckets", source.bucket)),
    }
    all
}
