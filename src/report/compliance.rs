//! The compliance report: what was promised, what was tried, what was achieved and what was missed, over a time. Everything in it comes
//! from journals and the ledger; figures keep their basis, and what nobody measured is not called met.

pub mod charts;
pub mod controls;
mod findings;
pub mod history;
mod lines;
pub mod page;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod sheet;
mod tally;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::duties::{self, Obligation};
use super::measured::Measured;
use super::terms::TermsChange;
use super::verified::{self, Verified};
use crate::model::environment::Environment;
use crate::model::ids::{PlanName, RunId};
use crate::model::readiness::Check;
use crate::model::schedule::Fate;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::WorldKind;
use crate::run::RunState;
use controls::{Control, Profile, Section};
use history::{Gap, Month, Sample, Statistics};
pub use lines::{Copied, Readiness};
use lines::{line, readiness};
pub use tally::{Counts, Tally};

/// A plan as it stands in its file.
#[derive(Clone, Debug)]
pub struct PlanLine {
    /// Its name.
    pub plan: PlanName,
    /// Its tier.
    pub tier: Option<String>,
    /// What is known of it.
    pub verified: Verified,
    /// Since when drctl knows of it.
    pub known: Option<Timestamp>,
}

/// What a report is written from.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// Every run of the store.
    pub runs: &'a [RunState],
    /// The plans there are.
    pub plans: &'a [PlanLine],
    /// How often each tier has to be proven.
    pub drill_every: &'a BTreeMap<String, Dur>,
    /// The results of scheduled drills.
    pub drills: &'a [DrillLine],
    /// Whether recoveries would work, as it was last looked at, and when.
    pub ready: &'a BTreeMap<PlanName, (Timestamp, Vec<Check>)>,
    /// When people were told of each run.
    pub told: &'a BTreeMap<RunId, Vec<Timestamp>>,
    /// The bundle of each run, with its SHA-256.
    pub bundles: &'a BTreeMap<RunId, (String, String)>,
    /// Bundles that are not whole, and why.
    pub damaged: &'a [(String, String)],
    /// Runs that were decided under other terms than the run before them.
    pub terms: &'a [TermsChange],
    /// What the ledger has, and what is wrong with it.
    pub ledger: &'a LedgerLine,
}

/// A drill of a schedule that was due.
#[derive(Clone, Debug)]
pub struct DrillLine {
    /// The schedule.
    pub schedule: String,
    /// The application, as far as the ledger tells.
    pub plan: Option<PlanName>,
    /// When it was due.
    pub due: Timestamp,
    /// Its result.
    pub fate: Fate,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// From when on.
    pub since: Timestamp,
    /// Up to when, that instant not included.
    pub until: Timestamp,
    /// When it is asked.
    pub now: Timestamp,
    /// By whose controls.
    pub profile: Profile,
    /// Whether rehearsals are reported, which prove nothing.
    pub rehearsal: bool,
    /// Who prepares the report.
    pub prepared_by: Signatory,
    /// Who reviews it.
    pub reviewed_by: Signatory,
}

/// The report. Seconds are decimal, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Compliance {
    /// Version of this shape.
    pub schema_version: u32,
    /// `live`, or `sandbox`, which proves nothing.
    pub world: String,
    /// From when on.
    pub since: Timestamp,
    /// Up to when, that instant not included.
    pub until: Timestamp,
    /// When it was written.
    pub generated_at: Timestamp,
    /// The version of drctl.
    pub tool: String,
    /// By whose controls.
    pub profile: Profile,
    /// Its full name.
    pub profile_title: String,
    /// All of it in figures.
    pub totals: Totals,
    /// The same by tier.
    pub tiers: Vec<Group>,
    /// The same by application.
    pub applications: Vec<Application>,
    /// Every run.
    pub runs: Vec<Line>,
    /// What somebody has to answer for.
    pub findings: Vec<Finding>,
    /// The duties of people.
    pub obligations: Vec<Obligation>,
    /// Controls, and which sections speak to each.
    pub controls: Vec<Control>,
    /// The ledger that all of it stands in.
    pub ledger: LedgerLine,
    /// Who prepared it, as far as somebody said so.
    pub prepared_by: Signatory,
    /// Who reviewed it, likewise.
    pub reviewed_by: Signatory,
}

/// Who answers for a report. Nothing is signed here: whoever it is signs by hand, or signs the file.
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

/// The ledger of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LedgerLine {
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last.
    pub head: Option<String>,
    /// What is wrong with it or with a run.
    pub faults: Vec<String>,
}

/// Figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Totals {
    /// Runs by their kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// Those that ended as they should.
    pub good: usize,
    /// Incidents whose users were never seen to be served again.
    pub not_recovered: usize,
    /// Risks that people accepted by name.
    pub waivers: usize,
    /// Runs that promoted a database whose old primary was not proven fenced, because somebody waived that.
    pub unfenced: usize,
    /// Fences that are still pending.
    pub fences_pending: usize,
    /// Recovery times within what was promised, and known to be.
    pub rto: Tally,
    /// The same of recovery points.
    pub rpo: Tally,
    /// Recovery times of incidents alone.
    pub rto_of_incidents: Tally,
    /// Recovery points of incidents alone.
    pub rpo_of_incidents: Tally,
    /// Overrides.
    pub overrides: usize,
    /// Of them those whose approvals were late or are.
    pub overrides_late: usize,
    /// Duties that people did not do in time.
    pub obligations_missed: usize,
    /// Drills on schedule that were not held.
    pub drills_missed: usize,
    /// Applications that nobody proved for longer than their tier allows, at the end.
    pub unproven: usize,
    /// Applications of which no proof is on record, whatever their tier asks for.
    pub never_proven: usize,
    /// How long stores had no standby after a run, added up, in seconds.
    pub unprotected_s: f64,
    /// Runs without a bundle of evidence.
    pub without_evidence: usize,
}

/// What kind of run it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Something was wrong.
    Incident,
    /// Users were moved, or a standby made, as planned.
    Planned,
    /// A drill that touched something.
    Drill,
    /// A drill that was only read or rehearsed.
    Read,
    /// A run in an estate that was declared a test: it counts for nothing.
    Test,
}

/// A run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    /// Its name.
    pub run: RunId,
    /// The application.
    pub plan: PlanName,
    /// Its tier, as the plan had it then.
    pub tier: String,
    /// What kind it was.
    pub class: Class,
    /// In words: `failover`, `restore`, `live drill` and so on.
    pub what: String,
    /// When it was declared.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// How it ended, or where it is.
    pub outcome: String,
    /// Whether it ended as it should.
    pub good: bool,
    /// Recovery time, where users were moved or brought back.
    pub rto: Option<Measured>,
    /// Recovery point, likewise.
    pub rpo: Option<Measured>,
    /// Where it is held to a stricter objective than its own, which the store knew before.
    pub loosened: Vec<String>,
    /// How bad it was said to be.
    pub severity: Option<String>,
    /// The incident.
    pub incident: Option<String>,
    /// Who asked for it, and whether they signed for it.
    pub requester: String,
    /// Whether they signed for it.
    pub signed: bool,
    /// Why it proves nothing, if that is so.
    pub counts_for_nothing: Option<String>,
    /// Whether it is the way back of a live drill.
    pub returns: bool,
    /// Refusals that people accepted, in words.
    pub waivers: Vec<String>,
    /// For how long users had not been served when the run ended, or by now, in seconds; nothing where they were served again.
    pub not_recovered_s: Option<f64>,
    /// Fences that were waived before a promotion, and the result of each.
    pub waived_fences: Vec<String>,
    /// How many of them are still pending.
    pub fences_pending: usize,
    /// How many stops it came to.
    pub stops: usize,
    /// Overrides, in words.
    pub overrides: Vec<String>,
    /// How many of them were approved too late, or are not.
    pub late: usize,
    /// Copies that a drill made and checked: how long that took, and of which time they are. That is no recovery time: it moves nobody.
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
    /// What is promised, in seconds, as its last run had it.
    pub rto_s: Option<f64>,
    /// Likewise.
    pub rpo_s: Option<f64>,
    /// Whether it is proven that it can be recovered.
    pub status: Proof,
    /// Why.
    pub why: String,
    /// Its runs in figures.
    pub figures: Figures,
    /// When nobody had proven it for longer than its tier allows.
    pub unproven: Vec<Gap>,
    /// Whether no recovery, and no drill that changes anything, ever succeeded before the end of the period.
    pub never_proven: bool,
    /// When a store of it had no standby after a run.
    pub unprotected: Vec<Gap>,
    /// How it stood at the end of each month.
    pub months: Vec<Month>,
    /// Whether a recovery would work, as it was last looked at; nothing where nobody looked.
    pub readiness: Option<Readiness>,
}

/// A tier.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    /// Its name.
    pub tier: String,
    /// How often it has to be proven, in seconds.
    pub drill_every_s: Option<f64>,
    /// How many applications are of it.
    pub applications: usize,
    /// Their runs in figures.
    pub figures: Figures,
}

/// Runs in figures.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Figures {
    /// How many, by their kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// Recovery times.
    pub rto: Tally,
    /// Recovery points.
    pub rpo: Tally,
    /// Recovery times that are known, in seconds.
    pub rto_s: Statistics,
    /// Recovery points that are known, in seconds.
    pub rpo_s: Statistics,
}

