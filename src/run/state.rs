//! The state of a run: what its events add up to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::model::attention::Attention;
use super::model::calls::{PartCalls, Withdrawal};
use super::model::overridden::Overridden;
use super::model::past::Past;
use super::model::tries::AfterEnd;
use super::positions::{Positions, first};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restart::Restart;
use crate::kinds::{Fact, Operation, Readings};
use crate::model::environment::Endpoint;
use crate::model::ids::{ComponentName, Digest, StepId};
use crate::model::measure::ClockReading;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Person, Rule, Waiver};
use crate::record::action::{Action, Undo};
use crate::record::event::{Direction, End, Event, EventKind, Outcome, RunCreated};
use crate::record::runbook::{Need, OnFailure, Runbook, Step, Unless};

/// The status of one direction of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for its needs.
    Pending,
    /// Its needs are met; no call was made yet.
    Started,
    /// This process intended a call, which has no answer yet.
    Calling,
    /// Nobody knows whether the call took effect.
    InDoubt {
        /// Since when.
        since: Timestamp,
    },
    /// The call was accepted; an observation must confirm completion.
    Awaiting {
        /// When it was accepted.
        answered_at: Timestamp,
        /// What the provider answered.
        token: Option<String>,
    },
    /// Refused without effect; tried again at this time.
    Backoff {
        /// When it is tried again.
        due: Timestamp,
    },
    /// A gate does not let the run continue.
    Blocked {
        /// Why.
        why: String,
        /// The rule that may be waived; none if an approval is needed.
        rule: Option<Rule>,
        /// The flag that lets the run continue.
        flag: Option<String>,
    },
    /// Done.
    Done(End),
    /// Failed; resume tries it again.
    Failed,
    /// Skipped.
    Skipped,
}

impl Status {
    /// Whether an effect may be in progress.
    pub const fn in_flight(&self) -> bool {
        matches!(self, Self::Calling | Self::InDoubt { .. } | Self::Awaiting { .. })
    }

    /// Whether nothing more happens until a person acts.
    pub const fn settled(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed | Self::Skipped)
    }

    /// One word for lists and JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Started => "started",
            Self::Calling => "calling",
            Self::InDoubt { .. } => "in_doubt",
            Self::Awaiting { .. } => "awaiting",
            Self::Backoff { .. } => "backoff",
            Self::Blocked { .. } => "blocked",
            Self::Done(_) => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One direction of a step: the action, or its undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Its status.
    pub status: Status,
    /// Calls made.
    pub attempts: u32,
    /// Increases only after an observation proved that the earlier call had no effect.
    pub generation: u32,
    /// The idempotency key of the last call.
    pub key: String,
    /// The accepted restart of a fence: the proof must be newer than it.
    pub restart: Restart,
    /// What is known about the parts of a batch.
    pub parts: PartCalls,
    /// Since when a call may have had an effect that nobody has observed or disproved. It is kept through failures, pauses and waits.
    pub doubt: Option<Timestamp>,
    /// When the last call and the one before it were made, as long as their effects were neither observed nor ruled out.
    pub asked: [Option<Timestamp>; 2],
    /// When the answer to a call was last lost, regardless of later events. Its effect may come late.
    pub lost_at: Option<Timestamp>,
    /// When its timeout started again: a part was in place, or credentials were valid again.
    pub renewed_at: Option<Timestamp>,
    /// When an event recorded that it exceeds its time and the run still waits for it.
    pub overdue: Option<Timestamp>,
    /// True if it failed because another run holds the guard.
    pub displaced: bool,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, was skipped or waits.
    pub reason: Option<String>,
    /// The provider's ids of its requests, in order.
    pub requests: Vec<crate::record::event::Request>,
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

