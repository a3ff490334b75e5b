//! Whether a run still holds the guards of what it changes. The guard is read together with the step's target before every call. Another
//! run may have taken it over while this one waited, and then two runs would change one application.
//!
//! A guard that cannot be read counts as lost until it is read: on no answer, an error, or an answer that is not a guard. A person may
//! waive that by name. Only the text in the guard shows who holds it, never a clock.

use std::borrow::Cow;

use super::locked::locked;
use super::observed::{StepDecision, StepObservation};
use super::state::{Adoption, Mode, RunState, Status};
use crate::inventory::Observation;
use crate::kinds::{Operation, State, Target};
use crate::model::ids::{ComponentName, Digest};
use crate::model::plain;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Rule;
use crate::planner::refusal::flag;
use crate::record::action::{Action, Check, Write};
use crate::record::event::{Direction, End, EventKind};

/// How long drctl tries to read a guard before it asks a person. A single answer may get lost.
const PATIENCE: Dur = Dur::secs(10);
/// How old the answer about a guard may be when a call is made.
const FRESH: Dur = Dur::secs(5);

/// A guard that the run took and has not started to release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What it guards.
    pub component: ComponentName,
    /// Where it is.
    pub target: Target,
    /// Who took it, as written in the guard.
    pub holder: String,
    /// Who took it before the run was adopted.
    pub former: Option<String>,
}

impl Guard {
    /// Whether this is the run's own name, before or after an adoption.
    pub fn is_held_by(&self, holder: Option<&str>) -> bool {
        holder.is_some_and(|holder| holder == self.holder || self.former.as_deref() == Some(holder))
    }

    /// The call that takes an adopted guard over, if its former holder has it.
    pub fn taken_over(&self, found: Option<&str>) -> Option<Action> {
        let Target::Guard { component, place } = &self.target else { return None };
        let instead_of = self.former.clone().filter(|former| Some(former.as_str()) == found);
        let (component, place, holder) = (component.clone(), place.clone(), self.holder.clone());
        instead_of
            .map(|former| Action::Write(Write::Guard { component, place, holder, instead_of: Some(former) }))
    }
}

/// The result of reading a guard.
enum Reading {
    Ours,
    /// Another run holds it, or nobody does; in words.
    Lost(String),
    /// It could not be read, for this reason.
    Unread(String),
}

impl RunState {
    /// Changes the name under which an adopted run holds its guards.
    pub(super) fn adopted(&mut self, holder: &str, entry: &Digest) {
        let mut former = None;
        for (step, at) in self.runbook.steps.iter_mut().zip(&self.steps) {
            match &mut step.action {
                Action::Write(Write::Guard { holder: own, instead_of, .. }) => {
                    former = Some(std::mem::replace(own, holder.to_owned()));
                    if at.work.attempts > 0 {
                        instead_of.clone_from(&former);
                    }
                }
                Action::Write(Write::ReleaseGuard { holder: own, .. })
                | Action::Check(Check::Guard { holder: own, .. }) => holder.clone_into(own),
                _ => {}
            }
        }
        self.adoption = Some(Adoption { entry: entry.clone(), former });
    }

    fn guard(&self, component: &ComponentName, target: Target, holder: &str) -> Guard {
        let former = self.adoption.as_ref().and_then(|adoption| adoption.former.clone());
        Guard { component: component.clone(), target, holder: holder.to_owned(), former }
    }

    /// Guards that the run took and has not started to release; none once the run is over.
    pub fn guards(&self) -> Vec<Guard> {
        if self.finished() { Vec::new() } else { self.unreturned_guards() }
    }

    /// Like `guards`, but also for a finished run: a run that was closed past its point of no return keeps its guards.
    pub fn unreturned_guards(&self) -> Vec<Guard> {
        let mut steps: Vec<_> = self.positions.guards.values().flatten().copied().collect();
        steps.sort_unstable();
        steps.into_iter().filter_map(|i| self.guard_taken_at(i)).collect()
    }

    /// The guard that the step at `i` took, unless the run started to release it.
    fn guard_taken_at(&self, i: usize) -> Option<Guard> {
        let at = &self.steps[i];
        let Action::Write(Write::Guard { component, place, holder, .. }) = &self.step(i).action else {
            return None;
        };
        let kept = at.undo.as_ref().is_none_or(|undo| undo.status == Status::Failed);
        let mut releases = self.positions.releases.get(component).into_iter().flatten();
        let released = releases.any(|&i| self.steps[i].work.status != Status::Pending);
        if released || !kept || !matches!(at.work.status, Status::Done(_)) {
            return None;
        }
        let target = Target::Guard { component: component.clone(), place: place.clone() };
        Some(self.guard(component, target, holder))
    }

