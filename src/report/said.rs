//! What people said and did during a run, in the order of the journal.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::{Event, EventKind};
use crate::run::model::attention::Pause;
use crate::run::stopped::REQUESTED_BY;
use crate::run::{RunState, approval};

/// One statement of a person.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// The roles of that person in this run.
    pub roles: Vec<String>,
    /// What, in words.
    pub text: String,
}

impl Said {
    /// In one line.
    pub fn words(&self) -> String {
        format!("{}: {}", self.at, self.told())
    }

    /// The same without the time.
    pub fn told(&self) -> String {
        let roles =
            if self.roles.is_empty() { String::new() } else { format!(" ({})", self.roles.join(", ")) };
        format!("{}{roles} {}", self.who, self.text)
    }
}

/// What follows a statement that is stored, but that no process of the run has read.
pub const WAITS: &str = " (waits until a process of the run reads it)";

/// The end of the text of a statement.
pub(super) fn waits(state: &RunState, who: &Person, at: Timestamp) -> &'static str {
    if state.is_unread(who, at) { WAITS } else { "" }
}

/// Decisions about stops, and rejections, of a run that is not over. They say how it may continue.
pub fn deciding(state: &RunState) -> Vec<Said> {
    let decides = |event: &&Event| {
        matches!(event.what, EventKind::Rejected { .. } | EventKind::Acknowledged { decision: Some(_), .. })
    };
    let events = state.people.iter().filter(decides).filter(|_| !state.finished());
    events.filter_map(|event| said(state, event)).collect()
}

/// All of them. Waivers, overrides and steps that people skipped or did are listed with what became of them.
pub fn of_run(state: &RunState) -> Vec<Said> {
    placed(state).into_iter().map(|(_, said)| said).collect()
}

/// The same, each with the number of events of people before it.
pub(super) fn placed(state: &RunState) -> Vec<(usize, Said)> {
    let pauses = |n: usize| {
        let here = state.attention.pauses.iter().filter(move |pause| pause.follows == n);
        here.map(move |pause| (n, paused(pause)))
    };
    let mut all = Vec::new();
    for (n, event) in state.people.iter().enumerate() {
        all.extend(pauses(n));
        all.extend(said(state, event).map(|said| (n, said)));
    }
    all.extend(pauses(state.people.len()));
    all
}

/// The event of a pause has no signature.
fn paused(pause: &Pause) -> Said {
    let text = match pause.why.starts_with(REQUESTED_BY) {
        true => "paused the run".to_owned(),
        false => format!("paused the run: {}", pause.why),
    };
    Said { at: pause.at, who: Person::claimed(pause.by.clone()), roles: Vec::new(), text }
}

fn said(state: &RunState, event: &Event) -> Option<Said> {
    let (who, text) = words(&event.what)?;
    let operator = state.created.authority.operators.get(&who.who);
    let roles = operator.map(|of| of.roles.iter().cloned().collect()).unwrap_or_default();
    let text = format!("{text}{}{}", late(state, event), waits(state, who, event.at));
    Some(Said { at: event.at, who: who.clone(), roles, text })
}

/// By how much an approval came after its request had expired. If no process drove the run, no event says that it expired.
fn late(state: &RunState, event: &Event) -> String {
    let EventKind::Approved { step, .. } = &event.what else { return String::new() };
    let until = state.position(step).and_then(|i| approval::expires_at(state, i));
    until.filter(|until| event.at > *until).map_or_else(String::new, |until| {
        format!(", {} LATE: the request was open until {until}", event.at.since(until))
    })
}

fn words(what: &EventKind) -> Option<(&Person, String)> {
    Some(match what {
        EventKind::Approved { step, who } => (who, format!("approved {step}")),
        EventKind::Rejected { step, who, reason } => (who, format!("rejected {step}: {reason}")),
        EventKind::Ratified { step, who } => (who, format!("approved {step} after the override")),
        EventKind::RatificationRefused { step, who, reason } => {
            (who, format!("rejected {step} after the override: {reason}"))
        }
        EventKind::CancelRequested { who, reason, .. } => (who, format!("cancelled the run: {reason}")),
        EventKind::Resumed { who } => (who, "resumed the run".to_owned()),
        EventKind::Acknowledged { who, decision: Some(decision), reason } => {
            (who, format!("decided on {decision}: {reason}"))
        }
        EventKind::Acknowledged { who, decision: None, reason } => {
            (who, format!("acknowledged the run: {reason}"))
        }
        EventKind::Fulfilled { who, duty, reference, .. } => (who, format!("confirmed {duty}: {reference}")),
        EventKind::DebtSettled { who: Some(who), component, why } => {
            (who, format!("settled the pending fence of {component}: {why}"))
        }
        _ => return None,
    })
}
