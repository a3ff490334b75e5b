//! What an observation means for a step: completion is positive evidence of the new state, never the absence of the old.

mod calls;
mod databases;
mod parted;

use self::calls::{Call, disproved, perform, unsettled};
use super::locked::locked;
use super::observed::{ProbeSight, StepDecision, StepObservation};
use super::progress::{
    REPEAT_AFTER, doubtful, end_of, leaving, may_be_old, may_come_until, progress, settle, undoing_now,
};
use super::state::{RunState, Status};
use super::{checked, decide, held, parts};
use crate::inventory::Observation;
use crate::kinds::{Fact, Judged, Operation, State, Target};
use crate::model::properties::InDoubt;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::{Action, Check, Write};
use crate::record::event::{Direction, EventKind};

/// How long an accepted restart may show no effect before it is requested again. RDS documents neither how long a restart takes nor how
/// late its event comes. The first accepted restart continues to count.
const RESTART_AGAIN: Dur = Dur::mins(2);
/// How long after an unanswered second call it is repeated.
const DOUBT_AGAIN: Dur = Dur::secs(5);

/// Judges the observation for the step at `i`. No call is made unless this run is known to hold the guard.
pub fn judge(state: &RunState, i: usize, sight: &StepObservation, now: Timestamp) -> StepDecision {
    let (sight, guard) = held::apart(state, i, sight);
    if decide::withdraws(state, i, now) {
        return held::withdrawal(state, i, guard, now);
    }
    match without_guard(state, i, &sight, now) {
        StepDecision::Perform(intent) => held::allowed(state, i, intent, guard, now),
        other => other,
    }
}

fn without_guard(state: &RunState, i: usize, sight: &StepObservation, now: Timestamp) -> StepDecision {
    let action = state.action(i);
    let action = action.as_ref();
    let in_scope = |change| parts::in_scope(state, i, change);
    if let Some(seen) = value(sight)
        && let Some(found) = action.parts(seen, &in_scope)
    {
        return parted::judge(state, i, action, (seen, found), now);
    }
    if let (Action::Check(Check::Guard { .. }), StepObservation::Things(things)) = (action, sight)
        && let Some((_, seen)) = things.first()
    {
        return held::check(state, i, seen, now);
    }
    let verdict = verdict(state, i, action, sight, now);
    if let (Action::Op(Operation::CheckPromotable(check)), true) = (action, state.finished()) {
        return checked::judged(state, &check.db.component, verdict);
    }
    if undoing_now(state, i) {
        return take_back(state, i, action, (value(sight), verdict), now);
    }
    with_reading(rule(state, i, verdict, now), action, sight)
}

/// Adds to the intent what was read of the target, if the runbook does not contain it.
fn with_reading(mut ruling: StepDecision, action: &Action, sight: &StepObservation) -> StepDecision {
    if let StepDecision::Perform(EventKind::CallIntended { direction: Direction::Do, found, .. }) =
        &mut ruling
        && let Some(seen) = value(sight)
    {
        *found = action.read(seen, &[]);
    }
    ruling
}

fn rule(state: &RunState, i: usize, verdict: Judged, now: Timestamp) -> StepDecision {
    let id = state.step(i).id.clone();
    let undo = state.direction(i) == Direction::Undo;
    let fail = |reason: String| match undo {
        false => EventKind::StepFailed { step: id.clone(), reason },
        true => EventKind::UndoFailed { step: id.clone(), reason },
    };
    match (&doubtful(state, i), verdict) {
        // The current part is done everywhere. The next observation shows whether more parts are left.
        (Status::Awaiting { .. }, Judged::Done(_)) if !state.work(i).parts.now.is_empty() => {
            StepDecision::Record(EventKind::PartSettled { step: id })
        }
        (_, Judged::Done(_)) if undo => StepDecision::Record(EventKind::StepUndone { step: id }),
        (_, Judged::Done(facts)) => {
            StepDecision::Record(EventKind::StepFinished { step: id, end: end_of(state, i), facts })
        }
        // Somebody asked to try the failed step again.
        (_, Judged::Over(seen)) if state.work(i).status == Status::Started => {
            let work = state.work(i);
            match work.doubt {
                Some(_) => disproved(state, i, Some(seen)),
                None => perform(state, i, undo, Call::default()),
            }
        }
        (_, Judged::Wrong(reason) | Judged::Over(reason)) => StepDecision::Record(fail(reason)),
        (_, Judged::Promoted) => StepDecision::Record(EventKind::FoundPromoted { step: id }),
        (_, Judged::Settled(why)) => settled(state, i, why),
        (_, Judged::Locked { why, clock }) => locked(state, i, why, clock),
        (_, Judged::Half(why)) => half(state, i, why, now),
        (status, Judged::Before) => not_done(state, i, status, None, now),
        (status, Judged::Partly(why)) => not_done(state, i, status, Some(why), now),
        (_, Judged::Unclear(why)) => StepDecision::Keep(why),
    }
}

