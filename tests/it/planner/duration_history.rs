//! Durations of earlier runs, and what they predict for the next run and for a slow step.

use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::time::{Dur, Timestamp};
use drctl::planner::critical_path;
use drctl::record::event::{Direction, Event, EventKind};
use drctl::report::history::{History, Late, MATTERS, quantile};
use drctl::run::RunState;

use crate::cli::contract::{Folder, json};
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, truststream};

fn rehearsed(scenario: &str, seed: u64) -> Rehearsed {
    Rig::new(truststream(), scenario, seed).rehearse().unwrap()
}

fn states(scenario: &str, seeds: std::ops::Range<u64>) -> Vec<RunState> {
    seeds.map(|seed| rehearsed(scenario, seed).ended.state).collect()
}

#[test]
fn a_quantile_is_one_of_those_that_were_seen() {
    let took: Vec<Dur> = (1..=20).map(Dur::secs).collect();
    let at = |share| quantile(&took, share).millis() / 1_000;
    assert_eq!([at(0.0), at(0.5), at(0.75), at(0.95), at(1.0)], [1, 10, 15, 19, 20]);
    assert_eq!(quantile(&[], 0.5), Dur::ZERO);
    assert_eq!(quantile(&[Dur::secs(7)], 0.95), Dur::secs(7));
}

#[test]
fn without_history_half_of_all_runs_take_what_is_expected_and_it_says_so() {
    let runbook = rehearsed("region-lost", 1).ended.state.runbook.clone();
    let found = History::default().predict(&runbook);
    assert_eq!((found.runs, found.known, found.with_decision), (0, 0, false));
    let critical = critical_path::critical(&runbook);
    assert_eq!(found.steps, critical.steps.len());
    // A step may take longer but never shorter, so the same holds for the whole.
    assert!(found.p50_ms >= critical.expected && found.p95_ms > found.p50_ms, "{found:?} {critical:?}");
    assert!(found.p95_ms <= critical.worst, "{found:?} {critical:?}");
    assert!(found.words().contains("from estimates only"), "{}", found.words());
    assert_eq!(History::default().predict(&runbook), found, "the same every time");
}

#[test]
fn with_history_it_is_what_was_seen_and_the_rto_is_met_as_often_as_that_says() {
    let seen = states("region-lost", 1..13);
    let mut runbook = seen[0].runbook.clone();
    let history = History::from_runs(&seen);
    let found = history.predict(&runbook);
    assert_eq!((found.runs, found.with_decision), (12, true), "{found:?}");
    assert!(found.known > found.steps / 2, "{found:?}");
    let served = |state: &RunState| {
        let told = drctl::report::attainment::attainment(state, state.last_at);
        told.validated.unwrap().since(told.detected.unwrap())
    };
    let mut took: Vec<Dur> = seen.iter().map(served).collect();
    took.sort_unstable();
    // The prediction lies within the observed values; it may exceed the slowest, but not by much.
    assert!(found.p50_ms >= took[0] && found.p50_ms <= took[11].plus(Dur::mins(1)), "{found:?} {took:?}");
    runbook.objectives.rto_ms = found.p50_ms;
    let half = history.predict(&runbook).within_rto.unwrap();
    assert!((0.45..=0.55).contains(&half), "{half}");
    runbook.objectives.rto_ms = Dur::secs(1);
    assert!(history.predict(&runbook).words().contains("less than 1% meet the RTO"));
    runbook.objectives.rto_ms = Dur::mins(600);
    assert!(history.predict(&runbook).words().contains("more than 99% meet the RTO"));
    // Another site is not comparable, nor is a planned move, which needs no detection.
    runbook.to = "elsewhere".into();
    let elsewhere = history.predict(&runbook);
    assert!(elsewhere.known == 0 && elsewhere.alike > 0, "{elsewhere:?}");
    assert!(
        elsewhere.words().contains(" from similar steps; no step has enough measured runs"),
        "{}",
        elsewhere.words()
    );
    runbook.intent = Intent::Switchover;
    let planned = history.predict(&runbook);
    assert_eq!(
        (planned.with_decision, planned.alike, planned.runs),
        (false, 0, 0),
        "an outage says nothing of it"
    );
}

/// Three measurements are too few, and steps that had nothing to do have no duration.
#[test]
fn few_runs_tell_nothing_and_neither_do_runs_that_are_not_over() {
    let seen = states("region-lost", 1..4);
    let runbook = &seen[0].runbook;
    let found = History::from_runs(&seen).predict(runbook);
    assert_eq!((found.runs, found.known, found.with_decision), (3, 0, false));
    let all = events(&rehearsed("region-lost", 1));
    let cut = RunState::fold(&all[..all.len() - 1]).unwrap();
    assert_eq!(History::from_runs([&cut, &cut, &cut, &cut]).predict(runbook).runs, 0);
}

