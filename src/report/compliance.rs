//! The compliance report: the objectives, runs, results and failures of a period. All of it comes from journals and the ledger. Figures
//! keep their basis, and an objective that was not measured is not met.

pub mod approved;
mod axis;
pub mod charts;
pub mod controls;
mod drawn;
mod findings;
pub mod history;
mod lines;
pub mod page;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod sheet;
mod tally;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::duties::{self, Obligation};
use super::measured::{Accepted, Measured};
use super::outcomes;
use super::severity::RunSeverity;
use super::steered::ByPeople;
use super::terms::TermsChange;
use super::verified::{self, Verified};
use crate::model::environment::Environment;
use crate::model::ids::{ComponentName, PlanName, RunId};
use crate::model::readiness::Check;
use crate::model::schedule::Fate;
use crate::model::severity::Decided;
use crate::model::time::{Dur, Timestamp};
use crate::model::worst::Weight;
use crate::record::event::WorldKind;
use crate::run::RunState;
use approved::Approved;
use controls::{Control, Profile, Section};
use history::{Gap, Month, Statistics};
pub use lines::{Configured, Copied, LedgerLine, Readiness};
use lines::{line, readiness};
pub use tally::{Counts, Tally};

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
    /// The bundle of each run, with its SHA-256.
    pub bundles: &'a BTreeMap<RunId, (String, String)>,
    /// Damaged bundles, with the reason.
    pub damaged: &'a [(String, String)],
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

/// The request for a report.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The start of the period.
    pub since: Timestamp,
    /// The end of the period, exclusive.
    pub until: Timestamp,
    /// The time of the request.
    pub now: Timestamp,
    /// The standard whose controls are listed.
    pub profile: Profile,
    /// Whether it reports rehearsals, which prove nothing.
    pub rehearsal: bool,
    /// The person who prepares the report.
    pub prepared_by: Signatory,
    /// The person who reviews it.
    pub reviewed_by: Signatory,
}

impl Line {
    /// Whether it only computed a runbook, which proves nothing.
    pub(super) fn only_read(&self) -> bool {
        self.outcome == outcomes::Word::Read.id()
    }
}

impl Asked {
    /// The time at which a run is judged. Each rehearsal has a world and a clock of its own, which end with its last event.
    pub fn judged_at(&self, run: &RunState) -> Timestamp {
        if self.rehearsal { run.last_at } else { self.now.max(run.last_at) }
    }

    /// The periods without a standby. Those of a rehearsal end with its world.
    fn unprotected(&self, runs: &[&RunState]) -> Vec<Gap> {
        if !self.rehearsal {
            return history::unprotected(runs, self);
        }
        let own = |run: &&RunState| history::unprotected(&[*run], &Self { now: run.last_at, ..self.clone() });
        runs.iter().flat_map(own).collect()
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
    pub runs: Vec<Line>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// The duties of people.
    pub obligations: Vec<Obligation>,
    /// Controls, with the sections of the report for each.
    pub controls: Vec<Control>,
    /// The ledger behind the report.
    pub ledger: LedgerLine,
    /// The person who prepared it, if given.
    pub prepared_by: Signatory,
    /// The person who reviewed it, if given.
    pub reviewed_by: Signatory,
}

/// A person who is responsible for a report. drctl signs nothing here: the person signs by hand, or signs the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Signatory {
    /// The name.
    pub name: Option<String>,
    /// The role or position.
    pub role: Option<String>,
}

impl Signatory {
    /// Reads `Ann Lee, Head of SRE`: a name and, after a comma, a role.
    pub fn read(text: &str) -> Self {
        let part = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (name, role) = text.split_once(',').unwrap_or((text, ""));
        Self { name: part(name), role: part(role) }
    }
}

/// Figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Runs by kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// Runs that succeeded.
    pub good: usize,
    /// Incidents that ended, and users were never seen to be served again.
    pub not_recovered: usize,
    /// Incidents that have not ended, because their run stopped or is in progress, and users are not seen to be served again.
    pub not_recovered_yet: usize,
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
    /// The time without a standby after runs, in seconds, added up over all databases.
    pub unprotected_s: f64,
    /// Runs without an evidence bundle.
    pub without_evidence: usize,
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
pub struct Line {
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
    /// The same for people: a run may wait for a person.
    #[serde(skip)]
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
    /// Waivers that could not be about anything in the run, so that nobody accepted a risk, with the reason.
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

/// Writes the report.
pub fn compliance(books: Books<'_>, asked: &Asked) -> Compliance {
    let mut all: Vec<&RunState> =
        books.runs.iter().filter(|run| (run.created.world != WorldKind::Live) == asked.rehearsal).collect();
    all.sort_by_key(|run| run.created_at);
    let within = |run: &&&RunState| (asked.since..asked.until).contains(&run.created_at);
    let runs: Vec<&RunState> = all.iter().filter(within).copied().collect();
    let mut lines: Vec<Line> = runs.iter().map(|run| line(run, books, asked)).collect();
    let owed = |run: &&RunState| duties::of_run(run, books.told, asked.judged_at(run));
    let mut obligations: Vec<Obligation> = runs.iter().flat_map(owed).collect();
    obligations.sort_by_key(|owed| owed.due_at);
    let mut applications = applications(books, &all, &lines, asked);
    let tiers = tiers(books, &applications, &lines);
    let findings = findings::findings((books, asked), &applications, &lines, &obligations);
    let totals = tally::totals(books, &applications, &lines, &obligations, asked);
    // Figures are computed in order of time. The report lists the worst first.
    let out = |line: &Line| line.not_recovered_s.map(Dur::from_secs_f64);
    lines.sort_by_key(|line| (sheet::badness(line), Reverse(out(line)), Reverse(line.started_at)));
    applications.sort_by_cached_key(|application| worst(application, &lines));
    Compliance {
        schema_version: 1,
        world: if asked.rehearsal { "sandbox" } else { "live" }.to_owned(),
        rehearsed: asked.rehearsal.then(|| lines::REHEARSED.to_owned()),
        since: asked.since,
        until: asked.until,
        generated_at: asked.now,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        profile: asked.profile,
        profile_title: asked.profile.title().to_owned(),
        totals,
        tiers,
        applications,
        runs: lines,
        findings,
        obligations,
        controls: controls::of(asked.profile),
        ledger: books.ledger.clone(),
        prepared_by: asked.prepared_by.clone(),
        reviewed_by: asked.reviewed_by.clone(),
    }
}

/// The sort key of an application in a list that starts with the worst.
fn worst(application: &Application, lines: &[Line]) -> (u8, u8, Reverse<[usize; 3]>, PlanName) {
    let status = match application.status {
        Proof::Failed => 0,
        Proof::NeedsVerification => 1,
        Proof::Verified => 2,
        Proof::Gone => 3,
    };
    let of = || lines.iter().filter(|line| line.plan == application.plan);
    let missed = application.figures.rto.missed + application.figures.rpo.missed;
    let pending = of().map(|line| line.fences_pending).sum();
    let open = application.unproven.iter().chain(&application.unprotected).filter(|gap| gap.open).count();
    let worst = of().map(sheet::badness).min().unwrap_or(u8::MAX);
    (status, worst, Reverse([missed, pending, open]), application.plan.clone())
}

fn applications(books: Books<'_>, all: &[&RunState], lines: &[Line], asked: &Asked) -> Vec<Application> {
    let of_plans = books.plans.iter().map(|plan| &plan.plan).filter(|_| !asked.rehearsal);
    let before = all.iter().filter(|run| run.created_at < asked.until).map(|run| &run.created.plan);
    let names: BTreeSet<&PlanName> = of_plans.chain(before).collect();
    let one = |plan: &PlanName| {
        let known = books.plans.iter().find(|there| there.plan == *plan);
        let runs: Vec<&RunState> = all.iter().filter(|run| run.created.plan == *plan).copied().collect();
        let counting: Vec<&RunState> =
            runs.iter().filter(|run| run.environment() == Environment::Production).copied().collect();
        let last = runs.iter().rev().find(|run| run.created_at < asked.until);
        let tier = known.and_then(|plan| plan.tier.clone()).or_else(|| last.map(|run| history::tier_of(run)));
        let tier = tier.unwrap_or_else(|| history::NO_TIER.to_owned());
        let every = books.drill_every.get(&tier).copied();
        let proofs: Vec<(Timestamp, bool, &RunId)> = runs
            .iter()
            .filter(|run| !verified::makes_up(run, books.runs))
            .filter_map(|run| Some((verified::over_at(run), verified::proof(run)?, &run.created.run)))
            .collect();
        let last_good = proofs.iter().filter(|(at, good, _)| *good && *at < asked.until).max();
        let last_proven = last_good.map(|(at, _, run)| LastProof { at: *at, run: (*run).clone() });
        let proofs: Vec<(Timestamp, bool)> = proofs.iter().map(|(at, good, _)| (*at, *good)).collect();
        let objectives = last.map(|run| run.runbook.objectives);
        // An application that was never tried must be proven, too, counted from when drctl first recorded it.
        let first =
            runs.first().map(|run| run.created_at).into_iter().chain(known.and_then(|plan| plan.known));
        let first = first.min();
        Application {
            plan: plan.clone(),
            rto_s: objectives.map(|o| o.rto_ms.as_secs_f64()),
            rpo_s: objectives.map(|o| o.rpo_ms.as_secs_f64()),
            status: known.map_or(Proof::Gone, |plan| plan.verified.status.into()),
            why: known.map_or_else(
                || "the plan with this name no longer exists".to_owned(),
                |plan| plan.verified.why.clone(),
            ),
            figures: tally::figures(lines.iter().filter(|line| line.plan == *plan)),
            never_proven: last_proven.is_none(),
            last_proven,
            unproven: every.map_or_else(Vec::new, |every| history::unproven(&proofs, first, every, asked)),
            unprotected: asked.unprotected(&counting),
            months: history::months(&proofs, every, asked),
            readiness: readiness(books, plan, asked),
            tier,
        }
    };
    names.into_iter().map(one).collect()
}

fn tiers(books: Books<'_>, applications: &[Application], lines: &[Line]) -> Vec<Group> {
    let of_lines = lines.iter().map(|line| &line.tier);
    let names: BTreeSet<&String> = applications.iter().map(|a| &a.tier).chain(of_lines).collect();
    let group = |tier: &String| Group {
        tier: tier.clone(),
        drill_every_s: books.drill_every.get(tier).map(|every| every.as_secs_f64()),
        applications: applications.iter().filter(|a| a.tier == *tier).count(),
        figures: tally::figures(lines.iter().filter(|line| line.tier == *tier)),
    };
    names.into_iter().map(group).collect()
}
