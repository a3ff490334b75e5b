//! What a run does now, for the status line.

use std::collections::BTreeMap;

use super::live::{self, Part};
use crate::model::plain::line;
use crate::model::time::{Dur, Timestamp};
use crate::planner::critical_path;
use crate::record::action::Action;
use crate::record::runbook::Step;
use crate::run::RunState;
use crate::run::state::{Status, StepState};

/// The end of the watch after a recovery, once it has started.
pub fn watched_until(state: &RunState) -> Option<Timestamp> {
    let watches = |(step, at): (&Step, &StepState)| match &step.action {
        Action::Wait { duration_ms, until: None } if at.work.status == Status::Started => {
            at.work.started_at.map(|began| began + *duration_ms)
        }
        _ => None,
    };
    state.runbook.steps.iter().zip(&state.steps).find_map(watches)
}

/// Maximum number of steps in progress that the line names.
const NAMED: usize = 3;

/// The steps in progress: the last observed reason why each is not done, and its timeout; or the time of its next try. Steps with an
/// observation come first.
pub fn in_progress(state: &RunState, waiting: &BTreeMap<String, String>, now: Timestamp) -> Vec<Part> {
    let under_way = |(step, at): &(&Step, &StepState)| {
        at.work.started_at.is_some() && !at.work.status.settled() && !step.background
    };
    let steps = || state.runbook.steps.iter().zip(&state.steps).filter(under_way);
    let tries = state.next_tries();
    let next = |step: &Step| tries.iter().find(|next| next.step == step.id);
    let of = |(step, at): (&Step, &StepState)| {
        if let Some(next) = next(step) {
            return Part::still(next.words());
        }
        let why = waiting.get(step.id.as_str()).map_or_else(String::new, |why| format!(": {why}"));
        // Counted as the run does: without the time in which no process drove it.
        let began =
            [at.work.started_at, Some(state.taken_at), at.work.renewed_at].into_iter().flatten().max();
        let (began, most) = (began.unwrap_or(now), step.estimate.timeout_ms);
        match began + most > now && at.work.overdue.is_none() {
            true => {
                let most = format!("of at most {}", live::one_word(most));
                Part::up(step.id.as_str(), now.since(began), line(&format!("{most}{why}")))
            }
            false => Part::still(line(&format!("{}{why}", step.id))),
        }
    };
    let seen =
        |(step, _): &(&Step, &StepState)| waiting.contains_key(step.id.as_str()) || next(step).is_some();
    let all: Vec<Part> = steps().filter(seen).map(of).collect();
    let all = if all.is_empty() { steps().map(of).collect() } else { all };
    all.into_iter().take(NAMED).collect()
}

/// The longest path through the remaining steps, by expected durations; `None` once a step takes longer than expected.
pub fn eta(state: &RunState, now: Timestamp) -> Option<Dur> {
    let beyond = |(step, at): (&Step, &StepState)| {
        let took = at.work.started_at.filter(|_| !at.work.status.settled() && !step.background)?;
        (now.since(took) > step.estimate.expected_ms && step.estimate.expected_ms > Dur::ZERO).then_some(())
    };
    if state.runbook.steps.iter().zip(&state.steps).find_map(beyond).is_some() {
        return None;
    }
    let mut rest = state.runbook.clone();
    for (step, s) in rest.steps.iter_mut().zip(&state.steps) {
        let expected = step.estimate.expected_ms;
        step.estimate.expected_ms = match s.work.started_at {
            _ if s.work.status.settled() => Dur::ZERO,
            // Steps in progress have already used part of their time.
            Some(began) => Dur(expected.millis().saturating_sub(now.since(began).millis())),
            None => expected,
        };
    }
    Some(critical_path::critical(&rest).expected)
}
