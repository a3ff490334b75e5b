//! The sources of the report, and the document that it is.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::approved::Approved;
use super::asked::Signatory;
use super::controls::{Control, Profile, Section};
use super::history::{Gap, Month, Statistics};
use super::sealed::{Covered, SealedBundle, UnreadableRun};
use crate::model::ids::{ComponentName, Digest, PlanName, RunId};
use crate::model::readiness::{Area, Check, Standing};
use crate::model::schedule::Fate;
use crate::model::severity::Decided;
use crate::model::time::{Dur, Timestamp};
use crate::model::worst::Weight;
use crate::report::duties::Obligation;
use crate::report::measured::{Accepted, Measured};
use crate::report::outcomes;
use crate::report::severity::RunSeverity;
use crate::report::steered::ByPeople;
use crate::report::terms::TermsChange;
use crate::report::verified::{self, Verified};
use crate::run::RunState;

/// A plan, as its file has it now.
#[derive(Clone, Debug)]
pub struct PlanLine {
    /// Its name.
    pub plan: PlanName,
    /// Its tier.
    pub tier: Option<String>,
    /// Whether it is verified.
    pub verified: Verified,
    /// When drctl first recorded it.
    pub known: Option<Timestamp>,
}

/// The sources of a report.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// Every run of the store.
    pub runs: &'a [RunState],
    /// The existing plans.
    pub plans: &'a [PlanLine],
    /// How often the applications of each tier must be proven.
    pub drill_every: &'a BTreeMap<String, Dur>,
    /// The results of scheduled drills.
    pub drills: &'a [DrillLine],
    /// The last readiness check of each plan, with its time.
    pub ready: &'a BTreeMap<PlanName, (Timestamp, Vec<Check>)>,
    /// When people were notified of each run.
    pub told: &'a BTreeMap<RunId, Vec<Timestamp>>,
    /// The newest bundle of each run.
    pub bundles: &'a BTreeMap<RunId, SealedBundle>,
    /// Runs that a process drives.
    pub driven: &'a BTreeSet<RunId>,
    /// Damaged bundles.
    pub damaged: &'a [DamagedBundle],
    /// Runs that drctl cannot read.
    pub unreadable: &'a [UnreadableRun],
    /// Runs whose terms differ from those of the run before.
    pub terms: &'a [TermsChange],
    /// The severity that each run was decided under.
    pub severities: &'a [RunSeverity],
    /// The ledger and its faults.
    pub ledger: &'a LedgerLine,
}

/// A scheduled drill that was due.
#[derive(Clone, Debug)]
pub struct DrillLine {
    /// The schedule.
    pub schedule: String,
    /// The application, if the ledger has it.
    pub plan: Option<PlanName>,
    /// When it was due.
    pub due: Timestamp,
    /// Its result.
    pub fate: Fate,
}

/// A bundle that is not what was signed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DamagedBundle {
    /// The file.
    pub file: String,
    /// The run in its name.
    pub run: Option<RunId>,
    /// What is wrong.
    pub why: String,
}

impl DamagedBundle {
    /// In words.
    pub fn words(&self) -> String {
        format!("bundle {} {}", self.file, self.why)
    }

    /// Whether it is a bundle of this run.
    pub(super) fn is_of(&self, run: &RunId) -> bool {
        self.run.as_ref() == Some(run)
    }
}