    /// Whether another operator holds a guard that the run needs.
    pub fn guard_is_held(&self) -> bool {
        self.runbook.steps.iter().zip(&self.steps).any(|(step, at)| {
            let guards = matches!(
                step.action,
                Action::Write(Write::Guard { .. }) | Action::Check(Check::Guard { .. })
            );
            (guards || at.work.displaced) && at.work.status == Status::Failed
        })
    }

    /// The guard that the run must hold before the step at `i` makes a call, if it took one. A step without a component needs the first
    /// guard, which decides between two operators.
    pub fn guard_of(&self, i: usize) -> Option<Guard> {
        let step = self.step(i);
        let guards = matches!(step.action, Action::Write(Write::Guard { .. } | Write::ReleaseGuard { .. }));
        // This guard does not cover the pending fence of an earlier run.
        if !step.action.mutates() || guards || step.debt {
            return None;
        }
        match &step.component {
            _ if self.finished() => None,
            Some(component) => {
                let mut taken = self.positions.guards.get(component).into_iter().flatten();
                taken.find_map(|&i| self.guard_taken_at(i))
            }
            None => self.guards().into_iter().next(),
        }
    }

    /// The guard to read together with the target of the step at `i`, if a call may follow.
    pub fn guard_to_read(&self, i: usize) -> Option<Target> {
        let calls_again = matches!(self.step(i).action, Action::Op(Operation::Fence(_)));
        match self.work(i).status {
            Status::Calling => None,
            // The call was already made, and only a fence has a second one.
            Status::Awaiting { .. } if !calls_again => None,
            _ => self.guard_of(i).map(|guard| guard.target),
        }
    }
}

/// Whether another run took a guard over, as this run or the person who cancelled it found.
pub(super) fn guard_lost(state: &RunState) -> bool {
    let lost = |i: usize| state.work(i).displaced && state.work(i).status == Status::Failed;
    state.displaced || (0..state.steps.len()).any(lost)
}

/// Separates the observation of the guard from those of the step.
pub(super) fn apart<'a>(
    state: &RunState,
    i: usize,
    sight: &'a StepObservation,
) -> (Cow<'a, StepObservation>, Option<&'a Observation>) {
    let StepObservation::Things(things) = sight else { return (Cow::Borrowed(sight), None) };
    let Some(guard) = state.guard_of(i) else { return (Cow::Borrowed(sight), None) };
    let Some((_, seen)) = things.iter().find(|(target, _)| *target == guard.target) else {
        return (Cow::Borrowed(sight), None);
    };
    let rest: Vec<_> = things.iter().filter(|(target, _)| *target != guard.target).cloned().collect();
    let rest = if rest.is_empty() { StepObservation::Nothing } else { StepObservation::Things(rest) };
    (Cow::Owned(rest), Some(seen))
}

/// Makes a call only if this run holds the guard.
pub(super) fn allowed(
    state: &RunState,
    i: usize,
    intent: EventKind,
    seen: Option<&Observation>,
    now: Timestamp,
) -> StepDecision {
    let Some(guard) = state.guard_of(i) else { return StepDecision::Perform(intent) };
    let Some(seen) = seen else {
        return StepDecision::Keep(format!("drctl reads the guard of {} first", guard.component));
    };
    let step = state.step(i).id.clone();
    let back = matches!(intent, EventKind::CallIntended { direction: Direction::Undo, .. });
    match read(&guard, seen) {
        Reading::Ours if is_old(seen, now) && !waived(state, &guard) => StepDecision::Keep(format!(
            "the last answer about the guard of {} is too old for a call, so drctl reads it again",
            guard.component
        )),
        Reading::Ours => StepDecision::Perform(intent),
        Reading::Lost(reason) if back => StepDecision::Record(EventKind::UndoFailed { step, reason }),
        Reading::Lost(reason) => StepDecision::Record(EventKind::GuardLost { step, reason }),
        Reading::Unread(_) if waived(state, &guard) => StepDecision::Perform(intent),
        Reading::Unread(why) if back || state.step(i).background => StepDecision::Keep(words(&guard, &why)),
        Reading::Unread(why) => unread(state, i, (&guard, &why), refuses(seen), now),
    }
}

/// Withdraws a request, which stops the standby, only if this run holds the guard: another run may have promoted that standby.
pub(super) fn withdrawal(
    state: &RunState,
    i: usize,
    seen: Option<&Observation>,
    now: Timestamp,
) -> StepDecision {
    let (step, work) = (state.step(i).id.clone(), state.work(i));
    let failed = |why: String| StepDecision::Record(EventKind::WithdrawFailed { step: step.clone(), why });
    let guard = state.guard_of(i);
    match guard.as_ref().zip(seen).map(|(guard, seen)| (guard, seen, read(guard, seen))) {
        // Its failure is in the journal already.
        Some((_, _, Reading::Lost(why))) if work.status.settled() => {
            failed(format!("{}. Another run may have promoted the server", plain::clause(&why)))
        }
        Some((guard, seen, Reading::Unread(why))) if !waived(state, guard) => {
            let asked = state.attention.questions.get(&step).and_then(|question| question.since);
            let began = [work.started_at, work.ended_at, state.cancelled_at, asked, Some(state.taken_at)];
            let waited = began.into_iter().flatten().max().is_none_or(|began| now >= began + PATIENCE);
            match waited || refuses(seen) {
                true => failed(unread_words(state, guard, &why)),
                false => StepDecision::Keep(words(guard, &why)),
            }
        }
        _ => allowed(state, i, EventKind::WithdrawIntended { step: step.clone() }, seen, now),
    }
}

