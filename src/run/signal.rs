//! Turns a person's request to a run into an event, or into a refusal with a reason. The order of the journal decides every race.

use super::approval;
use super::gate::falls_short;
use super::state::{Mode, RunState, Status, StepState};
use super::stopped::{REQUESTED_BY, must_be_answered, unanswered};
use crate::kinds::{Called, Operation};
use crate::model::duty::{Decision, Duty};
use crate::model::ids::{Digest, StepId};
use crate::model::properties::Moves;
use crate::model::time::Timestamp;
use crate::model::waiver::{Person, Waiver, one_line};
use crate::policy::signed;
use crate::record::action::{Action, Check, Gate};
use crate::record::event::{EventKind, Outcome, Signal};

/// The events that a signal becomes.
pub fn take(state: &RunState, signal: Signal, who: Person, now: Timestamp) -> Vec<EventKind> {
    // An unverified name carries no signature, and no characters that a terminal would interpret.
    let nobody = Person::claimed(one_line(&who.who));
    let who = match vouched(state, &signal, &who, now) {
        Ok(()) => who,
        Err(reason) if vouches(state, &signal) => {
            return vec![EventKind::SignalRefused { signal, who: nobody, reason }];
        }
        Err(_) => nobody,
    };
    match accept(state, &signal, &who, now) {
        Ok(events) => events,
        Err(reason) => vec![EventKind::SignalRefused { signal, who, reason }],
    }
}

/// Whether an operator must sign it. Anybody may stop a run or continue it, unless continuing repeats a question that somebody rejected or
/// that expired without approval.
pub fn vouches(state: &RunState, signal: &Signal) -> bool {
    let asked_again = || {
        state.runbook.steps.iter().zip(&state.steps).any(|(step, at)| {
            matches!(step.action, Action::Gate(Gate::Approval { .. })) && at.work.status == Status::Failed
        })
    };
    let free = match signal {
        Signal::Pause => true,
        Signal::Resume => !asked_again(),
        _ => false,
    };
    !state.created.authority.is_empty() && !free
}

/// Whether an operator of this run signed it. In a run with operators, a signal that changes its course needs that. Each signature counts
/// once.
fn vouched(state: &RunState, signal: &Signal, who: &Person, now: Timestamp) -> Result<(), String> {
    let statement = signed::check(&state.created, state.runbook.to.as_str(), who, Some(signal), now)
        .map_err(|why| why.to_string())?;
    if state.said.contains(&statement.nonce) {
        return Err("this statement was already used; each statement is valid once".to_owned());
    }
    Ok(())
}

fn accept(state: &RunState, signal: &Signal, who: &Person, now: Timestamp) -> Result<Vec<EventKind>, String> {
    let about_approval = matches!(signal, Signal::Approve { .. } | Signal::Reject { .. });
    if state.finished() && !about_approval {
        return settle(state, signal, who, now);
    }
    match signal {
        Signal::Approve { step, runbook } => {
            if *runbook != state.created.runbook_digest {
                return Err(format!(
                    "the approval is for runbook {}, but this run executes {}",
                    runbook.short(),
                    state.created.runbook_digest.short()
                ));
            }
            approval::approve(state, step, who, now)
        }
        Signal::Reject { step, reason } => Ok(vec![approval::reject(state, step, who, reason)?]),
        Signal::Override { step, reason } => approval::overrule(state, step, who, reason, now),
        Signal::Acknowledge { decision: Some(_), .. } if state.attention.stops.is_empty() => {
            Err(nothing_to_decide(state))
        }
        Signal::Acknowledge { decision: Some(Decision::TakeBack), .. } if state.past_return() => {
            Err(stays(state))
        }
        Signal::Acknowledge { decision, reason } => {
            let (decision, reason) = (*decision, reason.clone());
            Ok(vec![EventKind::Acknowledged { who: who.clone(), decision, reason }])
        }
        Signal::Fulfil { duty, reference, sha256 } => {
            fulfil(state, *duty, (reference, sha256.as_ref()), (who, now))
        }
        Signal::Pause => Ok(vec![EventKind::Paused { why: format!("{REQUESTED_BY}{who}") }]),
        Signal::Resume => {
            undecided(state).map_or_else(|| Ok(vec![EventKind::Resumed { who: who.clone() }]), Err)
        }
        Signal::Cancel { reason, displaced_by } => Ok(cancel(state, reason, displaced_by.as_deref(), who)),
        Signal::Skip { step, reason } => skip(state, step, reason, who),
        Signal::Done { step } => {
            let i = state.find(step)?;
            if state.steps[i].work.status.settled() && state.steps[i].work.status != Status::Failed {
                return Err(format!("step {step} is {}", state.steps[i].work.status.word()));
            }
            if state.step(i).action.watch(&Called::NOT_YET).is_none() {
                return Err(format!("step {step} cannot be done by hand"));
            }
            // Saying that the step was done by hand decides an open stop, but does not replace an earlier decision.
            undecided(state).filter(|_| state.stopped().is_none()).map_or(Ok(()), Err)?;
            let mut events = vec![EventKind::ClaimedDone { step: step.clone(), who: who.clone() }];
            if state.steps[i].work.status == Status::Failed {
                events.push(EventKind::Resumed { who: who.clone() });
            }
            Ok(events)
        }
        Signal::Waive { waiver } => {
            if !waiver.rule.waivable() {
                return Err(format!("`{}` cannot be waived", waiver.rule));
            }
            if waiver.rule.needs_loss_bound() && waiver.accept_loss_ms.is_none() {
                return Err(format!("`{}` needs a bound: --accept-data-loss", waiver.rule));
            }
            if let Some(why) = state.too_late(waiver) {
                return Err(format!("the waiver came too late and was not recorded: {why}"));
            }
            if let Some((why, enough)) = falls_short(state, std::slice::from_ref(waiver), now) {
                return Err(format!("{why}. To accept the loss: {enough}"));
            }
            Ok(vec![EventKind::Waived { waiver: Waiver { who: who.clone(), ..waiver.clone() } }])
        }
    }
}

