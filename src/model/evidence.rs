//! The manifest of an evidence bundle: what happened in a run, by whose consent, and which files prove it.
//!
//! Its outer fields are those that rollback manifests have had before drctl (deployment, configuration, database, policy); what only drctl
//! knows is under `drctl`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::environment::{Endpoint, Environment};
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::measure::{Basis, Verdict};
use crate::model::time::Timestamp;

/// The type of what is signed, in the envelope (<https://github.com/secure-systems-lab/dsse>).
pub const PAYLOAD_TYPE: &str = "application/vnd.drctl.evidence+json";

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The run.
    pub rollback_id: RunId,
    /// When it was sealed.
    pub timestamp: Timestamp,
    /// `database` where stores are recovered, `deployment` where only capacity and traffic move.
    pub component: String,
    /// Why, as whoever asked for the run said.
    pub reason: String,
    /// Who approved, and whether it was late; which approvals are still due or missing; `none was asked for` if none was required.
    pub approver: String,
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// The site that was left, of a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The site that was recovered to, of a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_version: Option<String>,
    /// What was checked: of checks that were really made, and of nothing else.
    pub verification: Verification,
    /// Schema migrations that were reverted: drctl reverts none.
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
    /// Who agreed for the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dba_approval: Option<String>,
    /// What only drctl knows.
    pub drctl: About,
}

/// What checks came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Users were seen to be served.
    pub health_check: Checked,
    /// New primaries take writes, and what has to hold of restored data does.
    pub smoke_tests: Checked,
    /// A person confirmed it.
    pub user_validation: Checked,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It held.
    Passed,
    /// It did not.
    Failed,
    /// It was not over.
    Pending,
    /// Nobody made it.
    NotRun,
}

/// What only drctl knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The version of this shape.
    pub schema_version: u32,
    /// The version of drctl that sealed it.
    pub tool: String,
    /// The run.
    pub run_id: RunId,
    /// The application.
    pub plan: String,
    /// Digest of `plan.yaml`.
    pub plan_digest: Digest,
    /// Digest of `runbook.json`: what was agreed to.
    pub runbook_digest: Digest,
    /// What the run was for.
    pub intent: String,
    /// How far it went, if it was a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<String>,
    /// `live` or `sandbox`. A rehearsal proves nothing of the real world.
    pub world: String,
    /// The terms that it was decided under.
    pub terms: Under,
    /// The site that was left.
    pub from: Option<String>,
    /// The site that was recovered to.
    pub to: String,
    /// How bad it was said to be.
    pub severity: Option<String>,
    /// How it ended, or where it stands.
    pub outcome: String,
    /// Who asked for it, and whether that is signed.
    pub requester: Said,
    /// Who agreed, step by step.
    pub approvals: Vec<Said>,
    /// Approvals that somebody overrode, in words.
    pub overrides: Vec<String>,
    /// The same, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Overridden>,
    /// Refusals that somebody accepted, in words.
    pub waivers: Vec<String>,
    /// Recovery time.
    pub rto: Achieved,
    /// Recovery point, by store.
    pub rpo: BTreeMap<ComponentName, Achieved>,
    /// The run's own chain (`events.jsonl`).
    pub chain: Head,
    /// The store's ledger before its last entry about the run.
    pub chain_head_before: Head,
    /// The ledger with the checkpoint that vouches for that (`ledger.jsonl`).
    pub chain_head_after: Head,
    /// The version of how reports and words follow from events: builds that have the same make the same of the same events.
    pub renders: u32,
    /// Every file of the bundle but this one and its envelope.
    pub files: Vec<File>,
}

/// The terms of the run. All of them are in its first event (`events.jsonl`), and their digest in the ledger (`ledger.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Under {
    /// Their digest.
    pub digest: Digest,
    /// What the estate was for.
    pub environment: Environment,
    /// Addresses that its calls went to and that are not the provider's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_endpoints: Vec<Endpoint>,
    /// Why nothing that was achieved proves an objective, or counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_for_nothing: Option<String>,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who.
    pub who: String,
    /// To what; of a requester, what was asked for.
    pub to: String,
    /// Whether there is a signature in `events.jsonl`.
    pub signed: bool,
}

/// An approval that somebody overrode.
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
    /// When the approvals had to be there.
    pub due_at: Timestamp,
    /// `approved`, `approved_late`, `owed`, `overdue`, or `not_used` if the run did not continue on the override.
    pub state: String,
    /// By how much the approvals are or were late, in seconds: for ever, once they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<f64>,
    /// Who approved afterwards.
    pub approved_by: Vec<String>,
    /// Who has not, as roles.
    pub owed_by: Vec<String>,
    /// Who said no afterwards, and why.
    pub refused_by: Vec<String>,
}

/// A figure against its objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Achieved {
    /// What was promised, in seconds.
    pub objective_s: f64,
    /// What was achieved, in seconds.
    pub achieved_s: Option<f64>,
    /// What the figure is worth.
    pub measured_how: Basis,
    /// How the objective fared; older bundles do not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What somebody accepted to be lost, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_s: Option<f64>,
    /// The component whose objective it is, where that is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How long the chain is.
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
    /// How many bytes.
    pub size: u64,
    /// When what it says was so.
    pub captured_at: Timestamp,
    /// `before`, `during`, `after`, or `report` for what follows from the others.
    pub phase: String,
}
