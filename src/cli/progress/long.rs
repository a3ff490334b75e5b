//! A step that takes much longer than expected: why, and what a person can do before its timeout.

use crate::model::ids::StepId;
use crate::model::plain::{clause, line};
use crate::model::time::{Dur, Timestamp};
use crate::run::RunState;

/// A step that is expected to take less than this is not called out before.
const LEAST: Dur = Dur::mins(1);

/// The text and the commands, once a step has taken twice its expected time, if there is a way around it. `why` is what was observed last.
pub fn called_out(
    state: &RunState,
    step: &StepId,
    why: &str,
    now: Timestamp,
) -> Option<(String, Vec<String>)> {
    let i = state.position(step)?;
    let (at, estimate) = (state.work(i), state.step(i).estimate);
    // Counted as the run does: without the time in which no process drove it.
    let began = [at.started_at, Some(state.taken_at), at.renewed_at].into_iter().flatten().max()?;
    let after = estimate.expected_ms.plus(estimate.expected_ms).max(LEAST);
    let ends = began + estimate.timeout_ms;
    if state.finished() || at.status.settled() || now < began + after || now >= ends {
        return None;
    }
    let ways: Vec<String> = state.around(i).into_iter().map(|way| format!("    {}", way.command)).collect();
    if ways.is_empty() {
        return None;
    }
    // The run keeps waiting for a requested change that may still come.
    let then = match state.outlasts_its_time(i) || state.step(i).background {
        true => "drctl keeps waiting. To act now:".to_owned(),
        false => format!("drctl waits until {}. To act before that:", ends.clock()),
    };
    let why = clause(why);
    Some((line(&format!("{step} is not done after {after}: {why}. {then}")), ways))
}
