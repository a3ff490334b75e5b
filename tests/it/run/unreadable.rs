//! Observations that the provider refuses permanently: they are reported at once, with code and meaning, and drctl does not wait for them.

use drctl::inventory::{Estate, Observation, targets};
use drctl::kinds::shared::fence::{Fence, FenceMethod};
use drctl::kinds::{Operation, Target};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::planner::assessment::{self, Question, Reads};
use drctl::record::event::{Event, EventKind};
use drctl::report::readiness;
use drctl::run::state::Mode;
use drctl::run::{StepDecision, Stop};

use crate::run::guards::{Look, Meddling};
use crate::run::judged_steps::{doing, refused, server};
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rehearsed, Rig, plan, truststream};

const WORDS: &str = "AccessDenied for rds:DescribeEvents: drctl cannot prove the fence by security group; grant it or use another fence method (no policy allows it)";
const RUNG: &str = "fence.db.security_group";

fn ladder(first: &str, scenario: &str) -> Rig {
    let text = include_str!("../../../plans/truststream.yaml").replace("[sql, security_group]", first);
    Rig::new(plan(&text), scenario, 1)
}

fn unproven(from: Timestamp) -> Option<Meddling> {
    Some(Meddling { look: Look::Unproven, from, to: from + Dur::mins(600) })
}

/// When the fence method started.
fn begun(all: &[Event]) -> Timestamp {
    let starts = |e: &&Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == RUNG);
    all.iter().find(starts).unwrap().at
}

/// How long after its start the fence method failed, and why.
fn failed(done: &Rehearsed) -> (Dur, String) {
    let all = events(done);
    let end = all.iter().find_map(|e| match &e.what {
        EventKind::StepFailed { step, reason } if step.as_str() == RUNG => Some((e.at, reason.clone())),
        _ => None,
    });
    let (at, reason) = end.unwrap_or_else(|| panic!("{all:#?}"));
    (at.since(begun(&all)), reason)
}

#[test]
fn a_rung_whose_proof_nobody_may_read_is_left_at_once_for_the_next() {
    let rig = ladder("[security_group, sql]", "region-slow");
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let from = Timestamp::from_millis(begun(&events(&whole)).millis() - 1);
    let done = Rig { meddling: unproven(from), ..rig }.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (after, why) = failed(&done);
    assert_eq!(why, WORDS);
    assert!(after < Dur::secs(15), "{after}");
    let state = &done.ended.state;
    assert!(matches!(state.mode, Mode::Finished(_)), "{:?}", done.ended.stop);
    let (method, _) = state.fenced(&ComponentName::new("db")).unwrap();
    assert_eq!(method, FenceMethod::Sql);
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}

#[test]
fn the_last_rung_halts_the_run_with_the_reason_and_promotes_nothing() {
    let rig = ladder("[security_group]", "region-lost");
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let from = Timestamp::from_millis(begun(&events(&whole)).millis() - 1);
    let done = Rig { meddling: unproven(from), ..rig }.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (after, why) = failed(&done);
    assert!(why == WORDS && after < Dur::secs(15), "{after}: {why}");
    assert!(matches!(&done.ended.stop, Stop::Blocked(why) if why.contains(WORDS)), "{:?}", done.ended.stop);
    let promoted = |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote"));
    assert!(!events(&done).iter().any(promoted));
}

#[test]
fn before_a_run_begins_the_refusal_says_who_refused_what_and_not_that_nobody_answers() {
    let rig = Rig { meddling: unproven(BEGAN), ..ladder("[security_group]", "region-lost") };
    let Err(refusals) = rig.rehearse() else { panic!("it began") };
    let of = refusals.iter().find(|r| r.rule == Rule::UnfencedPromotion).unwrap();
    assert!(of.facts.contains(WORDS) && !of.facts.contains("answers"), "{}", of.facts);

    // There is another fence method: the runbook says what this one lacks, and does not wait for it.
    let rig = Rig { meddling: unproven(BEGAN), ..ladder("[sql, security_group]", "region-slow") };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let book = &done.ended.state.runbook;
    assert!(book.notes.iter().any(|note| note.contains(WORDS)), "{:#?}", book.notes);
    assert!(book.steps.iter().any(|s| s.id.as_str() == RUNG && s.background));
    assert!(done.ended.state.fenced(&ComponentName::new("db")).is_some(), "{:?}", done.ended.stop);
}

