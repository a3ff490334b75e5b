//! The lines of the report: runs with the controls that they relate to, copies that drills made, the readiness of plans, and the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::ReportRequest;
use super::cells::when;
use super::controls::{self, Profile, Section};
use super::document::{Books, Class, Copied, Readiness, RunLine};
use super::{approved, history};
use crate::kinds::Operation;
use crate::kinds::shared::restore::{RestoreJob, RestoreStep};
use crate::model::environment::Environment;
use crate::model::ids::{ComponentName, PlanName};
use crate::model::intent::{Drill, Intent};
use crate::model::waiver::Waiver;
use crate::record::action::Action;
use crate::record::event::Outcome;
use crate::record::runbook::Step;
use crate::report::attainment::{Attainment, attainment};
use crate::report::measured::{Measured, NEVER_RECOVERED, NOT_RECOVERED_YET};
use crate::report::{overrides, summary, terms, words};
use crate::run::state::{FenceDebt, Mode, Status, StepState};
use crate::run::{RunState, drill};

/// What a report about rehearsals can and cannot show.
pub(super) const REHEARSED: &str = "Rehearsals show that the plans, the steps and the approvals work together against a simulation; they cannot show that real servers, permissions or data behave the same, and they prove no objective.";

/// A run.
pub(super) fn line(run: &RunState, books: Books<'_>, asked: &ReportRequest) -> RunLine {
    let report = summary::report(run, asked.judged_at(run));
    let class = class(run);
    let attained = attainment(run, asked.judged_at(run));
    let over = has_figures((run, class), &attained);
    let held = terms::held_to(run, books.runs, asked);
    let rpo = |of: Measured| {
        attained.stores.iter().fold(of, |rpo, (store, (figure, _))| {
            rpo.or_held(
                (*figure, attained.replaced.get(store), attained.least.get(store).copied()),
                (run.runbook.objectives_of(store).rpo_ms, held.of_component(store).rpo_ms),
            )
        })
    };
    let overrides = overrides::of_run(run, asked.judged_at(run));
    let approvals = approved::of_run(run, &overrides);
    let sections = sections(class, over, agreed(&approvals, &report));
    let bundle = books.bundles.get(&run.created.run);
    RunLine {
        run: run.created.run.clone(),
        plan: run.created.plan.clone(),
        tier: history::tier_of(run),
        class,
        what: what(run),
        started_at: run.created_at,
        ended_at: run.finished_at,
        as_of: asked.judged_at(run),
        good: matches!(report.outcome.as_str(), "recovered" | "passed") && drill::called_off(run).is_none(),
        state: words::standing(&report, books.driven.contains(&run.created.run)).to_owned(),
        outcome: report.outcome,
        rto: over.then(|| report.rto.held_to(attained.rto, held.rto())),
        rpo: over.then(|| rpo(report.rpo)),
        accepted: report
            .stores
            .into_iter()
            .filter_map(|(of, store)| Some((of, store.rpo.accepted?)))
            .collect(),
        loosened: if over { held.loosened(run) } else { Vec::new() },
        severity: run.created.severity.clone(),
        decided: run.severity(),
        incident: run.created.incident.clone(),
        requester: run.created.requester.who.clone(),
        signed: run.created.requester.signature.is_some(),
        approvals,
        counts_for_nothing: run.counts_for_nothing(),
        returns: run.created.returns.is_some(),
        waivers: waivers(run, &report.waivers),
        unused_waivers: run.waivers.iter().filter_map(|waiver| run.waives_nothing(waiver)).collect(),
        not_recovered_s: not_recovered(run, &attained, (over, books, asked)),
        fences_pending: run.owed().count(),
        waived_fences: waived_fences(run),
        stops: run.attention.stops.len(),
        copies: copies(run),
        controls: speaking(asked.profile, &sections),
        late: overrides.iter().filter(|over| over.late_by_s.is_some()).count(),
        overrides: overrides.into_iter().map(|over| over.text).collect(),
        by_people: report.by_people,
        bundle: bundle.map(|sealed| sealed.file.clone()),
        sha256: bundle.map(|sealed| sealed.sha256.clone()),
        covers: bundle.and_then(|sealed| sealed.covers.if_partial()),
        driven: books.driven.contains(&run.created.run),
    }
}

/// Whether people decided something. A run whose approval was rejected or is missing is about approvals as well.
fn agreed(approvals: &[approved::Approved], report: &summary::RunReport) -> bool {
    !(approvals.is_empty() && report.waivers.is_empty() && report.by_people.is_empty())
}

fn class(run: &RunState) -> Class {
    match (run.runbook.drill, run.runbook.intent) {
        _ if run.environment() == Environment::Test => Class::Test,
        (Some(Drill::Tabletop | Drill::Rehearsal), _) => Class::Read,
        (Some(_), _) => Class::Drill,
        (None, intent) if intent.is_incident() => Class::Incident,
        (None, _) => Class::Planned,
    }
}

