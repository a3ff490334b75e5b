//! A step that takes much longer than expected: why, and what a person can do before its timeout.

use crate::kinds::Operation;
use crate::model::ids::StepId;
use crate::model::plain::{clause, line};
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::record::runbook::OnFailure;
use crate::run::RunState;
use crate::run::state::Mode;

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
    let around = state.around(i, true);
    if around.is_empty() {
        return None;
    }
    let pause = (state.mode == Mode::Running).then(|| {
        let command = state.created.command("runs pause", "");
        format!("    {command}\n        starts no new step; steps in progress end")
    });
    let ways = around.into_iter().map(|way| format!("    {}\n        {}", way.command, way.means));
    let ways = ways.chain(pause).flat_map(|way| way.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    // The run keeps waiting for a requested change that may still come.
    let then = match (state.outlasts_its_time(i) || state.step(i).background, state.step(i).on_failure) {
        (true, _) => "drctl keeps waiting".to_owned(),
        (false, OnFailure::Halt) => {
            format!("drctl waits until {}; then the run halts and lists more ways on", ends.clock())
        }
        (false, OnFailure::Continue) => {
            format!("drctl waits until {}; then the run continues without it", ends.clock())
        }
    };
    let (why, look) = (clause(why), to_look_for(&state.step(i).action));
    // People count from its start, whichever process drove it.
    let lasted = now.since(at.started_at.unwrap_or(began));
    Some((
        line(&format!("{step} is not done after {lasted}: {why}. {then}. {look}. You can also run:")),
        ways,
    ))
}

/// What a person looks at, and for what.
fn to_look_for(action: &Action) -> &'static str {
    match action {
        Action::Op(Operation::Run(_)) => "Look at what its command does",
        Action::Op(op) if op.scaled().is_some() => {
            "Look in the provider's console for failed launches and quotas"
        }
        _ => "Look in the provider's console and in the server's log for what holds it up",
    }
}
