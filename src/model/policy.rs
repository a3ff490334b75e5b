//! Approvals: severities, the approval matrix by kind of change, and the emergency override.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::authority::Authority;
use crate::model::calendar::{Freeze, Window};
use crate::model::duty::{Duties, Rung};
use crate::model::intent::Intent;
use crate::model::severity::Severity;
use crate::model::time::Dur;

/// A kind of change that may need an approval. Capacity and fences need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Another server becomes the primary, or data are replaced.
    Database,
    /// DNS names point to another site.
    Dns,
    /// Clients connect elsewhere, by their secrets and settings.
    Configuration,
    /// The previous version is deployed, by a command of the plan.
    Deployment,
    /// An older version is deployed, by a command of the plan.
    OlderDeployment,
    /// Access rules change, by a command of the plan.
    Policy,
    /// An application's own snapshot is restored, by a command of the plan.
    State,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Database,
        Self::Dns,
        Self::Configuration,
        Self::Deployment,
        Self::OlderDeployment,
        Self::Policy,
        Self::State,
    ];

    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Dns => "dns",
            Self::Configuration => "configuration",
            Self::Deployment => "deployment",
            Self::OlderDeployment => "older_deployment",
            Self::Policy => "policy",
            Self::State => "state",
        }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|change| change.id() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a kind of change; choose one of {}", Self::ALL.map(Self::id).join(", "))
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The requirements of a severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeverityRule {
    /// How soon somebody responds. `None`: no limit.
    pub respond_within: Option<Dur>,
    /// Who authorises actions: seats, as in [`super::authority`].
    pub by: Vec<String>,
}

/// The requirements of a kind of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRule {
    /// Who must approve: seats.
    pub by: Vec<String>,
    /// Who must approve at once if an incident commander overrides the approvals.
    pub override_with: Vec<String>,
}

/// When a named person may override approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRule {
    /// Roles of that person.
    pub by: Vec<String>,
    /// Severities at which an override is possible.
    pub at: BTreeSet<Severity>,
    /// How soon the approvals must follow, counted from the override.
    pub approve_within: Dur,
}

/// How a named person overrides approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// Roles of that person.
    pub by: Vec<String>,
    /// Roles that must still approve at once, each through a different person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// How soon the approvals must follow, counted from the override.
    pub within_ms: Dur,
}

impl Override {
    /// The roles in `also` that nobody can fill if `who` overrides approvals for a run of `requester`.
    pub fn unfilled(&self, authority: &Authority, who: &str, requester: &str) -> Vec<String> {
        let others = authority.operators.keys().map(String::as_str);
        let others: Vec<&str> = others.filter(|name| *name != who && *name != requester).collect();
        authority.lacking(&self.also, &others)
    }

    /// In words.
    pub fn words(&self) -> String {
        let also = if self.also.is_empty() {
            String::new()
        } else {
            format!(" together with {}", self.also.join(" and "))
        };
        let by = self.by.join(" or ");
        format!(
            "in an emergency {by} (but not the requester){also} can override it; the approvals must then follow within {}",
            self.within_ms
        )
    }
}

/// The approval policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// By severity.
    pub severities: BTreeMap<Severity, SeverityRule>,
    /// By kind of change.
    pub changes: BTreeMap<Change, ChangeRule>,
    /// The severity of a run without a given one.
    pub severity_of: BTreeMap<Intent, Severity>,
    /// The roles that a role includes.
    pub includes: BTreeMap<String, BTreeSet<String>>,
    /// The emergency override.
    pub overriding: OverrideRule,
    /// How long an approval request stays open. It never expires into an approval.
    pub expires_after: Dur,
    /// Severities of runs that can wait and keep to the windows.
    pub keep_to_windows: BTreeSet<Severity>,
    /// When those runs may start; always if there are none.
    pub windows: Vec<Window>,
    /// When they may not start.
    pub blackouts: Vec<Window>,
    /// Whether they may start at all.
    pub freeze: Option<Freeze>,
    /// The minimum time between two moves of an application if the second is automatic, so that users do not move back and forth.
    pub apart: Dur,
    /// The duties after an incident.
    pub duties: Duties,
    /// Who is called when nobody responds.
    pub escalation: Vec<Rung>,
    /// Who else is called at once when a step failed and a run stopped.
    pub on_stop: Vec<String>,
}

impl Policy {
    /// The severity of a run: the given one, or the policy's for its intent. `drill` is whether it has the severity of a drill.
    pub fn severity(&self, given: Option<Severity>, intent: Intent, drill: bool) -> Severity {
        let intent = if drill { Intent::Drill } else { intent };
        given.or_else(|| self.severity_of.get(&intent).copied()).unwrap_or(Severity::P0)
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

impl Default for Policy {
    /// Every number and role of it is configuration.
    fn default() -> Self {
        let severity = |s, minutes: Option<u64>, by: &str| {
            (s, SeverityRule { respond_within: minutes.map(Dur::mins), by: names(&[by]) })
        };
        let change =
            |c, by: &[&str], with: &[&str]| (c, ChangeRule { by: names(by), override_with: names(with) });
        let above = |role: &str, roles: &[&str]| (role.to_owned(), names(roles).into_iter().collect());
        Self {
            severities: BTreeMap::from([
                severity(Severity::P0, Some(5), "on-call-engineer"),
                severity(Severity::P1, Some(15), "team-lead"),
                severity(Severity::P2, Some(60), "change-manager"),
                severity(Severity::P3, None, "product-owner"),
            ]),
            changes: BTreeMap::from([
                change(Change::Database, &["dba", "engineering-lead"], &["cto"]),
                change(Change::Dns, &["devops-lead"], &[]),
                change(Change::Configuration, &["devops-lead"], &[]),
                change(Change::Deployment, &[], &[]),
                change(Change::OlderDeployment, &["engineering-lead"], &[]),
                change(Change::Policy, &["governance-lead", "security"], &["ciso"]),
                change(Change::State, &["data-owner", "approver"], &["engineering-lead"]),
            ]),
            severity_of: BTreeMap::from([
                (Intent::Failover, Severity::P0),
                (Intent::Restore, Severity::P1),
                (Intent::Switchover, Severity::P2),
                (Intent::Failback, Severity::P2),
                (Intent::Reprotect, Severity::P2),
                (Intent::Drill, Severity::P3),
            ]),
            includes: BTreeMap::from([
                above("engineering-lead", &["team-lead", "devops-lead", "on-call-engineer"]),
                above("team-lead", &["on-call-engineer"]),
                above("devops-lead", &["on-call-engineer"]),
                above("dba", &["on-call-engineer"]),
            ]),
            overriding: OverrideRule {
                by: names(&["incident-commander"]),
                at: BTreeSet::from([Severity::P0]),
                // Own choice: whoever was asleep at the override has decided before a working day is over.
                approve_within: Dur::mins(4 * 60),
            },
            // Own choice: what was shown is then half an hour old, and observations are older than their limit.
            expires_after: Dur::mins(30),
            keep_to_windows: BTreeSet::from([Severity::P2, Severity::P3]),
            windows: Vec::new(),
            blackouts: Vec::new(),
            freeze: None,
            // Own choice: users then stay at one site for at least an hour.
            apart: Dur::mins(60),
            duties: Duties::default(),
            escalation: Rung::ladder(),
            on_stop: names(&["engineering-lead", "on-call-engineer"]),
        }
    }
}
