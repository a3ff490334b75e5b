//! What a second Ctrl-C prints about a run that this process drives.

use crate::app::interrupt;
use crate::cli::printer::Printer;
use crate::model::intent::{Drill, Intent};
use crate::record::event::{Event, EventKind};
use crate::report::attainment::attainment;
use crate::run::RunState;

/// Keeps what a second Ctrl-C prints, which has no time to ask.
pub fn keep(printer: &Printer, users: &str, state: &RunState) {
    let words = words(users, state).map(|words| printer.commands(&words));
    interrupt::parting(&state.created.run, words);
}

/// Whether users are served, and the command that continues the run; `None` if nothing is left to continue.
fn words(users: &str, state: &RunState) -> Option<String> {
    if state.finished() && state.owed().next().is_none() {
        return None;
    }
    let in_flight = |i: &usize| state.work(*i).status.in_flight();
    let calls: Vec<&str> =
        state.open().into_iter().filter(in_flight).map(|i| state.step(i).id.as_str()).collect();
    let calls = match calls.as_slice() {
        [] => String::new(),
        steps => format!("{} may still take effect; ", steps.join(", ")),
    };
    let resume = state.created.command("runs resume", "");
    Some(format!("{users}{calls}to continue run {}: {resume}", state.created.run))
}

/// Whether users are served, if this event can show it.
pub fn users(event: &Event, state: &RunState) -> Option<&'static str> {
    if !matches!(event.what, EventKind::ProbeTurned { .. } | EventKind::EpochTaken { .. }) {
        return None;
    }
    // Their site is not moved.
    if state.runbook.drill == Some(Drill::Isolated) || state.runbook.intent == Intent::Drill {
        return Some("");
    }
    let seen = attainment(state, event.at);
    Some(match (seen.detected, seen.validated) {
        (Some(_), Some(_)) if state.fails_again().is_none() => "users are served; ",
        (Some(_), _) => "users are not served; ",
        (None, _) => "",
    })
}
