//! What a run does now, for the status line.

use std::collections::BTreeMap;

use super::asked::PrintedCommands;
use super::live::{self, LinePart};
use crate::model::plain::line;
use crate::model::time::{Dur, Timestamp};
use crate::planner::critical_path;
use crate::record::action::Action;
use crate::record::event::{Event, EventKind};
use crate::record::runbook::{Runbook, Step};
use crate::run::RunState;
use crate::run::state::{Mode, Status, StepState};
use crate::run::waits::Waits;

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

/// Whom the run waits for, and until when if the request expires.
pub fn whom(state: &RunState, waits: &Waits) -> LinePart {
    let words = state.waits_for_whom(&waits.step);
    // The line above it names the step of the question.
    let short = match words.starts_with(PERSON) {
        true => PERSON.to_owned(),
        false => words.replacen("WAITS FOR", "WAITS:", 1),
    };
    match waits.until.map(minute) {
        None => LinePart::still(words).or_short(&short, ""),
        Some(until) => {
            LinePart::still(format!("{words} until {until}")).or_short(&words, "").or_short(&short, "")
        }
    }
}

/// The commands that answer what the run waits for, if they scrolled away, the line of this event hides them, and nothing else is in
/// progress. A narrow live line has no room for them.
pub fn still_to_type(event: &Event, state: &RunState, asked: &PrintedCommands) -> Vec<String> {
    let hides = matches!(
        event.what,
        EventKind::StepFinished { .. }
            | EventKind::StepFailed { .. }
            | EventKind::StepSkipped { .. }
            | EventKind::ProbeTurned { .. }
            | EventKind::Approved { .. }
    );
    if !hides || state.mode != Mode::Running || state.halted.is_some() || state.in_flight() {
        return Vec::new();
    }
    let waits = state.waits_for_people_as_of(event.at).into_iter().filter(|waits| !waits.answered);
    let again = waits.filter(|waits| asked.is_out_of_sight(&waits.step));
    let again = again.filter_map(|waits| waits.command.inspect(|_| asked.asks(&waits.step)));
    again.map(|command| format!("    {command}")).collect()
}

/// The time of day without its seconds.
pub fn minute(at: Timestamp) -> String {
    let clock = at.clock();
    format!("{}Z", clock.get(..5).unwrap_or(&clock))
}

/// The beginning of the words about a wait for anybody.
const PERSON: &str = "WAITS FOR A PERSON";

/// What a paused run is still waiting for, and what it leaves to go on without it.
pub fn stops_after(state: &RunState) -> String {
    let open = |i: &usize| state.work(*i).status.in_flight() && !state.step(*i).background;
    let (alone, open): (Vec<usize>, Vec<usize>) =
        (0..state.steps.len()).filter(open).partition(|i| state.goes_on_alone(*i));
    let names = |of: &[usize]| of.iter().map(|i| state.step(*i).id.as_str()).collect::<Vec<_>>().join(", ");
    let waits = if open.is_empty() { String::new() } else { format!("; stops after {}", names(&open)) };
    if alone.is_empty() {
        return waits;
    }
    let resume = state.created.command("runs resume", "");
    format!(
        "{waits}; does not wait for {}, which goes on without drctl until {resume} observes it",
        names(&alone)
    )
}

/// That a person paused the run, and which steps it still waits for.
pub fn stopping(state: &RunState) -> Option<LinePart> {
    let stops = state.mode == Mode::Paused && state.halted.is_none();
    let open = stops_after(state).replacen("; stops", "", 1);
    stops.then(|| LinePart::still(format!("STOPPING{open}")).or_short("STOPPING", ""))
}

/// Whether the run still continues by itself to its last step.
pub fn goes_on(state: &RunState) -> bool {
    state.mode == Mode::Running && state.steps.iter().all(|at| at.work.status != Status::Failed)
}

/// The steps in progress: the last observed reason why each is not done, and its timeout; or the time of its next try. Those that the end
/// of the outage waits for come first, then those with an observation.
pub fn in_progress(state: &RunState, waiting: &BTreeMap<String, String>, now: Timestamp) -> Vec<LinePart> {
    let under_way = |(step, at): &(&Step, &StepState)| {
        at.work.started_at.is_some() && !at.work.status.settled() && !step.background
    };
    let tries = state.next_tries();
    let next = |step: &Step| tries.iter().find(|next| next.step == step.id);
    let of = |(step, at): (&Step, &StepState)| {
        if let Some(next) = next(step) {
            let short = format!("{}: next try {}", next.step, next.at.clock());
            return LinePart::still(next.words()).or_short(&short, "");
        }
        let why = waiting.get(step.id.as_str()).map_or_else(String::new, |why| format!(": {why}"));
        // Counted as the run does: without the time in which no process drove it.
        let began =
            [at.work.started_at, Some(state.taken_at), at.work.renewed_at].into_iter().flatten().max();
        let (began, most) = (began.unwrap_or(now), step.estimate.timeout_ms);
        match began + most > now && at.work.overdue.is_none() {
            true => {
                let most = format!("of at most {}", live::one_word(most));
                let whole = line(&format!("{most}{why}"));
                LinePart::up(step.id.as_str(), now.since(began), whole).or_short(step.id.as_str(), "")
            }
            false => LinePart::still(line(&format!("{}{why}", step.id))).or_short(step.id.as_str(), ""),
        }
    };
    let critical = critical_path::critical(&rest(state, now)).steps;
    let seen = |step: &Step| waiting.contains_key(step.id.as_str()) || next(step).is_some();
    let rank = |(step, _): &(&Step, &StepState)| (!critical.contains(&step.id), !seen(step));
    let mut steps: Vec<_> = state.runbook.steps.iter().zip(&state.steps).filter(under_way).collect();
    steps.sort_by_key(rank);
    steps.into_iter().take(NAMED).map(of).collect()
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
    Some(critical_path::critical(&rest(state, now)).expected)
}

/// The runbook with the durations that its steps are still expected to take.
fn rest(state: &RunState, now: Timestamp) -> Runbook {
    let mut rest = state.runbook.clone();
    for (step, s) in rest.steps.iter_mut().zip(&state.steps) {
        let expected = step.estimate.expected_ms;
        step.estimate.expected_ms = match s.work.started_at {
            _ if s.work.status.settled() => Dur::ZERO,
            // Steps in progress have already used part of their time.
            Some(began) => expected.minus(now.since(began)),
            None => expected,
        };
    }
    rest
}
