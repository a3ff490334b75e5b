//! What a run waits for from people.

use schemars::JsonSchema;
use serde::Serialize;

use super::state::{Mode, RunState, Status};
use super::stopped::IN_DOUBT;
use super::{approval, gate};
use crate::model::ids::StepId;
use crate::model::plain;
use crate::model::time::Timestamp;
use crate::model::waiver::Rule;
use crate::record::action::{Action, Check, Gate};

/// The headline of a run that an approval, credentials or another answer lets continue: exit code 4.
const WAITS: &str = "WAITS FOR A PERSON";
/// The headline of a run that stopped: exit code 1.
const HALTED: &str = "HALTED";
/// The headline of a run that stopped at a risk: exit code 1.
pub const RISK: &str = "HALTED, A PERSON MUST ACCEPT A RISK";

/// A step that continues once a person acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Waits {
    /// The step.
    pub step: StepId,
    /// Who or what is missing.
    pub why: String,
    /// The command to type, if there is one.
    pub command: Option<String>,
    /// The headline, in agreement with the exit code.
    #[serde(skip)]
    pub headline: &'static str,
    /// Until when an approval request is open.
    #[serde(skip)]
    pub until: Option<Timestamp>,
    /// Whether everybody answered, so that only a process is missing that continues the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
}

impl Waits {
    /// Who has to act, and the command to type.
    pub fn words(&self) -> String {
        let waits = if self.answered { "ANSWERED" } else { self.headline };
        format!("{waits}: {}, {}", self.step, self.what())
    }

    /// Whether the run halted because of it.
    pub fn halts(&self) -> bool {
        self.headline != WAITS
    }

    /// The same without its step.
    pub fn what(&self) -> String {
        let command = self.command.as_ref().map_or_else(String::new, |command| format!(": {command}"));
        let until = self.until.map_or_else(String::new, |until| format!(" (open until {until})"));
        format!("{}{until}{command}", self.why)
    }
}

/// A step whose last call was refused, and when the run tries it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTry {
    /// The step.
    pub step: StepId,
    /// When.
    pub at: Timestamp,
    /// Why the last call was refused.
    pub why: Option<String>,
}

impl NextTry {
    /// In words.
    pub fn words(&self) -> String {
        let why = self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        format!("{}: next try {}{why}", self.step, self.at.clock())
    }
}

impl RunState {
    /// When the run tries a step again whose last call was refused.
    pub fn next_try(&self, i: usize) -> Option<Timestamp> {
        match self.work(i).status {
            Status::Backoff { due } => Some(due),
            _ => None,
        }
    }

    /// The steps that a process of the run tries again, the next one first.
    pub fn next_tries(&self) -> Vec<NextTry> {
        let of = |i: usize| {
            let why = self.work(i).reason.as_deref().map(plain::line);
            Some(NextTry { step: self.step(i).id.clone(), at: self.next_try(i)?, why })
        };
        let mut all: Vec<NextTry> = (0..self.steps.len()).filter_map(of).collect();
        all.sort_by_key(|next| next.at);
        all
    }

    /// The command for the flag of a blocked step: a waiver is an option of a resume, an approval is a separate command.
    pub fn to_type(&self, rule: Option<Rule>, flag: &str) -> String {
        rule.map_or_else(|| flag.to_owned(), |_| self.created.command("runs resume", &format!(" {flag}")))
    }

    /// The commands that continue it: the answer that it waits for, if it waits for one, and the resume.
    pub fn to_go_on(&self) -> String {
        let resume = self.to_continue();
        let stopped = self.to_decide().is_some() || (0..self.steps.len()).any(|i| self.brought_to_a_stop(i));
        let mut open = if stopped { Vec::new() } else { self.blocked_steps() };
        // A risk comes before an approval.
        open.sort_by_key(|(.., risk)| !risk);
        match open.into_iter().next() {
            Some((_, flag, true)) => self.created.command("runs resume", &format!(" {flag}")),
            Some((_, answer, false)) if answer != resume => format!("{answer}, then {resume}"),
            _ => resume,
        }
    }

