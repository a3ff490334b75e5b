//! Stops: a step failed, and nothing continues until a named person decides.

use super::model::attention::{Acknowledged, Answer, Fulfilled, Pause, Question, Stopped};
use super::state::{Mode, RunState, Status};
use crate::model::duty::{Decision, Duty};
use crate::model::ids::StepId;
use crate::model::intent::Intent;
use crate::model::plain;
use crate::model::properties::OnStop;
use crate::model::time::Timestamp;
use crate::model::waiver::one_line;
use crate::record::action::{Action, Check};
use crate::record::event::EventKind;
use crate::record::runbook::{OnFailure, Phase, ProbeRole};

/// The reason that a process records when a person paused its run.
pub const PAUSED: &str = "paused";

/// The cause of a pause by Ctrl-C.
pub const INTERRUPTED: &str = "interrupted at the terminal";

/// The start of the cause of a pause that a person requested.
pub const REQUESTED_BY: &str = "requested by ";

/// The start of the effects in doubt in the reason of a halt.
pub const IN_DOUBT: &str = ". STILL IN DOUBT: ";

impl Pause {
    /// The cause, with its person and its time.
    fn words(&self) -> String {
        let of = if self.why == INTERRUPTED { format!(" of {}", self.by) } else { String::new() };
        format!("{}{of} at {}", self.why, self.at)
    }
}

impl RunState {
    /// Why its last process stopped. If a person paused it, the reason includes who did, after which step, and what it waited for or which
    /// step had failed.
    pub fn why_stopped(&self) -> Option<String> {
        let halted = self.halted.clone()?;
        let rest = halted.strip_prefix(PAUSED).filter(|rest| rest.is_empty() || rest.starts_with(IN_DOUBT));
        let Some(rest) = rest else { return Some(halted) };
        let failed = (0..self.steps.len()).find(|i| self.brought_to_a_stop(*i)).map(|i| {
            let why = self.steps[i].work.reason.as_deref().unwrap_or_default();
            format!("; {} failed: {why}", self.step(i).id)
        });
        let waits = self.waits_for_people().into_iter();
        let waits = waits.map(|waits| match waits.answered {
            true => format!("; {}: {}", waits.step, waits.why),
            false => format!("; {} waits for a person: {}", waits.step, waits.why),
        });
        let more: String = failed.into_iter().chain(waits).collect();
        Some(format!("{}{rest}{more}", self.why_paused()))
    }

    /// The last pause, and the step after which the run stood still.
    fn why_paused(&self) -> String {
        let Some(pause) = self.attention.pauses.last() else { return PAUSED.to_owned() };
        let all = self.runbook.steps.iter().zip(&self.steps).filter(|(step, _)| !step.background);
        let done = all.filter(|(_, at)| matches!(at.work.status, Status::Done(_)));
        let last = done.max_by_key(|(_, at)| at.work.ended_at);
        let after = last.map_or_else(String::new, |(step, _)| format!(", after {}", step.id));
        format!("{PAUSED}: {}{after}", pause.words())
    }

    /// Records a pause. Whose process it was is the person at its terminal.
    fn note_pause(&mut self, why: &str, at: Timestamp) {
        if self.attention.paused {
            return;
        }
        let resumed = self.people.iter().rev().find_map(|event| match &event.what {
            EventKind::Resumed { who } => Some(&who.who),
            _ => None,
        });
        let by = match (why.strip_prefix(REQUESTED_BY), self.owner.split_once(" pid ")) {
            (Some(who), _) => who.trim_end_matches(" (unsigned)").to_owned(),
            (None, Some((user, _))) => user.to_owned(),
            // The owner of a rehearsal is nobody.
            (None, None) => resumed.unwrap_or(&self.created.requester.who).clone(),
        };
        let pause = Pause { at, why: why.to_owned(), by, follows: self.people.len() };
        self.attention.pauses.push(pause);
        self.attention.paused = true;
    }

    /// The stop without a decision.
    pub fn stopped(&self) -> Option<&Stopped> {
        self.attention.stops.last().filter(|stop| stop.answers.is_empty() && !self.finished())
    }

    /// The stop that a named person must decide before anybody continues the run. An undo continues without a decision.
    pub fn to_decide(&self) -> Option<&Stopped> {
        self.stopped().filter(|_| !self.created.authority.is_empty() && !self.goes_no_further())
    }

    /// The command that continues it, or the decision that drctl requires before that.
    pub fn to_continue(&self) -> String {
        match self.to_decide() {
            Some(_) => self.created.command("ack", " --decide fix-forward --reason TEXT"),
            None => self.created.command("runs resume", ""),
        }
    }

