//! The steps of a run in its report: what each did, and what became of it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::{Fact, Operation};
use crate::model::ids::ComponentName;
use crate::model::plain::{count, line};
use crate::model::time::Timestamp;
use crate::record::action::{Action, Gate};
use crate::record::event::{End, Request};
use crate::run::state::{Status, StepState, Work};
use crate::run::{RunState, approval};

/// One step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepReport {
    /// Its id.
    pub id: String,
    /// Its component.
    pub component: Option<ComponentName>,
    /// A description.
    pub action: String,
    /// `done`, `waived`, `noop`, `by_hand`, `failed`, `skipped`, `pending` and so on. If it was undone, `undone`; if that has not ended,
    /// `undoing`, or `undo_failed`.
    pub state: String,
    /// The same for people: `not begun`, `already done`, `expired` and so on.
    pub shown: String,
    /// The number of attempts: calls, or repetitions after a failure.
    pub attempts: u32,
    /// When it first started.
    pub started_at: Option<Timestamp>,
    /// When its last try started, if it was tried again after a failure. The time before that is no work of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_again_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When the run tries it again, if a provider refused its last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Timestamp>,
    /// Why it failed, was skipped, or waits.
    pub reason: Option<String>,
    /// The end of the output of its command. A rehearsal runs no command, and this says what its outcome is taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Its undo, if that has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoReport>,
    /// The provider's IDs of its requests, in order: service, request ID, and error code if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}

/// The undo of a step. The times of the step stay beside it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UndoReport {
    /// The number of its calls.
    pub attempts: u32,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed or waits.
    pub reason: Option<String>,
    /// In words.
    pub text: String,
}

/// All steps, in the order of the runbook.
pub(super) fn of_run(state: &RunState) -> Vec<StepReport> {
    let report = |i: usize| {
        let (step, at) = (state.step(i), &state.steps[i]);
        let word = match (&at.work.status, at.undo.as_ref().map(|undo| &undo.status)) {
            (_, Some(Status::Done(_))) => "undone",
            (_, Some(Status::Failed)) => "undo_failed",
            (_, Some(_)) => "undoing",
            (Status::Done(_), None) if state.passed_by_waiver(i) => "waived",
            (Status::Done(End::Noop), None) => "noop",
            (Status::Done(End::ByHand), None) => "by_hand",
            (status, None) => status.word(),
        };
        StepReport {
            id: step.id.to_string(),
            component: step.component.clone(),
            action: state.action_words(i),
            state: word.to_owned(),
            shown: shown(state, i, word),
            attempts: at.tries(),
            started_at: at.began(),
            tried_again_at: at.work.started_at.filter(|last| at.began().is_some_and(|first| first < *last)),
            ended_at: at.work.ended_at,
            next_try: state.next_try(i),
            // People may have answered since the run asked.
            reason: state
                .asks_now(i)
                .filter(|_| at.undo.is_none())
                .map_or_else(|| at.work.reason.clone(), |asks| Some(asks.why))
                .map(|why| without_question(&step.action, why)),
            output: at.facts.iter().find_map(output),
            undo: at.undo.as_ref().map(undo),
            requests: requests(at),
        }
    };
    (0..state.steps.len()).map(report).collect()
}

/// The state of a step for people. After the end of a run, only the methods of a pending fence can still be done. A request that nobody
/// answered in time did not fail.
fn shown(state: &RunState, i: usize, word: &str) -> String {
    let pending = match &state.step(i).action {
        Action::Op(Operation::Fence(fence)) => state.owed().any(|c| *c == fence.db.component),
        _ => false,
    };
    let word = match word {
        "pending" if state.finished() && !pending => "not begun",
        "started" if state.finished() && pending => "not proven",
        "started" if state.finished() => "broken off",
        "failed" if approval::standing(state, i).is_some() => "rejected",
        "failed" if state.asks_people(i) => "expired",
        "noop" => "already done",
        word => word,
    };
    word.replace('_', " ")
}

/// Why a request waits. The description of the step already has its question.
fn without_question(action: &Action, why: String) -> String {
    let Action::Gate(Gate::Approval { ask, .. }) = action else { return why };
    why.strip_suffix(ask.as_str()).and_then(|why| why.strip_suffix(": ")).map_or(why.clone(), str::to_owned)
}

fn output(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Ran { tail } if !tail.is_empty() => Some(line(tail)),
        _ => None,
    }
}

fn undo(work: &Work) -> UndoReport {
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!(" {at}"));
    let calls = match work.attempts {
        0 => String::new(),
        n => format!(", {}", count(n, "call")),
    };
    let why = work.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    let text = match &work.status {
        Status::Done(_) => format!("undone{}{calls}", at(work.ended_at)),
        Status::Failed => format!("NOT UNDONE{}{calls}{why}", at(work.ended_at)),
        _ => format!("being undone since{}{calls}{why}", at(work.started_at)),
    };
    UndoReport {
        attempts: work.attempts,
        started_at: work.started_at,
        ended_at: work.ended_at,
        reason: work.reason.clone(),
        text,
    }
}

/// The requests of the step and of its undo.
fn requests(of: &StepState) -> Vec<String> {
    let all = of.work.requests.iter().chain(of.undo.iter().flat_map(|work| &work.requests));
    let words = |request: &Request| {
        let code = request.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
        format!("{} {}{code}", request.service, request.id)
    };
    all.map(words).collect()
}
