//! The compliance report: the objectives, runs, results and failures of a period. All of it comes from journals and the ledger. Figures
//! keep their basis, and an objective that was not measured is not met.

pub mod approved;
pub(super) mod asked;
mod axis;
pub mod cells;
pub mod charts;
pub mod controls;
mod document;
mod drawn;
mod evidence;
mod findings;
pub mod history;
mod lines;
pub mod page;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod picture;
mod sealed;
pub mod sheet;
mod tally;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::duties::{self, Obligation};
use super::verified;
use crate::model::environment::Environment;
use crate::model::ids::{PlanName, RunId};
use crate::model::time::{Dur, Timestamp};
use crate::record::event::WorldKind;
use crate::run::RunState;
pub use asked::{ReportRequest, Signatory};
pub use document::{
    Application, Books, Class, Compliance, Configured, Copied, Counts, DamagedBundle, DrillLine, Figures,
    Finding, Group, LastProof, LedgerLine, PlanLine, Proof, Readiness, RunLine, Tally, Totals,
};
use lines::{line, readiness};
pub use sealed::{Covered, SealedBundle, UnreadableRun};

/// Writes the report.
pub fn compliance(books: Books<'_>, asked: &ReportRequest) -> Compliance {
    let mut all: Vec<&RunState> =
        books.runs.iter().filter(|run| (run.created.world != WorldKind::Live) == asked.rehearsal).collect();
    all.sort_by_key(|run| run.created_at);
    let within = |run: &&&RunState| (asked.since..asked.until).contains(&run.created_at);
    let runs: Vec<&RunState> = all.iter().filter(within).copied().collect();
    let mut lines: Vec<RunLine> = runs.iter().map(|run| line(run, books, asked)).collect();
    let owed = |run: &&RunState| duties::of_run(run, books.told, asked.judged_at(run));
    let mut obligations: Vec<Obligation> = runs.iter().flat_map(owed).collect();
    obligations.sort_by_key(|owed| owed.due_at);
    let mut applications = applications(books, &all, &lines, asked);
    let tiers = tiers(books, &applications, &lines);
    let findings = findings::findings((books, asked), &applications, &lines, &obligations);
    let totals = tally::totals(books, &applications, &lines, &obligations, asked);
    // Figures are computed in order of time. The report lists the worst first.
    let out = |line: &RunLine| line.not_recovered_s.map(Dur::from_secs_f64);
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
        controls: controls::for_profile(asked.profile),
        ledger: books.ledger.clone(),
        damaged_bundles: books.damaged.to_vec(),
        unreadable_runs: unreadable_runs(books, asked),
        prepared_by: asked.prepared_by.clone(),
        reviewed_by: asked.reviewed_by.clone(),
    }
}

/// Runs that cannot be read and that started in the period, or at an unknown time.
fn unreadable_runs(books: Books<'_>, asked: &ReportRequest) -> Vec<UnreadableRun> {
    let within =
        |run: &&UnreadableRun| run.started_at.is_none_or(|at| (asked.since..asked.until).contains(&at));
    books.unreadable.iter().filter(within).cloned().collect()
}

/// The sort key of an application in a list that starts with the worst.
fn worst(application: &Application, lines: &[RunLine]) -> (u8, u8, Reverse<[usize; 3]>, PlanName) {
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

fn applications(
    books: Books<'_>,
    all: &[&RunState],
    lines: &[RunLine],
    asked: &ReportRequest,
) -> Vec<Application> {
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

fn tiers(books: Books<'_>, applications: &[Application], lines: &[RunLine]) -> Vec<Group> {
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
