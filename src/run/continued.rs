//! What an unfinished run hands over to the run that continues it.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{RunState, Status, StepState, Turn};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::restore::{RestoreJob, RestoreStep};
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::{Fact, Operation};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::intent::Intent;
use crate::planner::{Continued, Written};
use crate::record::action::{Action, Write};
use crate::record::event::EventKind;
use crate::record::runbook::{Inherited, OnFailure, Phase, Step};

/// Whether a call of an undo may still take effect, or may have lifted a fence. A fence stands until a call to lift it was made.
fn taking_back(step: &Step, at: &StepState) -> bool {
    // If a call will be tried again, the result of the last one is unknown.
    let Some(undo) = &at.undo else { return at.undo_asked.is_some() };
    let asked = undo.attempts > 0 || matches!(undo.status, Status::Done(_));
    let under_way = undo.status.in_flight() || undo.doubt.is_some();
    under_way || (asked && matches!(step.action, Action::Op(Operation::Fence(_))))
}

/// What a run with this many events hands over, if a failover to this site may take its place. The main case is a planned move whose source
/// fails.
///
/// # Errors
/// Why it may not, and what to do instead.
pub fn continued(state: &RunState, events: u64, to: &SiteName) -> Result<Continued, String> {
    let (run, runbook) = (&state.created.run, &state.runbook);
    if runbook.intent == Intent::Failover && runbook.to == *to {
        return Err(format!("run {run} is the same failover and is not finished"));
    }
    if runbook.steps.iter().zip(&state.steps).any(|(step, at)| taking_back(step, at)) {
        return Err(format!("run {run} is being undone"));
    }
    if runbook.from.as_ref() == Some(to) && state.promoted.is_empty() {
        return Err(format!(
            "run {run} moves away from {to} and is not finished. A cancel lets users in there again"
        ));
    }
    let promoting = |i: &usize| {
        let promotes = matches!(state.step(*i).action, Action::Op(Operation::Promote(_)));
        let work = state.work(*i);
        let unknown = work.status.in_flight() || work.doubt.is_some();
        promotes && unknown && !matches!(work.status, Status::Done(_)) && runbook.to != *to
    };
    if let Some(i) = (0..runbook.steps.len()).find(promoting) {
        let server = state.step(i).action.to_string();
        return Err(format!("the outcome of a step in run {run} is unknown: {server}"));
    }
    let holder = |action: &Action| match action {
        Action::Write(Write::Guard { holder, .. }) => Some(holder.clone()),
        _ => None,
    };
    let mut holders: Vec<_> = runbook.steps.iter().filter_map(|s| holder(&s.action)).collect();
    holders.dedup();
    holders.extend(state.adoption.as_ref().and_then(|adoption| adoption.former.clone()));
    let (swapped, putting) = swapped(state);
    let mut fences = runbook.inherits.clone();
    for (i, (step, at)) in runbook.steps.iter().zip(&state.steps).enumerate() {
        let Action::Op(Operation::Fence(fence)) = &*state.forward(i) else { continue };
        let set = at.work.parts.acted() || at.work.attempts > 0;
        if step.debt || !set {
            continue;
        }
        let fact = at.facts.iter().find(|f| matches!(f, Fact::Fenced { .. }) && !swapped).cloned();
        fences.push(Inherited { run: run.clone(), fence: fence.clone(), fact });
    }
    let from = runbook.from.clone().filter(|_| runbook.to == *to || state.promoted.is_empty());
    let asked = state.promoted.iter().filter(|_| runbook.to == *to).cloned().collect();
    let (run, intent) = (run.clone(), runbook.intent);
    let copies = runbook.steps.iter().zip(&state.steps).filter_map(|(step, at)| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::CreateCopy, of }))
            if at.work.attempts > 0 =>
        {
            Some(of.copy())
        }
        _ => None,
    });
    let copies = copies.collect();
    let aside = runbook.steps.iter().zip(&state.steps).filter_map(|(step, at)| match &step.action {
        // Until a copy was observed in place, the renamed server holds the only data.
        Action::Op(operation) if at.work.attempts > 0 && (!swapped || putting.is_some()) => {
            operation.renames().map(|(db, to)| (db.clone(), to.clone()))
        }
        _ => None,
    });
    let aside = aside.collect();
    let severity = state.created.severity.as_deref().and_then(|text| text.parse().ok());
    Ok(Continued { run, events, intent, severity, from, holders, fences, asked, putting, copies, aside })
}

/// Whether a copy may have replaced the data, and for which server if the swap is not finished. Once the copy is in place, fenced clients
/// may log in again, so the proof of the fence no longer applies.
fn swapped(state: &RunState) -> (bool, Option<DatabaseRef>) {
    let swaps = |(step, at): (&Step, &StepState)| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, of }))
            if at.work.attempts > 0 =>
        {
            Some((!matches!(at.work.status, Status::Done(_))).then(|| of.db.clone()))
        }
        _ => None,
    };
    let swap = state.runbook.steps.iter().zip(&state.steps).find_map(swaps);
    (swap.is_some(), swap.flatten())
}