/// Why a request was not withdrawn, and what a person can do.
fn unread_words(state: &RunState, guard: &Guard, why: &str) -> String {
    let component = &guard.component;
    let waive = flag(Rule::GuardUnread, Some(component), "").filter(|_| state.mode == Mode::Running);
    let resume = waive.map_or_else(String::new, |flag| {
        let resume = state.created.command("runs resume", &format!(" {flag}"));
        format!(". If none has, {resume} withdraws the request")
    });
    format!(
        "drctl cannot read the guard of {component} ({why}). Check first that no other run has promoted the server{resume}"
    )
}

/// Checks that this run still holds a guard.
pub(super) fn check(state: &RunState, i: usize, seen: &Observation, now: Timestamp) -> StepDecision {
    let step = state.step(i).id.clone();
    let Action::Check(Check::Guard { component, place, holder }) = &state.step(i).action else {
        return StepDecision::Keep("the answer was for a different target".to_owned());
    };
    let target = Target::Guard { component: component.clone(), place: place.clone() };
    let guard = state.guard(component, target, holder);
    let held = || {
        StepDecision::Record(EventKind::StepFinished {
            step: step.clone(),
            end: End::Performed,
            facts: Vec::new(),
        })
    };
    match (read(&guard, seen), seen) {
        (Reading::Ours, _) => held(),
        (Reading::Lost(reason), _) => StepDecision::Record(EventKind::GuardLost { step, reason }),
        (Reading::Unread(_), _) if waived(state, &guard) => held(),
        (Reading::Unread(_), Observation::Unauthenticated { why, clock }) => {
            locked(state, i, format!("{}: {why}", guard.target), *clock)
        }
        (Reading::Unread(why), _) => unread(state, i, (&guard, &why), refuses(seen), now),
    }
}

/// Whether an answer about a guard is too old for a call: another run may have taken the guard since.
pub fn is_old(seen: &Observation, now: Timestamp) -> bool {
    matches!(seen, Observation::Value { observed_at, .. } if now.since(*observed_at) > FRESH)
}

fn read(guard: &Guard, seen: &Observation) -> Reading {
    let component = &guard.component;
    match seen {
        Observation::Value { state: State::Guard(found), .. } => match found.holder.as_deref() {
            Some(holder) if holder == guard.holder => Reading::Ours,
            Some(former) if guard.is_held_by(Some(former)) => {
                Reading::Unread(format!("it still names {former}, the holder before the run was adopted"))
            }
            Some(other) => Reading::Lost(format!("{other} took over the guard of {component}")),
            None => Reading::Lost(format!("somebody removed the guard of {component}")),
        },
        Observation::Value { .. } => Reading::Unread("the answer was for a different target".to_owned()),
        other => Reading::Unread(other.why_not()),
    }
}

fn waived(state: &RunState, guard: &Guard) -> bool {
    state.waiver(Rule::GuardUnread, Some(&guard.component)).is_some()
}

/// The message about a guard that could not be read.
pub fn words(guard: &Guard, why: &str) -> String {
    let component = &guard.component;
    format!(
        "drctl cannot read the guard of {component} ({why}). Another run may have taken it over, so drctl changes nothing in {component} until it can read the guard"
    )
}

/// Whether every later attempt to read the guard will fail, too.
const fn refuses(seen: &Observation) -> bool {
    matches!(seen, Observation::Refused { .. })
}

fn unread(
    state: &RunState,
    i: usize,
    (guard, why): (&Guard, &str),
    for_good: bool,
    now: Timestamp,
) -> StepDecision {
    let words = words(guard, why);
    let work = state.work(i);
    let waited = for_good || work.started_at.is_none_or(|began| now >= began.max(state.taken_at) + PATIENCE);
    let waits = matches!(work.status, Status::Started | Status::InDoubt { .. } | Status::Backoff { .. });
    // A blocked step keeps observing the guard, and the question stays the same.
    if !waits || !waited {
        return StepDecision::Keep(words);
    }
    StepDecision::Record(EventKind::GateBlocked {
        step: state.step(i).id.clone(),
        rule: Some(Rule::GuardUnread),
        why: words,
        flag: flag(Rule::GuardUnread, Some(&guard.component), ""),
    })
}