/// Decides if the new state is not there. `why` says which part of it is visible, if any.
fn not_done(
    state: &RunState,
    i: usize,
    status: &Status,
    why: Option<String>,
    now: Timestamp,
) -> StepDecision {
    let action = state.action(i);
    let undo = state.direction(i) == Direction::Undo;
    match status {
        Status::Awaiting { answered_at, .. } => match action.in_doubt() {
            // The old state still stands long after the call was accepted, so the call had no effect.
            InDoubt::ObserveAfter(settle) if now >= *answered_at + settle => disproved(state, i, why),
            // The same holds for repeatable calls: an invalid answer can look like a success.
            InDoubt::Repeat if now >= *answered_at + REPEAT_AFTER => disproved(state, i, why),
            _ => StepDecision::Keep(why.unwrap_or_else(|| "accepted, not visible yet".to_owned())),
        },
        Status::InDoubt { since } => match settle(state, i) {
            Some(settle) if now < *since + settle => unsettled(*since + settle),
            Some(_) => disproved(state, i, why),
            None => perform(state, i, undo, Call::default()),
        },
        // The old state is there, so the call can be made.
        _ if action.mutates() => perform(state, i, undo, Call::default()),
        _ => StepDecision::Keep(why.unwrap_or_else(|| "not yet".to_owned())),
    }
}

/// Judges the first observation of an undo by the rules of the action: whatever exists of it is undone.
fn take_back(
    state: &RunState,
    i: usize,
    action: &Action,
    (seen, verdict): (Option<&State>, Judged),
    now: Timestamp,
) -> StepDecision {
    if let Some(until) = may_come_until(state, i, now) {
        return unsettled(until);
    }
    let step = state.step(i).id.clone();
    match verdict {
        Judged::Before if !lifted_anyway(action, seen) => match may_be_old(state, i, now) {
            Some(until) => unsettled(until),
            None => StepDecision::Record(EventKind::StepUndone { step }),
        },
        Judged::Before | Judged::Partly(_) | Judged::Done(_) | Judged::Half(_) => {
            perform(state, i, true, Call::default())
        }
        Judged::Wrong(reason) | Judged::Over(reason) => {
            StepDecision::Record(EventKind::UndoFailed { step, reason })
        }
        Judged::Promoted => StepDecision::Keep("somebody else promoted it".to_owned()),
        Judged::Locked { why, .. } | Judged::Unclear(why) | Judged::Settled(why) => StepDecision::Keep(why),
    }
}

/// Whether an undo makes its call although nothing of the change is visible. A fence may be half set, and lifting it is always safe, unless
/// somebody replaced it meanwhile.
fn lifted_anyway(action: &Action, seen: Option<&State>) -> bool {
    match (action, seen) {
        (Action::Op(Operation::Fence(fence)), Some(State::Fence(seen))) => !fence.replaced(seen),
        (action, _) => matches!(action, Action::Op(Operation::Fence(_))),
    }
}

/// The second of two calls is due, unless it was accepted and its effect is not visible yet. An unanswered call proves nothing and is
/// repeated, and so is a call without an effect after a long time. Repeating it is safe.
fn half(state: &RunState, i: usize, why: String, now: Timestamp) -> StepDecision {
    let accepted = state.work(i).restart.accepted.is_some();
    match doubtful(state, i) {
        Status::Awaiting { answered_at, .. } if accepted && now < answered_at + RESTART_AGAIN => {
            StepDecision::Keep(why)
        }
        Status::InDoubt { since } if now < since + DOUBT_AGAIN && !leaving(state, i) => {
            let from = since + DOUBT_AGAIN;
            StepDecision::Keep(format!(
                "{why}; the outcome of the last call is unknown. drctl repeats it from {from} on"
            ))
        }
        _ if leaving(state, i) && state.work(i).status.in_flight() => {
            let seen =
                "only the first of two calls took effect, and drctl does not make the second".to_owned();
            StepDecision::Record(EventKind::EffectDisproved { step: state.step(i).id.clone(), seen })
        }
        _ => perform(state, i, state.direction(i) == Direction::Undo, Call::default()),
    }
}

fn settled(state: &RunState, i: usize, why: String) -> StepDecision {
    match state.step(i).component.clone() {
        Some(component) => StepDecision::Record(EventKind::DebtSettled { component, why, who: None }),
        None => StepDecision::Keep(why),
    }
}

/// The state of the only observed target.
fn value(sight: &StepObservation) -> Option<&State> {
    match sight {
        StepObservation::Things(things) => things.first()?.1.state(),
        StepObservation::Probe(_) | StepObservation::Nothing => None,
    }
}

