//! Decides what to do next. It runs after every change, and gives the same answer if nothing changed.

use std::collections::BTreeSet;

use super::checked;
use super::drill::{self, Abort};
use super::effect::{Effect, Stop};
use super::gate::{self, Says};
use super::held::guard_lost;
use super::observed::{FRESH, LOOK_AGAIN};
use super::outstanding::{LATE, overdue};
use super::state::{Mode, RunState, Status, StepState};
use super::stopped::unanswered;
use crate::kinds::Operation;
use crate::kinds::shared::promotion::Promote;
use crate::model::intent::Intent;
use crate::model::properties::{InDoubt, UndoRank};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Rule;
use crate::record::action::{Action, Check, Undo, Write};
use crate::record::event::{Direction, End, EventKind, Outcome};
use crate::record::runbook::{OnFailure, Step};

/// How long drctl tries to observe a replica before it keeps a fence that may be needed.
const TARGET_PATIENCE: Dur = Dur::secs(60);

fn record(what: EventKind) -> Effect {
    Effect::Record(vec![what])
}

/// Decides what to do next.
pub fn decide(state: &RunState, now: Timestamp) -> Vec<Effect> {
    if let Some(over) = drill::only_read(state) {
        return vec![record(over)];
    }
    if let Some(component) = state.newly_pending() {
        return vec![record(EventKind::FencePending { component: component.clone() })];
    }
    match drill::abort(state, now) {
        Some(Abort::Now(why)) => vec![record(drill::call_off(&why))],
        Some(Abort::At(due)) => next(state, now).into_iter().chain([Effect::WakeAt(due)]).collect(),
        None => next(state, now),
    }
}

fn next(state: &RunState, now: Timestamp) -> Vec<Effect> {
    match &state.mode {
        Mode::Finished(_) => after_the_end(state, now),
        Mode::Cancelling => cancelling(state, now),
        Mode::Paused => {
            let mut effects = forward(state, now, false);
            if !state.in_flight() {
                effects.push(Effect::Stop(Stop::Paused));
            }
            effects
        }
        Mode::Running => {
            let mut effects = forward(state, now, true);
            if !effects
                .iter()
                .any(|e| matches!(e, Effect::Record(_) | Effect::Expire(_) | Effect::Withdraw(_)))
            {
                effects.extend(end(state, now));
            }
            effects
        }
    }
}

/// Whether an observation for the step at `i` still matters.
pub fn looks_at(state: &RunState, i: usize, now: Timestamp) -> bool {
    let effects = effects_on(state, i, now);
    effects.contains(&Effect::Look(i)) || effects.contains(&Effect::Withdraw(i))
}

/// Whether the request of the step at `i` must be withdrawn now.
pub(super) fn withdraws(state: &RunState, i: usize, now: Timestamp) -> bool {
    state.to_withdraw(i) && effects_on(state, i, now).contains(&Effect::Withdraw(i))
}

fn effects_on(state: &RunState, i: usize, now: Timestamp) -> Vec<Effect> {
    match &state.mode {
        Mode::Running => step(state, i, now, true),
        Mode::Paused => step(state, i, now, false),
        Mode::Finished(_) | Mode::Cancelling => decide(state, now),
    }
}

fn forward(state: &RunState, now: Timestamp, start_new: bool) -> Vec<Effect> {
    state.open().into_iter().flat_map(|i| step(state, i, now, start_new)).collect()
}

