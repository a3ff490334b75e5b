//! Whether a gate lets the run continue.

use super::approval::{EXPIRED, WAITING, lacking};
use super::state::{RunState, Status};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::{Exposure, Operation};
use crate::model::ids::{ComponentName, StepId};
use crate::model::measure::Basis;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Rule, Waiver, accepted_loss};
use crate::planner::refusal::{flag, flags};
use crate::record::action::{Action, Gate};
use crate::record::event::{End, EventKind};

/// The answer of a gate.
pub enum Says {
    /// Continue; these events record it.
    Pass(Vec<EventKind>),
    /// Wait; no person can help.
    Wait,
    /// Wait until a person acts.
    Blocked(EventKind),
    /// The gate has failed.
    Failed(EventKind),
}

/// Evaluates a gate.
pub fn ask(state: &RunState, position: usize, gate: &Gate, now: Timestamp) -> Says {
    let step = state.step(position).id.clone();
    match gate {
        Gate::Fenced { component } => fenced(state, step, component, now),
        Gate::Exposure { components, objective_ms } => exposure(state, step, components, *objective_ms, now),
        Gate::Approval { .. } => approved(state, position, now),
    }
}

/// Why a gate cannot have passed, if it cannot. Approvals are checked elsewhere.
pub(super) fn unjustified(state: &RunState, position: usize, gate: &Gate) -> Option<String> {
    match gate {
        Gate::Approval { .. } => None,
        Gate::Fenced { component } => {
            let fenced = state.fenced(component).is_some();
            let owed = state.debts.contains_key(component);
            (!fenced && !owed)
                .then(|| format!("the fence of {component} is not proven, and nobody accepted that"))
        }
        // A loss only grows with time: if it is too much now, it is too much later.
        Gate::Exposure { components, objective_ms } => {
            let step = state.step(position).id.clone();
            match exposure(state, step, components, *objective_ms, state.last_at) {
                Says::Blocked(EventKind::GateBlocked { why, .. }) => Some(why),
                Says::Wait => Some("the possible data loss was not measured".to_owned()),
                _ => None,
            }
        }
    }
}

fn pass(step: StepId) -> EventKind {
    EventKind::StepFinished { step, end: End::Performed, facts: Vec::new() }
}

fn fenced(state: &RunState, step: StepId, component: &ComponentName, now: Timestamp) -> Says {
    if state.fenced(component).is_some() {
        return Says::Pass(vec![pass(step)]);
    }
    // A waiver replaces a fence that cannot be set. While a fence is still in progress, the gate waits for it until its timeout.
    let rungs = state.rungs(component);
    if rungs.iter().any(|&i| !state.step(i).background && !state.steps[i].work.status.settled()) {
        return Says::Wait;
    }
    if state.waiver(Rule::UnfencedPromotion, Some(component)).is_some() {
        return Says::Pass(vec![EventKind::FenceWaived { component: component.clone() }, pass(step)]);
    }
    let tried: Vec<_> = rungs
        .iter()
        .map(|&i| {
            format!(
                "{}: {}",
                state.step(i).id,
                state.steps[i].work.reason.as_deref().unwrap_or("no proof yet")
            )
        })
        .collect();
    let objective = state.runbook.objectives_of(component).rpo_ms;
    // The bound is never below the RPO.
    let known = state.exposure(component).and_then(|measured| to_accept(measured, now));
    let bound = known.filter(|known| *known > objective).map_or(objective, whole_minutes);
    let mut why = format!("the fence of {component} is not proven ({})", tried.join("; "));
    if bound > objective && state.exposure(component).is_some_and(|measured| measured.grows) {
        why.push_str(&leaves_time(bound));
    }
    Says::Blocked(EventKind::GateBlocked {
        step,
        rule: Some(Rule::UnfencedPromotion),
        why,
        flag: flag(Rule::UnfencedPromotion, Some(component), &bound.exact()),
    })
}

/// Asks for approvals.
fn approved(state: &RunState, position: usize, now: Timestamp) -> Says {
    let Action::Gate(Gate::Approval { ask, expires_after_ms, by, .. }) = &state.step(position).action else {
        return Says::Wait;
    };
    let of = &state.steps[position];
    let step = state.step(position).id.clone();
    let lacking = lacking(state, position, &of.approved_by, now);
    if lacking.is_empty() {
        return Says::Pass(vec![pass(step)]);
    }
    let asked_at = of.work.started_at.unwrap_or(now);
    if now.since(asked_at) >= *expires_after_ms {
        let reason =
            format!("{EXPIRED} within {expires_after_ms}; an expired request never counts as an approval");
        return Says::Failed(EventKind::StepFailed { step, reason });
    }
    let flag = Some(state.created.command("approve", &format!(" {step}")));
    let of_whom = if by.is_empty() { String::new() } else { format!(" by {}", lacking.join(" and ")) };
    let why = format!("{WAITING}{of_whom}: {ask}");
    Says::Blocked(EventKind::GateBlocked { step, rule: None, why, flag })
}

