//! What a run that is not finished hands on to one that takes its place.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{RunState, Status, StepState, Turn};
use crate::kinds::aws::rds::Rename;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::restore::{Part, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::intent::Intent;
use crate::planner::{Continued, Written};
use crate::record::action::{Action, Write};
use crate::record::event::EventKind;
use crate::record::runbook::{Inherited, OnFailure, Phase, Step};

/// Whether a call that takes something back may come late, or a fence may have been lifted by one. A fence that nobody was asked to lift
/// stands, whoever wanted it lifted.
fn taking_back(step: &Step, at: &StepState) -> bool {
    // If a call will be tried again, the result of the last one is unknown.
    let Some(undo) = &at.undo else { return at.undo_asked.is_some() };
    let asked = undo.attempts > 0 || matches!(undo.status, Status::Done(_));
    let under_way = undo.status.in_flight() || undo.doubt.is_some();
    under_way || (asked && matches!(step.action, Action::Op(Operation::Fence(_))))
}

/// What is handed on by a run of so many events, if a failover to this site may take the run's place: a planned move whose source dies, above all.
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
    let (swapped, putting) = swapped(state);
    let mut fences = runbook.inherits.clone();
    for (step, at) in runbook.steps.iter().zip(&state.steps) {
        let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
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
        Action::Op(Operation::Restore(RestoreStep { part: Part::CreateCopy, of }))
            if at.work.attempts > 0 =>
        {
            Some(of.copy())
        }
        _ => None,
    });
    let copies = copies.collect();
    let aside = runbook.steps.iter().zip(&state.steps).filter_map(|(step, at)| match &step.action {
        // Until a copy was seen in its place what was set aside is the data that there are.
        Action::Op(Operation::Rename(Rename { db, to }))
            if at.work.attempts > 0 && (!swapped || putting.is_some()) =>
        {
            Some((db.clone(), to.clone()))
        }
        _ => None,
    });
    let aside = aside.collect();
    Ok(Continued { run, events, intent, from, holders, fences, asked, putting, copies, aside })
}

/// Whether a copy may be in the place of the data, and of which server, where that is not finished. Who was fenced may log in again once
/// the copy is in place: then the proof is one of data that are aside.
fn swapped(state: &RunState) -> (bool, Option<DatabaseRef>) {
    let swaps = |(step, at): (&Step, &StepState)| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part: Part::Swap, of })) if at.work.attempts > 0 => {
            Some((!matches!(at.work.status, Status::Done(_))).then(|| of.db.clone()))
        }
        _ => None,
    };
    let swap = state.runbook.steps.iter().zip(&state.steps).find_map(swaps);
    (swap.is_some(), swap.flatten())
}

/// How the probes of a run turned last.
pub fn last_turns(state: &RunState) -> BTreeMap<String, Turn> {
    state.turns.iter().filter_map(|(probe, turns)| Some((probe.clone(), turns.last()?.clone()))).collect()
}

/// Users who failed when the run that is continued saw them last have failed since, until somebody saw that they do not: the outage
/// began where it saw it begin.
pub fn seen_before(before: &BTreeMap<String, Turn>, turns: Vec<EventKind>) -> Vec<EventKind> {
    let failing = before.iter().filter(|(_, turn)| !turn.good);
    let began = failing.map(|(probe, turn)| EventKind::ProbeTurned {
        probe: probe.clone(),
        good: false,
        since: turn.since,
        last_other: turn.last_other,
        detail: "observed by the run that this run continues".to_owned(),
    });
    // When they were served again, nobody saw: at some time since then.
    let unwatched = |what| match what {
        EventKind::ProbeTurned { probe, good: true, since, last_other: None, detail } => {
            let last_other = before.get(&probe).filter(|t| !t.good).map(|t| t.since);
            EventKind::ProbeTurned { probe, good: true, since, last_other, detail }
        }
        other => other,
    };
    began.chain(turns.into_iter().map(unwatched)).collect()
}

/// What a run wrote into zones, and what of it is in doubt.
pub fn written(state: &RunState) -> Vec<Written> {
    let mut all = Vec::new();
    for (i, at) in state.steps.iter().enumerate() {
        let Action::Op(Operation::Switch(switch)) = &*state.forward(i) else { continue };
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

/// Clients that the last run which was to lead them did not lead to its end, though it moved their database. Nobody sees where a command
/// leads, or whether a client was restarted.
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
                // One that was called off before it moved anything left them where they were.
                false => state.past_return() && left.insert(component.clone()),
            };
        }
    }
    left.into_iter().collect()
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
