//! The results of restores, for reports and for the screen.

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::shared::restore::{Checked, Destroyed, Loss, RestoreResults, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::ids::ComponentName;
use crate::model::plain::count;
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::run::RunState;

/// A database that was restored to a point in time, or a copy of it that was verified.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Restored {
    /// The component.
    pub component: ComponentName,
    /// The restored time. Every transaction that committed by then is included.
    pub to_time: Timestamp,
    /// The backup that the restore started from.
    pub backup: Option<String>,
    /// The number of bytes fetched.
    pub fetched_bytes: Option<u64>,
    /// How long fetching took, in seconds.
    pub fetched_in_s: Option<f64>,
    /// The last commit that is included.
    pub last_commit: Option<Timestamp>,
    /// The first commit that is not included.
    pub next_commit: Option<Timestamp>,
    /// The number of commits up to that time that come after a later one in the WAL. They are not included.
    pub late: u64,
    /// The checks.
    pub checks: Vec<Checked>,
    /// What the live server had beyond it. `exactly` only if that was counted after writes had ended.
    pub loss: Option<Loss>,
    /// Whether it replaced the live data, or may have.
    pub in_place: bool,
    /// Where the previous data is kept, if it was replaced.
    pub kept: Option<String>,
    /// What was removed, with proof.
    pub destroyed: Option<Destroyed>,
    /// Remarks for a person.
    pub remarks: Vec<String>,
}

/// All restores of a run.
pub fn restored(state: &RunState) -> Vec<Restored> {
    let mut all: Vec<Restored> = Vec::new();
    for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
        let Action::Op(Operation::Restore(RestoreStep { of, .. })) = &step.action else { continue };
        let component = &of.db.component;
        if !all.iter().any(|r| r.component == *component) {
            all.push(begun(component, of.to_time));
        }
        let Some(restored) = all.iter_mut().find(|r| r.component == *component) else { continue };
        for fact in &at.facts {
            if let Fact::Restore { found, .. } = fact {
                add(restored, found);
            }
        }
    }
    for restored in &mut all {
        restored.in_place = state.promoted_at.contains_key(&restored.component);
        // Writes continued after they were counted.
        if let (Some(loss), None) = (&mut restored.loss, state.lost_for_good(&restored.component)) {
            "at_least".clone_into(&mut loss.basis);
        }
    }
    all
}

fn begun(component: &ComponentName, to_time: Timestamp) -> Restored {
    Restored {
        component: component.clone(),
        to_time,
        backup: None,
        fetched_bytes: None,
        fetched_in_s: None,
        last_commit: None,
        next_commit: None,
        late: 0,
        checks: Vec::new(),
        loss: None,
        in_place: false,
        kept: None,
        destroyed: None,
        remarks: Vec::new(),
    }
}

fn add(restored: &mut Restored, found: &RestoreResults) {
    restored.backup = found.backup.clone().or(restored.backup.take());
    if let Some((bytes, took)) = found.fetched {
        (restored.fetched_bytes, restored.fetched_in_s) = (Some(bytes), Some(took.as_secs_f64()));
    }
    restored.last_commit = found.last_commit.or(restored.last_commit);
    restored.next_commit = found.next_commit.or(restored.next_commit);
    restored.late = restored.late.max(found.late);
    for check in &found.checks {
        restored.checks.retain(|c| c.what != check.what);
        restored.checks.push(check.clone());
    }
    restored.loss = found.loss.clone().or(restored.loss.take());
    restored.kept = found.kept.clone().or(restored.kept.take());
    restored.destroyed = found.destroyed.clone().or(restored.destroyed.take());
    restored.remarks.extend(found.remarks.iter().cloned());
    restored.remarks.dedup();
}

/// The result of a job in one sentence; `None` if there is nothing to report.
pub fn sentence(found: &RestoreResults) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(next) = found.next_commit {
        let last = found.last_commit.map_or_else(|| "none since its backup".to_owned(), |t| t.to_string());
        parts.push(format!("the copy includes the commit of {last} and not the next one, of {next}"));
    }
    if found.late > 0 {
        parts.push(format!(
            "{} older commits come after a later one in the log and are not in the copy",
            found.late
        ));
    }
    if !found.checks.is_empty() {
        let of = |word: &str| found.checks.iter().filter(|c| c.result == word).count();
        let (good, unknown) = (of("pass"), of("unknown"));
        let unknown_too = if unknown > 0 { format!(", {unknown} could not run") } else { String::new() };
        parts.push(format!(
            "{good} checks passed, {} failed{unknown_too}",
            found.checks.len() - good - unknown
        ));
    }
    parts.extend(found.loss.as_ref().map(lost));
    parts.extend(found.kept.as_ref().map(|kept| format!("the previous data is kept in {kept}")));
    parts.extend(found.destroyed.as_ref().map(|gone| match gone.files {
        0 => format!("{} is removed", gone.folder),
        files => {
            format!(
                "{} is removed ({}, {} bytes), and no process uses it",
                gone.folder,
                count(files, "file"),
                gone.bytes
            )
        }
    }));
    parts.extend(found.remarks.iter().cloned());
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A loss as text.
pub fn lost(loss: &Loss) -> String {
    let span = loss.first.zip(loss.last).map_or_else(String::new, |(a, b)| format!(", from {a} to {b}"));
    format!(
        "{} {} changed rows after that time{span}",
        loss.basis.replace('_', " "),
        count(loss.transactions, "transaction")
    )
}