impl Work {
    /// The same step tried again. Possible effects of earlier calls are kept.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            attempts: self.attempts,
            generation: self.generation,
            key: self.key.clone(),
            restart: self.restart,
            doubt: self.doubt,
            asked: self.asked,
            lost_at: self.lost_at,
            requests: self.requests.clone(),
            // A call that was refused earlier may be accepted now. This run must still undo an accepted change.
            parts: PartCalls { refused: Vec::new(), ..self.parts.clone() },
            ..Self::new()
        }
    }

    /// The initial state.
    pub const fn new() -> Self {
        Self {
            status: Status::Pending,
            attempts: 0,
            generation: 1,
            key: String::new(),
            restart: Restart::NONE,
            parts: PartCalls::new(),
            doubt: None,
            asked: [None, None],
            lost_at: None,
            renewed_at: None,
            overdue: None,
            displaced: false,
            started_at: None,
            ended_at: None,
            reason: None,
            requests: Vec::new(),
        }
    }
}

/// A step's state.
#[derive(Clone, Debug, Default)]
pub struct StepState {
    /// The action.
    pub work: Work,
    /// The undo, once it has started.
    pub undo: Option<Work>,
    /// How often the undo failed before.
    pub undo_attempts: u32,
    /// Its earlier results, and what people did with it.
    pub past: Past,
    /// When an undo call was last intended, whatever its result. It may have taken effect, so this is never cleared.
    pub undo_asked: Option<Timestamp>,
    /// Since when observations needed to decide about an undo fail.
    pub unseen_since: Option<Timestamp>,
    /// What was read right before its calls.
    pub found: Readings,
    /// The facts that it established.
    pub facts: Vec<Fact>,
    /// Who approved, for approval gates.
    pub approved_by: Vec<Person>,
    /// The override, if somebody overrode it before it was approved.
    pub overridden: Option<Overridden>,
    /// The result of withdrawing its request, once that was tried.
    pub withdrawal: Option<Withdrawal>,
    /// Who claims that it was done by hand.
    pub claimed_by: Option<Person>,
    /// Increases with every event of the step. Decisions about the step are the same as long as this is.
    pub revision: u32,
}

impl StepState {
    /// Whether it is being undone, was undone, or may have been undone by a call with an unknown result.
    pub const fn taken_back(&self) -> bool {
        self.undo.is_some() || self.undo_asked.is_some()
    }

    /// Records what must be kept in both directions of the run.
    pub(super) fn remember(&mut self, what: &EventKind, at: Timestamp) {
        self.past.take(what, at);
        match what {
            EventKind::CallIntended { direction: Direction::Undo, .. } => self.undo_asked = Some(at),
            EventKind::CallIntended { found: Some(found), .. } => self.found.take(found),
            EventKind::StepFailed { .. } => self.unseen_since = self.unseen_since.or(Some(at)),
            EventKind::StepFinished { .. } => self.unseen_since = None,
            _ => {}
        }
    }
}

/// A turn of a probe: it began to succeed or to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether it began to succeed.
    pub good: bool,
    /// When the first sample of the turn was sent.
    pub since: Timestamp,
    /// When the last sample of the other kind was sent.
    pub last_other: Option<Timestamp>,
}

/// The mode of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Going forward.
    Running,
    /// Starting nothing new.
    Paused,
    /// Ending early: undoing steps, or waiting for steps in progress if nothing may be undone.
    Cancelling,
    /// Over.
    Finished(Outcome),
}

/// What the proof of a fence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Since when the fence holds.
    pub at: Timestamp,
    /// The old primary's last commit before it, if the method could read it.
    pub last_commit: Option<Timestamp>,
    /// The same by the old primary's clock.
    pub there: Option<Timestamp>,
    /// A reading of that clock, taken together with it.
    pub clock: Option<ClockReading>,
}

/// A fence that is or was pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceDebt {
    /// Since when: the first request for the promotion. It is the waiver if that came later, or until there is a request.
    pub since: Timestamp,
    /// Whether the promotion is known to have happened.
    pub pending: bool,
    /// When and how it was set.
    pub paid: Option<(Timestamp, String)>,
    /// When and why it no longer needs to be set, although nothing was fenced.
    pub settled: Option<(Timestamp, String)>,
}