/// The report. Seconds are decimal, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Compliance {
    /// Version of this shape.
    pub schema_version: u32,
    /// `live` or `sandbox`. Rehearsals prove nothing.
    pub world: String,
    /// What rehearsals can and cannot show, if the report is about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<String>,
    /// The start of the period.
    pub since: Timestamp,
    /// The end of the period, exclusive.
    pub until: Timestamp,
    /// When it was created. For rehearsals, the virtual time of their last event.
    pub generated_at: Timestamp,
    /// The version of drctl.
    pub tool: String,
    /// The standard whose controls are listed.
    pub profile: Profile,
    /// Its full name.
    pub profile_title: String,
    /// The totals.
    pub totals: Totals,
    /// Figures by tier.
    pub tiers: Vec<Group>,
    /// Figures by application.
    pub applications: Vec<Application>,
    /// Every run.
    pub runs: Vec<RunLine>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The duties of people.
    pub obligations: Vec<Obligation>,
    /// Controls, with the sections of the report for each.
    pub controls: Vec<Control>,
    /// The ledger behind the report.
    pub ledger: LedgerLine,
    /// Bundles that are not what was signed.
    pub damaged_bundles: Vec<DamagedBundle>,
    /// Runs of the period that drctl cannot read. They are in no figure.
    pub unreadable_runs: Vec<UnreadableRun>,
    /// The person who prepared it, if given.
    pub prepared_by: Signatory,
    /// The person who reviewed it, if given.
    pub reviewed_by: Signatory,
}

/// Figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Runs by kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// Runs that succeeded, without tabletop and rehearsal drills.
    pub good: usize,
    /// Incidents that ended, and users were never seen to be served again.
    pub not_recovered: usize,
    /// Incidents that have not ended, because their run stopped or is in progress, and users are not seen to be served again.
    pub not_recovered_yet: usize,
    /// The same as `not_recovered` for planned moves and drills.
    pub moves_not_recovered: usize,
    /// The same as `not_recovered_yet` for planned moves and drills.
    pub moves_not_recovered_yet: usize,
    /// Waivers: risks that named people accepted.
    pub waivers: usize,
    /// Runs that promoted a database without a proven fence, by waiver.
    pub unfenced: usize,
    /// Fences that are still pending.
    pub fences_pending: usize,
    /// Verdicts on recovery times.
    pub rto: Tally,
    /// Verdicts on recovery points.
    pub rpo: Tally,
    /// Verdicts on recovery times of incidents only.
    pub rto_of_incidents: Tally,
    /// Verdicts on recovery points of incidents only.
    pub rpo_of_incidents: Tally,
    /// Approvals that somebody overrode.
    pub overrides: usize,
    /// Steps that people skipped, or claimed to be done, and that nobody saw to be done.
    pub steps_without_proof: usize,
    /// Overrides whose approvals were late or are missing.
    pub overrides_late: usize,
    /// Duties that people missed.
    pub obligations_missed: usize,
    /// Scheduled drills that did not run.
    pub drills_missed: usize,
    /// Scheduled drills that failed.
    pub drills_failed: usize,
    /// Applications whose proof was overdue at the end, by the rule of their tier.
    pub unproven: usize,
    /// Applications that were never proven.
    pub never_proven: usize,
    /// The time without a standby after runs, in seconds, added up over all databases. Each period is rounded to the nearest second.
    pub unprotected_s: f64,
    /// Runs without an evidence bundle, unless a process drives them.
    pub without_evidence: usize,
    /// Runs that went on after their last bundle, and that no process drives.
    pub beyond_evidence: usize,
}

/// The class of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A recovery from a failure.
    Incident,
    /// A planned move, or a new standby.
    Planned,
    /// A drill that changed something.
    Drill,
    /// A tabletop drill or a rehearsal.
    Read,
    /// A run in a test environment. It is not counted.
    Test,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Line")]
