//! What a run that is not finished hands on to one that takes its place.

use super::state::{Mode, RunState};
use crate::model::action::{Action, Write};
use crate::model::facts::Fact;
use crate::model::ids::SiteName;
use crate::model::runbook::{Inherited, Intent};
use crate::planner::Continued;

/// What is handed on, if a failover to this site may take the run's place: a planned move whose source dies, above all.
///
/// # Errors
/// Why it may not, and what to do instead.
pub fn continued(state: &RunState, to: &SiteName) -> Result<Continued, String> {
    let (run, runbook) = (&state.created.run, &state.runbook);
    if runbook.intent == Intent::Failover && runbook.to == *to {
        return Err(format!("run {run} is this failover, and not finished"));
    }
    // A fence may be lifted late by a call that was made before.
    if state.mode == Mode::Cancelling {
        return Err(format!("run {run} is being taken back"));
    }
    let promoting = |i: &usize| {
        let promotes = matches!(state.step(*i).action, Action::Promote { .. });
        let unknown = state.work(*i).status.in_flight() || state.work(*i).doubt.is_some();
        promotes && unknown && runbook.to != *to
    };
    if let Some(i) = (0..runbook.steps.len()).find(promoting) {
        let server = state.step(i).action.to_string();
        return Err(format!("run {run} asked to {server}, and nobody saw yet what became of that"));
    }
    let holder = |action: &Action| match action {
        Action::Write(Write::Guard { holder, .. }) => Some(holder.clone()),
        _ => None,
    };
    let mut holders: Vec<_> = runbook.steps.iter().filter_map(|s| holder(&s.action)).collect();
    holders.dedup();
    let mut fences = runbook.inherits.clone();
    for (step, at) in runbook.steps.iter().zip(&state.steps) {
        let Action::Fence(fence) = &step.action else { continue };
        let set = at.work.parts.acted() || at.work.attempts > 0;
        if step.debt || at.undo.is_some() || !set {
            continue;
        }
        let fact = at.facts.iter().find(|f| matches!(f, Fact::Fenced { .. })).cloned();
        fences.push(Inherited { run: run.clone(), fence: fence.clone(), fact });
    }
    let from = runbook.from.clone().filter(|_| runbook.to == *to || state.promoted.is_empty());
    Ok(Continued { run: run.clone(), intent: runbook.intent, from, holders, fences })
}
