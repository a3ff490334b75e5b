//! Effects that may still come: a call was made, and its effect is neither visible nor ruled out. Neither a halt nor the end of a run
//! cancels such a call.

use super::held::guard_lost;
use super::illegal::Illegal;
use super::model::calls::Withdrawal;
use super::state::{Mode, RunState, Status, Work};
use crate::kinds::Operation;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::promotion::Promote;
use crate::model::ids::StepId;
use crate::model::plain;
use crate::model::properties::InDoubt;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::{Action, Undo};
use crate::record::event::{Direction, EventKind, WorldKind};

/// The start of the reason for a step that took too long. The result of its call is unknown.
pub(super) const LATE: &str = "not done within";

/// An effect that may still come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// The step that asked for it.
    pub position: usize,
    /// Its id.
    pub step: StepId,
    /// What was asked for.
    pub action: Action,
    /// When the call was made.
    pub since: Timestamp,
    /// When drctl treats the effect as ruled out; none if only an observation can show that.
    pub until: Option<Timestamp>,
}

impl Outstanding {
    /// The server that would become a primary.
    pub const fn promotes(&self) -> Option<&DatabaseRef> {
        match &self.action {
            Action::Op(Operation::Promote(Promote { db, .. })) => Some(db),
            _ => None,
        }
    }

    /// What may still happen, in one sentence.
    pub fn words(&self, state: &RunState) -> String {
        let asked = format!("{}: the run requested \"{}\" at {}", self.step, self.action, self.since);
        let Some(db) = self.promotes() else {
            let resume = || state.created.command("runs resume", "");
            let then = match (self.until, state.finished()) {
                (Some(until), true) => format!(" until {until}. No command is needed"),
                (Some(until), false) => format!(" until {until}. Resuming the run settles it: {}", resume()),
                (None, false) => format!(". To observe it again, run {}", resume()),
                (None, true) => ". The run is over, so check it by hand".to_owned(),
            };
            return format!("{asked}. The outcome is unknown, and it may still take effect{then}");
        };
        let id = &db.id;
        let old = match state.fenced(&db.component) {
            Some(_) => "; the old primary is fenced",
            None => ", and the old primary is not fenced",
        };
        let failed = match &state.steps[self.position].withdrawal {
            Some(Withdrawal::Failed(why)) => {
                format!("drctl could not withdraw the request: {}. ", plain::clause(why))
            }
            _ => String::new(),
        };
        let withdraw = match db.engine.operator().withdrawal(id) {
            Some(_) if guard_lost(state) => format!(
                "This run lost the guard of {}, so drctl does not stop {id}: another run may have promoted it. Ask the operators of that run first. If no run needs {id}, stop it and start it as a standby again",
                db.component
            ),
            Some(how) => format!("{failed}To withdraw the request, {how}"),
            None => "The service cannot withdraw this request".to_owned(),
        };
        format!(
            "{asked}, and {id} does not take writes yet. The promotion may still happen hours from now, and {id} then takes writes{old}. {withdraw}"
        )
    }
}

/// How long after its end a rehearsal is looked at, so that what was lost can return.
pub const LATER: Dur = Dur::mins(60);

impl RunState {
    /// The time of somebody who looks at the run at `now`. A rehearsal has its own time: it stands still while no process drives the run,
    /// and goes on after its end.
    pub fn looked_at(&self, now: Timestamp) -> Timestamp {
        match (&self.created.world, self.finished()) {
            (WorldKind::Live, _) => now.max(self.last_at),
            (WorldKind::Sandbox { .. }, false) => self.last_at,
            (WorldKind::Sandbox { .. }, true) => self.last_at + LATER,
        }
    }

    /// Everything that may still take effect.
    pub fn outstanding(&self, now: Timestamp) -> Vec<Outstanding> {
        let mut found = Vec::new();
        for (position, at) in self.steps.iter().enumerate() {
            let step = self.step(position);
            let undo = at.undo.as_ref().and_then(|work| match self.forward(position).undo() {
                Undo::By(action) => Some((work, *action)),
                _ => None,
            });
            for (work, action) in std::iter::once((&at.work, step.action.clone())).chain(undo) {
                let Some(since) = work.asked[0] else { continue };
                // For an accepted change that cannot be undone, drctl waits until it observes failure or success.
                let accepted = matches!(work.status, Status::Awaiting { .. }) && action.is_final();
                let settles = action.settles().filter(|_| !accepted);
                // If the clock jumped ahead since, the waiting time starts at the jump.
                let last =
                    [Some(since), work.lost_at, self.clock_is_steady_since()].into_iter().flatten().max();
                let until = settles.map(|settle| last.unwrap_or(since) + settle);
                if until.is_none_or(|until| now < until) {
                    found.push(Outstanding { position, step: step.id.clone(), action, since, until });
                }
            }
        }
        found
    }

    /// Whether a step may exceed its time: a change that cannot be undone was requested, and was neither refused nor observed to have no
    /// effect; or the result of a call is unknown. For fences in doubt and similar steps, other steps or a person help while the run
    /// continues.
    pub fn outlasts_its_time(&self, i: usize) -> bool {
        let (action, work) = (self.action(i), self.work(i));
        let made_up = self.step(i).action.properties().made_up_for;
        let doubt = matches!(work.status, Status::InDoubt { .. }) && action.in_doubt() != InDoubt::Ask;
        let kept = doubt && !(made_up && self.mode == Mode::Running);
        kept || (action.is_final() && work.asked[0].is_some())
    }