/// Something that somebody has to answer for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// What it belongs to.
    pub section: Section,
    /// The application, if it is of one.
    pub plan: Option<PlanName>,
    /// The run, if it is of one.
    pub run: Option<RunId>,
    /// When.
    pub at: Option<Timestamp>,
    /// In words.
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
    let owed = |run: &&RunState| duties::of_run(run, books.told, asked.now.max(run.last_at));
    let mut obligations: Vec<Obligation> = runs.iter().flat_map(owed).collect();
    obligations.sort_by_key(|owed| owed.due_at);
    let mut applications = applications(books, &all, &lines, asked);
    let tiers = tiers(books, &applications, &lines);
    let findings = findings::findings((books, asked), &applications, &lines, &obligations);
    let totals = totals(books, &applications, &lines, &obligations, asked);
    // Figures are computed in the order of time; what is read begins with what is worst.
    lines.sort_by_key(|line| (sheet::badness(line), std::cmp::Reverse(line.started_at)));
    applications.sort_by_cached_key(|application| worst(application, &lines));
    Compliance {
        schema_version: 1,
        world: if asked.rehearsal { "sandbox" } else { "live" }.to_owned(),
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

/// Where an application stands in a list that begins with the worst.
fn worst(application: &Application, lines: &[Line]) -> (u8, u8, usize, PlanName) {
    let status = match application.status {
        Proof::Failed => 0,
        Proof::NeedsVerification => 1,
        Proof::Verified => 2,
        Proof::Gone => 3,
    };
    let of = lines.iter().filter(|line| line.plan == application.plan).map(sheet::badness);
    let open = application.unproven.iter().chain(&application.unprotected).filter(|gap| gap.open).count();
    (status, of.min().unwrap_or(u8::MAX), usize::MAX - open, application.plan.clone())
}

/// In the order in which the runs began.
fn figures<'l>(lines: impl Iterator<Item = &'l Line> + Clone) -> Figures {
    let mut figures = Figures { counts: Counts::of(lines.clone()), ..Figures::default() };
    let (mut rto, mut rpo) = (Vec::new(), Vec::new());
    for line in lines {
        for (objective, tally) in [(&line.rto, &mut figures.rto), (&line.rpo, &mut figures.rpo)] {
            objective.iter().for_each(|objective| tally.add(objective.verdict));
        }
        // Who was never served again would else make no time longer.
        rto.extend(match (line.not_recovered_s, &line.rto) {
            (Some(seconds), Some(_)) => Some(Sample::never(seconds)),
            (_, objective) => objective.as_ref().and_then(Sample::of),
        });
        rpo.extend(line.rpo.as_ref().and_then(Sample::of));
    }
    figures.rto_s = Statistics::of(&rto);
    figures.rpo_s = Statistics::of(&rpo);
    figures
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
        let proofs: Vec<(Timestamp, bool)> = runs
            .iter()
            .filter(|run| !verified::makes_up(run, books.runs))
            .filter_map(|run| Some((verified::over_at(run), verified::proof(run)?)))
            .collect();
        let objectives = last.map(|run| run.runbook.objectives);
        // One that was never tried is to be tried, too: from when drctl knew of it on.
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
            figures: figures(lines.iter().filter(|line| line.plan == *plan)),
            never_proven: !proofs.iter().any(|(at, good)| *good && *at < asked.until),
            unproven: every.map_or_else(Vec::new, |every| history::unproven(&proofs, first, every, asked)),
            unprotected: history::unprotected(&counting, asked),
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
        figures: figures(lines.iter().filter(|line| line.tier == *tier)),
    };
    names.into_iter().map(group).collect()
}

fn totals(
    books: Books<'_>,
    applications: &[Application],
    lines: &[Line],
    obligations: &[Obligation],
    asked: &Asked,
) -> Totals {
    let all = figures(lines.iter());
    let incidents = figures(lines.iter().filter(|line| line.class == Class::Incident));
    Totals {
        counts: all.counts,
        not_recovered: lines
            .iter()
            .filter(|line| line.class == Class::Incident && line.not_recovered_s.is_some())
            .count(),
        waivers: lines.iter().map(|line| line.waivers.len()).sum(),
        unfenced: lines.iter().filter(|line| !line.waived_fences.is_empty()).count(),
        fences_pending: lines.iter().map(|line| line.fences_pending).sum(),
        good: lines.iter().filter(|line| line.good && line.class != Class::Test).count(),
        rto: all.rto,
        rpo: all.rpo,
        rto_of_incidents: incidents.rto,
        rpo_of_incidents: incidents.rpo,
        overrides: lines.iter().map(|line| line.overrides.len()).sum(),
        overrides_late: lines.iter().map(|line| line.late).sum(),
        obligations_missed: obligations.iter().filter(|owed| owed.standing.is_missed()).count(),
        drills_missed: findings::missed(books, asked).count(),
        unproven: applications.iter().filter(|a| a.unproven.iter().any(|gap| gap.open)).count(),
        never_proven: applications.iter().filter(|a| a.never_proven).count(),
        // The sum of no floats at all is below zero.
        unprotected_s: applications
            .iter()
            .flat_map(|a| &a.unprotected)
            .fold(0.0, |all, gap| all + gap.seconds),
        without_evidence: lines
            .iter()
            .filter(|line| line.ended_at.is_some() && line.bundle.is_none())
            .count(),
    }
}