    /// Whom a step waits for: the roles whose approvals are missing, or a person.
    pub fn waits_for_whom(&self, step: &StepId) -> String {
        let lacking = self
            .position(step)
            .map_or_else(Vec::new, |i| approval::lacking(self, i, &self.steps[i].approved_by, self.last_at));
        match lacking.is_empty() {
            true => format!("WAITS FOR A PERSON: {step}"),
            false => format!("WAITS FOR {}", lacking.join(", ")),
        }
    }

    /// What the run waits for since somebody answered an approval request, or that somebody rejected it. Nothing if another step failed, or
    /// if a person must first decide about one.
    pub fn answered(&self) -> Option<String> {
        if self.to_decide().is_some() {
            return None;
        }
        let asks = |i: &usize| self.asks_people(*i);
        let mut failed = (0..self.steps.len()).filter(|i| self.work(*i).status == Status::Failed);
        if let Some(gate) = failed.next().filter(asks)
            && failed.all(|i| asks(&i))
        {
            return Some(format!("{}: {}", self.step(gate).id, self.work(gate).reason.as_deref()?));
        }
        let open = |i: &usize| !self.work(*i).status.settled();
        let failed = self.steps.iter().any(|step| step.work.status == Status::Failed);
        let words = |i: usize| Some(format!("{}: {}", self.step(i).id, approval::answered_since(self, i)?.0));
        (0..self.steps.len()).filter(|_| !failed).filter(open).find_map(words)
    }

    /// Whether a step asks people for an approval.
    pub fn asks_people(&self, i: usize) -> bool {
        matches!(self.step(i).action, Action::Gate(Gate::Approval { .. }))
    }

    /// Whether no answer to a step has an effect: no gate opens in a run that is being undone or closed.
    pub(super) fn asks_no_more(&self, i: usize) -> bool {
        self.goes_no_further() && matches!(self.step(i).action, Action::Gate(_))
    }

    /// What a request waits for that a late answer made again, and the command to type. No process has asked since.
    pub(super) fn asked_late(&self, i: usize) -> Option<(String, String)> {
        let (why, command) = approval::answered_since(self, i)?;
        let open = matches!(self.steps[i].work.status, Status::Pending | Status::Started);
        let stopped = || (0..self.steps.len()).any(|i| self.brought_to_a_stop(i));
        if !open || !self.needs_met(i) || self.goes_no_further() || stopped() {
            return None;
        }
        let approve = || self.created.command("approve", &format!(" {}", self.step(i).id));
        Some((why, command.unwrap_or_else(approve)))
    }

    /// Brings the open questions about a possible loss to `now`. The journal has the figure and the bound of the time of the question, and
    /// a loss that grows makes both too small.
    pub fn ask_as_of(&mut self, now: Timestamp) {
        if self.finished() {
            return;
        }
        let asked = |i: usize| Some((i, gate::asked_as_of(self, i, now)?));
        let anew: Vec<_> = (0..self.steps.len()).filter_map(asked).collect();
        for (i, (now_why, now_flag)) in anew {
            let head = format!("{}: ", self.step(i).id);
            let rest = self.halted.as_deref().and_then(|halted| halted.strip_prefix(&head));
            if let Some(rest) = rest {
                let doubt = rest.find(IN_DOUBT).map_or("", |from| &rest[from..]);
                self.halted = Some(format!("{head}{now_why}{doubt}"));
            }
            let work = &mut self.steps[i].work;
            work.reason = Some(now_why.clone());
            if let Status::Blocked { why, flag, .. } = &mut work.status {
                (*why, *flag) = (now_why, now_flag);
            }
        }
    }

    /// The steps that wait for a person, with the questions about a possible loss as they are at `now`.
    pub fn waits_for_people_as_of(&self, now: Timestamp) -> Vec<Waits> {
        let waits = self.waits_for_people();
        if waits.is_empty() {
            return waits;
        }
        let mut state = self.clone();
        state.ask_as_of(now);
        state.waits_for_people()
    }