/// The state of a run.
#[derive(Clone, Debug)]
pub struct RunState {
    /// The first event of the run.
    pub created: RunCreated,
    /// When.
    pub created_at: Timestamp,
    /// The runbook.
    pub runbook: Runbook,
    /// By position in the runbook.
    pub steps: Vec<StepState>,
    /// What it is doing.
    pub mode: Mode,
    /// The number of the current owner.
    pub epoch: u64,
    /// When the current owner took over the run. It could not act before.
    pub taken_at: Timestamp,
    /// The owner, for people.
    pub owner: String,
    /// Waivers accepted before and during the run.
    pub waivers: Vec<Waiver>,
    /// The turns of each probe, by probe key, in order.
    pub turns: BTreeMap<String, Vec<Turn>>,
    /// Until when an earlier process saw a probe fail at least, by probe key. It sampled until its last event and recorded no turn.
    pub failed_until: BTreeMap<String, Timestamp>,
    /// Pending fences, by component.
    pub debts: BTreeMap<ComponentName, FenceDebt>,
    /// What was tried for pending fences after the end of the run.
    pub after_end: AfterEnd,
    /// Components whose promotion was intended, including calls in doubt.
    pub promoted: BTreeSet<ComponentName>,
    /// The time of the last event.
    pub last_at: Timestamp,
    /// When the last promotion was intended, by component.
    pub promoted_at: BTreeMap<ComponentName, Timestamp>,
    /// True once a clock jump was seen. From then on, measured figures are bounds.
    pub clock_jumped: bool,
    /// When a process took the run over whose clock had been set back, so that nobody knows how much time passed.
    pub set_back_at: Option<Timestamp>,
    /// When the clock jumped ahead, and by how much.
    pub(super) jumps: Vec<(Timestamp, Dur)>,
    /// When it was cancelled, or its undo was last resumed.
    pub cancelled_at: Option<Timestamp>,
    /// Whether it was cancelled after a point of no return. It is then closed as it is, once the steps in progress have ended.
    pub closing: bool,
    /// Who last cancelled it, and why.
    pub cancelled_by: Option<(Person, String)>,
    /// Nonces of the accepted statements: each statement is valid once.
    pub said: BTreeSet<String>,
    /// The statements in the ledger that the run has read, by the hashes of their entries.
    pub statements_read: BTreeSet<Digest>,
    /// What people said and did, in order.
    pub people: Vec<Event>,
    /// How many of the last of these wait in the store: no process of the run has read them. Zero in the journal of a run.
    pub unread: usize,
    /// True once the person who cancelled it saw that another run holds its guard.
    pub displaced: bool,
    /// Why the last process stopped, if it recorded that.
    pub halted: Option<String>,
    /// When a silent place last answered again, by place name.
    pub answered: BTreeMap<String, Timestamp>,
    /// When the run was finished.
    pub finished_at: Option<Timestamp>,
    /// What needed a person, and what people answered.
    pub attention: Attention,
    /// The last adoption of the run, if it came from another store.
    pub adoption: Option<Adoption>,
    /// Addresses of services that later processes sent calls to.
    pub endpoints: BTreeSet<Endpoint>,
    pub(super) positions: Positions,
    /// Positions of steps with facts about a component's fence or exposure. Gates read them repeatedly.
    pub(super) known: BTreeMap<ComponentName, BTreeSet<usize>>,
    /// By position: positions of needed steps, and whether it is enough that they have ended.
    needs: Vec<Vec<(usize, bool)>>,
    /// By position: positions of the steps that need it.
    pub(super) dependents: Vec<Vec<usize>>,
    /// Positions of steps that the run may have to act on.
    pub(super) open: BTreeSet<usize>,
}