    /// The same with what it does. Continuing a cancel that did not finish never moves the run forward.
    pub fn next_to_continue(&self) -> String {
        let what = if self.goes_no_further() { "finish the cancel" } else { "continue the run" };
        format!("to {what}: {}", self.to_continue())
    }

    /// Whether a stop without a decision keeps a step from starting or calling again. Steps in progress end. The fences and the capacity of
    /// a failover do not wait: they take nothing from users who are not served, and can be undone. A drill of copies continues to remove
    /// its copy.
    pub fn held(&self, i: usize) -> bool {
        if self.mode != Mode::Running || self.is_under_way() {
            return false;
        }
        let step = self.step(i);
        if step.debt || self.captures(i) {
            return false;
        }
        match step.action.properties().on_stop {
            OnStop::GoesOnInAFailover => self.runbook.intent != Intent::Failover,
            OnStop::DoesNotBegin => self.work(i).status == Status::Pending,
            OnStop::Waits => true,
        }
    }

    /// Whether it has no stop without a decision to continue. Any other decision holds it.
    pub fn is_under_way(&self) -> bool {
        self.runbook.intent == Intent::Drill || self.finished() || self.may_go_on()
    }

    /// Whether a step captures the state when the run stops or is over.
    pub fn captures(&self, i: usize) -> bool {
        let step = self.step(i);
        step.phase == Phase::Seal && matches!(step.action, Action::Check(Check::Evidence { .. }))
    }

    /// A capture step that has not run since the run stopped.
    pub fn uncaptured(&self) -> Option<usize> {
        let open = |i: &usize| self.captures(*i) && self.work(*i).status == Status::Pending;
        (0..self.steps.len()).find(open).filter(|_| !self.is_under_way())
    }

    /// Whether it has no stop, or somebody decided to continue.
    pub fn may_go_on(&self) -> bool {
        let forward = |answer: &Answer| answer.decision == Decision::FixForward;
        self.attention.stops.last().is_none_or(|stop| stop.answer().is_some_and(forward))
    }

    /// The decision about the last stop, if it is not to continue. A run that is being undone or closed already follows it.
    pub fn decided_otherwise(&self) -> Option<&Answer> {
        let answer = self.attention.stops.last().and_then(Stopped::answer)?;
        let ends = self.finished() || self.mode == Mode::Cancelling || self.goes_no_further();
        (answer.decision != Decision::FixForward && !ends).then_some(answer)
    }

    /// Since when nothing but watching is left to do for users, or the run is finished. The run's watch is part of the monitoring by
    /// people, and causes no later messages.
    pub fn over_at(&self) -> Option<Timestamp> {
        // Resolvers are also checked in that phase, before users are known to be served.
        let watches = |i: &usize| {
            let step = self.step(*i);
            step.phase == Phase::Watch && !step.background && matches!(step.action, Action::Wait { .. })
        };
        // A watch that was skipped beforehand shows nothing.
        let since = |i: usize| {
            let work = self.work(i);
            let needs = self.step(i).needs.iter().filter_map(|need| self.position(&need.step));
            // If it was skipped beforehand, its time is when everything before it ended.
            let last = needs.filter_map(|need| self.work(need).ended_at).chain(work.ended_at).max();
            work.started_at.or(last.filter(|_| work.ended_at.is_some() && self.needs_met(i)))
        };
        let watched = (0..self.steps.len()).filter(watches).filter_map(since).min();
        watched.into_iter().chain(self.finished_at).min()
    }

    /// From when duties are due: the end of the run, or its last stop if nobody continued it. An abandoned run is an incident, too.
    pub fn owes_from(&self, duty: Duty) -> Option<Timestamp> {
        let stop = || self.attention.stops.last().filter(|_| !self.may_go_on()).map(|stop| stop.at);
        self.over_at().or_else(|| stop().filter(|_| duty != Duty::Monitoring))
    }

    /// Since when users fail again who had been served, during the watch.
    pub fn fails_again(&self) -> Option<Timestamp> {
        let over = self.over_at()?;
        let publics = self.runbook.probes.iter().filter(|probe| probe.role == ProbeRole::Public);
        let bad = publics.filter_map(|probe| self.turns.get(&probe.key())?.last()).filter(|turn| !turn.good);
        bad.map(|turn| turn.since).filter(|since| *since > over).min()
    }

