//! What the provider copies itself: drctl changes nothing in it. It reports beforehand what the copy may lack, and compares it afterwards.

use super::form::step;
use super::steps::Draft;
use crate::inventory::Estate;
use crate::kinds::shared::copies::{Copies, Observed};
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{SiteName, StepId};
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::{Need, OnFailure, Phase, Step};

/// Adds a comparison for each part whose source answers, after writes have ended. Nothing waits for it.
pub fn compare_all(draft: &mut Draft<'_>) {
    let plan = draft.input.plan;
    let Some(from) = draft.from.clone() else { return };
    for component in plan.components.values() {
        if let Role::Copy(spec) = component.role() {
            compare(draft, component, spec, &from);
        }
    }
}

fn compare(draft: &mut Draft<'_>, component: &Component, spec: &dyn Copies, from: &SiteName) {
    let (plan, to) = (draft.input.plan, &draft.input.request.to);
    let seed = draft.input.request.run.as_str();
    let Some(sample) = spec.compared(plan, &component.name, (from, to), seed) else {
        let without = [from, to].into_iter().find(|site| !spec.is_in(site));
        draft.notes.extend(without.map(|site| format!("`{}` has no bucket in {site}", component.name)));
        return;
    };
    let known = ObservedBuckets(draft.input.estate);
    draft.notes.extend(spec.notes(&sample, &known));
    if known.state(&Target::Bucket(sample.source.clone())).is_err() {
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

/// What the planner's estate has.
struct ObservedBuckets<'d>(&'d Estate);

impl Observed for ObservedBuckets<'_> {
    fn state(&self, target: &Target) -> Result<&State, String> {
        let now = self.0.now(target).ok_or_else(|| "not observed".to_owned())?;
        now.state().ok_or_else(|| now.why_not())
    }
}
