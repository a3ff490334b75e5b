//! The state of a run in the words that people read. JSON has the outcome of the summary.

use super::summary::RunReport;

/// The state of a run. `driven` says whether a process drives it.
pub fn state(report: &RunReport, driven: bool) -> String {
    format!("{}{}", standing(report, driven), pending(report))
}

/// The same without a pending fence.
pub fn standing(report: &RunReport, driven: bool) -> &str {
    let paused = report.error.as_ref().is_some_and(|error| error.code == "paused");
    match report.outcome.as_str() {
        "halted" if paused => "paused",
        // A loss or a guard above what was accepted: the run stopped, as its exit code and its screen say.
        "halted" if report.error.as_ref().is_some_and(|error| error.code == "blocked") => {
            "halted, waits for a person"
        }
        "halted" | "running" if !report.waits_for.is_empty() => "waits for a person",
        "running" if !driven => "nobody drives it",
        other => outcome(other),
    }
}

/// What follows the outcome of a run with a pending fence. Two servers may take writes, so every title has it.
pub fn pending(report: &RunReport) -> &'static str {
    if report.ended_at.is_some() && report.fence.state == "pending" { ", FENCE PENDING" } else { "" }
}

/// An outcome of the summary.
pub fn outcome(word: &str) -> &str {
    match word {
        "watch_paused" => "recovered, watch paused",
        other => other,
    }
}