fn step(state: &RunState, i: usize, now: Timestamp, start_new: bool) -> Vec<Effect> {
    let id = &state.step(i).id;
    let start_new = start_new && !state.held(i);
    match &state.work(i).status {
        Status::Pending if start_new && state.needs_met(i) => match state.not_needed(i) {
            Some(reason) => vec![record(EventKind::StepSkipped { step: id.clone(), reason, who: None })],
            None => vec![record(EventKind::StepStarted { step: id.clone() })],
        },
        Status::Started | Status::Blocked { .. } | Status::Backoff { .. } if !start_new => Vec::new(),
        // Another fence method may have proven the fence in the meantime.
        Status::Started | Status::Backoff { .. } | Status::Blocked { rule: Some(Rule::GuardUnread), .. }
            if state.not_needed(i).is_some() =>
        {
            let reason = state.not_needed(i).unwrap_or_default();
            vec![record(EventKind::StepSkipped { step: id.clone(), reason, who: None })]
        }
        Status::Started | Status::Blocked { .. } => started(state, i, now),
        Status::Backoff { due } if now < *due => with_timeout(state, i, now, vec![Effect::WakeAt(*due)]),
        Status::Backoff { .. } if matches!(state.step(i).action, Action::Op(Operation::Promote(_))) => {
            promote(state, i, now)
        }
        Status::Backoff { .. } => with_timeout(state, i, now, vec![Effect::Look(i)]),
        Status::Awaiting { .. } => with_timeout(state, i, now, vec![Effect::Look(i)]),
        Status::InDoubt { since } => in_doubt(state, i, *since, now),
        Status::Pending | Status::Calling | Status::Done(_) | Status::Failed | Status::Skipped => Vec::new(),
    }
}

fn started(state: &RunState, i: usize, now: Timestamp) -> Vec<Effect> {
    let id = &state.step(i).id;
    match &state.step(i).action {
        Action::Gate(gate) => match gate::ask(state, i, gate, now) {
            Says::Pass(events) => vec![Effect::Record(events)],
            Says::Failed(event) => vec![record(event)],
            Says::Wait => Vec::new(),
            Says::Blocked(event) if gate::same_block(&state.work(i).status, &event) => expiry(state, i),
            Says::Blocked(event) => vec![record(event)],
        },
        Action::Wait { .. } if let Some(reason) = drill::cut_short(state, i) => {
            vec![record(EventKind::StepSkipped { step: id.clone(), reason, who: None })]
        }
        Action::Wait { duration_ms, .. } => {
            let work = state.work(i);
            let due = work.started_at.max(work.renewed_at).unwrap_or(now) + *duration_ms;
            if now >= due {
                vec![record(EventKind::StepFinished {
                    step: id.clone(),
                    end: End::Performed,
                    facts: Vec::new(),
                })]
            } else {
                vec![Effect::WakeAt(due)]
            }
        }
        Action::Op(Operation::Promote(_)) => promote(state, i, now),
        // A person says that it ran. drctl cannot observe that, so it does not run the command a second time.
        Action::Op(Operation::Run(_)) if state.steps[i].claimed_by.is_some() => {
            vec![record(EventKind::StepFinished { step: id.clone(), end: End::ByHand, facts: Vec::new() })]
        }
        // It continues once drctl can read the guard, however long that takes.
        _ if guard_unread(state, i) => vec![Effect::Look(i)],
        // Only a person can say whether the command ran. drctl keeps looking for credentials.
        Action::Op(Operation::Run(_)) if matches!(state.work(i).status, Status::Blocked { .. }) => Vec::new(),
        // It ran before, and failed or gave no result.
        Action::Op(Operation::Run(c)) if !c.idempotent && state.work(i).attempts > 0 => vec![ask(state, i)],
        _ if matches!(state.work(i).status, Status::Blocked { .. }) => vec![Effect::Look(i)],
        _ => with_timeout(state, i, now, vec![Effect::Look(i)]),
    }
}

/// Unless a call may still be taking effect, the loss is compared with the accepted loss before each call.
fn promote(state: &RunState, i: usize, now: Timestamp) -> Vec<Effect> {
    let Action::Op(Operation::Promote(Promote { db, .. })) = &state.step(i).action else { return Vec::new() };
    match gate::reopened(state, i, &db.component, now).filter(|_| state.work(i).doubt.is_none()) {
        None if guard_unread(state, i) => vec![Effect::Look(i)],
        None => with_timeout(state, i, now, vec![Effect::Look(i)]),
        // An earlier request must not take effect now: more may be lost than anybody accepted.
        Some(event) if gate::same_block(&state.work(i).status, &event) => {
            match state.to_withdraw(i) && !guard_lost(state) {
                true => vec![Effect::Withdraw(i)],
                false => Vec::new(),
            }
        }
        Some(event) => vec![record(event)],
    }
}

