//! The one transition function. A pair of state and event that is not named here is illegal, and the error says so.

use super::illegal::Illegal;
use super::model::calls::Withdrawal;
use super::outstanding::LATE;
use super::signal::person_of;
use super::state::{Mode, RunState, Status, Turn, Work};
use super::{approval, consented, fenced, lawful, terms};
use crate::kinds::shared::database::Promotable;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::restore::{IN_PLACE, Restore, RestoreJob, RestoreStep};
use crate::kinds::{Exposure, Fact, Operation};
use crate::model::ids::{Digest, StepId};
use crate::model::time::Timestamp;
use crate::model::waiver::Rule;
use crate::record::action::{Action, Check};
use crate::record::event::{Direction, End, Event, EventKind, Signal};
use crate::record::statement::Statement;

impl RunState {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// The first event that cannot follow, with its position.
    pub fn fold<'e>(events: impl IntoIterator<Item = &'e Event>) -> Result<Self, (usize, Illegal)> {
        let mut events = events.into_iter().enumerate();
        let mut state = match events.next() {
            Some((_, first)) => Self::begin(first).map_err(|e| (0, e))?,
            None => return Err((0, Illegal::Beginning)),
        };
        for (i, event) in events {
            state.apply(event).map_err(|e| (i, e))?;
        }
        Ok(state)
    }

    /// The state after the first event.
    ///
    /// # Errors
    /// If it is not `run_created`, or its runbook cannot be read.
    pub fn begin(first: &Event) -> Result<Self, Illegal> {
        let EventKind::RunCreated(created) = &first.what else { return Err(Illegal::Beginning) };
        if Digest::of_bytes(created.runbook.as_bytes()) != created.runbook_digest {
            return Err(Illegal::Runbook("its digest differs: it changed after the approval".to_owned()));
        }
        if let Some(why) = terms::contradiction(created) {
            return Err(Illegal::Terms(why));
        }
        let runbook = serde_json::from_str(&created.runbook).map_err(|e| Illegal::Runbook(e.to_string()))?;
        if let Some(why) = consented::unapproved(created, &runbook, first.at) {
            return Err(Illegal::NotAgreedTo(why));
        }
        Ok(Self::new((**created).clone(), runbook, first.at))
    }

    /// Applies one event.
    ///
    /// # Errors
    /// If the event cannot follow; the state is then unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), Illegal> {
        if event.at < self.last_at {
            return Err(Illegal::Backwards(event.at, self.last_at));
        }
        let at = event.at;
        if let Some((step, why)) = approval::unapproved(self, &event.what, at) {
            return Err(Illegal::Unapproved(step, why));
        }
        if let Some((step, why)) = lawful::impossible(self, &event.what) {
            return Err(Illegal::Impossible(step, why));
        }
        match &event.what {
            EventKind::RunCreated(_) => return Err(Illegal::Beginning),
            EventKind::EpochTaken { epoch, owner } => {
                self.take_epoch(*epoch, owner, at);
                self.place_all();
            }
            EventKind::Adopted { holder, entry } => self.adopted(holder, entry),
            EventKind::EndpointsUsed { endpoints } => self.endpoints.extend(endpoints.iter().cloned()),
            EventKind::ProbeTurned { probe, good, since, last_other, .. } => {
                let turn = Turn { good: *good, since: *since, last_other: *last_other };
                let turns = self.turns.entry(probe.clone()).or_default();
                // A process that continues a run observes again what an earlier process observed. That is not a turn.
                if turns.last().is_none_or(|last| last.good != turn.good) {
                    turns.push(turn);
                }
            }
            EventKind::WithdrawIntended { step }
            | EventKind::Withdrawn { step }
            | EventKind::WithdrawFailed { step, .. } => self.withdrawal(step, &event.what, at)?,
            EventKind::FenceWaived { .. }
            | EventKind::FencePending { .. }
            | EventKind::DebtSettled { .. }
            | EventKind::NewPrimaryChecked { .. }
            | EventKind::PlaceAnswered { .. } => self.note_debt(&event.what, at),
            EventKind::Waived { waiver } => {
                self.waivers.push(waiver.clone());
                self.ask_promotions_anew(at);
            }
            EventKind::StatementRead { statement } => drop(self.statements_read.insert(statement.clone())),
            EventKind::SignalRefused { .. }
            | EventKind::Acknowledged { .. }
            | EventKind::Fulfilled { .. } => {}
            EventKind::ClockJumped { forward_ms, backward_ms } => {
                self.clock_jumped(*forward_ms, *backward_ms, at);
            }
            EventKind::Halted { reason } => self.halted = Some(reason.clone()),
            EventKind::Paused { .. } => self.control(Mode::Paused, "paused")?,
            EventKind::Resumed { .. } => self.resumed(at)?,
            EventKind::CancelRequested { displaced_by, who, reason } => {
                self.control(Mode::Cancelling, "cancel_requested")?;
                self.cancelled_by = Some((who.clone(), reason.clone()));
                self.cancelled_at = Some(at);
                self.closing = self.past_return();
                self.forget_capture(displaced_by.is_none());
                self.displaced |= displaced_by.is_some();
                self.retry_undo();
                self.place_all();
            }
            EventKind::RunFinished { outcome } => {
                self.control(Mode::Finished(*outcome), "run_finished")?;
                self.finished_at = Some(at);
            }
            other => self.apply_step(other, at)?,
        }
        self.note_stop(&event.what, at);
        self.last_at = at;
        self.note_people(event);
        Ok(())
    }

    /// What people said and did.
    fn note_people(&mut self, event: &Event) {
        self.said.extend(person_of(&event.what).and_then(Statement::of_person).map(|s| s.nonce));
        if let EventKind::Resumed { who } = &event.what {
            // An answer that also continues the run counts with its own event.
            let resumes = Statement::of_person(who).filter(|s| s.signal == Some(Signal::Resume));
            self.said.extend(resumes.map(|s| s.nonce));
        }
        if person_of(&event.what).is_some() || matches!(event.what, EventKind::Resumed { .. }) {
            self.people.push(event.clone());
        }
    }

    fn resumed(&mut self, at: Timestamp) -> Result<(), Illegal> {
        let over = self.goes_no_further();
        self.control(if over { Mode::Cancelling } else { Mode::Running }, "resumed")?;
        self.cancelled_at = over.then_some(at);
        if !over {
            self.retry_failed(at);
        }
        self.retry_undo();
        self.place_all();
        Ok(())
    }

    fn control(&mut self, mode: Mode, name: &'static str) -> Result<(), Illegal> {
        if self.finished() {
            return Err(Illegal::Finished(name));
        }
        self.mode = mode;
        self.halted = None;
        Ok(())
    }

    /// Calls of an earlier owner without an answer are in doubt. Pending fences are tried from the start.
    fn take_epoch(&mut self, epoch: u64, owner: &str, at: Timestamp) {
        self.note_failing();
        owner.clone_into(&mut self.owner);
        self.epoch = epoch;
        self.taken_at = at;
        self.halted = None;
        let finished = self.finished();
        for (i, step) in self.steps.iter_mut().enumerate() {
            for work in std::iter::once(&mut step.work).chain(step.undo.as_mut()) {
                if work.status == Status::Calling {
                    work.status = Status::InDoubt { since: at };
                    work.parts.doubt();
                    work.restart.forget();
                    work.lost_at = Some(at);
                }
            }
            // A process that continues the run checks whether the requested change happened in the meantime, and tries again to withdraw
            // it.
            step.withdrawal = None;
            let waits = matches!(step.work.status, Status::Blocked { rule: Some(_), .. });
            if let (true, Some(since)) =
                (waits && self.runbook.steps[i].action.outlasts(), step.work.asked[0])
            {
                step.work.status = Status::InDoubt { since };
                step.work.doubt = Some(since);
            }
            let is_fence = matches!(self.runbook.steps[i].action, Action::Op(Operation::Fence(_)));
            if is_fence
                && step.work.status == Status::Failed
                && (finished || self.runbook.steps[i].background)
            {
                step.work = step.work.again();
            }
        }
    }

    /// After an undo, an earlier capture no longer shows the current state.
    fn forget_capture(&mut self, goes_back: bool) {
        let back = goes_back && !self.past_return();
        let kept: Vec<usize> = (0..self.steps.len()).filter(|i| back && self.captures(*i)).collect();
        kept.into_iter().for_each(|i| self.steps[i].facts.clear());
    }

    /// A promotion that waits for a person is evaluated again once somebody accepted something, because it may continue.
    fn ask_promotions_anew(&mut self, at: Timestamp) {
        for (step, of) in self.steps.iter_mut().zip(&self.runbook.steps) {
            let waits = matches!(&step.work.status, Status::Blocked { rule: Some(_), .. });
            if waits && matches!(of.action, Action::Op(Operation::Promote(_))) {
                step.work.status = Status::Started;
                step.work.renewed_at = Some(at);
                // The question is answered; a new one has its own figure.
                step.work.reason = None;
                // It may be withdrawn now, such as without its guard.
                if step.withdrawal != Some(Withdrawal::Asked) {
                    step.withdrawal = None;
                }
            }
        }
    }

    fn retry_failed(&mut self, at: Timestamp) {
        // A capture made when the run stopped does not show the state at the end of the run.
        let left_alone = |i: usize| matches!(self.work(i).status, Status::Pending | Status::Skipped);
        let looked = |i: &usize| self.captures(*i) && !left_alone(*i);
        let kept: Vec<usize> = (0..self.steps.len()).filter(looked).filter(|i| !self.needs_met(*i)).collect();
        for (i, step) in self.steps.iter_mut().enumerate() {
            if kept.contains(&i) {
                step.facts.clear();
            }
            if step.work.status == Status::Failed || kept.contains(&i) {
                step.past.retries += u32::from(step.work.status == Status::Failed);
                step.work = step.work.again();
                let outlasts = self.runbook.steps[i].action.outlasts();
                step.work.doubt = step.work.doubt.or(step.work.asked[0].filter(|_| outlasts));
            }
        }
        // A person resumes after renewing credentials, so the step is observed again before the run asks anybody.
        for (step, of) in self.steps.iter_mut().zip(&self.runbook.steps) {
            let waits = matches!(&step.work.status, Status::Blocked { rule: None, .. });
            let waits = waits && !matches!(of.action, Action::Gate(_) | Action::Op(Operation::Run(_)));
            let unread = matches!(&step.work.status, Status::Blocked { rule: Some(Rule::GuardUnread), .. });
            if waits || unread {
                step.work.status = Status::Started;
                step.work.renewed_at = Some(at);
                step.work.reason = None;
            }
        }
    }

    /// Tries failed undos again.
    fn retry_undo(&mut self) {
        for step in &mut self.steps {
            if step.undo.as_ref().is_some_and(|u| u.status == Status::Failed) {
                step.undo = None;
                // A new attempt is a new job for the provider.
                step.undo_attempts += 1;
            }
        }
    }

    fn apply_step(&mut self, what: &EventKind, at: Timestamp) -> Result<(), Illegal> {
        let Some((id, name)) = step_of(what) else { return Ok(()) };
        let position = self.position(id).ok_or_else(|| Illegal::UnknownStep(id.clone()))?;
        let begins_undo = matches!(
            what,
            EventKind::CallIntended { direction: Direction::Undo, .. }
                | EventKind::StepUndone { .. }
                | EventKind::UndoFailed { .. }
        );
        if begins_undo && self.steps[position].undo.is_none() {
            self.steps[position].undo =
                Some(Work { status: Status::Started, started_at: Some(at), ..Work::new() });
        }
        let illegal =
            |status: &Status| Illegal::Step { step: id.clone(), status: status.word(), event: name };
        let undoing = self.steps[position].undo.is_some();
        // While a run is being undone, the facts for that decision are observed again and again.
        let looks_again = matches!(what, EventKind::StepStarted { .. }) && self.unwinds();
        let decides = matches!(
            self.runbook.steps[position].action,
            Action::Check(Check::Guard { .. }) | Action::Op(Operation::CheckPromotable(_))
        );
        let step = &mut self.steps[position];
        if looks_again && decides {
            step.work = Work::new();
        }
        let facts = &mut step.facts;
        let work = step.undo.as_mut().unwrap_or(&mut step.work);
        let next = match what {
            EventKind::Approved { .. }
            | EventKind::ClaimedDone { .. }
            | EventKind::Overridden { .. }
            | EventKind::Ratified { .. }
            | EventKind::RatificationRefused { .. } => None,
            _ => Some(
                of_call(work, what, at)
                    .or_else(|| of_step(work, what, undoing))
                    .ok_or_else(|| illegal(&work.status))?,
            ),
        };
        match what {
            EventKind::StepStarted { .. } => work.started_at = Some(at),
            EventKind::Overdue { .. } => work.overdue = Some(at),
            _ => {}
        }
        if let EventKind::StepFinished { facts: found, .. } = what {
            facts.extend(found.iter().cloned());
        }
        if let Some(status) = next {
            if status.settled() {
                work.ended_at = Some(at);
            }
            work.status = status;
        }
        self.steps[position].remember(what, at);
        self.note_asked(position, what, at);
        self.touched(position);
        self.after_step(position, what, at);
        Ok(())
    }

    /// The consequences of an event beyond its own step.
    fn after_step(&mut self, position: usize, what: &EventKind, at: Timestamp) {
        match what {
            EventKind::CallIntended { direction: Direction::Do, .. } => {
                match &self.runbook.steps[position].action {
                    Action::Op(Operation::Promote(Promote { db, .. })) => {
                        fenced::promoted(&mut self.promoted, &mut self.debts, &db.component, at);
                        self.promoted_at.insert(db.component.clone(), at);
                    }
                    // It can be undone as long as nobody has written.
                    Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, of })) => {
                        self.promoted_at.insert(of.db.component.clone(), at);
                    }
                    Action::Op(Operation::Fence(fence)) if self.finished() => {
                        self.after_end.entry(fence.db.component.clone()).or_default().calls += 1;
                    }
                    _ => {}
                }
            }
            EventKind::StepUndone { .. } => self.not_in_place(position),
            // The host reports that the old data are still in place.
            EventKind::StepFailed { reason, .. } if !reason.starts_with(LATE) => self.not_in_place(position),
            // Users wrote to the restored server, so it stays.
            EventKind::UndoFailed { reason, .. } => {
                if let Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, of })) =
                    &self.runbook.steps[position].action
                    && stays(of, reason)
                {
                    self.promoted.insert(of.db.component.clone());
                }
            }
            EventKind::FoundPromoted { .. } => {
                if let Action::Op(Operation::CheckPromotable(Promotable { db })) =
                    &self.runbook.steps[position].action
                {
                    fenced::promoted(&mut self.promoted, &mut self.debts, &db.component, at);
                    self.promoted_at.entry(db.component.clone()).or_insert(at);
                }
            }
            EventKind::StepFinished { facts, .. } => self.after_finish(position, facts, at),
            EventKind::ClaimedDone { who, .. } => self.steps[position].claimed_by = Some(who.clone()),
            _ => approval::note(self, position, what, at),
        }
    }

    fn not_in_place(&mut self, position: usize) {
        if let Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, of })) =
            &self.runbook.steps[position].action
        {
            self.promoted_at.remove(&of.db.component);
        }
    }

    fn after_finish(&mut self, position: usize, facts: &[Fact], at: Timestamp) {
        // No matter who promoted it: from here on, nothing of the component is undone.
        if let Action::Op(Operation::Promote(Promote { db, .. })) = &self.runbook.steps[position].action {
            fenced::promoted(&mut self.promoted, &mut self.debts, &db.component, at);
            self.promoted_at.entry(db.component.clone()).or_insert(at);
        }
        // The pending fence of an earlier run is for another server.
        if self.runbook.steps[position].debt {
            return;
        }
        for fact in facts {
            if let Fact::Fenced { component, .. } | Fact::Exposure(Exposure { component, .. }) = fact {
                self.known.entry(component.clone()).or_default().insert(position);
            }
            if let Fact::Fenced { component, proof, .. } = fact
                && let Some(debt) = self.debts.get_mut(component)
            {
                debt.paid.get_or_insert((at, proof.clone()));
            }
        }
    }
}

