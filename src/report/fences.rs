//! The fences of a run: how each was proven, and whether it is pending, was lifted, or stays.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::shared::fence::Fence as FenceOp;
use crate::kinds::{Fact, Operation};
use crate::model::ids::ComponentName;
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::run::RunState;
use crate::run::state::{Status, StepState};

/// Fences of the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fence {
    /// `none`, `proven`, `pending`, `fenced` or `settled` once it was pending, `lifted`, or `not_lifted` if the run set a fence and could
    /// not undo it yet.
    pub state: String,
    /// By component.
    pub components: BTreeMap<ComponentName, String>,
}

/// The fences of a run.
pub(super) fn of_run(state: &RunState) -> Fence {
    let mut components = BTreeMap::new();
    let mut word = "none";
    for (component, (text, lifted)) in taken_back(state) {
        word = if lifted && word != "not_lifted" { "lifted" } else { "not_lifted" };
        components.insert(component, text);
    }
    for step in &state.runbook.steps {
        let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
        let component = &fence.db.component;
        if let Some((method, at)) = state.fenced(component) {
            let proof = state.proof(component).unwrap_or_default();
            // After a cancel, the reader asks whether users can write there again.
            let stays = if state.cancelled_by.is_some() && state.finished() { "; it stays" } else { "" };
            components
                .insert(component.clone(), format!("proven by {} at {at}: {proof}{stays}", method.id()));
            word = if word == "not_lifted" { word } else { "proven" };
        }
    }
    for (component, debt) in &state.debts {
        let owed = state.owed().any(|c| c == component);
        let text = match (&debt.paid, &debt.settled) {
            (Some((at, proof)), _) => format!("pending from {}, proven at {at}: {proof}", debt.since),
            (None, Some((at, why))) => {
                format!("pending from {}, settled at {at} without a fence: {why}", debt.since)
            }
            (None, None) if owed => format!("PENDING since {}", debt.since),
            // Nothing was promoted, so the old primary is still the only one.
            (None, None) => continue,
        };
        components.insert(component.clone(), text);
        word = match () {
            () if owed || word == "pending" => "pending",
            () if debt.paid.is_none() || word == "settled" => "settled",
            () => "fenced",
        };
    }
    Fence { state: word.to_owned(), components }
}

/// Fences that the run set and undid, or tries to undo, by component: in words, and whether each is lifted.
fn taken_back(state: &RunState) -> BTreeMap<ComponentName, (String, bool)> {
    let mut all: BTreeMap<ComponentName, (String, bool)> = BTreeMap::new();
    for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
        let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
        let Some(set) = set(fence, at).filter(|_| at.taken_back() && !step.debt) else { continue };
        let (back, lifted) = lifted(at);
        let words = format!("{set}; {back}");
        match all.get_mut(&fence.db.component) {
            Some((text, all_lifted)) => {
                *text = format!("{text}. Also {words}");
                *all_lifted &= lifted;
            }
            None => {
                all.insert(fence.db.component.clone(), (words, lifted));
            }
        }
    }
    all
}

/// How and when the run set a fence, or may have; nothing if it made no call.
fn set(fence: &FenceOp, at: &StepState) -> Option<String> {
    let method = fence.method.id();
    let proven = at.facts.iter().find_map(|fact| match fact {
        Fact::Fenced { at, proof, .. } => Some(format!("proven by {method} at {at}: {proof}")),
        _ => None,
    });
    let tried = || {
        let began = at.began().map_or_else(String::new, |began| format!(" from {began}"));
        format!("tried by {method}{began}, not proven")
    };
    proven.or_else(|| (at.work.attempts > 0).then(tried))
}

/// Whether and when a fence was lifted.
fn lifted(at: &StepState) -> (String, bool) {
    let when = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!(" at {at}"));
    let Some(undo) = &at.undo else {
        return ("the result of lifting it is unknown".to_owned(), false);
    };
    let why = undo.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    match undo.status {
        Status::Done(_) => (format!("lifted{}", when(undo.ended_at)), true),
        Status::Failed => (format!("NOT LIFTED{}{why}", when(undo.ended_at)), false),
        _ => (format!("not lifted yet{why}"), false),
    }
}
