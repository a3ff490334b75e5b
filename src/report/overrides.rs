//! Overridden approvals, and whether they were ratified in time.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ids::StepId;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::run::RunState;
use crate::run::approval;
use crate::run::model::overridden::Overridden;
use crate::run::state::Status;

/// An approval that somebody overrode.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Override {
    /// The gate.
    pub step: StepId,
    /// The person who overrode it.
    pub by: Person,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When the approvals are due.
    pub due_at: Timestamp,
    /// `approved`, `approved_late`, `owed`, `overdue`, or `not_used` if the run did not continue on the override.
    pub state: String,
    /// When the last required approval was given.
    pub approved_at: Option<Timestamp>,
    /// By how much the approvals are or were late, in seconds. A delay stays a violation after they are given.
    pub late_by_s: Option<f64>,
    /// Who approved afterwards.
    pub approved_by: Vec<Person>,
    /// The roles that have not approved.
    pub owed_by: Vec<String>,
    /// Refusals after the override.
    pub refused: Vec<Refused>,
    /// A description.
    pub text: String,
}

/// A refusal after an override.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// Who.
    pub who: Person,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// The overrides of a run, at `now`.
pub fn of_run(state: &RunState, now: Timestamp) -> Vec<Override> {
    let steps = state.steps.iter().enumerate();
    let overridden = steps.filter_map(|(i, step)| Some((i, step.overridden.as_ref()?)));
    overridden.map(|(i, over)| one(state, i, over, now)).collect()
}

fn one(state: &RunState, i: usize, over: &Overridden, now: Timestamp) -> Override {
    let used = matches!(state.work(i).status, Status::Done(_));
    let late = over.late(now).filter(|_| used);
    let owed_by = approval::unratified(state, i, None);
    let word = match (over.ratified_at, late) {
        _ if !used => "not_used",
        (Some(_), None) => "approved",
        (Some(_), Some(_)) => "approved_late",
        (None, None) => "owed",
        (None, Some(_)) => "overdue",
    };
    let who: Vec<_> = over.ratified_by.iter().map(ToString::to_string).collect();
    let by = if who.is_empty() { String::new() } else { format!(" by {}", who.join(" and ")) };
    let then = match (over.ratified_at, late) {
        _ if !used => "the run did not continue on this override".to_owned(),
        (Some(at), None) => format!("approved afterwards at {at}{by}"),
        (Some(at), Some(late)) => format!("approved at {at}{by}, {late} LATE; it was due by {}", over.due),
        (None, None) => format!("the approval of {} is due by {}", owed_by.join(" and "), over.due),
        (None, Some(late)) => {
            format!("OVERDUE by {late}: the approval of {} was due by {}", owed_by.join(" and "), over.due)
        }
    };
    let no = over.refused.iter().map(|(who, why, at)| format!("; {who} rejected it at {at}: {why}"));
    let step = state.step(i).id.clone();
    let text = format!(
        "{step} was overridden by {} at {}: {}; {then}{}",
        over.who,
        over.at,
        over.reason,
        no.collect::<String>()
    );
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of hours")]
    let late_by_s = late.map(|d| d.millis() as f64 / 1_000.0);
    Override {
        step,
        by: over.who.clone(),
        reason: over.reason.clone(),
        at: over.at,
        due_at: over.due,
        state: word.to_owned(),
        approved_at: over.ratified_at,
        late_by_s,
        approved_by: over.ratified_by.clone(),
        owed_by,
        refused: over
            .refused
            .iter()
            .map(|(who, reason, at)| Refused { who: who.clone(), reason: reason.clone(), at: *at })
            .collect(),
        text,
    }
}
