//! The events of a run: the only record of its state.
//!
//! New versions only add kinds, and fields with defaults. A reader refuses an unknown kind and names the version that wrote it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::{Fact, FoundValues};
use crate::model::authority::Authority;
use crate::model::duty::{Decision, Duties, Duty};
use crate::model::environment::Endpoint;
use crate::model::ids::{ComponentName, Digest, PlanName, RunId, StepId};
use crate::model::ledger::REWRITTEN;
use crate::model::terms::Terms;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Person, Rule, Waiver};

mod signal;
mod world;

pub use signal::Signal;
pub use world::WorldKind;

/// The version of the event format that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// One event as it is stored: bytes of this, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, by a clock that never runs backwards within a run.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

impl Event {
    /// Parses stored bytes, which must be exactly as drctl writes this event.
    ///
    /// # Errors
    /// Why they are not valid. A key that another parser would read differently is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let event: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let same = serde_json::to_vec(&event).is_ok_and(|written| written == bytes);
        if same { Ok(event) } else { Err(REWRITTEN.to_owned()) }
    }
}

/// Everything that a run starts from. A resume reads this and never the plan file.
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
    /// The digest of the inventory behind the runbook.
    pub inventory_digest: Digest,
    /// Live or sandbox.
    #[serde(flatten)]
    pub world: WorldKind,
    /// The version of drctl.
    pub tool: String,
    /// The version of the event format.
    pub schema_version: u32,
    /// The requester.
    pub requester: Person,
    /// The reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// P0 to P3.
    #[serde(default)]
    pub severity: Option<String>,
    /// What the requester gave, or the default, if the run keeps the higher severity of the run that it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_given: Option<String>,
    /// The incident ID.
    #[serde(default)]
    pub incident: Option<String>,
    /// The start of the outage, as stated by a person.
    #[serde(default)]
    pub outage_began: Option<Timestamp>,
    /// The run that this one continues. It inherits facts, never approvals.
    #[serde(default)]
    pub continues: Option<RunId>,
    /// The first half of a live drill, if this run moves users back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<RunId>,
    /// The people who may send signals to this run, with their keys. Empty if the settings list no operators; identities are then only claimed.
    #[serde(default, skip_serializing_if = "Authority::is_empty")]
    pub authority: Authority,
    /// The terms of the run: the settings that apply besides the plan.
    pub terms: Terms,
    /// The digest of the terms.
    pub terms_digest: Digest,
    /// The duties after the run, if it is an incident, as set when the run started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duties: Option<Duties>,
}

impl RunCreated {
    /// The command for this run. Rehearsals have their own store.
    pub fn command(&self, verb: &str, more: &str) -> String {
        self.typed(verb, self.run.as_str(), more)
    }

    /// The command for the plan of this run, in the same world.
    pub fn command_of_plan(&self, verb: &str, more: &str) -> String {
        self.typed(verb, self.plan.as_str(), more)
    }

    fn typed(&self, verb: &str, about: &str, more: &str) -> String {
        let sandbox = if self.world == WorldKind::Live { "" } else { " --sandbox" };
        format!("drctl {verb} {about}{more}{sandbox}")
    }
}

/// How a step was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The run did it.
    Performed,
    /// The change was already there.
    Noop,
    /// A person did it, and an observation confirmed it.
    ByHand,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done and confirmed.
    Recovered,
    /// A tabletop drill: people read its runbook, and no step ran.
    Read,
    /// A drill ended, and found that the recovery would not have worked.
    Failed,
    /// It was cancelled, and everything was undone.
    Cancelled,
    /// It was cancelled after a point of no return, or while another run held its guard. Its changes stay.
    Abandoned,
}

/// The direction of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The action.
    #[default]
    Do,
    /// Its undo.
    Undo,
}

