//! Everything that people decided in a run, in the order of time, so that no reader has to sort it.

use schemars::JsonSchema;
use serde::Serialize;

use super::overrides::Override;
use super::said::Said;
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
    /// What people said.
    pub said: &'a [Said],
    /// The waivers.
    pub waivers: &'a [Waiver],
    /// The overrides.
    pub overrides: &'a [Override],
    /// Steps that people skipped or did by hand.
    pub by_people: &'a [ByPeople],
}

/// All of them.
pub fn of_run(state: &RunState, from: Sources<'_>) -> Vec<Decision> {
    let one = |at: Timestamp, what: &str, text: String| Decision { at, what: what.to_owned(), text };
    let said = from.said.iter().map(|said| one(said.at, STATEMENT, said.told()));
    let waived = from.waivers.iter().map(|waiver| {
        let text = format!("{} by {}: {}", waiver.subject(&state.created.plan), waiver.who, waiver.reason);
        one(given(state, waiver), "Waived", text)
    });
    let overridden = from.overrides.iter().map(|over| one(over.at, "Override", over.text.clone()));
    let steered = from.by_people.iter().map(|by| one(by.at, &format!("Step {}", by.what), by.text.clone()));
    let mut all: Vec<_> = said.chain(waived).chain(overridden).chain(steered).collect();
    all.sort_by_key(|decision| decision.at);
    all
}

/// When a waiver was given: with the request of the run, or later.
fn given(state: &RunState, waiver: &Waiver) -> Timestamp {
    let of = |event: &Event| matches!(&event.what, EventKind::Waived { waiver: of } if of == waiver);
    state.people.iter().find(|event| of(event)).map_or(state.created_at, |event| event.at)
}