/// A decision answers a failed step. Whatever else a run waits for has answers of its own.
fn nothing_to_decide(state: &RunState) -> String {
    let rejected = (0..state.steps.len()).find(|i| approval::standing(state, *i).is_some());
    if let Some(step) = rejected.map(|i| &state.step(i).id) {
        return format!(
            "{step} was rejected, and no other step failed, so there is nothing to decide: {}",
            approval::instead(state, step)
        );
    }
    let asks = state.waits_for_people().into_iter().find_map(|waits| waits.command);
    let asks = asks.map_or_else(String::new, |command| format!(". It waits for an answer: {command}"));
    format!(
        "no step of the run has failed, so there is nothing to decide{asks}. Without --decide, the command only confirms that you have seen it"
    )
}

/// Why nothing can be undone any more, and what to do instead.
fn stays(state: &RunState) -> String {
    let why = state.cannot_return().unwrap_or_default();
    let forward = state.created.command("ack", " --decide fix-forward --reason TEXT");
    let close = state.created.command("runs cancel", " --reason TEXT");
    format!(
        "{why}, so the run can no longer be undone. Continue with {forward}, or close the run as it is with {close}. Once the old site is back, run a failback"
    )
}

/// Why a named person must decide before the run continues, if one must. An undo continues on its own once a process drives it.
fn undecided(state: &RunState) -> Option<String> {
    (must_be_answered(state) && !state.goes_no_further()).then(|| unanswered(state))
}

fn fulfil(
    state: &RunState,
    duty: Duty,
    (reference, sha256): (&str, Option<&Digest>),
    (who, now): (&Person, Timestamp),
) -> Result<Vec<EventKind>, String> {
    let Some(duties) = &state.created.duties else {
        return Err("this run does not have this duty".to_owned());
    };
    let Some(from) = state.owes_from(duty) else {
        return Err("the run is not over yet, and this duty starts when it ends".to_owned());
    };
    let watched = (duty == Duty::Monitoring).then(|| from + duties.monitor_ms);
    if let Some(until) = watched.filter(|until| now < *until) {
        return Err(format!("monitoring lasts until {until}; you cannot confirm it before then"));
    }
    if let Some(before) = state.attention.fulfilled.iter().find(|done| done.duty == duty) {
        return Err(format!("{} already confirmed it at {}: {}", before.who, before.at, before.reference));
    }
    let (reference, sha256, who) = (reference.to_owned(), sha256.cloned(), who.clone());
    Ok(vec![EventKind::Fulfilled { duty, who, reference, sha256 }])
}

