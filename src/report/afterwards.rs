//! Open items after the end of a run, and what has happened to them since.

use schemars::JsonSchema;
use serde::Serialize;

use super::duties::{Obligation, Standing};
use super::overrides::Override;
use super::unsettled::{InDoubt, Store};
use crate::kinds::Operation;
use crate::model::ids::ComponentName;
use crate::model::plain::count;
use crate::model::time::{Timestamp, span};
use crate::record::action::Action;
use crate::run::RunState;
use crate::run::checked::Asked;
use crate::run::state::{FenceDebt, Status};

/// The kind of an open item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The fence of an old primary that was waived before the promotion.
    Fence,
    /// The effect of a call that may still happen.
    Effect,
    /// A figure that is known only after a pending fence is set.
    Figure,
    /// Approvals that were overridden.
    Approval,
    /// A duty of people after an incident.
    Obligation,
    /// Evidence that some sink still lacks.
    Upload,
}

/// An open item of a finished run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Debt {
    /// Its kind.
    pub kind: Kind,
    /// Whether it is open.
    pub open: bool,
    /// `pending`, `fenced`, `settled`, `in doubt`, `reconciled`, or the status of an approval or a duty.
    pub status: String,
    /// Since when it is open, or when it is due.
    pub at: Option<Timestamp>,
    /// A description.
    pub text: String,
    /// The number of looks at the new primary and of calls to fence the old one, after the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// The last look and the last attempt of each fence method, with the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<String>,
}

/// The open items of a run; empty until the run has ended.
pub fn debts(
    state: &RunState,
    (stores, in_doubt): (&std::collections::BTreeMap<ComponentName, Store>, &[InDoubt]),
    (overrides, duties): (&[Override], &[Obligation]),
) -> Vec<Debt> {
    if !state.finished() {
        return Vec::new();
    }
    let fences = state.debts.iter().filter_map(|(component, owed)| fence(state, component, owed));
    let effects = in_doubt.iter().map(|effect| Debt {
        kind: Kind::Effect,
        open: true,
        status: "in doubt".to_owned(),
        at: Some(effect.since),
        text: effect.text.clone(),
        tries: None,
        looks: Vec::new(),
    });
    let figures = state.debts.keys().filter_map(|component| figure(state, component, stores.get(component)?));
    let approvals = overrides.iter().filter(|over| over.state != "not_used").map(|over| Debt {
        kind: Kind::Approval,
        open: over.approved_at.is_none(),
        status: over.state.replace('_', " "),
        at: Some(over.due_at),
        text: over.text.clone(),
        tries: None,
        looks: Vec::new(),
    });
    let obligations = duties.iter().map(obligation);
    fences.chain(effects).chain(figures).chain(approvals).chain(obligations).collect()
}

fn fence(state: &RunState, component: &ComponentName, owed: &FenceDebt) -> Option<Debt> {
    let open = state.owed().any(|c| c == component);
    let (status, text) = match (&owed.paid, &owed.settled) {
        (Some((at, proof)), _) => ("fenced", format!("the old primary was fenced at {at}: {proof}")),
        (None, Some((at, why))) => ("settled", format!("settled at {at} without a fence: {why}")),
        (None, None) if open => ("pending", "the fence of the old primary is not proven".to_owned()),
        // Nothing was promoted, so the old primary is still the only one.
        (None, None) => return None,
    };
    Some(Debt {
        kind: Kind::Fence,
        open,
        status: status.to_owned(),
        at: Some(owed.since),
        text: format!("fence of {component}, waived before the promotion: {text}{}", tried(state, component)),
        tries: tries(state, component),
        looks: looks(state, component),
    })
}

/// The number of looks and calls for a pending fence after the end of the run, if there were any.
fn tries(state: &RunState, component: &ComponentName) -> Option<u32> {
    state.after_end.get(component).map(|tries| tries.looks.saturating_add(tries.calls))
}

/// The same, in words.
fn tried(state: &RunState, component: &ComponentName) -> String {
    state.after_end.get(component).map_or_else(String::new, |tries| {
        let looks = count(tries.looks, "look at the new primary|looks at the new primary");
        let asked = state.asked_old_primary(component).filter(|asked| asked.answered.is_none());
        let why = match asked {
            Some(Asked { db, .. }) if tries.calls == 0 => format!(", because {} did not answer", db.id),
            _ => String::new(),
        };
        format!("; since the end of the run: {looks}, {}{why}", count(tries.calls, "fence call"))
    })
}

/// What one process achieved for the fences that were pending before it.
pub fn results(before: &RunState, after: &RunState) -> Vec<String> {
    before.owed().filter_map(|component| result(before, after, component)).collect()
}