/// Whether the figures of a run count.
fn has_figures((run, class): (&RunState, Class), attained: &Attainment) -> bool {
    let moves = !matches!(class, Class::Read | Class::Test) && run.runbook.intent.has_rto();
    // A run that was undone before it affected users has no objective.
    let called_off = class != Class::Incident
        && run.mode == Mode::Finished(Outcome::Cancelled)
        && !attained.never_recovered
        && !drill::felt(run);
    // An incident in progress is measured up to now, and so is any run in which users were seen to be out. The figures of other runs are
    // known once users are served again and only the watch is left.
    let known = run.over_at().is_some() || class == Class::Incident || attained.detected.is_some();
    known && moves && !called_off
}

/// What the run was for.
fn what(run: &RunState) -> String {
    match (run.runbook.drill, &run.created.returns) {
        (None, _) => run.runbook.intent.to_string(),
        (Some(drill), None) => format!("{drill} drill"),
        (Some(drill), Some(first)) => format!("return of {drill} drill {first}"),
    }
}

fn waivers(run: &RunState, all: &[Waiver]) -> Vec<String> {
    let used = all.iter().filter(|waiver| run.waives_nothing(waiver).is_none());
    used.map(|waiver| waiver.told(&run.created.plan)).collect()
}

impl RunLine {
    /// That users were not served again, in words. Only a run that ended never recovered; any other may still recover.
    pub(super) fn not_recovered(&self) -> Option<&'static str> {
        let words = if self.ended_at.is_some() { NEVER_RECOVERED } else { NOT_RECOVERED_YET };
        self.not_recovered_s.map(|_| words)
    }
}

/// How long users had not been served at the end of the run, or until now. A run that another one continues is judged by that one.
fn not_recovered(
    run: &RunState,
    attained: &Attainment,
    (over, books, asked): (bool, Books<'_>, &ReportRequest),
) -> Option<f64> {
    let goes_on = |other: &RunState| other.created.continues.as_ref() == Some(&run.created.run);
    // Users who were served all the time, according to probes, were never affected.
    let served = attained.validated.is_some()
        || attained.served == Some(true)
        || run.mode == Mode::Finished(Outcome::Recovered);
    // Undone, a planned move or a drill leaves users where they were, unless probes say otherwise.
    let undone = run.mode == Mode::Finished(Outcome::Cancelled)
        && !run.runbook.intent.is_incident()
        && !attained.never_recovered;
    if !over || served || undone || books.runs.iter().any(goes_on) {
        return None;
    }
    let began =
        run.created.outage_began.into_iter().chain(attained.detected).chain([run.created_at]).min()?;
    // The recovery time in the run's own report, if probes measured one, so that the figures do not differ.
    let until = run.finished_at.unwrap_or(asked.judged_at(run));
    Some(attained.rto.value_ms.unwrap_or_else(|| until.since(began)).as_secs_f64())
}

/// Promotions without a proven fence, by waiver, and the result of each fence.
fn waived_fences(run: &RunState) -> Vec<String> {
    let of = |(component, debt): (&ComponentName, &FenceDebt)| {
        let owed = run.owed().any(|owed| owed == component);
        let became = match (&debt.paid, &debt.settled) {
            (Some((at, _)), _) => format!("fenced at {}", when(*at)),
            (None, Some((at, why))) => format!("settled at {} without a fence: {why}", when(*at)),
            (None, None) if owed => "the fence is still pending".to_owned(),
            // Nothing was promoted, so the old primary is still the only one.
            (None, None) => return None,
        };
        Some(format!("fence of {component} waived: {became}"))
    };
    run.debts.iter().filter_map(of).collect()
}

/// The sections of the report that a run relates to.
fn sections(class: Class, judged: bool, agreed: bool) -> BTreeSet<Section> {
    let own = match class {
        Class::Incident => Some(Section::Incidents),
        Class::Drill | Class::Read => Some(Section::Drills),
        Class::Planned | Class::Test => None,
    };
    let promised = judged.then_some(Section::Objectives);
    let approved = (agreed || class == Class::Planned).then_some(Section::Approvals);
    own.into_iter().chain(promised).chain(approved).chain([Section::Evidence]).collect()
}

fn speaking(profile: Profile, sections: &BTreeSet<Section>) -> Vec<String> {
    let all = sections.iter().flat_map(|section| controls::speaking(profile, *section));
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

fn copies(run: &RunState) -> Vec<Copied> {
    if run.runbook.intent != Intent::Drill {
        return Vec::new();
    }
    let of = |(step, at): (&Step, &StepState)| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Verify, of })) => Some(Copied {
            component: of.db.component.clone(),
            to_time: of.to_time,
            age_s: run.created_at.since(of.to_time).as_secs_f64(),
            took_s: at
                .work
                .ended_at
                .filter(|_| matches!(at.work.status, Status::Done(_)))
                .map(|checked| checked.since(run.created_at).as_secs_f64()),
        }),
        _ => None,
    };
    run.runbook.steps.iter().zip(&run.steps).filter_map(of).collect()
}

/// The readiness of a plan according to the last check before the end of the period.
pub(super) fn readiness(books: Books<'_>, plan: &PlanName, asked: &ReportRequest) -> Option<Readiness> {
    let (at, checks) = books.ready.get(plan).filter(|(at, _)| *at < asked.until)?;
    let mut areas = BTreeMap::new();
    for check in checks {
        let worst = areas.entry(check.area).or_insert(check.standing);
        *worst = check.standing.max(*worst);
    }
    Some(Readiness { at: *at, areas })
}
