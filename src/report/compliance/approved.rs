//! Who approved a run: every gate that requires an approval, with late and missing approvals.

use schemars::JsonSchema;
use serde::Serialize;

use super::cells::when;
use crate::model::ids::StepId;
use crate::model::time::span;
use crate::model::waiver::Person;
use crate::record::action::{Action, Gate};
use crate::report::overrides::Override;
use crate::run::RunState;
use crate::run::approval;
use crate::run::state::Status;

/// The approvals of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Approved {
    /// The gate.
    pub step: StepId,
    /// Who approved, before the run continued or after an override.
    pub by: Vec<String>,
    /// Who overrode the approval, if the run continued on that.
    pub overridden_by: Option<String>,
    /// The roles whose approval is missing.
    pub missing: Vec<String>,
    /// By how much the approvals after an override are or were late, in seconds.
    pub late_by_s: Option<f64>,
    /// A description.
    pub text: String,
}

impl Approved {
    /// Whether an approval is late or missing.
    pub fn lacks(&self) -> bool {
        self.late_by_s.is_some() || !self.missing.is_empty()
    }
}

/// The approvals of a run, by gate; none if its runbook requires none.
pub(super) fn of_run(run: &RunState, overrides: &[Override]) -> Vec<Approved> {
    let gate = |i: &usize| matches!(run.step(*i).action, Action::Gate(Gate::Approval { .. }));
    let of = |i: usize| {
        let used = |over: &&Override| over.step == run.step(i).id && over.state != "not_used";
        match overrides.iter().find(used) {
            Some(over) => overridden(over, &run.steps[i].approved_by),
            None => answered(run, i),
        }
    };
    (0..run.steps.len()).filter(gate).map(of).collect()
}

/// A gate that nobody overrode.
fn answered(run: &RunState, i: usize) -> Approved {
    let (step, at) = (&run.step(i).id, &run.steps[i]);
    let asked = at.work.started_at.is_some() || !at.approved_by.is_empty();
    // Statements expire. An approval that was valid when the run continued stays one.
    let open = asked && !matches!(at.work.status, Status::Done(_));
    let last = at.work.ended_at.unwrap_or(run.last_at);
    let missing = if open { approval::lacking(run, i, &at.approved_by, last) } else { Vec::new() };
    let mut said = Vec::new();
    if !asked {
        said.push("not asked for".to_owned());
    }
    if !at.approved_by.is_empty() {
        said.push(format!("approved by {}", names(&at.approved_by)));
    }
    if at.work.status == Status::Failed {
        said.extend(at.work.reason.iter().map(|why| format!("NOT APPROVED: {why}")));
    }
    if !missing.is_empty() {
        said.push(format!("missing: {}", missing.join(" and ")));
    }
    Approved {
        by: at.approved_by.iter().map(ToString::to_string).collect(),
        overridden_by: None,
        missing,
        late_by_s: None,
        text: format!("{step}: {}", said.join("; ")),
        step: step.clone(),
    }
}

/// A gate that somebody overrode, and the approvals before and after that.
fn overridden(over: &Override, before: &[Person]) -> Approved {
    let late = over.late_by_s.map(span);
    let mut said = vec![format!("overridden by {}", over.by)];
    if !before.is_empty() {
        said.push(format!("approved by {}", names(before)));
    }
    if !over.approved_by.is_empty() {
        let late = late.as_ref().filter(|_| over.owed_by.is_empty());
        let late = late.map_or_else(String::new, |late| format!(", {late} LATE"));
        said.push(format!("approved afterwards by {}{late}", names(&over.approved_by)));
    }
    // A rejection after an override answers for its seat, which still lacks an approval.
    said.extend(over.refused.iter().map(|no| format!("rejected by {}", no.who)));
    if !over.owed_by.is_empty() {
        let due = late.map_or_else(
            || format!("due by {}", when(over.due_at)),
            |late| format!("OVERDUE by {late}; due by {}", when(over.due_at)),
        );
        said.push(format!("missing: {}, {due}", over.owed_by.join(" and ")));
    }
    Approved {
        step: over.step.clone(),
        by: before.iter().chain(&over.approved_by).map(ToString::to_string).collect(),
        overridden_by: Some(over.by.to_string()),
        missing: over.owed_by.clone(),
        late_by_s: over.late_by_s,
        text: format!("{}: {}", over.step, said.join("; ")),
    }
}

fn names(people: &[Person]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