fn result(before: &RunState, state: &RunState, component: &ComponentName) -> Option<String> {
    let owed = state.debts.get(component)?;
    let what = match (&owed.paid, &owed.settled) {
        (Some((at, proof)), _) => format!("the old primary was fenced at {at}: {proof}"),
        (None, Some((at, why))) => format!("settled at {at} without a fence: {why}"),
        (None, None) => {
            let answered = state.asked_old_primary(component).map(|Asked { db, answered, .. }| {
                let words = match answered {
                    Some(at) => format!("answered at {at}"),
                    None => "did not answer".to_owned(),
                };
                format!("the old primary {} {words}; ", db.id)
            });
            // Only this process's calls: it makes none while it is not confirmed that the new primary takes writes.
            let called = |i: &&usize| state.steps[**i].tries() > before.steps[**i].tries();
            let method = |i: &usize| match &state.step(*i).action {
                Action::Op(Operation::Fence(fence)) => Some(fence.method.id()),
                _ => None,
            };
            let called: Vec<_> = state.rungs(component).iter().filter(called).filter_map(method).collect();
            let called = match called.is_empty() {
                true => "no fence call was made".to_owned(),
                false => format!("fence calls by {}", called.join(", ")),
            };
            format!("{}{called}; the fence is still pending", answered.unwrap_or_default())
        }
    };
    Some(format!("pending fence of {component}: {what}"))
}

/// Whether the old primary answered, the last look at the new one, and the attempts to fence the old one after the end of the run, by fence
/// method.
pub fn looks(state: &RunState, component: &ComponentName) -> Vec<String> {
    let over = state.finished_at;
    let since = |i: &usize| {
        let work = &state.steps[*i].work;
        work.started_at.is_some() && work.ended_at.is_none_or(|at| Some(at) > over)
    };
    let asked = state.asked_old_primary(component);
    // A step that waits for an answer has no event of its own meanwhile. It was last tried when the old primary was last asked.
    let unanswered = asked.filter(|asked| asked.answered.is_none()).map(|asked| (asked.silent, asked.until));
    let words = |i: usize| {
        let (step, work) = (&state.step(i).id, &state.steps[i].work);
        let calls = match work.attempts {
            0 => String::new(),
            1 => ", 1 call".to_owned(),
            n => format!(", {n} calls"),
        };
        if let (Status::Started, None, Some((silent, until))) = (&work.status, &work.reason, unanswered) {
            return format!("{until} {step}{calls}: no answer since {silent}");
        }
        let what = match (&work.status, &work.reason) {
            (Status::Done(_), _) => "proven".to_owned(),
            (status, Some(why)) => format!("{}: {why}", status.word()),
            (Status::Started, None) => "no result yet".to_owned(),
            (status, None) => status.word().to_owned(),
        };
        // The time of the last attempt, and not of the first one.
        let at = work.ended_at.or(state.steps[i].past.last).map_or_else(String::new, |at| format!("{at} "));
        format!("{at}{step}{calls}: {what}")
    };
    let last = state.after_end.get(component).and_then(|tries| tries.last.as_ref());
    let last = last.map(|look| format!("{} look at the new primary: {}", look.at, look.seen));
    let old = asked.map(|Asked { db, since, until, answered, .. }| match answered {
        Some(at) => format!("{at} old primary {}: {} answered", db.id, db.place.name),
        None => format!("{until} old primary {}: no answer; asked every second since {since}", db.id),
    });
    old.into_iter()
        .chain(last)
        .chain(state.rungs(component).iter().copied().filter(since).map(words))
        .collect()
}

fn figure(state: &RunState, component: &ComponentName, store: &Store) -> Option<Debt> {
    let pending = state.owed().any(|c| c == component);
    let debt = state.debts.get(component)?;
    if !pending && debt.paid.is_none() && debt.settled.is_none() {
        return None;
    }
    Some(Debt {
        kind: Kind::Figure,
        open: pending,
        status: if pending { "not proven" } else { "reconciled" }.to_owned(),
        at: debt.paid.as_ref().or(debt.settled.as_ref()).map(|(at, _)| *at),
        text: format!("recovery point of {component}: {} ({})", store.rpo.text, store.because),
        tries: None,
        looks: Vec::new(),
    })
}

fn obligation(owed: &Obligation) -> Debt {
    let late = owed.late_by_s.map_or_else(String::new, |late| format!(", {} late", span(late)));
    let done = owed.done_at.map_or_else(String::new, |at| format!(", done at {at}"));
    let by = owed.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let more = owed.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
    Debt {
        kind: Kind::Obligation,
        open: matches!(owed.standing, Standing::Open | Standing::Overdue),
        status: format!("{}{late}", owed.standing.words()),
        at: Some(owed.due_at),
        text: format!("{}{done}{by}{more}", owed.what),
        tries: None,
        looks: Vec::new(),
    }
}

/// An open item for evidence that some sinks still lack.
pub fn upload(bundle: &str, places: &[String]) -> Debt {
    Debt {
        kind: Kind::Upload,
        open: true,
        status: "pending".to_owned(),
        at: None,
        text: format!("bundle {bundle} is not in {} yet. Run drctl evidence push", places.join(", ")),
        tries: None,
        looks: Vec::new(),
    }
}