/// The last turn of each probe of a run.
pub fn last_turns(state: &RunState) -> BTreeMap<String, Turn> {
    state.turns.iter().filter_map(|(probe, turns)| Some((probe.clone(), turns.last()?.clone()))).collect()
}

/// If users failed at the end of the continued run, the outage began when that run says, and lasts until a probe succeeds.
pub fn seen_before(before: &BTreeMap<String, Turn>, turns: Vec<EventKind>) -> Vec<EventKind> {
    let failing = before.iter().filter(|(_, turn)| !turn.good);
    let began = failing.map(|(probe, turn)| EventKind::ProbeTurned {
        probe: probe.clone(),
        good: false,
        since: turn.since,
        last_other: turn.last_other,
        detail: "observed by the run that this run continues".to_owned(),
    });
    // Nobody observed when users were served again: it was at some time since then.
    let unwatched = |what| match what {
        EventKind::ProbeTurned { probe, good: true, since, last_other: None, detail } => {
            let last_other = before.get(&probe).filter(|t| !t.good).map(|t| t.since);
            EventKind::ProbeTurned { probe, good: true, since, last_other, detail }
        }
        other => other,
    };
    began.chain(turns.into_iter().map(unwatched)).collect()
}

/// What a run wrote into DNS zones, and what may or may not be there because the result is unknown.
pub fn written(state: &RunState) -> Vec<Written> {
    let mut all = Vec::new();
    for (i, at) in state.steps.iter().enumerate() {
        let forward = state.forward(i);
        let Some(switch) = forward.op().and_then(Operation::switches) else { continue };
        let undone = at.undo.as_ref().map(|undo| matches!(undo.status, Status::Done(_)));
        let done = matches!(at.work.status, Status::Done(_));
        let of = at.undo.as_ref().unwrap_or(&at.work);
        let Some(when) = of.ended_at.or(of.started_at) else { continue };
        for (change, _) in switch.changes.iter().zip(0..).filter(|(_, c)| at.work.parts.touched(*c)) {
            let (before, after) = (change.before.iter(), change.after.iter());
            let may_be: Vec<_> = match undone {
                Some(true) => before.cloned().collect(),
                None if done => after.cloned().collect(),
                _ => after.chain(before).cloned().collect(),
            };
            all.push(Written { zone: switch.zone.zone.clone(), at: when, may_be });
        }
    }
    all
}

/// Clients whose database a run moved without finishing the steps that redirect them. drctl cannot observe where a command redirects a
/// client, or whether a client was restarted.
pub fn unled(states: &[RunState]) -> Vec<ComponentName> {
    let mut runs: Vec<_> = states.iter().collect();
    runs.sort_by_key(|s| s.last_at);
    let mut left = BTreeSet::new();
    for state in runs {
        let mut ended: BTreeMap<&ComponentName, bool> = BTreeMap::new();
        for (step, at) in state.runbook.steps.iter().zip(&state.steps).filter(|(s, _)| leads(s)) {
            let Some(component) = &step.component else { continue };
            *ended.entry(component).or_insert(true) &=
                matches!(at.work.status, Status::Done(_) | Status::Skipped);
        }
        for (component, ended) in ended {
            match ended {
                true => left.remove(component),
                // A run that was cancelled before it moved anything left the clients where they were.
                false => state.past_return() && left.insert(component.clone()),
            };
        }
    }
    left.into_iter().collect()
}

/// Secrets of clients that these runs of one world did not change although they moved the database, each with the run.
pub fn unchanged_secrets<'s>(runs: &[&'s RunState]) -> Vec<(&'s RunState, &'s ClientSecret)> {
    let mut runs = runs.to_vec();
    runs.sort_by_key(|state| state.last_at);
    let mut left: BTreeMap<&ClientSecret, &RunState> = BTreeMap::new();
    for state in runs {
        for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
            let Action::Op(Operation::UpdateClientSecret(of)) = &step.action else { continue };
            if matches!(at.work.status, Status::Done(_)) && !at.taken_back() {
                left.remove(&of.secret);
            } else if state.past_return() && (step.background || state.finished()) {
                left.insert(&of.secret, state);
            }
        }
    }
    left.into_iter().map(|(secret, state)| (state, secret)).collect()
}

fn leads(step: &Step) -> bool {
    let waited = !step.background && step.on_failure == OnFailure::Halt;
    let by_plan = !step.id.as_str().starts_with("hook.") && step.phase == Phase::Rewire;
    waited
        && match &step.action {
            Action::Op(Operation::UpdateClientSecret(_) | Operation::WriteAsClient(_)) => true,
            Action::Op(Operation::Run(_)) => by_plan,
            _ => false,
        }
}