/// A store that may lose more than was promised or accepted.
struct Excess<'a> {
    component: &'a ComponentName,
    rule: Rule,
    why: String,
    /// The bound that a person would have to accept; none if the loss is unknown.
    bound: Option<Dur>,
    grows: bool,
}

/// One question covers all stores of a group, so that one answer is enough.
fn exposure(
    state: &RunState,
    step: StepId,
    components: &[ComponentName],
    objective: Dur,
    now: Timestamp,
) -> Says {
    let mut excesses = Vec::new();
    for component in components {
        let Some(measured) = state.exposure(component) else { return Says::Wait };
        excesses.extend(excess(state, component, measured, objective, now));
    }
    let Some(first) = excesses.first() else { return Says::Pass(vec![pass(step)]) };
    let bound = excesses.iter().filter_map(|excess| excess.bound).max().unwrap_or(objective);
    let risks: Vec<_> = excesses.iter().map(|excess| (excess.rule, Some(excess.component))).collect();
    let mut why = excesses.iter().map(|excess| excess.why.as_str()).collect::<Vec<_>>().join("; ");
    if excesses.iter().any(|excess| excess.grows) {
        why.push_str(&leaves_time(bound));
    }
    Says::Blocked(EventKind::GateBlocked {
        step,
        rule: Some(first.rule),
        why,
        flag: flags(&risks, &bound.exact()),
    })
}

/// How far the possible loss of a store exceeds the RPO or the accepted loss, if it does.
fn excess<'a>(
    state: &RunState,
    component: &'a ComponentName,
    measured: &Exposure,
    objective: Dur,
    now: Timestamp,
) -> Option<Excess<'a>> {
    let figure = measured.logged_at(now);
    let (rule, value) = match (figure.basis, figure.value_ms) {
        (Basis::Measured | Basis::UpperBound, Some(value)) => (Rule::ExposureAboveRpo, Some(value)),
        _ => (Rule::ExposureUnknown, None),
    };
    let mut accepted = accepted_loss(&state.waivers, rule, component);
    // Nobody can measure this loss, so only a person can accept it.
    if value.is_none() {
        accepted = accepted
            .or_else(|| state.waiver(Rule::OtherSource, Some(component)).and_then(|w| w.accept_loss_ms));
    }
    let covered = match (value, accepted) {
        // Without an accepted loss, the RPO applies. Otherwise the accepted loss applies, even if it is smaller than the RPO.
        (Some(_), None) => figure.proves(objective),
        (Some(value), Some(bound)) => value <= bound,
        (None, Some(_)) => [Rule::ExposureUnknown, Rule::OtherSource]
            .iter()
            .any(|r| state.waiver(*r, Some(component)).is_some()),
        (None, None) => false,
    };
    if covered {
        return None;
    }
    let more = match (accepted, value) {
        (Some(b), Some(value)) => {
            format!("; the accepted loss of {} is less than the bound of {}", b.in_full(), value.in_full())
        }
        (Some(b), None) => format!("; the accepted loss is {}", b.in_full()),
        (None, _) => String::new(),
    };
    let why = format!("{component} may lose {figure}; the RPO is {objective}{more} ({})", measured.because);
    Some(Excess {
        component,
        rule,
        why,
        bound: to_accept(measured, now).map(whole_minutes),
        grows: measured.grows && value.is_some(),
    })
}

/// Whether more may be lost now than when the gate allowed the promotion. Approvals, pauses and crashes take time, during which an old
/// primary without a fence continues to take writes. In a group this is checked for all members that are not promoted yet, and none is
/// promoted if one of them could not be.
pub fn reopened(
    state: &RunState,
    promotion: usize,
    component: &ComponentName,
    now: Timestamp,
) -> Option<EventKind> {
    let (components, objective) = state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Gate(Gate::Exposure { components, objective_ms }) if components.contains(component) => {
            Some((components, *objective_ms))
        }
        _ => None,
    })?;
    let step = state.step(promotion).id.clone();
    let failed = |name: &&ComponentName| {
        *name != component && state.promotion(name).is_some_and(|i| state.work(i).status == Status::Failed)
    };
    if let Some(other) = components.iter().find(failed) {
        return Some(EventKind::GateBlocked {
            step,
            rule: None,
            why: format!("drctl could not promote {other}, and it promotes a group together or not at all"),
            flag: Some(format!("correct the cause, then run {}", state.created.command("runs resume", ""))),
        });
    }
    let may_be = |i: usize| {
        state.work(i).doubt.is_some()
            || state.work(i).status.in_flight()
            || matches!(state.work(i).status, Status::Done(_))
    };
    let left: Vec<_> = components
        .iter()
        .filter(|name| *name == component || !state.promotion(name).is_some_and(may_be))
        .cloned()
        .collect();
    match exposure(state, step, &left, objective, now) {
        Says::Blocked(event) => Some(event),
        _ => None,
    }
}