/// Whether a step waits for a guard that drctl could not read.
fn guard_unread(state: &RunState, i: usize) -> bool {
    matches!(state.work(i).status, Status::Blocked { rule: Some(Rule::GuardUnread), .. })
}

/// An approval is asked again when it expires.
fn expiry(state: &RunState, i: usize) -> Vec<Effect> {
    match (&state.step(i).action, state.work(i).started_at) {
        (Action::Gate(crate::record::action::Gate::Approval { expires_after_ms, .. }), Some(at)) => {
            vec![Effect::WakeAt(at + *expires_after_ms)]
        }
        _ => Vec::new(),
    }
}

/// Whether the run is being undone.
fn unwinding(state: &RunState) -> bool {
    state.mode == Mode::Cancelling && !state.past_return()
}

/// Fails a step that took too long, or reports it if no timeout ends the step. Background steps are tried until the run ends.
fn with_timeout(state: &RunState, i: usize, now: Timestamp, otherwise: Vec<Effect>) -> Vec<Effect> {
    let step = state.step(i);
    let timeout = step.estimate.timeout_ms;
    let work = state.work(i);
    if step.background || timeout == Dur::ZERO {
        return otherwise;
    }
    // Recorded once. Other rules apply to a run that is being undone or is finished.
    let said = work.overdue.is_some() || state.finished() || unwinding(state);
    if said && state.outlasts_its_time(i) {
        return otherwise;
    }
    // Time in which no process drove the run does not count, and each part of a batch has its own time.
    let began = [work.started_at, Some(state.taken_at), work.renewed_at].into_iter().flatten().max();
    let due = began.unwrap_or(now) + timeout;
    if now < due {
        return otherwise.into_iter().chain([Effect::WakeAt(due)]).collect();
    }
    vec![Effect::Expire(i)]
}

/// The event for a step that took too long. `seen` is the last observation.
pub fn expired(state: &RunState, i: usize, seen: Option<&str>) -> EventKind {
    let step = state.step(i);
    if state.outlasts_its_time(i) && !unwinding(state) {
        return overdue(state, i, seen);
    }
    let why = seen.or(state.work(i).reason.as_deref()).map_or_else(String::new, |r| format!("; last: {r}"));
    let reason = format!("{LATE} {}{why}", step.estimate.timeout_ms);
    // An accepted change that does not end is a failed step, and is undone. During an undo, the undo itself has failed.
    let awaited = matches!(state.work(i).status, Status::Awaiting { .. });
    let undoing = state.mode == Mode::Cancelling && !awaited;
    match state.direction(i) {
        Direction::Do if undoing => EventKind::UndoFailed { step: step.id.clone(), reason },
        Direction::Do => EventKind::StepFailed { step: step.id.clone(), reason },
        Direction::Undo => EventKind::UndoFailed { step: step.id.clone(), reason },
    }
}

fn in_doubt(state: &RunState, i: usize, since: Timestamp, now: Timestamp) -> Vec<Effect> {
    match state.action(i).in_doubt() {
        // An observed effect counts at once. Its absence counts only after the settle time.
        InDoubt::ObserveAfter(settle) if now < since + settle => {
            vec![Effect::Look(i), Effect::WakeAt(since + settle)]
        }
        // A fence in doubt never becomes proof. Missing instances and routing controls that do not change prove nothing either. Other fence
        // methods, or a person, must help. The doubt stays. drctl never gives up on any other effect in doubt because of time.
        InDoubt::ObserveAfter(_) | InDoubt::Repeat => with_timeout(state, i, now, vec![Effect::Look(i)]),
        InDoubt::Ask => vec![ask(state, i)],
    }
}

