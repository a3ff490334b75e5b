//! What people said and did during a run, in the order of the journal.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::EventKind;
use crate::run::RunState;

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
        let roles =
            if self.roles.is_empty() { String::new() } else { format!(" ({})", self.roles.join(", ")) };
        format!("{}: {}{roles} {}", self.at, self.who, self.text)
    }
}

/// All of them. Waivers, overrides and steps that people skipped or did are listed with what became of them.
pub fn of(state: &RunState) -> Vec<Said> {
    let said = |at: Timestamp, what: &EventKind| {
        let (who, text) = words(what)?;
        let operator = state.created.authority.operators.get(&who.who);
        let roles = operator.map(|of| of.roles.iter().cloned().collect()).unwrap_or_default();
        Some(Said { at, who: who.clone(), roles, text })
    };
    state.people.iter().filter_map(|event| said(event.at, &event.what)).collect()
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