/// Why the accepted loss is not enough to let the run continue, because a larger loss is possible; and the command that accepts enough.
pub fn falls_short(state: &RunState, waivers: &[Waiver], now: Timestamp) -> Option<(String, String)> {
    let short: Vec<_> = waivers.iter().filter_map(|waiver| shortfall(state, waiver, now)).collect();
    let enough = short.iter().map(|short| short.enough).max()?;
    let bounded = waivers.iter().filter(|waiver| waiver.rule.needs_loss_bound());
    let risks: Vec<_> = bounded.map(|waiver| (waiver.rule, waiver.component.as_ref())).collect();
    let accepted = waivers.iter().filter_map(|waiver| waiver.accept_loss_ms).max()?;
    let flags = flags(&risks, &enough.max(accepted).exact())?;
    let bounds = short.iter().map(|short| format!("{} for {}", short.bound.in_full(), short.component));
    let why = format!(
        "the accepted loss of {} is less than the bound of {}, so the run would stop again. The waiver was not recorded",
        accepted.in_full(),
        bounds.collect::<Vec<_>>().join(" and of ")
    );
    Some((why, state.created.command("runs resume", &format!(" {flags}"))))
}

/// A store that loses more than a person accepts.
struct Shortfall<'a> {
    component: &'a ComponentName,
    bound: Dur,
    enough: Dur,
}

fn shortfall<'a>(state: &RunState, waiver: &'a Waiver, now: Timestamp) -> Option<Shortfall<'a>> {
    let (component, accepted) = waiver.component.as_ref().zip(waiver.accept_loss_ms)?;
    if ![Rule::ExposureAboveRpo, Rule::UnfencedPromotion].contains(&waiver.rule)
        || state.promoted.contains(component)
    {
        return None;
    }
    let measured = state.exposure(component)?;
    let figure = measured.logged_at(now);
    let known = figure.value_ms.filter(|_| matches!(figure.basis, Basis::Measured | Basis::UpperBound));
    let bound = known.filter(|bound| *bound > accepted)?;
    Some(Shortfall { component, bound, enough: to_accept(measured, now).map(whole_minutes)? })
}

/// How long a printed bound stays valid for a loss that grows.
const TIME_TO_ANSWER: Dur = Dur::mins(5);

/// The loss that a person has to accept: the known loss, plus what is added while that person reads, decides and types. None if the loss is
/// unknown.
fn to_accept(measured: &Exposure, now: Timestamp) -> Option<Dur> {
    let known = measured.logged_at(now).value_ms?;
    Some(if measured.grows { known.plus(TIME_TO_ANSWER) } else { known })
}

fn leaves_time(bound: Dur) -> String {
    format!(
        ". The loss grows until the old primary is fenced; a bound of {} leaves {TIME_TO_ANSWER} to answer",
        bound.in_full()
    )
}

/// A bound that a person can type: the next whole minute.
fn whole_minutes(value: Dur) -> Dur {
    Dur::mins(value.millis().div_ceil(60_000))
}

/// The question of a step that waits because of a possible loss, with the figure and the bound of `now`: why it waits, and the flag that
/// answers it. None if the step does not ask that question at `now`.
pub fn asked_as_of(state: &RunState, i: usize, now: Timestamp) -> Option<(String, Option<String>)> {
    let status = &state.work(i).status;
    let Status::Blocked { rule: Some(_), .. } = status else { return None };
    let event = match &state.step(i).action {
        Action::Gate(gate) => match ask(state, i, gate, now) {
            Says::Blocked(event) => event,
            Says::Pass(_) | Says::Wait | Says::Failed(_) => return None,
        },
        Action::Op(Operation::Promote(Promote { db, .. })) => reopened(state, i, &db.component, now)?,
        _ => return None,
    };
    if !same_block(status, &event) {
        return None;
    }
    let EventKind::GateBlocked { why, flag, .. } = event else { return None };
    Some((why, flag))
}

/// Why a blocked step waits, with the figure of `now`.
pub(super) fn why_as_of(state: &RunState, i: usize, why: &str, now: Timestamp) -> String {
    asked_as_of(state, i, now).map_or_else(|| why.to_owned(), |(why, _)| why)
}

/// Whether an event only repeats the question of a blocked gate.
pub fn same_block(status: &Status, what: &EventKind) -> bool {
    match (status, what) {
        // The figure in the text and the bound in the flag may grow; the question stays the same. A different component makes it a
        // different question: after an answer for one component of a group, the next one still needs its own.
        (
            Status::Blocked { rule: a, why, flag },
            EventKind::GateBlocked { rule: b, why: now, flag: flag_now, .. },
        ) => a == b && if a.is_some() { waived_by(flag) == waived_by(flag_now) } else { why == now },
        _ => false,
    }
}

/// The waiver that a flag names, without its bound.
fn waived_by(flag: &Option<String>) -> Option<&str> {
    flag.as_deref().and_then(|flag| flag.split(" --accept-data-loss").next())
}
