//! The manifest of an evidence bundle: what happened in a run, who approved it, and which files prove it.
//!
//! The outer fields are those of rollback manifests from before drctl (deployment, configuration, database, policy). The fields of drctl
//! are under `drctl`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::environment::{Endpoint, Environment};
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::measure::{Basis, Verdict};
use crate::model::severity::Decided;
use crate::model::time::Timestamp;

/// The payload type in the envelope (<https://github.com/secure-systems-lab/dsse>).
pub const PAYLOAD_TYPE: &str = "application/vnd.drctl.evidence+json";

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The run.
    pub rollback_id: RunId,
    /// When the bundle was sealed.
    pub timestamp: Timestamp,
    /// `database` if stores are recovered, `deployment` if only capacity and traffic move.
    pub component: String,
    /// The reason, as stated by the requester of the run.
    pub reason: String,
    /// Who approved, and whether it was late; which approvals are still due or missing; `none was asked for` if none was required.
    pub approver: String,
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// The former site, for a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The recovery site, for a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_version: Option<String>,
    /// The results of checks that were really made.
    pub verification: Verification,
    /// Reverted schema migrations: drctl reverts none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_reverted: Option<String>,
    /// Where the data came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_location: Option<String>,
    /// The figure with its basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_loss: Option<String>,
    /// The figure with its basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime: Option<String>,
    /// The approvals for the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dba_approval: Option<String>,
    /// The fields of drctl.
    pub drctl: About,
}

/// The results of the checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Users were observed to be served.
    pub health_check: Checked,
    /// New primaries take writes, and restored data pass their checks.
    pub smoke_tests: Checked,
    /// A person confirmed it.
    pub user_validation: Checked,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It had not ended.
    Pending,
    /// It was not made.
    NotRun,
}

/// The fields of drctl.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The version of this format.
    pub schema_version: u32,
    /// The version of drctl that sealed it.
    pub tool: String,
    /// The run.
    pub run_id: RunId,
    /// The application.
    pub plan: String,
    /// Digest of `plan.yaml`.
    pub plan_digest: Digest,
    /// The digest of `runbook.json`, which people approved.
    pub runbook_digest: Digest,
    /// The purpose of the run.
    pub intent: String,
    /// The kind of the drill, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// `live` or `sandbox`. A rehearsal proves nothing about the real world.
    pub world: String,
    /// The terms of the run.
    pub terms: Under,
    /// The former site.
    pub from: Option<String>,
    /// The recovery site.
    pub to: String,
    /// The severity that the requester declared. `drctl.terms.severity` is the one that counts, also if nobody declared any.
    pub severity: Option<String>,
    /// The result of the run, or its current state.
    pub outcome: String,
    /// The requester, and whether the request is signed.
    pub requester: Said,
    /// The approvals, by step.
    pub approvals: Vec<Said>,
    /// What people said and did during the run, with times and roles, in the order of the journal; absent in older bundles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<String>,
    /// Everything that people decided, in the order of time: statements, waivers, overrides, and steps that they skipped or did by hand;
    /// absent in older bundles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<String>,
    /// Overridden approvals, in words.
    pub overrides: Vec<String>,
    /// The same, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Overridden>,
    /// Waived refusals, in words.
    pub waivers: Vec<String>,
    /// Recovery time.
    pub rto: Achieved,
    /// Recovery point, by store.
    pub rpo: BTreeMap<ComponentName, Achieved>,
    /// The run's own chain (`events.jsonl`).
    pub chain: Head,
    /// The head of the store's ledger before its last entry about the run.
    pub chain_head_before: Head,
    /// The head of the ledger with the checkpoint that covers it (`ledger.jsonl`).
    pub chain_head_after: Head,
    /// The version of the derivation of reports and wording from events. Builds with the same version derive the same from the same events.
    pub renders: u32,
    /// Every file of the bundle except this one and its envelope.
    pub files: Vec<File>,
}

/// The terms of the run. The full terms are in its first event (`events.jsonl`), and their digest is in the ledger (`ledger.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// Their digest.
    pub digest: Digest,
    /// The declared environment.
    pub environment: Environment,
    /// The severity.
    pub severity: Decided,
    /// The endpoints of its calls that are not the provider's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_endpoints: Vec<Endpoint>,
    /// Why no result proves an objective or counts, if that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_for_nothing: Option<String>,
}

/// A statement of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who.
    pub who: String,
    /// What it approves; for a requester, what was requested.
    pub to: String,
    /// Whether there is a signature in `events.jsonl`.
    pub signed: bool,
}

/// An overridden approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overridden {
    /// The gate.
    pub step: String,
    /// Who overrode it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When the approvals were due.
    pub due_at: Timestamp,
    /// `approved`, `approved_late`, `owed`, `overdue`, or `not_used` if the run did not continue on the override.
    pub state: String,
    /// How late the approvals are or were, in seconds. The value stays once they were late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<f64>,
    /// The people who approved afterwards.
    pub approved_by: Vec<String>,
    /// The roles whose approvals are missing.
    pub owed_by: Vec<String>,
    /// The people who rejected afterwards, with their reasons.
    pub refused_by: Vec<String>,
}

/// A figure against its objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Achieved {
    /// The objective, in seconds.
    pub objective_s: f64,
    /// The achieved value, in seconds.
    pub achieved_s: Option<f64>,
    /// The basis of the value.
    pub measured_how: Basis,
    /// The half-width of the sampling error, in seconds; absent if there is none, and in older bundles. On the basis `interval`, its width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_s: Option<f64>,
    /// The time that the value holds for, if it still grew; absent in older bundles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// The verdict on the objective; absent in older bundles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The loss that somebody accepted, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_s: Option<f64>,
    /// The component with this objective, if it has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
}

/// The head of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of entries.
    pub entries: u64,
    /// The hash of its last entry.
    pub hash: Digest,
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the bundle.
    pub path: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The time that its content is about.
    pub captured_at: Timestamp,
    /// `before`, `during`, `after`, or `report` for derived files.
    pub phase: String,
}