/// Only a person can say whether a command ran that may not run twice.
fn ask(state: &RunState, i: usize) -> Effect {
    let (id, created) = (&state.step(i).id, &state.created);
    record(EventKind::GateBlocked {
        step: id.clone(),
        rule: None,
        why: "the command may already have run, completely or in part. Running it again may not be safe"
            .to_owned(),
        flag: Some(format!(
            "{}, or {}",
            created.command("runs done", &format!(" {id}")),
            created.command("runs skip", &format!(" {id} --reason TEXT"))
        )),
    })
}

/// Whether a step is a gate that waits and that nobody blocked.
fn waits_at_gate(state: &RunState, i: usize) -> bool {
    matches!(state.steps[i].work.status, Status::Started) && matches!(state.step(i).action, Action::Gate(_))
}

/// Whether a step of the run is in progress and waits for neither a person nor a gate.
fn is_busy(state: &RunState) -> bool {
    let idle = |i: usize| {
        let held = state.held(i) && !state.work(i).status.in_flight();
        held || matches!(state.steps[i].work.status, Status::Pending | Status::Blocked { .. })
    };
    let busy = |i: usize| !state.steps[i].work.status.settled() && !idle(i) && !waits_at_gate(state, i);
    state.open.iter().any(|&i| !state.step(i).background && busy(i))
}

/// Whether the run is over, or stuck.
fn end(state: &RunState, now: Timestamp) -> Vec<Effect> {
    if is_busy(state) {
        return Vec::new();
    }
    let foreground = || (0..state.steps.len()).filter(|&i| !state.step(i).background);
    let ok = |i: usize| match state.steps[i].work.status {
        Status::Done(_) | Status::Skipped => true,
        // A run that lost a guard continues with nothing, whatever a step may normally skip.
        Status::Failed => state.step(i).on_failure == OnFailure::Continue && !state.work(i).displaced,
        _ => false,
    };
    if state.runbook.intent == Intent::Drill
        && foreground().all(|i| ok(i) || state.steps[i].work.status == Status::Failed)
        && foreground().any(|i| state.steps[i].work.status == Status::Failed)
    {
        return vec![record(EventKind::RunFinished { outcome: Outcome::Failed })];
    }
    if foreground().all(ok) {
        return vec![record(EventKind::RunFinished { outcome: Outcome::Recovered })];
    }
    if state.withdraws() {
        return Vec::new();
    }
    if let Some(i) = state.uncaptured() {
        return vec![record(EventKind::StepStarted { step: state.step(i).id.clone() })];
    }
    let failed = foreground().find(|&i| {
        let halts = state.step(i).on_failure == OnFailure::Halt || state.steps[i].work.displaced;
        state.steps[i].work.status == Status::Failed && halts
    });
    if let Some(i) = failed {
        let reason = state.steps[i].work.reason.clone().unwrap_or_default();
        return vec![Effect::Stop(Stop::Failed(format!("{}: {reason}", state.step(i).id)))];
    }
    if !state.is_under_way() {
        return vec![Effect::Stop(Stop::Failed(unanswered(state)))];
    }
    let blocked = |with_rule: bool| {
        foreground().find_map(|i| match &state.steps[i].work.status {
            Status::Blocked { why, rule, .. } if rule.is_some() == with_rule => {
                Some(format!("{}: {}", state.step(i).id, gate::why_as_of(state, i, why, now)))
            }
            _ => None,
        })
    };
    if let Some(why) = blocked(true) {
        return vec![Effect::Stop(Stop::Blocked(why))];
    }
    if let Some(why) = blocked(false) {
        return vec![Effect::Stop(Stop::Approval(why))];
    }
    // Nothing is in progress and nothing follows, so the run halts instead of waiting.
    let pending = foreground().find(|&i| state.steps[i].work.status == Status::Pending);
    match pending.filter(|_| !foreground().any(|i| waits_at_gate(state, i))) {
        Some(i) => {
            let waits: Vec<_> = state.waits_for(i).into_iter().map(ToString::to_string).collect();
            let why = format!("{} waits for {}, but nothing runs", state.step(i).id, waits.join(", "));
            vec![Effect::Stop(Stop::Failed(why))]
        }
        None => Vec::new(),
    }
}