/// Whether a call may have had an effect that nobody has observed or disproved. A step that was tried again or waited for a person is still
/// in doubt.
const fn unsettled(status: &Status, doubt: Option<Timestamp>) -> bool {
    match status {
        Status::InDoubt { .. } | Status::Awaiting { .. } => true,
        Status::Started | Status::Backoff { .. } | Status::Blocked { .. } => doubt.is_some(),
        _ => false,
    }
}

/// The next status after an event of a call; none if the event belongs to no call or cannot follow.
fn of_call(work: &mut Work, what: &EventKind, at: Timestamp) -> Option<Status> {
    match (&work.status, what) {
        (
            // From awaiting: the second of two calls. From blocked: the credentials are valid again.
            Status::Started
            | Status::Backoff { .. }
            | Status::InDoubt { .. }
            | Status::Awaiting { .. }
            | Status::Blocked { .. },
            EventKind::CallIntended { attempt, generation, key, part, .. },
        ) => {
            if matches!(work.status, Status::Blocked { .. }) {
                work.renewed_at = Some(at);
                work.reason = None;
            }
            work.parts.now.clone_from(part);
            work.doubt = Some(at);
            work.attempts = *attempt;
            work.generation = *generation;
            work.key.clone_from(key);
            Some(Status::Calling)
        }
        (Status::Calling, EventKind::CallRequests { requests, .. }) => {
            work.requests.extend(requests.iter().cloned());
            Some(Status::Calling)
        }
        (Status::Calling, EventKind::CallAnswered { token, .. }) => {
            work.parts.accept();
            work.restart.answered(token.as_deref());
            Some(Status::Awaiting { answered_at: at, token: token.clone() })
        }
        (Status::Calling, EventKind::CallRefused { why, retry_at, .. }) => {
            work.reason = Some(why.clone());
            work.doubt = None;
            if retry_at.is_none() {
                work.parts.refused.push((work.parts.now.clone(), why.clone()));
            }
            Some(retry_at.map_or(Status::Started, |due| Status::Backoff { due }))
        }
        (Status::Calling, EventKind::CallInDoubt { why, .. }) => {
            work.reason = Some(why.clone());
            work.doubt = Some(at);
            work.lost_at = Some(at);
            work.parts.doubt();
            work.restart.forget();
            Some(Status::InDoubt { since: at })
        }
        (status, EventKind::PartSettled { .. }) if unsettled(status, work.doubt) => {
            work.parts.accept();
            work.renewed_at = Some(at);
            work.doubt = None;
            Some(Status::Started)
        }
        (status, EventKind::EffectDisproved { seen, .. }) if unsettled(status, work.doubt) => {
            work.generation += 1;
            work.restart.forget();
            work.doubt = None;
            work.reason = Some(seen.clone());
            Some(Status::Started)
        }
        _ => None,
    }
}

