//! The events of a run: the only truth about it.
//!
//! Kinds are only ever added and fields only with defaults. A reader that meets a kind it does not know refuses it and
//! names the version that wrote it.

mod world;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::action::Found;
use super::authority::Authority;
use super::duty::{Decision, Duties, Duty};
use super::facts::Fact;
use super::ids::{ComponentName, Digest, PlanName, RunId, StepId};
use super::terms::{Endpoint, Terms};
use super::time::{Dur, Timestamp};
use super::waiver::{Person, Rule, Waiver};

pub use world::WorldKind;

/// The version of the event shapes that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One event as it is stored: bytes of this, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, by a clock that never runs backwards within a run.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// Reads stored bytes, which are exactly what this event is written as.
    ///
    /// # Errors
    /// What is wrong with them: a key that another reader would take otherwise is never passed over.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let event: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let same = serde_json::to_vec(&event).is_ok_and(|written| written == bytes);
        let other = "it is not as drctl writes it: a key is added, stands twice or in another place, or a value is spelled otherwise";
        if same { Ok(event) } else { Err(other.to_owned()) }
    }
}

/// Everything a run starts from. Resume reads this and never the plan file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCreated {
    /// The run.
    pub run: RunId,
    /// The application.
    pub plan: PlanName,
    /// The exact bytes of the runbook, as text.
    pub runbook: String,
    /// Digest of those bytes.
    pub runbook_digest: Digest,
    /// The exact bytes of the plan file, as text.
    pub plan_text: String,
    /// Digest of the inventory that was planned from.
    pub inventory_digest: Digest,
    /// Live or sandbox.
    #[serde(flatten)]
    pub world: WorldKind,
    /// The version of drctl.
    pub tool: String,
    /// The version of the event shapes.
    pub schema_version: u32,
    /// Who asked for it.
    pub requester: Person,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// P0 to P3.
    #[serde(default)]
    pub severity: Option<String>,
    /// The incident it belongs to.
    #[serde(default)]
    pub incident: Option<String>,
    /// When users began to fail, by a person's word.
    #[serde(default)]
    pub outage_began: Option<Timestamp>,
    /// The run that this one continues. It inherits facts, never approvals.
    #[serde(default)]
    pub continues: Option<RunId>,
    /// The first half of a live drill, whose way back this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<RunId>,
    /// Who may say something to this run, by whose keys. Empty where no operators were named: words are only claimed then.
    #[serde(default, skip_serializing_if = "Authority::is_empty")]
    pub authority: Authority,
    /// What decided it besides its plan.
    pub terms: Terms,
    /// Digest of that.
    pub terms_digest: Digest,
    /// What people owe after it, if it is an incident; as it was promised when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duties: Option<Duties>,
}

impl RunCreated {
    /// The command that does something to this run: rehearsals have a store of their own.
    pub fn command(&self, verb: &str, more: &str) -> String {
        let sandbox = if self.world == WorldKind::Live { "" } else { " --sandbox" };
        format!("drctl {verb} {}{more}{sandbox}", self.run)
    }
}

/// How a step came to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The run did it.
    Performed,
    /// It was found done.
    Noop,
    /// A person did it; observation confirmed it.
    ByHand,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done and confirmed.
    Recovered,
    /// A tabletop drill: its runbook was read, and nothing of it done.
    Read,
    /// A drill ran to its end, and found that the recovery would not have worked.
    Failed,
    /// It was cancelled and unwound: as if it had not been.
    Cancelled,
    /// It was cancelled after a point of no return, or while somebody else held its guard; what was done stays done.
    Abandoned,
}