/// An adoption of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// The digest of the entry in the ledger.
    pub entry: Digest,
    /// Who held the guards of the run before, as written in them.
    pub former: Option<String>,
}

impl RunState {
    /// The state after the first event.
    pub fn new(created: RunCreated, runbook: Runbook, at: Timestamp) -> Self {
        let steps = runbook.steps.iter().map(|_| StepState::default()).collect();
        let positions = Positions::new(&runbook);
        // If a step needs an unknown step, its own position stands for that step, so it can never start.
        let position =
            |own: usize, need: &Need| (positions.steps.get(&need.step).copied().unwrap_or(own), need.settled);
        let needs: Vec<Vec<(usize, bool)>> = runbook
            .steps
            .iter()
            .enumerate()
            .map(|(i, s)| s.needs.iter().map(|n| position(i, n)).collect())
            .collect();
        let mut dependents = vec![Vec::new(); runbook.steps.len()];
        for (i, of) in needs.iter().enumerate() {
            of.iter().for_each(|(n, _)| dependents[*n].push(i));
        }
        let promoted = runbook.asked.iter().cloned().collect();
        let mut state = Self {
            dependents,
            open: BTreeSet::new(),
            positions,
            known: BTreeMap::new(),
            waivers: runbook.waivers.clone(),
            created,
            created_at: at,
            runbook,
            steps,
            mode: Mode::Running,
            epoch: 0,
            taken_at: at,
            owner: String::new(),
            turns: BTreeMap::new(),
            failed_until: BTreeMap::new(),
            debts: BTreeMap::new(),
            after_end: AfterEnd::new(),
            promoted,
            last_at: at,
            promoted_at: BTreeMap::new(),
            clock_jumped: false,
            set_back_at: None,
            jumps: Vec::new(),
            cancelled_at: None,
            closing: false,
            cancelled_by: None,
            said: BTreeSet::new(),
            statements_read: BTreeSet::new(),
            people: Vec::new(),
            unread: 0,
            displaced: false,
            halted: None,
            answered: BTreeMap::new(),
            finished_at: None,
            attention: Attention::default(),
            adoption: None,
            endpoints: BTreeSet::new(),
            needs,
        };
        state.place_all();
        state
    }

    /// The position of a step.
    pub fn position(&self, id: &StepId) -> Option<usize> {
        self.positions.steps.get(id).copied()
    }

    /// The position of a step that a person names.
    ///
    /// # Errors
    /// The runbook has no such step.
    pub(super) fn find(&self, id: &StepId) -> Result<usize, String> {
        self.position(id).ok_or_else(|| {
            let show = self.created.command("runs show", "");
            format!("the runbook has no step `{id}`; {show} lists the steps")
        })
    }

    /// The runbook step at a position.
    pub fn step(&self, at: usize) -> &Step {
        &self.runbook.steps[at]
    }

    /// The current direction of a step.
    pub fn work(&self, at: usize) -> &Work {
        let step = &self.steps[at];
        step.undo.as_ref().unwrap_or(&step.work)
    }

    /// Which direction is current.
    pub fn direction(&self, at: usize) -> Direction {
        if self.steps[at].undo.is_some() { Direction::Undo } else { Direction::Do }
    }