fn verdict(state: &RunState, i: usize, action: &Action, sight: &StepObservation, now: Timestamp) -> Judged {
    match (action, sight) {
        (Action::Check(Check::Evidence { .. }), StepObservation::Things(things)) => Judged::Done(
            things
                .iter()
                .filter_map(|(t, o)| o.state().map(|s| Fact::Seen { target: t.key(), state: s.clone() }))
                .collect(),
        ),
        (Action::Check(Check::Probe { consecutive, .. }), StepObservation::Probe(probe)) => {
            probe_verdict(state, i, *consecutive, probe)
        }
        (_, StepObservation::Things(things)) => match things.first() {
            Some((_, Observation::Value { state: seen, observed_at, .. })) => {
                thing(state, i, action, seen, *observed_at, now)
            }
            // The provider will never answer this, so waiting is useless.
            Some((target, seen)) if let Some(why) = seen.refused(target) => Judged::Wrong(why),
            Some((target, missing)) => absent(state, (i, now), action, target, missing),
            None => Judged::Before,
        },
        (_, StepObservation::Nothing) => Judged::Before,
        (_, StepObservation::Probe(_)) => Judged::Unclear("waiting for a probe".to_owned()),
    }
}

fn absent(
    state: &RunState,
    (i, now): (usize, Timestamp),
    action: &Action,
    target: &Target,
    seen: &Observation,
) -> Judged {
    let judged = || action.absent(target, &progress(state, i, (now, now)));
    match (action, seen) {
        (_, Observation::NotFound { .. }) if let Some(judged) = judged() => judged,
        // The step writes what is missing here.
        (Action::Write(_), Observation::NotFound { .. }) => Judged::Before,
        (_, Observation::NotFound { .. }) => Judged::missing(target),
        // Nothing waits for a comparison, so it does not wait for credentials either.
        (Action::Op(Operation::CompareObjects(_)), Observation::Unauthenticated { .. }) => {
            Judged::Wrong(format!("{target}: {}", seen.why_not()))
        }
        (_, Observation::Unauthenticated { why, clock }) => {
            Judged::Locked { why: format!("{target}: {why}"), clock: *clock }
        }
        _ => Judged::Unclear(format!("{target}: {}", seen.why_not())),
    }
}

fn thing(
    state: &RunState,
    i: usize,
    action: &Action,
    seen: &State,
    observed_at: Timestamp,
    now: Timestamp,
) -> Judged {
    if let Some(judged) = action.judge(seen, &progress(state, i, (now, observed_at))) {
        return match action {
            Action::Op(Operation::Fence(fence)) if state.finished() => {
                databases::owed(state, i, fence, judged, now)
            }
            _ => judged,
        };
    }
    match (action, seen) {
        (Action::Check(Check::Identity { place }), State::Identity(identity)) => match &place.account {
            Some(wanted) if *wanted != identity.account => Judged::Wrong(format!(
                "{place}: the credentials belong to {}, account {}, but the plan says {wanted}",
                identity.arn, identity.account
            )),
            _ => Judged::Done(vec![Fact::Identity { place: place.name.clone(), arn: identity.arn.clone() }]),
        },
        (_, State::Database(seen)) => databases::judge(state, i, action, seen, now),
        (Action::Write(Write::Guard { component, holder, instead_of, .. }), State::Guard(guard)) => {
            match &guard.holder {
                Some(held) if held == holder => Judged::Done(Vec::new()),
                held if held.is_none() || held == instead_of || undoing_now(state, i) => Judged::Before,
                held => Judged::Wrong(format!(
                    "{} holds the guard of {component}. Only if that run is dead, run {}, then start again with --take-over --reason TEXT",
                    held.as_deref().unwrap_or_default(),
                    state.created.command("runs cancel", " --reason TEXT")
                )),
            }
        }
        (Action::Write(Write::ReleaseGuard { holder, .. }), State::Guard(guard)) => {
            if guard.holder.as_ref() == Some(holder) { Judged::Before } else { Judged::Done(Vec::new()) }
        }
        _ => Judged::other(),
    }
}

fn probe_verdict(state: &RunState, i: usize, consecutive: u32, probe: &ProbeSight) -> Judged {
    let began = state.work(i).started_at;
    match (probe.window_began, began) {
        // All good samples were sent after the step started. An older one may come from the site that users leave.
        (Some(window), Some(began)) if probe.good_in_row >= consecutive && window >= began => {
            Judged::Done(Vec::new())
        }
        _ => {
            Judged::Unclear(format!("{} of {consecutive} good in a row", probe.good_in_row.min(consecutive)))
        }
    }
}
