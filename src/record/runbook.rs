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

/// The phases in their order. A phase determines where a step is shown; its `needs` determine what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Credentials, replica, guard.
    Preflight,
    /// The state before the run. It is limited in time, and nothing waits for it.
    Evidence,
    /// Makes a copy at a point in time, beside the live data.
    Restore,
    /// Adds capacity at the target.
    Scale,
    /// Ends writes at the source.
    Fence,
    /// Measures the exposure.
    Measure,
    /// Checks that the exposure is acceptable and that people approve.
    Gate,
    /// Promotes. This cannot be undone.
    Promote,
    /// Updates secrets and configuration, and restarts clients.
    Rewire,
    /// Verifies the recovery site with a real write.
    Verify,
    /// Redirects traffic.
    Redirect,
    /// Confirms the result from outside.
    Confirm,
    /// Makes a standby for every store.
    Protect,
    /// Watches for a while.
    Watch,
    /// The end: final observations and the release of guards.
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

/// A step that another step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// That step.
    pub step: StepId,
    /// True if it only has to end, even with a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// When a step is not needed after all. The journal records that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unless {
    /// An earlier fence method fenced the component.
    Fenced(ComponentName),
}

/// The effect of a failed step on the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// No step that needs it starts. The run halts when all others have ended.
    Halt,
    /// The failure is recorded, and the run continues.
    Continue,
}

/// One step of a runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Unique in the runbook.
    pub id: StepId,
    /// The phase in which it is shown.
    pub phase: Phase,
    /// Its component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// Its action.
    pub action: Action,
    /// The steps that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// When it is not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Unless>,
    /// The effect of its failure.
    pub on_failure: OnFailure,
    /// Whether it is a background step: it is tried as long as the run lasts, and nothing waits for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Whether it is a fence that an earlier run left pending. It says nothing about the server that this run leaves, and is never undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debt: bool,
    /// Its duration.
    pub estimate: Estimate,
    /// Notes for the reader about what it does. They hold only if it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Notes that hold only until it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<String>,
}

/// The role of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeRole {
    /// Requests as users make them. The recovery time is measured from these.
    Public,
    /// One site, before traffic moves there.
    Site,
    /// A real write through the public path.
    Write,
    /// An alarm of another system. A live drill starts while it is off, and is undone when it turns on. Nothing else uses it.
    Alarm,
}

/// The check of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeVia {
    /// An HTTP GET (or POST for role `write`) with the expected status.
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

/// A probe of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Its name.
    pub name: ProbeName,
    /// Its role.
    pub role: ProbeRole,
    /// The site, for role `site`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Its check.
    pub via: ProbeVia,
    /// Its interval.
    pub every_ms: Dur,
    /// How long it waits for an answer.
    pub timeout_ms: Dur,
}

impl Probe {
    /// Name and site, as in events.
    pub fn key(&self) -> String {
        match &self.site {
            Some(site) => format!("{}@{site}", self.name),
            None => self.name.to_string(),
        }
    }

    /// How long it may succeed, or fail, before that many samples in a row show it.
    pub fn turns_within(&self, in_a_row: u32) -> Dur {
        self.every_ms.max(self.timeout_ms).times(u64::from(in_a_row))
    }
}

/// The runbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runbook {
    /// The version of this format.
    pub schema_version: u32,
    /// The application.
    pub plan: PlanName,
    /// Digest of the plan file's bytes.
    pub plan_digest: Digest,
    /// Its purpose.
    pub intent: Intent,
    /// The kind of drill, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// The former site; none if it is not known.
    pub from: Option<SiteName>,
    /// The recovery site.
    pub to: SiteName,
    /// The objectives.
    pub objectives: Objectives,
    /// Objectives of single components, if they differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub component_objectives: BTreeMap<ComponentName, Objectives>,
    /// Components that hold writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<ComponentName>,
    /// Waived refusals.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// The probes that run meanwhile.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// How many samples in a row make a turn.
    pub probe_consecutive: u32,
    /// The steps, each after those that it needs.
    pub steps: Vec<Step>,
    /// Notes for the reader: stale observations, fallbacks, and changes that were already there.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Notes that hold only once the run has moved users or writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes_after_move: Vec<String>,
    /// The proofs of the run that this one continues, as far as they are still valid. Facts, never approvals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<Inherited>,
    /// Components whose promotion was requested by the run that this one continues, so it cannot be undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<ComponentName>,
}

/// A fence that another run set or may have set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inherited {
    /// The run that set it.
    pub run: RunId,
    /// The server that it fences, and how to lift it.
    pub fence: Fence,
    /// The proof, if there is a valid one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Fact>,
}

impl Runbook {
    /// The bytes that are stored, shown and approved.
    pub fn bytes(&self) -> Vec<u8> {
        // These are plain data with string keys, so JSON can represent them.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A short title: `failover`, or `live drill (switchover)`.
    pub fn title(&self) -> String {
        match (self.drill, self.intent) {
            (None, intent) => intent.to_string(),
            (Some(drill), Intent::Drill) => format!("{drill} drill"),
            (Some(drill), intent) => format!("{drill} drill ({intent})"),
        }
    }

    /// The direction: from which site to which.
    pub fn way(&self) -> String {
        match &self.from {
            Some(from) if *from == self.to => format!("in {from}"),
            Some(from) => format!("{from} -> {}", self.to),
            None => format!("unknown -> {}", self.to),
        }
    }

    /// The digest that approvals bind to.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&self.bytes())
    }

    /// The place of the recovery site in the steps.
    pub fn recovery_place(&self) -> Option<&Place> {
        self.steps.iter().filter_map(|s| s.action.place()).find(|p| p.name == self.to.as_str())
    }

    /// All notes: of the runbook, of its steps, and of the move.
    pub fn all_notes(&self) -> impl Iterator<Item = &String> {
        self.notes
            .iter()
            .chain(self.steps.iter().flat_map(|step| step.notes.iter().chain(&step.forecasts)))
            .chain(&self.notes_after_move)
    }

    /// The step with an id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|s| &s.id == id)
    }

    /// The objectives of one component.
    pub fn objectives_of(&self, component: &ComponentName) -> Objectives {
        self.component_objectives.get(component).copied().unwrap_or(self.objectives)
    }

    /// The recovery time objective: the shortest one of the application and of the components in this run, and the component if it is its
    /// own.
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