    /// The action of the runbook, with what was read right before its calls.
    pub fn forward(&self, at: usize) -> Cow<'_, Action> {
        self.step(at).action.bound(&self.steps[at].found)
    }

    /// The action of the current direction.
    pub fn action(&self, at: usize) -> Cow<'_, Action> {
        let action = self.forward(at);
        if self.direction(at) == Direction::Do {
            return action;
        }
        match action.undo() {
            Undo::By(undo) => Cow::Owned(*undo),
            Undo::Nothing | Undo::PointOfNoReturn { .. } => action,
        }
    }

    /// Whether the needs of a step are met.
    pub fn needs_met(&self, at: usize) -> bool {
        self.needs[at].iter().all(|(position, settled)| self.need_met(*position, *settled))
    }

    fn need_met(&self, position: usize, settled: bool) -> bool {
        match &self.steps[position].work.status {
            Status::Done(_) | Status::Skipped => true,
            Status::Failed => {
                settled
                    || self.step(position).on_failure == OnFailure::Continue
                        && !self.step(position).action.properties().safety
                        && !self.steps[position].work.displaced
            }
            _ => false,
        }
    }

    /// Steps that a step still waits for.
    pub fn waits_for(&self, at: usize) -> Vec<&StepId> {
        self.needs[at]
            .iter()
            .filter(|(p, settled)| !self.need_met(*p, *settled))
            .map(|(p, _)| &self.step(*p).id)
            .collect()
    }

    /// Whether a step is not needed after all.
    pub fn not_needed(&self, at: usize) -> Option<String> {
        if let (Action::Op(Operation::Fence(fence)), true) = (&self.step(at).action, self.step(at).debt) {
            return self.kept_out(&fence.db).map(|_| format!("{} is already fenced", fence.db.id));
        }
        match &self.step(at).unless {
            Some(Unless::Fenced(component)) => self
                .fenced(component)
                .map(|(method, _)| format!("{component} is already fenced by {}", method.id())),
            None => None,
        }
    }

    /// Positions of a component's fence steps.
    pub fn rungs(&self, component: &ComponentName) -> &[usize] {
        self.positions.rungs.get(component).map_or(&[], Vec::as_slice)
    }

    /// The waiver that covers a rule for a component.
    pub fn waiver(&self, rule: Rule, component: Option<&ComponentName>) -> Option<&Waiver> {
        self.waivers.iter().find(|w| w.covers(rule, component))
    }

    /// The step that promotes a component, if there is one.
    pub fn promotion(&self, component: &ComponentName) -> Option<usize> {
        first(&self.positions.promotions, component)
    }

    /// The step that observes the server that is or becomes the component's new primary.
    pub fn target_check(&self, component: &ComponentName) -> Option<usize> {
        first(&self.positions.targets, component)
    }

    /// Whether the run is over.
    pub const fn finished(&self) -> bool {
        matches!(self.mode, Mode::Finished(_))
    }

    /// Whether a point of no return was passed: a promotion was intended.
    pub fn past_return(&self) -> bool {
        !self.promoted.is_empty()
    }

    /// Whether it is being undone. An undone step stays undone, so such a run never continues forward.
    pub fn unwinds(&self) -> bool {
        self.cancelled_at.is_some() && (!self.past_return() || self.steps.iter().any(|s| s.undo.is_some()))
    }

    /// Whether a cancel is final: the run is being undone or closed, and never continues forward.
    pub fn goes_no_further(&self) -> bool {
        self.closing || self.unwinds()
    }

    /// Whether the started work continues without drctl, perhaps for hours, and a later process can observe it: a rebuild on its host.
    pub fn goes_on_alone(&self, i: usize) -> bool {
        match (&self.work(i).status, &self.step(i).action) {
            (Status::InDoubt { .. }, Action::Op(Operation::Rejoin(Rejoin { replica, .. }))) => {
                replica.is_none()
            }
            (Status::Awaiting { .. }, Action::Op(Operation::Rejoin(_))) => true,
            _ => false,
        }
    }

    /// Whether any effect may be in progress that the run waits for. It waits neither for background fences nor for a fence in doubt, which
    /// may stay in doubt as long as a site is dark. The doubt is kept.
    pub fn in_flight(&self) -> bool {
        let doubted = |i: usize| {
            let fence = matches!(self.step(i).action, Action::Op(Operation::Fence(_)));
            fence && matches!(self.work(i).status, Status::InDoubt { .. }) || self.goes_on_alone(i)
        };
        (0..self.steps.len())
            .any(|i| self.work(i).status.in_flight() && !self.step(i).background && !doubted(i))
    }
}
