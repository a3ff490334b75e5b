//! Everything that people decided in a run, in the order of the journal, so that no reader has to sort it.

use schemars::JsonSchema;
use serde::Serialize;

use super::overrides::Override;
use super::said;
use super::steered::ByPeople;
use crate::model::time::Timestamp;
use crate::model::waiver::Waiver;
use crate::record::event::{Event, EventKind};
use crate::run::RunState;

/// The kind of a decision that only its words describe.
const STATEMENT: &str = "Statement";

/// One decision.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// `Statement`, `Waived`, `Override`, or `Step skipped` and the like.
    pub what: String,
    /// Who, what and why, in words.
    pub text: String,
}

impl Decision {
    /// In one line.
    pub fn words(&self) -> String {
        let Self { at, what, text } = self;
        if what == STATEMENT { format!("{at}: {text}") } else { format!("{at}: {what}: {text}") }
    }
}

/// Where the decisions of a run are reported.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The waivers.
    pub waivers: &'a [Waiver],
    /// The overrides.
    pub overrides: &'a [Override],
    /// Steps that people skipped or did by hand.
    pub by_people: &'a [ByPeople],
}

/// All of them.
pub fn of_run(state: &RunState, from: Sources<'_>) -> Vec<Decision> {
    let one = |(place, at): (usize, Timestamp), what: &str, text: String| {
        (place, Decision { at, what: what.to_owned(), text })
    };
    let said = said::placed(state);
    let said = said.iter().map(|(place, said)| one((*place, said.at), STATEMENT, said.told()));
    let waived = from
        .waivers
        .iter()
        .map(|waiver| one(given(state, waiver), "Waived", waiver.told(&state.created.plan)));
    let overridden = from.overrides.iter().map(|over| {
        let is = |what: &EventKind| matches!(what, EventKind::Overridden { step, .. } if *step == over.step);
        one((place(state, over.at, is), over.at), "Override", over.text.clone())
    });
    let steered = from.by_people.iter().map(|by| {
        let is = |what: &EventKind| match what {
            EventKind::StepSkipped { step, .. } | EventKind::ClaimedDone { step, .. } => *step == by.step,
            _ => false,
        };
        one((place(state, by.at, is), by.at), &format!("Step {}", by.what), by.text.clone())
    });
    let mut all: Vec<_> = said.chain(waived).chain(overridden).chain(steered).collect();
    // Decisions can have the same time.
    all.sort_by_key(|(place, decision)| (decision.at, *place));
    all.into_iter().map(|(_, decision)| decision).collect()
}

/// The number of events of people before such an event at this time.
fn place(state: &RunState, at: Timestamp, is: impl Fn(&EventKind) -> bool) -> usize {
    state.people.iter().position(|event| event.at == at && is(&event.what)).unwrap_or_default()
}

/// Where and when a waiver was given: with the request of the run, or later.
fn given(state: &RunState, waiver: &Waiver) -> (usize, Timestamp) {
    let of = |event: &Event| matches!(&event.what, EventKind::Waived { waiver: of } if of == waiver);
    let mut events = state.people.iter().enumerate();
    events.find(|(_, event)| of(event)).map_or((0, state.created_at), |(place, event)| (place, event.at))
}
