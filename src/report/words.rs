//! The state of a run in the words that people read. JSON has the outcome of the summary.

use super::summary::RunReport;
use crate::run::waits::RISK;
use crate::run::{RunState, approval};

/// The state of a run. `driven` says whether a process drives it.
pub fn state(report: &RunReport, driven: bool) -> String {
    format!("{}{}", standing(report, driven), pending(report))
}

/// The same without a pending fence.
pub fn standing(report: &RunReport, driven: bool) -> &str {
    let answered = !report.waits_for.is_empty() && report.waits_for.iter().all(|waits| waits.answered);
    match (report.outcome.as_str(), code(report)) {
        ("halted", "paused") => "paused",
        ("halted", "blocked") => "halted, a person must accept a risk",
        ("halted", "approval") | ("running", _) if answered => "answered, not continued",
        ("halted", "approval") => "waits for a person",
        ("halted", "held") => "held by another run",
        ("running", _) if !report.waits_for.is_empty() => "waits for a person",
        ("running", _) if !driven && report.cancelled.is_some() => {
            "cancel not finished, no process drives it"
        }
        ("running", _) if !driven => "stopped, no process drives it",
        (other, _) => outcome(other),
    }
}

/// Why a run stands still, as a headline that agrees with its exit code; nothing if it only halted. `HALTED` is exit code 1, `WAITING FOR`
/// is 4.
pub fn stands_still(state: &RunState, report: &RunReport) -> Option<&'static str> {
    let unapproved = |i: usize| state.asks_people(i) && approval::all_given(state, i).is_none();
    match code(report) {
        "approval" if state.stops_to_ask().is_some_and(|(i, ..)| unapproved(i)) => {
            Some("WAITING FOR APPROVAL")
        }
        "approval" => Some("WAITING FOR A PERSON"),
        "blocked" => Some(RISK),
        "held" => Some("HELD BY ANOTHER RUN"),
        "paused" => Some("PAUSED"),
        _ => None,
    }
}

fn code(report: &RunReport) -> &str {
    report.error.as_ref().map_or("", |error| error.code.as_str())
}

/// Whether a person paused it.
pub fn paused(report: &RunReport) -> bool {
    code(report) == "paused"
}

/// What follows the outcome of a run with a pending fence. Two servers may take writes, so every title has it.
pub fn pending(report: &RunReport) -> &'static str {
    if report.ended_at.is_some() && report.fence.state == "pending" { ", FENCE PENDING" } else { "" }
}

/// The kind of a drill, in front of its state. Nothing if the run is none.
pub fn drill(report: &RunReport) -> String {
    match (report.drill, &report.returns) {
        (None, _) => String::new(),
        (Some(drill), None) => format!("{drill} drill "),
        (Some(drill), Some(first)) => format!("return of {drill} drill {first} "),
    }
}

/// An outcome of the summary.
pub fn outcome(word: &str) -> &str {
    match word {
        "watch_paused" => "recovered, watch paused",
        other => other,
    }
}
