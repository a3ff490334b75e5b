//! The line about a turn of a probe.

use crate::cli::printer::{GREEN, Printer, RED};
use crate::model::intent::Drill;
use crate::model::time::Timestamp;
use crate::record::event::{Event, EventKind};
use crate::record::runbook::Probe;
use crate::run::RunState;

/// The line, if the event is a turn. It has the beginning of what the probe saw and does not say that it lasts: the next turn may already
/// have been seen.
pub fn words(p: &Printer, event: &Event, state: &RunState) -> Option<String> {
    let EventKind::ProbeTurned { probe, good, since, detail, .. } = &event.what else { return None };
    let since = since.clock();
    Some(match good {
        true => format!("{} probe {probe} good from {since}", p.paint(GREEN, "up")),
        false => {
            let later = serves_later(probe, event.at, state);
            format!("{} probe {probe} failed from {since} ({detail}){later}", p.paint(RED, "down"))
        }
    })
}

/// Before the run has changed anything, nobody expects an answer from the site that it recovers to.
fn serves_later(probe: &str, at: Timestamp, state: &RunState) -> &'static str {
    let of_target = |p: &&Probe| p.key() == probe && p.site.as_ref() == Some(&state.runbook.to);
    let drills = state.runbook.drill == Some(Drill::Isolated);
    match state.runbook.probes.iter().find(of_target).filter(|_| at <= state.created_at) {
        Some(_) if drills => "; nothing has to serve users there",
        Some(_) => "; nothing serves users there yet",
        None => "",
    }
}