/// What a person asks of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Signal {
    /// Yes to an approval gate.
    Approve {
        /// The gate.
        step: StepId,
        /// The runbook that was looked at.
        runbook: Digest,
    },
    /// No.
    Reject {
        /// The gate.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Go on before those have agreed who have to, in an emergency.
    Override {
        /// The gate.
        step: StepId,
        /// Why it cannot wait.
        reason: String,
    },
    /// Start nothing new; settle what is under way.
    Pause,
    /// Go on, trying failed steps again.
    Resume,
    /// Undo what may be undone, or stop where it may not.
    Cancel {
        /// Why.
        reason: String,
        /// Who holds a guard of the run by now: nothing is taken back from under them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        displaced_by: Option<String>,
    },
    /// Leave a step out.
    Skip {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Somebody has seen what is going on, and perhaps decided what is made of it.
    Acknowledge {
        /// What is made of a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        /// In words.
        reason: String,
    },
    /// Somebody did what is owed after an incident.
    Fulfil {
        /// What.
        duty: Duty,
        /// Where it is kept.
        reference: String,
        /// What was kept there, if it was a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
    /// A person did a step by hand; drctl believes what it then observes.
    Done {
        /// The step.
        step: StepId,
    },
    /// Accept a refusal.
    Waive {
        /// What is accepted.
        waiver: Waiver,
    },
}

/// Which of a step's two calls is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The action.
    #[default]
    Do,
    /// What takes it back.
    Undo,
}

/// A request, as its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The service.
    pub service: String,
    /// The provider's own id of it.
    pub id: String,
    /// The code of the answer, where it was a no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The run began to exist.
    RunCreated(Box<RunCreated>),
    /// A process owns the run from here on. Calls of an earlier owner without an answer are in doubt.
    EpochTaken {
        /// Its number, one higher than the last.
        epoch: u64,
        /// The process, for people.
        owner: String,
    },
    /// A process that carries the run on sends calls to addresses that the run's terms do not name.
    EndpointsUsed {
        /// Those.
        endpoints: Vec<Endpoint>,
    },
    /// A probe turned: `consecutive` samples in a row say so.
    ProbeTurned {
        /// The probe's key.
        probe: String,
        /// To good, or to bad.
        good: bool,
        /// When the first of those samples was sent.
        since: Timestamp,
        /// When the last sample of the other kind was sent, if there was one.
        #[serde(default)]
        last_other: Option<Timestamp>,
        /// What the last sample said.
        detail: String,
    },
    /// Everything the step needs is there.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// A call is about to be made. Written before it is.
    CallIntended {
        /// The step.
        step: StepId,
        /// The action, or its undo.
        #[serde(default)]
        direction: Direction,
        /// Counts calls.
        attempt: u32,
        /// Rises only after an observation proved that the earlier one had no effect.
        generation: u32,
        /// The idempotency key.
        key: String,
        /// Positions of the changes in the call, where it does not make all of its action's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        part: Vec<u32>,
        /// What was read right before, where that is not what the runbook says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<Found>,
    },
    /// The provider accepted the call.
    CallAnswered {
        /// The step.
        step: StepId,
        /// What it answered that is needed to watch for completion.
        #[serde(default)]
        token: Option<String>,
    },
    /// What the provider calls the requests of a call: whoever asks it about one is asked for that.
    CallRequests {
        /// The step.
        step: StepId,
        /// Each of them, in order.
        requests: Vec<Request>,
    },
    /// The call never left, or was refused without effect.
    CallRefused {
        /// The step.
        step: StepId,
        /// The provider's code, or `not_sent`.
        code: String,
        /// In words.
        why: String,
        /// When it is tried again; none if that is no use.
        #[serde(default)]
        retry_at: Option<Timestamp>,
    },
    /// Nobody knows whether the call had its effect.
    CallInDoubt {
        /// The step.
        step: StepId,
        /// What happened instead of an answer.
        why: String,
    },
    /// A call that made a part of its action's changes had its effect.
    PartSettled {
        /// The step.
        step: StepId,
    },
    /// An observation proved that the call had no effect.
    EffectDisproved {
        /// The step.
        step: StepId,
        /// What was seen.
        seen: String,
    },
    /// The step takes longer than it may, and is waited for all the same: what it asked for may still come, and nothing takes it back.
    Overdue {
        /// The step.
        step: StepId,
        /// When it was asked for.
        since: Timestamp,
        /// What is waited for, in words.
        why: String,
        /// How to go on without it.
        flag: String,
    },
    /// What a call of the step asked for, and may still come, is about to be withdrawn.
    WithdrawIntended {
        /// The step.
        step: StepId,
    },
    /// It was withdrawn: it does not come any more.
    Withdrawn {
        /// The step.
        step: StepId,
    },
    /// It could not be withdrawn, as far as anybody knows: it may still come.
    WithdrawFailed {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// The step is done.
    StepFinished {
        /// The step.
        step: StepId,
        /// How.
        end: End,
        /// What it established.
        #[serde(default)]
        facts: Vec<Fact>,
    },
    /// The step failed. Resume tries it again.
    StepFailed {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// The step found that somebody else holds a guard of the run, or that it is gone. Nothing of the run is taken back then.
    GuardLost {
        /// The step.
        step: StepId,
        /// Who holds it.
        reason: String,
    },
    /// The replica that the run would promote is the writer already, by somebody else's hand: nothing of it is taken back.
    FoundPromoted {
        /// The check that found it.
        step: StepId,
    },
    /// A fence that is owed is owed no more, though nothing was fenced.
    DebtSettled {
        /// The component.
        component: ComponentName,
        /// Why.
        why: String,
        /// Who says so; none if drctl saw it.
        #[serde(default)]
        who: Option<Person>,
    },
    /// The step is left out.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
        /// By whom; none if drctl found it not needed.
        #[serde(default)]
        who: Option<Person>,
    },
    /// A gate does not let the run through.
    GateBlocked {
        /// The gate.
        step: StepId,
        /// The rule, if a person may waive one; none where a yes is asked for.
        #[serde(default)]
        rule: Option<Rule>,
        /// The facts.
        why: String,
        /// The flag that would lift it.
        #[serde(default)]
        flag: Option<String>,
    },
    /// A person's yes was taken.
    Approved {
        /// The gate.
        step: StepId,
        /// Who.
        who: Person,
    },
    /// A person's no was taken.
    Rejected {
        /// The gate.
        step: StepId,
        /// Who.
        who: Person,
        /// Why.
        reason: String,
    },
    /// A refusal was accepted while the run was under way.
    Waived {
        /// What.
        waiver: Waiver,
    },
    /// The component goes on without a proven fence, on a waiver. Nothing is promoted yet; from the promotion on its fence is owed.
    FenceWaived {
        /// The component.
        component: ComponentName,
    },
    /// The component was promoted on a waiver: its fence is owed.
    FencePending {
        /// The component.
        component: ComponentName,
    },
    /// A place where a fence is owed, or waited for, answers that was silent before: everything that may fence there is tried at once.
    PlaceAnswered {
        /// The place's name.
        place: String,
        /// Who answered, in words.
        who: String,
    },
    /// What a person asked was not done.
    SignalRefused {
        /// What.
        signal: Signal,
        /// Who.
        who: Person,
        /// Why not.
        reason: String,
    },
    /// Nothing new is started.
    Paused {
        /// Who or what asked.
        why: String,
    },
    /// The run goes on; failed steps are tried again.
    Resumed {
        /// Who.
        who: Person,
    },
    /// The run is to end early.
    CancelRequested {
        /// Who.
        who: Person,
        /// Why.
        reason: String,
        /// Who holds a guard of the run by now: nothing is taken back from under them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        displaced_by: Option<String>,
    },
    /// A named person let the run go on before those agreed who have to. Their approvals are owed from here on.
    Overridden {
        /// The gate.
        step: StepId,
        /// Who.
        who: Person,
        /// Why it could not wait.
        reason: String,
    },
    /// A yes after an override.
    Ratified {
        /// The gate.
        step: StepId,
        /// Who.
        who: Person,
    },
    /// A no after an override. What was done stays done.
    RatificationRefused {
        /// The gate.
        step: StepId,
        /// Who.
        who: Person,
        /// Why.
        reason: String,
    },
    /// A named person has seen what is going on. Where the run came to a stop, this is what they decided.
    Acknowledged {
        /// Who.
        who: Person,
        /// What is made of the stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        /// In words.
        reason: String,
    },
    /// A person says that something was done that is owed after an incident.
    Fulfilled {
        /// What.
        duty: Duty,
        /// Who.
        who: Person,
        /// Where it is kept.
        reference: String,
        /// What was kept there, if it was a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
    /// A person says that a step was done by hand; observation decides.
    ClaimedDone {
        /// The step.
        step: StepId,
        /// Who.
        who: Person,
    },
    /// A step was taken back.
    StepUndone {
        /// The step.
        step: StepId,
    },
    /// A step could not be taken back.
    UndoFailed {
        /// The step.
        step: StepId,
        /// Why.
        reason: String,
    },
    /// Wall clock and monotonic clock disagree: figures across this point are bounds.
    ClockJumped {
        /// By how much the wall clock moved beyond the monotonic one.
        forward_ms: Dur,
        /// By how much it moved back.
        backward_ms: Dur,
    },
    /// The process stops; the run can be resumed.
    Halted {
        /// Why.
        reason: String,
    },
    /// The run is over.
    RunFinished {
        /// How.
        outcome: Outcome,
    },
}