/// A request to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The service.
    pub service: String,
    /// The provider's ID of the request.
    pub id: String,
    /// The error code, if the request was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A run was created.
    RunCreated(Box<RunCreated>),
    /// A process owns the run from now on. Unanswered calls of an earlier owner are in doubt.
    EpochTaken {
        /// Its number, one higher than the last.
        epoch: u64,
        /// The process, as text for people.
        owner: String,
    },
    /// A process continues a run that an operator of this store adopted. From now on the run has a new guard name. drctl takes over guards
    /// that still have the old name. A process of the store that the run came from then reads another holder, and makes no more calls.
    Adopted {
        /// The new holder of the guards of the run.
        holder: String,
        /// The digest of the entry in the ledger.
        entry: Digest,
    },
    /// A process that continues the run uses endpoints that are not in the terms of the run.
    EndpointsUsed {
        /// The endpoints.
        endpoints: Vec<Endpoint>,
    },
    /// A probe changed its state: `consecutive` samples in a row agree.
    ProbeTurned {
        /// The probe's key.
        probe: String,
        /// True if the new state is good.
        good: bool,
        /// When drctl sent the first of those samples.
        since: Timestamp,
        /// When drctl sent the last sample with the other result, if any.
        #[serde(default)]
        last_other: Option<Timestamp>,
        /// The result of the last sample.
        detail: String,
    },
    /// The step started, because everything that it needs is done.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// drctl is about to make a call. It writes this event before the call.
    CallIntended {
        /// The step.
        step: StepId,
        /// The action, or its undo.
        #[serde(default)]
        direction: Direction,
        /// The number of the call.
        attempt: u32,
        /// The generation. It rises only after an observation proved that the earlier call had no effect.
        generation: u32,
        /// The idempotency key.
        key: String,
        /// The positions of the changes in the call, if the call makes only a part of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        part: Vec<u32>,
        /// What drctl read right before the call, if it differs from the runbook.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<FoundValues>,
    },
    /// The provider accepted the call.
    CallAnswered {
        /// The step.
        step: StepId,
        /// The part of the answer that drctl needs to watch for completion.
        #[serde(default)]
        token: Option<String>,
    },
    /// The request IDs that the provider gave to a call. A support case needs them.
    CallRequests {
        /// The step.
        step: StepId,
        /// The request IDs, in order.
        requests: Vec<Request>,
    },
    /// The call was not sent, or the provider refused it without effect.
    CallRefused {
        /// The step.
        step: StepId,
        /// The provider's code, or `not_sent`.
        code: String,
        /// In words.
        why: String,
        /// When drctl tries again; none if a retry cannot help.
        #[serde(default)]
        retry_at: Option<Timestamp>,
    },
    /// It is unknown whether the call took effect.
    CallInDoubt {
        /// The step.
        step: StepId,
        /// What happened instead of an answer.
        why: String,
    },
    /// A call with a part of the changes took effect.
    PartSettled {
        /// The step.
        step: StepId,
    },
    /// An observation proved that the call had no effect.
    EffectDisproved {
        /// The step.
        step: StepId,
        /// What drctl observed.
        seen: String,
    },
    /// The step exceeded its timeout, but drctl keeps waiting. The requested change may still happen, and nothing undoes it.
    Overdue {
        /// The step.
        step: StepId,
        /// When the step requested the change.
        since: Timestamp,
        /// What drctl waits for, in words.
        why: String,
        /// How to continue without the step.
        flag: String,
    },
    /// drctl is about to withdraw a request of the step that may still take effect.
    WithdrawIntended {
        /// The step.
        step: StepId,
    },
    /// The request was withdrawn and can no longer take effect.
    Withdrawn {
        /// The step.
        step: StepId,
    },
    /// The withdrawal is not confirmed, or was not begun because the guard was not read. The request may still take effect.
    WithdrawFailed {
        /// The step.
        step: StepId,
        /// The reason.
        why: String,
    },
    /// The step is done.
    StepFinished {
        /// The step.
        step: StepId,
        /// How the step ended.
        end: End,
        /// The facts that the step established.
        #[serde(default)]
        facts: Vec<Fact>,
    },
    /// The step failed. A resume tries it again.
    StepFailed {
        /// The step.
        step: StepId,
        /// The reason.
        reason: String,
    },
    /// The step found that somebody else holds a guard of the run, or that the guard is gone. drctl then undoes nothing in the run.
    GuardLost {
        /// The step.
        step: StepId,
        /// The holder of the guard.
        reason: String,
    },
    /// Somebody else already promoted the replica of this run. drctl does not undo that.
    FoundPromoted {
        /// The check that found this.
        step: StepId,
    },
    /// A pending fence is no longer pending, although nothing was fenced.
    DebtSettled {
        /// The component.
        component: ComponentName,
        /// The reason.
        why: String,
        /// The person who confirmed it; none if drctl observed it.
        #[serde(default)]
        who: Option<Person>,
    },
    /// The step is skipped.
    StepSkipped {
        /// The step.
        step: StepId,
        /// The reason.
        reason: String,
        /// The person; none if drctl found that the step is not needed.
        #[serde(default)]
        who: Option<Person>,
    },
    /// A gate stops the run.
    GateBlocked {
        /// The gate.
        step: StepId,
        /// The rule, if a person can waive it; none if the gate requires an approval.
        #[serde(default)]
        rule: Option<Rule>,
        /// The facts.
        why: String,
        /// The flag that would open the gate.
        #[serde(default)]
        flag: Option<String>,
    },
    /// The run accepted the approval of a person.
    Approved {
        /// The gate.
        step: StepId,
        /// The person.
        who: Person,
    },
    /// The run accepted the rejection by a person.
    Rejected {
        /// The gate.
        step: StepId,
        /// The person.
        who: Person,
        /// The reason.
        reason: String,
    },
    /// A person waived a refusal during the run.
    Waived {
        /// The waiver.
        waiver: Waiver,
    },
    /// The component continues without a proven fence because of a waiver. Nothing is promoted yet. After the promotion, its fence is pending.
    FenceWaived {
        /// The component.
        component: ComponentName,
    },
    /// The component was promoted because of a waiver, and its fence is pending.
    FencePending {
        /// The component.
        component: ComponentName,
    },
    /// After the end of the run, drctl looked whether the new primary takes writes. It sets a pending fence only right after that.
    NewPrimaryChecked {
        /// The component.
        component: ComponentName,
        /// Whether it takes writes.
        writes: bool,
        /// What drctl observed.
        seen: String,
    },
    /// A place with a pending or awaited fence answers again. drctl tries every fence method there at once.
    PlaceAnswered {
        /// The place's name.
        place: String,
        /// Who answered, in words.
        who: String,
    },
    /// The run read a person's statement from the ledger. The events up to the next such event are the result.
    StatementRead {
        /// The hash of the statement's entry in the ledger.
        statement: Digest,
    },
    /// drctl refused the request of a person.
    SignalRefused {
        /// The request.
        signal: Signal,
        /// The person.
        who: Person,
        /// The reason.
        reason: String,
    },
    /// The run is paused and starts no new steps.
    Paused {
        /// The person or the cause.
        why: String,
    },
    /// The run continues and tries failed steps again.
    Resumed {
        /// The person.
        who: Person,
    },
    /// A person or drctl requested an early end of the run.
    CancelRequested {
        /// The person.
        who: Person,
        /// The reason.
        reason: String,
        /// The current holder of a guard of the run. drctl undoes nothing under another holder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        displaced_by: Option<String>,
    },
    /// A named person let the run continue before the required approvals. The approvals are due from now on.
    Overridden {
        /// The gate.
        step: StepId,
        /// The person.
        who: Person,
        /// Why the run could not wait.
        reason: String,
    },
    /// An approval after an override.
    Ratified {
        /// The gate.
        step: StepId,
        /// The person.
        who: Person,
    },
    /// A rejection after an override. Completed steps stay as they are.
    RatificationRefused {
        /// The gate.
        step: StepId,
        /// The person.
        who: Person,
        /// The reason.
        reason: String,
    },
    /// A named person acknowledged the run. After a stop, the event contains their decision.
    Acknowledged {
        /// The person.
        who: Person,
        /// The decision after the stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
        /// In words.
        reason: String,
    },
    /// A person confirmed a duty after an incident.
    Fulfilled {
        /// What.
        duty: Duty,
        /// The person.
        who: Person,
        /// Where the document is.
        reference: String,
        /// The digest of the document, if it was a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
    /// A person confirmed that they did a step by hand. drctl checks it by observation, except for a command.
    ClaimedDone {
        /// The step.
        step: StepId,
        /// The person.
        who: Person,
    },
    /// A step was undone.
    StepUndone {
        /// The step.
        step: StepId,
    },
    /// drctl could not undo a step.
    UndoFailed {
        /// The step.
        step: StepId,
        /// The reason.
        reason: String,
    },
    /// The wall clock and the monotonic clock disagree. Figures that span this event are bounds.
    ClockJumped {
        /// How far the wall clock moved ahead of the monotonic clock.
        forward_ms: Dur,
        /// How far the wall clock moved back.
        backward_ms: Dur,
    },
    /// The process stops. The run can be resumed.
    Halted {
        /// The reason.
        reason: String,
    },
    /// The run is over.
    RunFinished {
        /// How the run ended.
        outcome: Outcome,
    },
}
