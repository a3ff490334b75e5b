//! A step that is not done although a person said so, or that takes much longer than expected: why, and what a person can do before its
//! timeout.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::kinds::Operation;
use crate::model::ids::StepId;
use crate::model::plain::{clause, line};
use crate::model::properties::Looks;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::record::event::{Direction, Event, EventKind};
use crate::record::runbook::OnFailure;
use crate::run::RunState;
use crate::run::model::past::Intervention;
use crate::run::state::{Mode, Status};

/// A step that is expected to take less than this is not called out before.
const LEAST: Dur = Dur::mins(1);

/// What was printed already, so that it is printed once.
#[derive(Debug, Default)]
pub struct Said {
    /// The steps for which the ways around them were printed.
    long: RefCell<BTreeSet<StepId>>,
    /// The claims of people that a check did not confirm, with their times.
    claims: RefCell<BTreeSet<(StepId, Timestamp)>>,
}

impl Said {
    /// The text and the commands for a step that takes longer than expected, unless they were printed.
    pub fn called_out(
        &self,
        state: &RunState,
        step: &StepId,
        why: &str,
        now: Timestamp,
    ) -> Option<(String, Vec<String>)> {
        if self.long.borrow().contains(step) {
            return None;
        }
        let told = called_out(state, step, why, now)?;
        self.long.borrow_mut().insert(step.clone());
        Some(told)
    }

    /// That a step is not seen to be done although somebody said so, once for each time that somebody says it. `why` is what was observed.
    pub fn refuted(&self, state: &RunState, step: &StepId, why: &str) -> Option<String> {
        let i = state.position(step)?;
        let (at, of) = (&state.steps[i], state.step(i));
        let claim = at.past.steered.iter().rev().find(|by| by.way == Intervention::ByHand)?;
        let over = state.finished() || at.work.status.settled() || at.undo.is_some();
        if over || !self.claims.borrow_mut().insert((step.clone(), claim.at)) {
            return None;
        }
        let ends = began(state, i).map(|began| began + of.estimate.timeout_ms);
        // A blocked step has no timeout.
        let limited = !matches!(at.work.status, Status::Blocked { .. }) && of.estimate.timeout_ms > Dur::ZERO;
        let ends = ends.filter(|_| limited && !state.outlasts_its_time(i) && !of.background);
        let tries = ends.map_or_else(
            || "drctl keeps trying the step".to_owned(),
            |ends| format!("drctl tries the step again until {}", ends.clock()),
        );
        let (who, said, why) = (&claim.who, claim.at.clock(), clause(why));
        let words = format!("{who} said at {said} that it was done by hand, but drctl does not see that");
        Some(line(&format!("{step}: {words}: {why}. {tries}")))
    }

    /// The same when drctl makes the call of a step that somebody said was done.
    pub fn called(&self, event: &Event, state: &RunState) -> Option<String> {
        let EventKind::CallIntended { step, direction: Direction::Do, .. } = &event.what else { return None };
        let i = state.position(step)?;
        // A first call that only replaces what the plan expects is made without an observation, so it refutes nothing.
        if state.action(i).properties().looks == Looks::AfterTheFirstCall && state.work(i).attempts <= 1 {
            return None;
        }
        self.refuted(state, step, "the change is not there, so drctl makes the call itself")
    }
}

/// From when the timeout of a step counts, as the run counts it: without the time in which no process drove it.
fn began(state: &RunState, i: usize) -> Option<Timestamp> {
    let at = state.work(i);
    [at.started_at, Some(state.taken_at), at.renewed_at].into_iter().flatten().max()
}

/// The text and the commands, once a step has taken twice its expected time, if there is a way around it. `why` is what was observed last.
fn called_out(state: &RunState, step: &StepId, why: &str, now: Timestamp) -> Option<(String, Vec<String>)> {
    let i = state.position(step)?;
    let (at, estimate) = (state.work(i), state.step(i).estimate);
    let began = began(state, i)?;
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