/// The same step without an answer: it waits.
#[test]
fn what_may_pass_is_waited_for() {
    let fence = Fence { db: server("old"), method: FenceMethod::SecurityGroup, groups_before: Vec::new() };
    let at = doing(drctl::record::action::Action::Op(Operation::Fence(fence)));
    let dark = Observation::Unobservable { since: BEGAN, why: "Throttling: Rate exceeded".to_owned() };
    assert_eq!(at.finds(Dur::ZERO, dark), "waits");
    let StepDecision::Record(EventKind::StepFailed { reason, .. }) = at.rules(Dur::ZERO, refused()) else {
        panic!()
    };
    assert!(reason.starts_with("AccessDenied for rds:DescribeEvents: "), "{reason}");
}

#[test]
fn only_what_can_be_granted_is_to_be_granted() {
    let target = Target::fence(&server("old"), FenceMethod::SecurityGroup);
    let seen = |code: &str| {
        let (code, call) = (code.to_owned(), "rds:DescribeEvents".to_owned());
        Observation::Refused { code, call, why: String::new(), login: false }.refused(&target).unwrap()
    };
    let fence = "drctl cannot prove the fence by security group";
    assert_eq!(
        seen("NotImplemented"),
        format!("NotImplemented for rds:DescribeEvents: {fence}; use another fence method")
    );
    let granted =
        format!("AccessDenied for rds:DescribeEvents: {fence}; grant it or use another fence method");
    assert_eq!(seen("AccessDenied"), granted);
    let nobody = Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() };
    assert_eq!(nobody.refused(&target), None);
}

/// Every observation of RDS in the region to leave, and the resulting assessment of the region.
fn reads(seen: &[Observation]) -> Reads {
    let plan = truststream();
    let mut estate = Estate::default();
    let here = |t: &Target| t.service() == "rds" && t.place().is_some_and(|p| p.name == "us-west-2");
    let of: Vec<_> = targets::of_plan(&plan, None).into_iter().filter(here).collect();
    assert!(of.len() >= 2, "{of:?}");
    for (target, seen) in of.iter().zip(seen.iter().cycle()) {
        estate.add(target, seen.clone(), None);
    }
    let (from, to) = (SiteName::new("us-west-2"), SiteName::new("us-east-1"));
    let question = Question {
        plan: &plan,
        estate: &estate,
        from: &from,
        to: &to,
        closed: None,
        refusals: &[],
        runbook: None,
        now: BEGAN,
    };
    let lines = assessment::table(&question);
    let line = lines.iter().find(|l| l.about == "source_control_plane" && l.what == "rds").unwrap();
    line.reads
}

#[test]
fn a_refused_look_is_no_evidence_about_a_region() {
    let silent = Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() };
    let there = Observation::NotFound { observed_at: BEGAN };
    assert_eq!(reads(std::slice::from_ref(&there)), Reads::Good);
    assert_eq!(reads(&[refused()]), Reads::Unknown);
    assert_eq!(reads(&[there, refused()]), Reads::Unknown);
    assert_eq!(reads(std::slice::from_ref(&silent)), Reads::Bad);
    assert_eq!(reads(&[silent, refused()]), Reads::Bad);
}

#[test]
fn readiness_names_the_fence_whose_proof_nobody_may_read() {
    let rig = ladder("[security_group]", "calm");
    let mut estate = rig.observed();
    let told = |estate: &Estate| {
        let seen = readiness::ReadinessInput { estate, now: BEGAN, guard: None, proven: None };
        let checks = readiness::evaluate(&rig.plan, &seen);
        checks.into_iter().map(|c| format!("{} {}", c.standing, c.facts)).collect::<Vec<_>>()
    };
    let bad = |line: &&String| line.contains("security group") && !line.starts_with("ready ");
    assert_eq!(told(&estate).iter().find(bad), None);
    let of_writer = |t: &Target| matches!(t, Target::Fence { db, .. } if db.id == "truststream-db");
    let target = targets::of_plan(&rig.plan, None).into_iter().find(of_writer).unwrap();
    estate.add(&target, refused(), None);
    let lines = told(&estate);
    assert!(lines.iter().any(|line| line.contains(WORDS)), "{lines:#?}");
}