/// The next status after any other event; none if it cannot follow. While a call is in progress, no other event is valid.
fn of_step(work: &mut Work, what: &EventKind, undoing: bool) -> Option<Status> {
    let status = &work.status;
    let open = !status.settled() && *status != Status::Calling;
    let (next, reason) = match what {
        EventKind::StepStarted { .. } if *status == Status::Pending => (Status::Started, None),
        EventKind::StepFinished { end, .. } if open => (Status::Done(*end), None),
        EventKind::FoundPromoted { .. } if open => (Status::Done(End::Noop), None),
        EventKind::Overdue { why, flag, .. } if open => (status.clone(), Some(format!("{why} [{flag}]"))),
        EventKind::StepFailed { reason, .. } if open => (Status::Failed, Some(reason.clone())),
        EventKind::GuardLost { reason, .. } if open => {
            work.displaced = true;
            (Status::Failed, Some(reason.clone()))
        }
        EventKind::StepSkipped { reason, .. }
            if (!status.settled() || *status == Status::Failed) && !status.in_flight() =>
        {
            (Status::Skipped, Some(reason.clone()))
        }
        EventKind::GateBlocked { rule, why, flag, .. }
            if matches!(
                status,
                Status::Started
                    | Status::InDoubt { .. }
                    | Status::Awaiting { .. }
                    | Status::Blocked { .. }
                    | Status::Backoff { .. }
            ) =>
        {
            let blocked = Status::Blocked { why: why.clone(), rule: *rule, flag: flag.clone() };
            (blocked, Some(why.clone()))
        }
        EventKind::Rejected { who, reason, .. } if !status.settled() => {
            (Status::Failed, Some(format!("{who} rejected it: {reason}")))
        }
        EventKind::StepUndone { .. } if undoing && *status != Status::Calling => {
            (Status::Done(End::Performed), None)
        }
        EventKind::UndoFailed { reason, .. } if undoing && *status != Status::Calling => {
            (Status::Failed, Some(reason.clone()))
        }
        _ => return None,
    };
    work.reason = reason;
    Some(next)
}