    /// Records what needs a person, and what people answered.
    pub(super) fn note_stop(&mut self, what: &EventKind, at: Timestamp) {
        self.note_questions(what, at);
        match what {
            EventKind::Paused { why } => self.note_pause(why, at),
            EventKind::Resumed { .. } | EventKind::CancelRequested { .. } => self.attention.paused = false,
            _ => {}
        }
        let (who, decision, reason) = match what {
            EventKind::StepFailed { step, reason }
            | EventKind::UndoFailed { step, reason }
            | EventKind::GuardLost { step, reason } => {
                return self.stop(step, reason, at);
            }
            EventKind::Acknowledged { who, decision, reason } => {
                // The order of the journal decides, whatever the clocks said.
                self.attention.stops.iter_mut().for_each(|stop| stop.seen = true);
                self.attention.questions.values_mut().for_each(|question| question.seen = true);
                let said = Acknowledged { at, who: who.clone(), reason: reason.clone() };
                self.attention.acknowledged.push(said);
                let Some(decision) = decision else { return };
                (who, *decision, Some(reason.clone()))
            }
            EventKind::Fulfilled { duty, who, reference, .. } => {
                let (duty, who, reference) = (*duty, who.clone(), reference.clone());
                return self.attention.fulfilled.push(Fulfilled { duty, at, who, reference });
            }
            EventKind::Resumed { .. } if self.may_go_on() => return,
            EventKind::Resumed { who } => (who, Decision::FixForward, None),
            // Who did the failed step by hand decides an open stop.
            EventKind::ClaimedDone { step, who } if self.stopped().is_some() && self.has_failed(step) => {
                let said = format!("{step} was done by hand (drctl runs done)");
                (who, Decision::FixForward, Some(said))
            }
            // A run that another run continues is not undone.
            EventKind::CancelRequested { who, reason, displaced_by: Some(_) } => {
                (who, Decision::Failover, Some(reason.clone()))
            }
            EventKind::CancelRequested { who, reason, displaced_by: None } => {
                (who, Decision::TakeBack, Some(reason.clone()))
            }
            _ => return,
        };
        if let Some(stop) = self.attention.stops.last_mut() {
            stop.answers.push(Answer { at, who: who.clone(), decision, reason });
        }
    }

    fn has_failed(&self, step: &StepId) -> bool {
        self.position(step).is_some_and(|i| self.work(i).status == Status::Failed)
    }

    fn stop(&mut self, step: &StepId, reason: &str, at: Timestamp) {
        let Some(position) = self.position(step) else { return };
        let (of, failed) = (self.step(position), self.work(position).status == Status::Failed);
        // A failure that other steps compensate, such as the next fence method, is not a stop.
        let goes_on = of.on_failure == OnFailure::Continue;
        // A pending fence is tried again and again in the background, and an expired request is opened again.
        let beside = of.background || self.finished() || matches!(of.action, Action::Gate(_));
        if goes_on || beside || !failed || self.stopped().is_some() {
            return;
        }
        let (step, reason) = (step.clone(), reason.to_owned());
        self.attention.stops.push(Stopped { at, step, reason, seen: false, answers: Vec::new() });
    }

    /// A request is open from when it was made until its step continues or is finished.
    fn note_questions(&mut self, what: &EventKind, at: Timestamp) {
        let blocked = |step: &StepId| {
            let status = self.position(step).map(|i| &self.work(i).status);
            matches!(status, Some(Status::Blocked { .. }))
        };
        let over: Vec<StepId> =
            self.attention.questions.keys().filter(|step| !blocked(step)).cloned().collect();
        for step in over {
            self.attention.questions.entry(step).and_modify(|question| question.since = None);
        }
        let EventKind::GateBlocked { step, .. } = what else { return };
        let question = self.attention.questions.entry(step.clone()).or_default();
        if question.since.is_none() {
            *question = Question { since: Some(at), number: question.number + 1, seen: false };
        }
    }
}

/// Whether no authorised person decided to continue after a stop.
pub(super) fn must_be_answered(state: &RunState) -> bool {
    !state.created.authority.is_empty() && !state.may_go_on()
}

/// A person who continues after a stop must first record a decision, by name. Earlier decisions stay valid.
pub(super) fn unanswered(state: &RunState) -> String {
    let more = " --decide fix-forward --reason \"what was put right\"";
    let fix = state.created.command("ack", more);
    let Some(stop) = state.attention.stops.last() else { return fix };
    let about = format!("{} at {}: {}", stop.step, stop.at, plain::clause(&one_line(&stop.reason)));
    match stop.answer() {
        None => format!("the run stopped at {about}. A named person must decide first: {fix}"),
        Some(answer) => format!(
            "the run stopped at {about}. {} decided at {}: {}, not to continue. To decide otherwise, run {fix}",
            answer.who, answer.at, answer.decision
        ),
    }
}