/// Before the first point of no return everything is undone, the fence last. After it, nothing is.
fn cancelling(state: &RunState, now: Timestamp) -> Vec<Effect> {
    let calling = |i| state.work(i).status == Status::Calling;
    // Another run now owns these resources. An undo would take them from that run, and observations may show its work.
    if guard_lost(state) {
        let over = !(0..state.steps.len()).any(calling);
        return over
            .then(|| record(EventKind::RunFinished { outcome: Outcome::Abandoned }))
            .into_iter()
            .collect();
    }
    let mut effects = forward(state, now, false);
    effects.extend((0..state.steps.len()).filter(|&i| state.to_withdraw(i)).map(Effect::Withdraw));
    if state.withdraws() || effects.iter().any(|e| matches!(e, Effect::Withdraw(_))) {
        return effects;
    }
    if state.past_return() {
        if !state.in_flight() {
            let closed = || record(EventKind::RunFinished { outcome: Outcome::Abandoned });
            // The run was cancelled, so a person must first agree that the changes stay.
            effects.push(if state.closing { closed() } else { Effect::Stop(Stop::PastReturn) });
        }
        return effects;
    }
    // The pending fence of an earlier run is tried until the end, and delays nothing. The same applies to a rebuild on its host, which
    // continues whatever happens to the run.
    let settles =
        |i: &usize| state.work(*i).status.in_flight() && !state.step(*i).debt && !state.goes_on_alone(*i);
    let in_flight: Vec<_> = (0..state.steps.len()).filter(settles).filter(|&i| !calling(i)).collect();
    if !in_flight.is_empty() || (0..state.steps.len()).any(calling) {
        let due = in_flight.into_iter().flat_map(|i| unwound_by(state, i, now, Vec::new()));
        let new: Vec<_> = due.filter(|e| !effects.contains(e)).collect();
        return effects.into_iter().chain(new).collect();
    }
    let rank_of = |i: usize| state.step(i).action.properties().undo_rank;
    let failed = |most: UndoRank| {
        let ends = |i: &usize| state.steps[*i].undo.as_ref().is_some_and(|u| u.status == Status::Failed);
        (0..state.steps.len()).filter(|&i| rank_of(i) <= most).find(ends)
    };
    // Later ranks wait for earlier ones.
    let ranks = [
        (UndoRank::Traffic, None),
        (UndoRank::Rest, None),
        (UndoRank::Fence, Some(UndoRank::Traffic)),
        (UndoRank::Ttl, None),
        (UndoRank::Copy, None),
        (UndoRank::Guard, Some(UndoRank::Fence)),
    ];
    for (rank, needs) in ranks {
        if let Some(i) = needs.and_then(&failed) {
            return vec![not_taken_back(state, i)];
        }
        let left: Vec<_> =
            (0..state.steps.len()).filter(|&i| rank_of(i) == rank && to_undo(state, i)).collect();
        if !left.is_empty() {
            let looks = guard_looks(state, now)
                .or_else(|| (rank == UndoRank::Fence).then(|| target_looks(state, &left, now)).flatten())
                .unwrap_or_else(|| left.into_iter().rev().flat_map(|i| undo_step(state, i, now)).collect());
            return effects.into_iter().chain(looks).collect();
        }
    }
    match failed(UndoRank::Guard) {
        Some(i) => vec![not_taken_back(state, i)],
        None => vec![record(EventKind::RunFinished { outcome: Outcome::Cancelled })],
    }
}

