//! The findings of the report: every miss, with the controls that it relates to.

use std::collections::BTreeSet;

use super::asked::ReportRequest;
use super::controls::{self, Section};
use super::document::{Application, Books, Class, DamagedBundle, DrillLine, Finding, RunLine};
use super::history::Gap;
use crate::model::ids::{PlanName, RunId};
use crate::model::measure::Verdict;
use crate::model::readiness::Standing;
use crate::model::schedule::Fate;
use crate::model::time::{Dur, Timestamp};
use crate::model::worst::{Weighed, Weight, worst_first};
use crate::report::duties::{self, Obligation};

/// Drills in the period that did not take place, with the reason.
pub(super) fn missed<'a>(
    books: Books<'a>,
    asked: &'a ReportRequest,
) -> impl Iterator<Item = (&'a DrillLine, &'a String)> {
    within(books, asked).filter_map(|drill| match &drill.fate {
        Fate::Missed { why } => Some((drill, why)),
        _ => None,
    })
}

/// Drills in the period that took place and failed.
pub(super) fn failed(books: Books<'_>, asked: &ReportRequest) -> usize {
    within(books, asked).filter(|drill| matches!(drill.fate, Fate::Ended { passed: false, .. })).count()
}

fn within<'a>(books: Books<'a>, asked: &'a ReportRequest) -> impl Iterator<Item = &'a DrillLine> {
    books.drills.iter().filter(|drill| (asked.since..asked.until).contains(&drill.due))
}

/// What a finding is about: an application, a run.
type About<'a> = (Option<&'a PlanName>, Option<&'a RunId>);

/// A finding about a run or an application that is already named.
type UnnamedFinding = (Section, Weight, Option<Timestamp>, String);

impl Weighed for Finding {
    fn weight(&self) -> Weight {
        self.weight
    }

    /// The application; findings about the whole store come first.
    fn about(&self) -> &str {
        self.plan.as_ref().map_or("", PlanName::as_str)
    }
}

const NEVER_PROVEN: &str =
    "never proven: no recovery, and no drill that changes anything, is on record as successful";

/// All findings: the worst first, then by application, section and time.
pub(super) fn findings(
    (books, asked): (Books<'_>, &ReportRequest),
    applications: &[Application],
    lines: &[RunLine],
    obligations: &[Obligation],
) -> Vec<Finding> {
    let finding = |(section, weight, at, text): UnnamedFinding, (plan, run): About<'_>| Finding {
        section,
        weight,
        plan: plan.cloned(),
        run: run.cloned(),
        at,
        text,
        controls: controls::speaking(asked.profile, section),
    };
    let mut all = Vec::new();
    for line in lines {
        let of_line = of_run(line, books.damaged).into_iter();
        let about = (Some(&line.plan), Some(&line.run));
        all.extend(of_line.map(|found| finding(found, about)));
    }
    for owed in obligations.iter().filter(|owed| {
        (owed.standing.is_missed() || owed.standing == duties::Standing::Unknown)
            && !owed.what.starts_with("approval:")
    }) {
        let plan = lines.iter().find(|line| line.run == owed.run).map(|line| &line.plan);
        let weight = if owed.standing.is_missed() { Weight::Blocking } else { Weight::Warning };
        let found = (Section::Obligations, weight, Some(owed.due_at), owed.words());
        all.push(finding(found, (plan, Some(&owed.run))));
    }
    for (DrillLine { schedule, plan, due, .. }, why) in missed(books, asked) {
        let text = format!("the drill of schedule {schedule} did not run: {why}");
        all.push(finding((Section::Drills, Weight::Blocking, Some(*due), text), (plan.as_ref(), None)));
    }
    for application in applications {
        let about = (Some(&application.plan), None);
        if application.never_proven {
            let at = Some(asked.until.min(asked.now));
            all.push(finding((Section::Drills, Weight::Blocking, at, NEVER_PROVEN.to_owned()), about));
        }
        all.extend(of_time(application).map(|(section, gap, text)| {
            let found = (section, Weight::Blocking, Some(gap.from), text);
            finding(found, (Some(&application.plan), gap.run.as_ref()))
        }));
    }
    all.extend(damaged(books).map(|(found, about)| finding(found, about)));
    for DrillLine { schedule, plan, due, fate } in within(books, asked) {
        if let Fate::Ended { passed: false, why } = fate {
            let text = format!("the drill of schedule {schedule} failed: {why}");
            all.push(finding((Section::Drills, Weight::Blocking, Some(*due), text), (plan.as_ref(), None)));
        }
    }
    for (plan, (at, checks)) in books.ready.iter().filter(|(_, (at, _))| *at < asked.until) {
        for check in checks.iter().filter(|check| check.standing == Standing::NotReady) {
            let text = format!("not ready at the last check: {}: {}", check.about, check.facts);
            all.push(finding((Section::Protection, Weight::Blocking, Some(*at), text), (Some(plan), None)));
        }
    }
    all.extend(decided(books, asked));
    all.extend(books.ledger.faults.iter().map(|fault| {
        finding((Section::Trail, Weight::Blocking, None, fault.clone()), about_fault(books, fault))
    }));
    all.sort_by_key(|finding| (finding.section, finding.at));
    worst_first(&mut all);
    all
}