/// Besides answers to an override, a finished run accepts one statement: that its pending fence was resolved by other means.
fn settle(state: &RunState, signal: &Signal, who: &Person, now: Timestamp) -> Result<Vec<EventKind>, String> {
    let over = || "the run is over".to_owned();
    if let Signal::Fulfil { duty, reference, sha256 } = signal {
        return fulfil(state, *duty, (reference, sha256.as_ref()), (who, now));
    }
    let Signal::Skip { step, reason } = signal else { return Err(over()) };
    let i = state.find(step)?;
    match &state.step(i).action {
        Action::Op(Operation::Fence(f))
            if state.owed().any(|c| *c == f.db.component) && !state.step(i).debt =>
        {
            let (component, why) = (f.db.component.clone(), reason.clone());
            Ok(vec![EventKind::DebtSettled { component, why, who: Some(who.clone()) }])
        }
        Action::Op(Operation::Fence(_)) => Err("the run is over and has no such fence pending".to_owned()),
        _ => Err(over()),
    }
}

/// After a point of no return a cancel closes the run once the steps in progress have ended. A second cancel does not wait for them, and
/// closes a run that could not be undone.
fn cancel(state: &RunState, reason: &str, displaced_by: Option<&str>, who: &Person) -> Vec<EventKind> {
    let under_way = |test: fn(&Status) -> bool| (0..state.steps.len()).any(|i| test(&state.work(i).status));
    let past = state.past_return() && !under_way(|s| *s == Status::Calling) && !state.withdraws();
    // An undo that failed once may never succeed. The person decides when to stop trying.
    let failed = |s: &StepState| s.undo.as_ref().is_some_and(|u| u.status == Status::Failed);
    let stuck = state.steps.iter().any(failed) && !state.in_flight();
    if state.mode == Mode::Cancelling && (past || stuck) {
        return vec![EventKind::RunFinished { outcome: Outcome::Abandoned }];
    }
    let displaced_by = displaced_by.map(str::to_owned);
    vec![EventKind::CancelRequested { who: who.clone(), reason: reason.to_owned(), displaced_by }]
}

fn skip(state: &RunState, step: &StepId, reason: &str, who: &Person) -> Result<Vec<EventKind>, String> {
    may_skip(state, state.find(step)?)?;
    Ok(vec![EventKind::StepSkipped { step: step.clone(), reason: reason.to_owned(), who: Some(who.clone()) }])
}

/// Whether a person may leave a step out.
pub(super) fn may_skip(state: &RunState, i: usize) -> Result<(), String> {
    let (step, action) = (&state.step(i).id, &state.step(i).action);
    if action.properties().safety {
        return Err(format!(
            "{step} is a safety step. It cannot be skipped; only a waiver of its rule lifts it"
        ));
    }
    let sends = |action: &Action| action.properties().moves == Moves::ByName;
    if sends(action) || matches!(action, Action::Check(Check::Probe { .. })) {
        let done = state.created.command("runs done", &format!(" {step}"));
        return Err(format!(
            "without {step}, nothing shows that users are served. Do it by hand, then run {done}"
        ));
    }
    // Traffic must not move before the proof that the site serves.
    let guards_traffic =
        state.runbook.steps.iter().any(|s| sends(&s.action) && s.needs.iter().any(|n| n.step == *step));
    if guards_traffic && action.looks() {
        return Err(format!("{step} verifies the site before traffic and cannot be skipped"));
    }
    if state.steps[i].undo.is_some() {
        return Err(format!("step {step} is being undone"));
    }
    let status = &state.steps[i].work.status;
    if status.in_flight() || matches!(status, Status::Done(_) | Status::Skipped) {
        return Err(format!("step {step} is {}", status.word()));
    }
    Ok(())
}

/// The person who made the statement in an event.
pub const fn person_of(what: &EventKind) -> Option<&Person> {
    match what {
        EventKind::Approved { who, .. }
        | EventKind::Rejected { who, .. }
        | EventKind::Overridden { who, .. }
        | EventKind::Ratified { who, .. }
        | EventKind::RatificationRefused { who, .. }
        | EventKind::ClaimedDone { who, .. }
        | EventKind::Acknowledged { who, .. }
        | EventKind::Fulfilled { who, .. }
        | EventKind::CancelRequested { who, .. }
        | EventKind::StepSkipped { who: Some(who), .. }
        | EventKind::DebtSettled { who: Some(who), .. } => Some(who),
        EventKind::Waived { waiver } => Some(&waiver.who),
        _ => None,
    }
}