    /// Every step that waits for a person: first the stop that somebody must decide, then the others in the order of the runbook. Beside an
    /// open request, the failed steps that stopped the run come first, too: an answer alone does not let it continue. None once the run is
    /// over, or once a person decided not to continue it.
    pub fn waits_for_people(&self) -> Vec<Waits> {
        let decide = self.to_decide().map(|stop| Waits {
            step: stop.step.clone(),
            why: format!("{}; a named person must decide", plain::clause(&plain::line(&stop.reason))),
            command: Some(self.to_continue()),
            headline: if self.stands_still() { HALTED } else { WAITS },
            until: None,
            answered: false,
        });
        // A request that has all its approvals waits for that decision, too.
        let asks = |i: &usize| decide.is_none() || approval::all_given(self, *i).is_none();
        let others: Vec<_> = (0..self.steps.len()).filter(asks).filter_map(|i| self.asks_now(i)).collect();
        let correct = if others.is_empty() { Vec::new() } else { self.to_correct() };
        decide.into_iter().chain(correct).chain(others).collect()
    }

    /// The failed steps that stopped the run, once somebody decided to continue it or if nobody has to. A resume tries them again.
    pub fn to_correct(&self) -> Vec<Waits> {
        let ends = self.finished() || self.mode == Mode::Cancelling || self.goes_no_further();
        let decides = self.to_decide().is_some() || self.decided_otherwise().is_some();
        if ends || decides || !self.stands_still() {
            return Vec::new();
        }
        let failed = |i: &usize| self.brought_to_a_stop(*i) && !self.asks_people(*i);
        (0..self.steps.len()).filter(failed).map(|i| self.corrected_by_a_person(i)).collect()
    }

    fn corrected_by_a_person(&self, i: usize) -> Waits {
        let reason = self.work(i).reason.as_deref().map(plain::line).unwrap_or_default();
        let next = match &self.steps[i].claimed_by {
            Some(who) => format!("{who} confirms that it was done by hand, and a resume checks that"),
            None => "correct the cause, then resume".to_owned(),
        };
        let gap = if reason.is_empty() { "" } else { "; " };
        Waits {
            step: self.step(i).id.clone(),
            why: format!("{}{gap}{next}", plain::clause(&reason)),
            command: Some(self.to_continue()),
            headline: HALTED,
            until: None,
            answered: false,
        }
    }

    /// Whether its last process stopped, and nobody paused it.
    fn stands_still(&self) -> bool {
        self.halted.is_some() && self.mode != Mode::Paused
    }

    /// The question at which a process of the run stops: the step, the flag or the command that answers it, and whether that accepts a risk.
    /// Nothing if the process stops because something failed. A risk comes before an approval.
    pub fn stops_to_ask(&self) -> Option<(usize, String, bool)> {
        let all = || 0..self.steps.len();
        let lost = |i: usize| self.steps[i].work.displaced && self.steps[i].work.status == Status::Failed;
        let undo_failed =
            |i: usize| self.steps[i].undo.as_ref().is_some_and(|of| of.status == Status::Failed);
        let back = self.mode == Mode::Cancelling;
        let failed = match back {
            true => self.past_return() || all().any(undo_failed),
            false => !self.is_under_way() || all().any(|i| self.brought_to_a_stop(i) || lost(i)),
        };
        // A cancelled run asks only about its guards.
        let guard = |i: usize| matches!(self.step(i).action, Action::Check(Check::Guard { .. }));
        let asks = |i: usize| !self.step(i).background && (!back || guard(i));
        let mut open: Vec<_> = self.blocked_steps().into_iter().filter(|(i, ..)| asks(*i)).collect();
        open.sort_by_key(|(.., risk)| !risk);
        open.into_iter().next().filter(|_| !failed)
    }

    /// What a step waits for from people, with the answers so far.
    pub fn asks_now(&self, i: usize) -> Option<Waits> {
        if self.finished() || self.decided_otherwise().is_some() || self.asks_no_more(i) {
            return None;
        }
        let (step, until) = (self.step(i).id.clone(), approval::open_until(self, i));
        let since = approval::answered_since(self, i);
        let answered = since.as_ref().is_some_and(|(_, resume)| resume.is_some());
        let Status::Blocked { why, rule, flag } = &self.work(i).status else {
            let (why, command) = self.asked_late(i)?;
            return Some(Waits { step, why, command: Some(command), headline: WAITS, until, answered });
        };
        let command = flag.as_ref().map(|flag| self.to_type(*rule, flag));
        let headline = if rule.is_some() && self.stands_still() { RISK } else { WAITS };
        let waits = Waits { step, why: why.clone(), command, headline, until, answered };
        Some(since.map_or(waits.clone(), |(why, command)| Waits {
            why,
            command: command.or(waits.command),
            ..waits
        }))
    }
}