/// The step that an event is about, and the event's name.
fn step_of(what: &EventKind) -> Option<(&StepId, &'static str)> {
    Some(match what {
        EventKind::StepStarted { step } => (step, "step_started"),
        EventKind::CallIntended { step, .. } => (step, "call_intended"),
        EventKind::CallAnswered { step, .. } => (step, "call_answered"),
        EventKind::CallRequests { step, .. } => (step, "call_requests"),
        EventKind::CallRefused { step, .. } => (step, "call_refused"),
        EventKind::CallInDoubt { step, .. } => (step, "call_in_doubt"),
        EventKind::EffectDisproved { step, .. } => (step, "effect_disproved"),
        EventKind::PartSettled { step } => (step, "part_settled"),
        EventKind::Overdue { step, .. } => (step, "overdue"),
        EventKind::StepFinished { step, .. } => (step, "step_finished"),
        EventKind::StepFailed { step, .. } => (step, "step_failed"),
        EventKind::GuardLost { step, .. } => (step, "guard_lost"),
        EventKind::FoundPromoted { step } => (step, "found_promoted"),
        EventKind::StepSkipped { step, .. } => (step, "step_skipped"),
        EventKind::GateBlocked { step, .. } => (step, "gate_blocked"),
        EventKind::Approved { step, .. } => (step, "approved"),
        EventKind::Rejected { step, .. } => (step, "rejected"),
        EventKind::Overridden { step, .. } => (step, "overridden"),
        EventKind::Ratified { step, .. } => (step, "ratified"),
        EventKind::RatificationRefused { step, .. } => (step, "ratification_refused"),
        EventKind::ClaimedDone { step, .. } => (step, "claimed_done"),
        EventKind::StepUndone { step } => (step, "step_undone"),
        EventKind::UndoFailed { step, .. } => (step, "undo_failed"),
        _ => return None,
    })
}

/// Whether a swap that cannot be undone must stay. For a managed swap, only its error code shows that; a refused or unanswered call shows
/// nothing.
pub(super) fn stays(of: &Restore, reason: &str) -> bool {
    of.instance().is_none() || reason.starts_with(IN_PLACE)
}