pub struct RunLine {
    /// Its name.
    pub run: RunId,
    /// The application.
    pub plan: PlanName,
    /// The tier that the plan had at that time.
    pub tier: String,
    /// The class.
    pub class: Class,
    /// In words: `failover`, `restore`, `live drill` and so on.
    pub what: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The time that its figures hold for. They grow while users wait or a fence is pending.
    pub as_of: Timestamp,
    /// The outcome, or the current state.
    pub outcome: String,
    /// The same for people: a run may wait for a person, or no process drives it.
    pub state: String,
    /// Whether it succeeded. A tabletop drill only reads, so it neither succeeds nor fails.
    pub good: bool,
    /// The recovery time, if the run moved users.
    pub rto: Option<Measured>,
    /// The recovery point, if the run moved users.
    pub rpo: Option<Measured>,
    /// Losses that people accepted, by store, and whether the run stayed within them.
    pub accepted: BTreeMap<ComponentName, Accepted>,
    /// Objectives that were loosened before this run. The run is held to the stricter ones.
    pub loosened: Vec<String>,
    /// The declared severity.
    pub severity: Option<String>,
    /// The severity that it was decided under, with its changes.
    pub decided: Decided,
    /// The incident.
    pub incident: Option<String>,
    /// The requester.
    pub requester: String,
    /// Whether the requester signed.
    pub signed: bool,
    /// Who approved it, with late and missing approvals, by gate. Empty if it requires no approval.
    pub approvals: Vec<Approved>,
    /// Why it proves nothing, if it does not.
    pub counts_for_nothing: Option<String>,
    /// Whether it is the return of a live drill.
    pub returns: bool,
    /// Waivers, in words.
    pub waivers: Vec<String>,
    /// Waivers that could not be about anything in the run, or of a tabletop drill, so that nobody accepted a risk, with the reason.
    pub unused_waivers: Vec<String>,
    /// How long users had not been served when the run ended, or until now, in seconds. Absent if users were served again.
    pub not_recovered_s: Option<f64>,
    /// Fences that were waived before a promotion, and the result of each.
    pub waived_fences: Vec<String>,
    /// The number of fences that are still pending.
    pub fences_pending: usize,
    /// The number of stops.
    pub stops: usize,
    /// Overrides, in words.
    pub overrides: Vec<String>,
    /// Steps that people skipped or did by hand, and what was in service afterwards.
    pub by_people: Vec<ByPeople>,
    /// The number of overrides that were approved late or not at all.
    pub late: usize,
    /// Copies that a drill made and verified, with their duration and age. That duration is not a recovery time, because no users move.
    pub copies: Vec<Copied>,
    /// The controls that it speaks to.
    pub controls: Vec<String>,
    /// The file of its bundle.
    pub bundle: Option<String>,
    /// The SHA-256 of that file.
    pub sha256: Option<String>,
    /// How many of its events the bundle contains, if the run went on after it.
    pub covers: Option<Covered>,
    /// Whether a process drives it.
    pub driven: bool,
}

impl RunLine {
    /// Whether it counts as a success or a failure: not in a test environment, and not as a tabletop or rehearsal drill.
    pub(super) const fn could_succeed(&self) -> bool {
        !matches!(self.class, Class::Test | Class::Read)
    }

    /// Whether it only computed a runbook, which proves nothing.
    pub(super) fn only_read(&self) -> bool {
        self.outcome == outcomes::Word::Read.id()
    }

    /// Whether all its events should be in a bundle: it ended, or no process drives it.
    pub(super) const fn must_be_sealed(&self) -> bool {
        self.ended_at.is_some() || !self.driven
    }

    /// Whether it went on after its last bundle, and no process will seal the rest.
    pub(super) const fn outlasts_bundle(&self) -> bool {
        self.must_be_sealed() && self.covers.is_some()
    }

    /// The file of its bundle, and how much of the run is in it if that is not all.
    pub(super) fn bundle_words(&self) -> String {
        let file = self.bundle.clone().unwrap_or_default();
        match self.covers {
            Some(covers) => format!("{file} ({})", covers.words()),
            None => file,
        }
    }
}

/// Whether it is proven that an application can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A drill or a recovery proved it, and nothing changed since.
    Verified,
    /// Nothing proves it as it is now.
    NeedsVerification,
    /// The last drill or recovery failed.
    Failed,
    /// The plan no longer exists.
    Gone,
}