/// The application and the run of a fault, which begins with `run NAME, `.
fn about_fault<'a>(books: Books<'a>, fault: &str) -> About<'a> {
    let named = fault.strip_prefix("run ").and_then(|rest| rest.split_once(", ")).map(|(run, _)| run);
    let Some(named) = named else { return (None, None) };
    let broken = books.unreadable.iter().find(|run| run.run.as_str() == named);
    let broken = broken.map(|run| (run.plan.as_ref(), Some(&run.run)));
    let run = books.runs.iter().map(|run| &run.created).find(|created| created.run.as_str() == named);
    broken.or_else(|| run.map(|created| (Some(&created.plan), Some(&created.run)))).unwrap_or_default()
}

/// Damaged bundles, whenever their runs were.
fn damaged(books: Books<'_>) -> impl Iterator<Item = (UnnamedFinding, About<'_>)> {
    books.damaged.iter().map(move |bundle| {
        let run = books.runs.iter().find(|run| bundle.is_of(&run.created.run));
        let at = run.map(|run| run.finished_at.unwrap_or(run.last_at));
        let about = (run.map(|run| &run.created.plan), run.map(|run| &run.created.run));
        ((Section::Evidence, Weight::Blocking, at, bundle.words()), about)
    })
}

/// Runs in the period that were decided under changed terms, or under a lowered severity. Changed terms are a change that somebody has to
/// approve, so they have the controls of approvals, too.
fn decided(books: Books<'_>, asked: &ReportRequest) -> Vec<Finding> {
    let speaking = |section| controls::speaking(asked.profile, section);
    let both: BTreeSet<_> = [Section::Trail, Section::Approvals].into_iter().flat_map(speaking).collect();
    let finding = |section, (plan, run): (&PlanName, &RunId), at, text, controls| Finding {
        section,
        weight: Weight::Warning,
        plan: Some(plan.clone()),
        run: Some(run.clone()),
        at: Some(at),
        text,
        controls,
    };
    let within = |at: Timestamp| (asked.since..asked.until).contains(&at);
    let changed = books.terms.iter().filter(|of| within(of.at));
    let changed = changed.map(|of| {
        finding(Section::Trail, (&of.plan, &of.run), of.at, of.words(), both.iter().cloned().collect())
    });
    let lowered = books.severities.iter().filter(|of| of.lowered && within(of.at));
    let lowered = lowered.map(|of| {
        let section = Section::Approvals;
        finding(section, (&of.plan, &of.run), of.at, of.words(), speaking(section))
    });
    changed.chain(lowered).collect()
}