/// The run up to the first event of a kind about a step.
fn up_to(all: &[Event], wanted: impl Fn(&EventKind) -> bool) -> (RunState, Timestamp) {
    let at = all.iter().position(|e| wanted(&e.what)).unwrap();
    (RunState::fold(&all[..=at]).unwrap(), all[at].at)
}

#[test]
fn a_step_that_takes_longer_than_it_did_is_called_out_and_then_stalled() {
    let seen = states("region-lost", 1..13);
    let history = History::from_runs(&seen);
    let step = StepId::new("promote.db");
    let mut took: Vec<Dur> = seen
        .iter()
        .map(|state| {
            let i = state.runbook.steps.iter().position(|s| s.id == step).unwrap();
            let work = &state.steps[i].work;
            work.ended_at.unwrap().since(work.started_at.unwrap())
        })
        .collect();
    took.sort_unstable();
    let all = events(&rehearsed("region-lost", 1));
    let (state, began) = up_to(&all, |what| matches!(what, EventKind::StepStarted { step: s } if *s == step));
    let late = |after: Dur| history.late(&state, &step, began + after).map(|beyond| beyond.late);
    // With twelve measurements, three of four runs take at most as long as the tenth; twelve are too few for nineteen of twenty.
    let (slow, stalled) = (took[9], took[11].plus(took[11]));
    assert!(slow < stalled, "{took:?}");
    assert_eq!([late(Dur::ZERO), late(slow)], [None, None], "not longer than usual");
    // A step of milliseconds may wait for a lost answer, which alerts nobody.
    let (slow, stalled) = (slow.plus(MATTERS), stalled.plus(MATTERS));
    assert_eq!(late(slow), None, "not worth a word");
    assert_eq!([late(slow.plus(Dur(1))), late(stalled)], [Some(Late::Slow); 2]);
    assert_eq!(late(stalled.plus(Dur(1))), Some(Late::Stalled));
    // The words distinguish a proportion from a count of runs.
    let words = history.late(&state, &step, began + slow.plus(Dur(1))).unwrap().words();
    assert!(words.starts_with("longer than in three quarters of the earlier runs ("), "{words}");
    assert_eq!(
        History::default().late(&state, &step, began + Dur::mins(60)),
        None,
        "nobody knows what is usual"
    );
    let before = RunState::fold(&all[..1]).unwrap();
    assert_eq!(history.late(&before, &step, began + Dur::mins(60)), None, "it has not begun");
}

/// An undo has its own duration. It says nothing about the step, which began long before.
#[test]
fn an_undo_is_not_compared_with_its_step() {
    let history = History::from_runs(&states("region-lost", 1..7));
    let rig = Rig::new(truststream(), "replica-lagging", 1);
    let done = rig.rehearse().unwrap();
    let (closed, _) = rig.cancel(&done.records, &done.notes, None);
    let step = StepId::new("fence.db.security_group");
    let undone = |what: &EventKind| matches!(what, EventKind::CallIntended { step: s, direction: Direction::Undo, .. } if *s == step);
    let (state, began) = up_to(&events(&closed), undone);
    let started = state.steps[state.position(&step).unwrap()].work.started_at.unwrap();
    assert!(began.since(started) > Dur::secs(30), "the fence was set long before");
    assert_eq!(history.late(&state, &step, began + Dur::mins(60)), None);
}

#[test]
fn plan_show_says_what_is_to_be_expected_and_a_run_says_what_is_slow() {
    let folder = Folder::with_plans();
    let show = ["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"];
    assert!(folder.ok(&show).contains("from estimates only"), "{}", folder.ok(&show));
    // A step that waits for another one with any result says so.
    assert!(folder.ok(&show).contains(", with any result"), "{}", folder.ok(&show));
    let failover = |scenario: &str, seed: u64| {
        let seed = seed.to_string();
        let args =
            ["failover", "truststream", "--sandbox", scenario, "--seed", &seed, "--to", "us-east-1", "--yes"];
        folder.run(&args).2
    };
    for seed in 1..7 {
        let words = failover("region-lost", seed);
        assert!(!words.contains("STALLED") || seed > 4, "nothing is usual yet: {words}");
    }
    let text = folder.ok(&show);
    let line = text.lines().find(|l| l.starts_with("predicted")).unwrap();
    assert!(
        line.contains("are measured in 6 runs") && line.contains("with detection and decision"),
        "{line}"
    );
    let document = json(&folder.ok(&[&show[..], &["--output", "json"]].concat()));
    assert_eq!(document["prediction"]["runs"], 6, "{document:#}");
    // If the cloud has too few instances, the group is late.
    let words = failover("capacity-short", 9);
    assert!(words.contains("it takes more than twice as long as the longest of 6 runs"), "{words}");
}