    /// Whether a requested promotion must be withdrawn now, which takes the server's host: more may be lost by now than was accepted, or the
    /// run is cancelled.
    pub fn to_withdraw(&self, i: usize) -> bool {
        let by_host = matches!(&self.step(i).action, Action::Op(Operation::Promote(Promote { db, .. })) if db.host.is_some());
        let refused = match self.work(i).status {
            Status::Blocked { rule: Some(_), .. } => true,
            Status::Started | Status::Backoff { .. } | Status::Blocked { .. } | Status::Failed => {
                self.mode == Mode::Cancelling
            }
            _ => false,
        };
        let asked = self.step(i).action.outlasts() && self.work(i).asked[0].is_some();
        by_host && refused && asked && self.steps[i].withdrawal.is_none()
    }

    /// Whether a withdrawal is in progress.
    pub fn withdraws(&self) -> bool {
        self.steps.iter().any(|at| at.withdrawal == Some(Withdrawal::Asked))
    }

    /// Keeps a request until its effect was observed or is ruled out.
    pub(super) fn note_asked(&mut self, position: usize, what: &EventKind, at: Timestamp) {
        let action = &self.runbook.steps[position].action;
        let (outlasts, job) = (action.outlasts(), action.settles().is_none());
        let step = &mut self.steps[position];
        let forget = |work: &mut Work| work.asked = [None, None];
        match what {
            EventKind::CallIntended { direction, .. } => {
                let work = match direction {
                    Direction::Undo => step.undo.as_mut().unwrap_or(&mut step.work),
                    Direction::Do => &mut step.work,
                };
                work.asked = [Some(at), work.asked[0]];
                step.withdrawal = None;
            }
            // The refused call had no effect. That says nothing about earlier calls.
            EventKind::CallRefused { .. } => {
                let work = step.undo.as_mut().unwrap_or(&mut step.work);
                work.asked = [work.asked[1], None];
            }
            // Somebody decided that the step does not matter.
            EventKind::StepSkipped { .. } => forget(&mut step.work),
            EventKind::EffectDisproved { .. } if !outlasts => {
                forget(step.undo.as_mut().unwrap_or(&mut step.work));
            }
            // A job that ended is over, whatever its result.
            EventKind::StepFailed { reason, .. } if job && !outlasts && !reason.starts_with(LATE) => {
                forget(&mut step.work);
            }
            EventKind::StepFinished { .. } | EventKind::StepUndone { .. } => {
                forget(&mut step.work);
                step.undo.iter_mut().for_each(forget);
            }
            EventKind::FoundPromoted { .. } => {
                let found = self.runbook.steps[position].component.clone();
                let promotion = found.and_then(|component| self.promotion(&component));
                promotion.into_iter().for_each(|i| forget(&mut self.steps[i].work));
            }
            _ => {}
        }
    }

    /// The result of a withdrawal.
    pub(super) fn withdrawal(&mut self, id: &StepId, what: &EventKind, at: Timestamp) -> Result<(), Illegal> {
        let position = self.position(id).ok_or_else(|| Illegal::UnknownStep(id.clone()))?;
        let under_way = self.steps[position].withdrawal == Some(Withdrawal::Asked);
        let work = &self.steps[position].work;
        let may_begin = work.asked[0].is_some() && !work.status.in_flight();
        let illegal = |event| Illegal::Step { step: id.clone(), status: work.status.word(), event };
        match what {
            EventKind::WithdrawIntended { .. } if may_begin => {
                self.steps[position].withdrawal = Some(Withdrawal::Asked);
            }
            EventKind::Withdrawn { .. } if under_way => {
                let step = &mut self.steps[position];
                (step.withdrawal, step.work.doubt) = (None, None);
                step.work.asked = [None, None];
                // The server is a standby and knows of no request, so nothing of the component was promoted.
                if let Action::Op(Operation::Promote(Promote { db, .. })) =
                    &self.runbook.steps[position].action
                    && !self.runbook.asked.contains(&db.component)
                {
                    self.promoted.remove(&db.component);
                    self.promoted_at.remove(&db.component);
                }
                // A cancelled run that promoted nothing is undone.
                self.closing &= self.past_return();
            }
            // Without an intent: the guard was not read, so nothing was called.
            EventKind::WithdrawFailed { why, .. } if under_way || may_begin => {
                self.steps[position].withdrawal = Some(Withdrawal::Failed(why.clone()));
            }
            EventKind::WithdrawIntended { .. } => return Err(illegal("withdraw_intended")),
            EventKind::Withdrawn { .. } => return Err(illegal("withdrawn")),
            _ => return Err(illegal("withdraw_failed")),
        }
        self.last_at = at;
        self.touched(position);
        Ok(())
    }
}

/// The event that a step exceeds its time and the run still waits for it. `seen` is the last observation of it.
pub(super) fn overdue(state: &RunState, i: usize, seen: Option<&str>) -> EventKind {
    let (step, work) = (state.step(i), state.work(i));
    let since = work.asked.into_iter().flatten().min().or(work.doubt).unwrap_or(state.last_at);
    let last = seen.or(work.reason.as_deref()).map_or_else(String::new, |r| format!("; last: {r}"));
    let timeout = step.estimate.timeout_ms;
    let why = format!(
        "requested at {since}, not confirmed within {timeout}, and not known to have failed. drctl keeps waiting{last}"
    );
    let stop = state.created.command("runs cancel", " --reason TEXT");
    let flag = format!("no action is required; {stop} stops the wait but does not stop the requested change");
    EventKind::Overdue { step: step.id.clone(), since, why, flag }
}