/// Observes the run's guards, unless that just happened. Another run may have taken them over while this process stood still.
fn guard_looks(state: &RunState, now: Timestamp) -> Option<Vec<Effect>> {
    let holds = |(step, at): (&Step, &StepState)| match &step.action {
        Action::Write(Write::Guard { component, .. }) => {
            (matches!(at.work.status, Status::Done(_)) && at.undo.is_none()).then(|| component.clone())
        }
        _ => None,
    };
    let held: BTreeSet<_> = state.runbook.steps.iter().zip(&state.steps).filter_map(holds).collect();
    let checks = |i: &usize| matches!(&state.step(*i).action, Action::Check(Check::Guard { component, .. }) if held.contains(component));
    let stale = (0..state.steps.len()).filter(checks).filter(|i| !just_looked(state, *i, now));
    let stale: Vec<usize> = stale.collect();
    let why = "the holder of the guard is unknown, so drctl undoes nothing";
    let stopped = stale.iter().filter_map(|i| unseen_for_long(state, *i, now, why));
    let mut looks: Vec<_> = stale.iter().map(|i| look_again(state, *i, now)).chain(stopped).collect();
    let waits = looks.iter().find_map(|effect| match effect {
        Effect::Look(i) => match &state.work(*i).status {
            Status::Blocked { why, .. } => Some(format!("{}: {why}", state.step(*i).id)),
            _ => None,
        },
        _ => None,
    });
    looks.extend(waits.map(|why| Effect::Stop(Stop::Approval(why))));
    (!looks.is_empty()).then_some(looks)
}

/// Whether a check passed recently.
fn just_looked(state: &RunState, i: usize, now: Timestamp) -> bool {
    let work = state.work(i);
    // An observation by another process, or from before the cancel, does not count, because its age is unknown.
    let since = state.cancelled_at.map_or(state.taken_at, |at| at.max(state.taken_at));
    matches!(work.status, Status::Done(_)) && work.ended_at.is_some_and(|at| at >= since && now < at + FRESH)
}

/// When drctl stops waiting for failing observations, if it has. A new process starts anew.
fn unseen_for_long(state: &RunState, i: usize, now: Timestamp, why: &str) -> Option<Effect> {
    let began =
        state.steps[i].unseen_since?.max(state.taken_at).max(state.cancelled_at.unwrap_or(state.taken_at));
    let stop = || Effect::Stop(Stop::Failed(format!("{}: {why}", state.step(i).id)));
    (now >= began + TARGET_PATIENCE).then(stop)
}

fn look_again(state: &RunState, i: usize, now: Timestamp) -> Effect {
    let work = state.work(i);
    match work.status {
        Status::Failed if work.ended_at.is_some_and(|at| now < at + LOOK_AGAIN) => {
            Effect::WakeAt(work.ended_at.unwrap_or(now) + LOOK_AGAIN)
        }
        // Blocked: drctl can observe nothing until the credentials are renewed, and records nothing meanwhile.
        Status::Started | Status::Blocked { .. } => Effect::Look(i),
        _ => record(EventKind::StepStarted { step: state.step(i).id.clone() }),
    }
}

/// Checks before a fence is lifted: if somebody promoted the replica by hand, only the fence prevents two primaries.
fn target_looks(state: &RunState, fences: &[usize], now: Timestamp) -> Option<Vec<Effect>> {
    let of = |i: &usize| state.step(*i).component.as_ref().and_then(|c| state.target_check(c));
    let checks: BTreeSet<usize> = fences.iter().filter_map(of).collect();
    // Everything else is undone at this point.
    let undone = state.steps.iter().filter_map(|s| s.undo.as_ref()?.ended_at).max();
    let mut effects = Vec::new();
    let why = "it is unknown whether somebody promoted the replica by hand, so the fence stays";
    for i in checks.into_iter().filter(|i| !just_looked(state, *i, now)) {
        effects.extend(unseen_for_long(state, i, now, why));
        let began = [state.work(i).started_at, Some(state.taken_at), state.cancelled_at, undone]
            .into_iter()
            .flatten()
            .max();
        match began.filter(|_| !state.work(i).status.settled()) {
            Some(began) if now >= began + TARGET_PATIENCE => {
                effects.push(Effect::Stop(Stop::Failed(format!("{}: {why}", state.step(i).id))));
            }
            Some(began) => effects.push(Effect::WakeAt(began + TARGET_PATIENCE)),
            None => {}
        }
        effects.push(look_again(state, i, now));
    }
    (!effects.is_empty()).then_some(effects)
}

