//! The computed, immutable, fully concrete graph of steps for one intent. Approval binds to its digest.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::Fact;
use crate::kinds::shared::fence::Fence;
use crate::model::estimate::Estimate;
use crate::model::ids::{ComponentName, Digest, PlanName, ProbeName, RunId, SiteName, StepId};
use crate::model::intent::{Drill, Intent};
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::time::Dur;
use crate::model::waiver::Waiver;
use crate::record::action::Action;

/// The phases in their order. A step's phase is where it is shown; what it waits for is its `needs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Credentials, replica, guard.
    Preflight,
    /// What was there before; bounded, and nothing waits for it.
    Evidence,
    /// A copy of a point in time, beside what serves.
    Restore,
    /// Capacity at the target.
    Scale,
    /// No more writes at the source.
    Fence,
    /// Exposure.
    Measure,
    /// Is the exposure acceptable, do people agree.
    Gate,
    /// The one-way door.
    Promote,
    /// Secrets, configuration, restarts.
    Rewire,
    /// The recovery site works, with a real write.
    Verify,
    /// Traffic.
    Redirect,
    /// From outside.
    Confirm,
    /// A standby for every store.
    Protect,
    /// For a while.
    Watch,
    /// The end: a last look, and guards given back.
    Seal,
}

impl Phase {
    /// Every phase in order.
    pub const ALL: [Self; 15] = [
        Self::Preflight,
        Self::Evidence,
        Self::Restore,
        Self::Scale,
        Self::Fence,
        Self::Measure,
        Self::Gate,
        Self::Promote,
        Self::Rewire,
        Self::Verify,
        Self::Redirect,
        Self::Confirm,
        Self::Protect,
        Self::Watch,
        Self::Seal,
    ];

    /// The word used in plans and output.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Evidence => "evidence",
            Self::Restore => "restore",
            Self::Scale => "scale",
            Self::Fence => "fence",
            Self::Measure => "measure",
            Self::Gate => "gate",
            Self::Promote => "promote",
            Self::Rewire => "rewire",
            Self::Verify => "verify",
            Self::Redirect => "redirect",
            Self::Confirm => "confirm",
            Self::Protect => "protect",
            Self::Watch => "watch",
            Self::Seal => "seal",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// The step waited for.
    pub step: StepId,
    /// True if its failure is good enough: it only has to be over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// When a step is not needed after all. Doing nothing is then a journalled answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unless {
    /// An earlier fence method fenced the component.
    Fenced(ComponentName),
}

/// What a failed step means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing that needs it starts; the run halts when the rest has settled.
    Halt,
    /// It is recorded, and the run continues.
    Continue,
}

/// One node of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Unique in the runbook.
    pub id: StepId,
    /// Where it is shown.
    pub phase: Phase,
    /// The component it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// What it does.
    pub action: Action,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// When it is not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Unless>,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// Background steps are tried for as long as the run lasts; nothing waits for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// A fence that an earlier run left pending. It says nothing about the server that this run leaves, and is never undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debt: bool,
    /// How long it takes.
    pub estimate: Estimate,
}

/// What a probe stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeRole {
    /// What users see. The RTO clock is read from these.
    Public,
    /// One site, before traffic is sent to it.
    Site,
    /// A real write by the public path.
    Write,
    /// An alarm of another system. A live drill starts while it is off, and is undone when it turns on. Nothing else uses it.
    Alarm,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVia {
    /// An HTTP GET (or POST for role `write`) and the status that is good.
    Http {
        /// The address.
        url: String,
        /// The status expected.
        status: u16,
    },
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// The state of a CloudWatch alarm.
    Alarm {
        /// The account and region that it is in.
        place: Place,
        /// Its name.
        alarm: String,
    },
}

/// A probe as the run uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Its name.
    pub name: ProbeName,
    /// What it stands for.
    pub role: ProbeRole,
    /// For role `site`: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// How it asks.
    pub via: ProbeVia,
    /// How often.
    pub every_ms: Dur,
    /// How long it waits for an answer.
    pub timeout_ms: Dur,
}

impl Probe {
    /// Name and site: what events call it.
    pub fn key(&self) -> String {
        match &self.site {
            Some(site) => format!("{}@{site}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// The runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runbook {
    /// Version of this shape.
    pub schema_version: u32,
    /// The application.
    pub plan: PlanName,
    /// Digest of the plan file's bytes.
    pub plan_digest: Digest,
    /// What it is for.
    pub intent: Intent,
    /// How far it goes, if it is a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// The site that is left; none if it is not known.
    pub from: Option<SiteName>,
    /// The site that is recovered to.
    pub to: SiteName,
    /// What was promised.
    pub objectives: Objectives,
    /// Objectives of single components, where they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub component_objectives: BTreeMap<ComponentName, Objectives>,
    /// Components that hold writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<ComponentName>,
    /// Refusals that people accepted.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// The probes that run beside it.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// How many probes in a row make a turn.
    pub probe_consecutive: u32,
    /// The steps; each after all that it needs.
    pub steps: Vec<Step>,
    /// What a reader should know: stale observations, fallbacks used, what was found done.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the run that this one continues proved, and what still stands of it. Facts, never approvals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<Inherited>,
    /// Components whose promotion was requested by the run that this one continues, so it cannot be undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<ComponentName>,
}

/// A fence that another run set, or may have set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inherited {
    /// The run that set it.
    pub run: RunId,
    /// The server that it keeps from taking writes, and what lifts it.
    pub fence: Fence,
    /// The proof, if there was one and it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
}

impl Runbook {
    /// The bytes that are stored, shown and approved.
    pub fn bytes(&self) -> Vec<u8> {
        // Plain data with string keys: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What it is, in a few words: `failover`, or `live drill (switchover)`.
    pub fn title(&self) -> String {
        match (self.drill, self.intent) {
            (None, intent) => intent.to_string(),
            (Some(drill), Intent::Drill) => format!("{drill} drill"),
            (Some(drill), intent) => format!("{drill} drill ({intent})"),
        }
    }

    /// From where to where.
    pub fn way(&self) -> String {
        match &self.from {
            Some(from) if *from == self.to => format!("in {from}"),
            Some(from) => format!("{from} -> {}", self.to),
            None => format!("unknown -> {}", self.to),
        }
    }

    /// The digest that approvals bind to.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// The place that is recovered to, as the steps name it.
    pub fn recovery_place(&self) -> Option<&Place> {
        self.steps.iter().filter_map(|s| s.action.place()).find(|p| p.name == self.to.as_str())
    }

    /// A step by its id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|s| &s.id == id)
    }

    /// The objectives of one component.
    pub fn objectives_of(&self, component: &ComponentName) -> Objectives {
        self.component_objectives.get(component).copied().unwrap_or(self.objectives)
    }

    /// The recovery time that is promised: the shortest of the application's and of those of components that the run is about, and whose
    /// that is.
    pub fn promised_rto(&self) -> (Dur, Option<&ComponentName>) {
        let about =
            |component: &ComponentName| self.steps.iter().any(|s| s.component.as_ref() == Some(component));
        let own = self.component_objectives.iter().filter(|(component, _)| about(component));
        match own.min_by_key(|(_, own)| own.rto_ms) {
            Some((component, own)) if own.rto_ms < self.objectives.rto_ms => (own.rto_ms, Some(component)),
            _ => (self.objectives.rto_ms, None),
        }
    }

    /// Whether every change of the run is already in place.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