impl Proof {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::NeedsVerification => "needs verification",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

impl From<verified::Status> for Proof {
    fn from(status: verified::Status) -> Self {
        match status {
            verified::Status::Verified => Self::Verified,
            verified::Status::NeedsVerification => Self::NeedsVerification,
            verified::Status::Failed => Self::Failed,
        }
    }
}

/// An application.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Application {
    /// Its name.
    pub plan: PlanName,
    /// Its tier.
    pub tier: String,
    /// The RTO in its last run, in seconds.
    pub rto_s: Option<f64>,
    /// The RPO in its last run, in seconds.
    pub rpo_s: Option<f64>,
    /// Whether it is proven that it can be recovered.
    pub status: Proof,
    /// Why.
    pub why: String,
    /// Figures of its runs.
    pub figures: Figures,
    /// Periods in which its proof was overdue, by the rule of its tier.
    pub unproven: Vec<Gap>,
    /// The last run before the end of the period that proved it, and when that run ended.
    pub last_proven: Option<LastProof>,
    /// Whether no recovery, and no drill that changes anything, ever succeeded before the end of the period.
    pub never_proven: bool,
    /// Periods in which one of its databases had no standby after a run.
    pub unprotected: Vec<Gap>,
    /// Whether it was proven at the end of each month.
    pub months: Vec<Month>,
    /// The last readiness check, if there was one.
    pub readiness: Option<Readiness>,
}

/// The last run that proved an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastProof {
    /// When the run ended.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
}

/// A tier.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub tier: String,
    /// How often its applications must be proven, in seconds.
    pub drill_every_s: Option<f64>,
    /// The number of its applications.
    pub applications: usize,
    /// Figures of their runs.
    pub figures: Figures,
}

/// Figures of runs.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Figures {
    /// Runs by kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// Recovery times.
    pub rto: Tally,
    /// Recovery points.
    pub rpo: Tally,
    /// Known recovery times, in seconds.
    pub rto_s: Statistics,
    /// Known recovery points, in seconds.
    pub rpo_s: Statistics,
}

/// A finding: a person must answer for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The section of the report.
    pub section: Section,
    /// How much it matters.
    pub weight: Weight,
    /// The application, if there is one.
    pub plan: Option<PlanName>,
    /// The run, if there is one.
    pub run: Option<RunId>,
    /// The time.
    pub at: Option<Timestamp>,
    /// The text.
    pub text: String,
    /// The controls that it speaks to.
    pub controls: Vec<String>,
}

/// A copy of a database that a drill made and verified.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Copied {
    /// The database.
    pub component: ComponentName,
    /// The time that was restored.
    pub to_time: Timestamp,
    /// The age of that time when the drill started, in seconds.
    pub age_s: f64,
    /// From the start of the drill to the end of the verification, in seconds; `None` if that failed.
    pub took_s: Option<f64>,
}

/// The readiness of a plan, according to the last check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// The time of the check.
    pub at: Timestamp,
    /// The worst result in each area that was checked.
    pub areas: BTreeMap<Area, Standing>,
}

/// The ledger of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LedgerLine {
    /// The number of entries.
    pub entries: u64,
    /// The hash of the last entry.
    pub head: Option<String>,
    /// Faults of the ledger and of runs.
    pub faults: Vec<String>,
    /// The changes of `drctl.yaml` in the period, as the ledger recorded them.
    pub configurations: Vec<Configured>,
}

/// A change of `drctl.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Configured {
    /// When drctl noticed it.
    pub at: Timestamp,
    /// The command that noticed it.
    pub command: Option<String>,
    /// The user who ran it, according to the operating system.
    pub who: String,
    /// The operator whose key it had.
    pub operator: Option<String>,
    /// SHA-256 of `drctl.yaml`.
    pub settings: Digest,
}

/// Runs by kind. The kinds add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// All runs.
    pub runs: usize,
    /// Failovers and restores that were not drills.
    pub incidents: usize,
    /// Planned moves.
    pub planned: usize,
    /// Drills that changed something, without the returns of live drills.
    pub drills: usize,
    /// The returns of live drills.
    pub returns: usize,
    /// Tabletop drills and rehearsals.
    pub read: usize,
    /// Runs in a test environment. They count for nothing else.
    pub tests: usize,
}

/// Verdicts on objectives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// Met, and known to be.
    pub met: usize,
    /// Missed.
    pub missed: usize,
    /// Unknown.
    pub not_proven: usize,
    /// Nothing to measure.
    pub not_applicable: usize,
}