fn not_taken_back(state: &RunState, i: usize) -> Effect {
    let reason = state.work(i).reason.clone().unwrap_or_default();
    Effect::Stop(Stop::Failed(format!("drctl could not undo {}: {reason}", state.step(i).id)))
}

/// Fails the undo of a step after the timeout of the step itself.
fn unwound_by(state: &RunState, i: usize, now: Timestamp, otherwise: Vec<Effect>) -> Vec<Effect> {
    let undo = state.steps[i].undo.as_ref();
    // The time of a step that waits for other undos starts when they are done.
    let its_turn = state.steps.iter().filter_map(|s| s.undo.as_ref()?.ended_at).max();
    let began = [
        state.cancelled_at,
        its_turn,
        Some(state.taken_at),
        undo.and_then(|u| u.started_at),
        undo.and_then(|u| u.renewed_at),
    ];
    let due = began.into_iter().flatten().max().unwrap_or(now) + state.step(i).estimate.timeout_ms;
    match now < due {
        true => otherwise.into_iter().chain([Effect::WakeAt(due)]).collect(),
        false => vec![Effect::Expire(i)],
    }
}

/// Whether a step left a change that must be undone and was not.
pub(super) fn to_undo(state: &RunState, i: usize) -> bool {
    let step = &state.steps[i];
    let by = matches!(state.step(i).action.undo(), Undo::By(_));
    // A step that failed after a call may have had part of its effect. A refused call had none.
    let touched = step.work.status == Status::Done(End::Performed)
        || (step.work.parts.acted() && !matches!(step.work.status, Status::Done(_)))
        || state.inherited(i);
    let ended = step.undo.as_ref().is_some_and(|u| u.status.settled());
    // If the successor was promoted before this run, the fence prevents two primaries.
    let keeps_out = matches!(&state.step(i).action, Action::Op(Operation::Fence(f))
        if state.promotion(&f.db.component).is_none() && state.restores(&f.db.component).is_none());
    // The name is taken at this point, so the renamed server stays as it is.
    let replaced = matches!(&state.step(i).action, Action::Op(op) if op.renames().is_some_and(|(db, _)| state.replaced(db)));
    by && touched && !ended && !state.step(i).debt && !keeps_out && !replaced
}

fn undo_step(state: &RunState, i: usize, now: Timestamp) -> Vec<Effect> {
    match state.steps[i].undo.as_ref().map(|u| &u.status) {
        Some(Status::Backoff { due }) if now < *due => vec![Effect::WakeAt(*due)],
        None | Some(_) => unwound_by(state, i, now, vec![Effect::Look(i)]),
    }
}

/// A finished run has one thing left to do: set its pending fences.
fn after_the_end(state: &RunState, now: Timestamp) -> Vec<Effect> {
    let owed: Vec<_> = state.owed().cloned().collect();
    let mut effects = Vec::new();
    for i in 0..state.steps.len() {
        let Action::Op(Operation::Fence(fence)) = &state.step(i).action else { continue };
        if owed.contains(&fence.db.component) && !state.step(i).debt {
            effects.extend(step(state, i, now, true));
        }
    }
    effects.extend(owed.iter().filter_map(|component| checked::look(state, component, now)));
    effects.push(Effect::Stop(Stop::Finished));
    effects
}