fn of_run(line: &RunLine, damaged: &[DamagedBundle]) -> Vec<UnnamedFinding> {
    use Weight::{Blocking, Note, Warning};
    let section = if line.class == Class::Incident { Section::Incidents } else { Section::Drills };
    let (began, ended) = (Some(line.started_at), line.ended_at);
    let mut all = Vec::new();
    for (name, objective) in [("RTO", &line.rto), ("RPO", &line.rpo)] {
        let Some(objective) =
            objective.as_ref().filter(|o| !matches!(o.verdict, Verdict::Met | Verdict::NotApplicable))
        else {
            continue;
        };
        let (verdict, text) = (objective.verdict.words(), &objective.text);
        let promised = objective.promised();
        let weight = if objective.verdict == Verdict::Missed { Blocking } else { Warning };
        let text = format!("{name} {verdict}: {text}, objective {promised}");
        all.push((Section::Objectives, weight, began, text));
    }
    for (store, accepted) in line.accepted.iter().filter(|(_, accepted)| accepted.beyond) {
        all.push((Section::Objectives, Warning, began, format!("loss of {store}: {}", accepted.text)));
    }
    match ended {
        None => {
            all.push((section, Warning, began, format!("the {} is not finished: {}", line.what, line.state)))
        }
        Some(_) if !line.good && !line.only_read() => {
            all.push((section, Blocking, ended, format!("the {} ended: {}", line.what, line.outcome)))
        }
        Some(_) => {}
    }
    if let Some((recovered, seconds)) = line.not_recovered().zip(line.not_recovered_s) {
        let text = format!(
            "{recovered}: users were still out at least {} after the outage began, as of {}",
            Dur::from_secs_f64(seconds),
            super::cells::when(ended.unwrap_or(line.as_of))
        );
        all.push((section, Blocking, ended.or(began), text));
    }
    let unfenced = line.waived_fences.iter();
    let fence = if line.fences_pending > 0 { Blocking } else { Warning };
    all.extend(unfenced.map(|text| (Section::Protection, fence, began, text.clone())));
    all.extend(line.loosened.iter().map(|text| (Section::Objectives, Warning, began, text.clone())));
    let nothing = line.counts_for_nothing.iter();
    all.extend(nothing.map(|why| (Section::Trail, Warning, began, format!("the run proves nothing: {why}"))));
    let accepted = |text: &String| (Section::Approvals, Note, began, format!("accepted: {text}"));
    all.extend(line.waivers.iter().map(accepted));
    let unused = line.unused_waivers.iter();
    all.extend(unused.map(|text| (Section::Approvals, Note, began, text.clone())));
    let overridden = |text: &String| (Section::Approvals, Warning, began, format!("override: {text}"));
    all.extend(line.overrides.iter().map(overridden));
    all.extend(line.by_people.iter().map(|by| {
        let weight = if by.lacks_proof() { Warning } else { Note };
        (Section::Approvals, weight, Some(by.at), format!("step {}", by.text))
    }));
    let sealed = line.bundle.is_some() || damaged.iter().any(|bundle| bundle.is_of(&line.run));
    if line.must_be_sealed() && !sealed {
        let text = "no evidence bundle is available".to_owned();
        all.push((Section::Evidence, Warning, ended.or(began), text));
    }
    if let Some(covers) = line.covers.filter(|_| line.outlasts_bundle()) {
        let text = format!("the bundle {}; the rest of the run is in no bundle", covers.words());
        all.push((Section::Evidence, Warning, ended.or(began), text));
    }
    all
}

fn of_time(application: &Application) -> impl Iterator<Item = (Section, &Gap, String)> {
    let tier = &application.tier;
    let unproven = application.unproven.iter().map(move |gap| {
        let text = format!("not proven within the time that tier {tier} allows, for {}", gap.words());
        (Section::Drills, gap, text)
    });
    let unprotected = application
        .unprotected
        .iter()
        .map(|gap| (Section::Protection, gap, format!("UNPROTECTED for {}", gap.words())));
    unproven.chain(unprotected)
}
