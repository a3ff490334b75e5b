//! A run is cancelled after every prefix of its journal, with and without the effect of the last call.

use drctl::kinds::State;
use drctl::model::ids::StepId;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::plan::Plan;
use drctl::record::event::{Direction, Event, EventKind, Outcome, Signal};
use drctl::report::attainment::attainment;
use drctl::run::Stop;
use drctl::run::state::Mode;

use crate::cli::contract::{Folder, json};
use crate::run::hard_cases::waiver;
use crate::run::resume::{estates, events};
use crate::support::rig::{Rehearsed, Rig, Seen, cancel, plan, truststream};

/// Groups and names without a database, so that it has no point of no return.
pub fn stateless() -> Plan {
    plan(include_str!("../../../plans/truststream.yaml").split("components:\n").next().map(|head| {
        format!(
            "{head}components:\n  nodes:\n    kind: aws.autoscaling\n    at:\n      us-west-2: {{group: w}}\n      us-east-1: {{group: e, capacity_floor: 4}}\n  www:\n    kind: aws.route53\n    via: dns\n    needs: [nodes]\n    zone: Z1\n    records:\n      - {{name: www.example, type: A, ttl: 60s, at: {{us-west-2: [192.0.2.10], us-east-1: [198.51.100.10]}}}}\n      - {{name: api.example, type: A, ttl: 30s, policy: weighted, at: {{us-west-2: {{set: w, values: [192.0.2.20], weight: 9}}, us-east-1: {{set: e, values: [198.51.100.20], weight: 0}}}}}}\nprobes:\n  - {{name: public, role: public, http: \"https://www.example/health\", every: 5s, timeout: 3s}}\nwatch: {{for: 5m}}\n"
        )
    }).as_deref().unwrap())
}

/// The attributes that a person can set: sizes, processes, record sets and fences. There is no wildcard here, so that a new state requires a
/// decision.
pub fn settings(seen: &Seen) -> Vec<(&String, String)> {
    let set = |state: &State| match state {
        State::Group(g) => Some(format!("{:?} {:?}", g.capacity.size, g.suspended)),
        State::Records(r) => {
            let mut sets: Vec<_> = r.sets.iter().map(|s| format!("{s:?}")).collect();
            sets.sort();
            Some(sets.join("\n"))
        }
        State::Fence(f) => Some(format!("{:?}", f.stage)),
        State::Service(s) => Some(format!("{:?}", s.capacity.size)),
        // A run sets these as well, but they are not compared here.
        State::HealthObject(_) | State::Controls(_) | State::Secret(_) => None,
        // What a run does not set, or what it has to take back in another way.
        State::Database(_)
        | State::Task(_)
        | State::Change(_)
        | State::Identity(_)
        | State::Alive(_)
        | State::Guard(_)
        | State::Answers(_)
        | State::Wrote(_)
        | State::Command(_)
        | State::Rebuild(_)
        | State::Backups(_)
        | State::Restore(_)
        | State::Granted(_)
        | State::Quotas(_)
        | State::Bucket(_)
        | State::Compared(_) => None,
    };
    // SQL in the lost site may answer before but not after.
    let in_both = |key: &&String| !key.starts_with("fence/us-west-2/") || key.ends_with("/security_group");
    let kept = seen.iter().filter(|(key, _)| in_both(key));
    kept.filter_map(|(key, state)| Some((key, set(state)?))).collect()
}

/// Steps whose forward calls were made after the cancel. A pending fence is still set.
fn called_after(all: &[Event]) -> Vec<String> {
    let cancelled = all.iter().position(|e| matches!(e.what, EventKind::CancelRequested { .. })).unwrap();
    let forward = |e: &Event| match &e.what {
        EventKind::CallIntended { step, direction: Direction::Do, .. } => Some(step.to_string()),
        _ => None,
    };
    all[cancelled..].iter().filter_map(forward).collect()
}

fn every_prefix(rig: &Rig) {
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let before = rig.untouched();
    let all = events(&whole);
    let (mut unwound, mut kept) = (0, 0);
    for n in 2..all.len() {
        for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
            let context =
                format!("{} seed {}, prefix of {n} events, variant {variant}", rig.scenario.name, rig.seed);
            let (done, after) = rig.cancel(&whole.records[..n], &notes, None);
            let (state, journal) = (&done.ended.state, events(&done));
            assert_eq!(called_after(&journal), Vec::<String>::new(), "{context}");
            match (&state.mode, &done.ended.stop) {
                (Mode::Finished(Outcome::Cancelled), _) => {
                    assert_eq!(settings(&after), settings(&before), "{context}");
                    unwound += 1;
                }
                (Mode::Finished(Outcome::Abandoned), Stop::Finished) => {
                    assert!(state.past_return(), "{context}");
                    assert!(!state.in_flight(), "{context}: closed while something was under way");
                    kept += 1;
                }
                other => panic!("{context}: {other:?}"),
            }
        }
    }
    assert!(unwound > 20, "{unwound} were taken back, {kept} kept");
}

#[test]
fn a_lost_region() {
    every_prefix(&Rig::new(truststream(), "region-lost", 1));
}

#[test]
fn chaos() {
    for seed in 1..4 {
        every_prefix(&Rig::new(truststream(), "chaos", seed));
        every_prefix(&Rig::new(stateless(), "chaos", seed));
    }
}

#[test]
fn throttled() {
    every_prefix(&Rig::new(stateless(), "api-throttled", 4));
}

/// Another run holds the guard now, so this run's changes belong to that one.
#[test]
fn of_a_run_whose_guard_somebody_took_nothing_is_taken_back() {
    let rig = Rig::new(stateless(), "chaos", 2);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let all = events(&whole);
    let mut changed = 0;
    for n in 2..all.len() {
        let notes = estates(&whole.notes, &all[..n]).remove(0);
        let (done, after) = rig.cancel(&whole.records[..n], &notes, Some("run of bob"));
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Abandoned), "prefix of {n} events");
        let calls = events(&done).iter().filter(|e| matches!(e.what, EventKind::CallIntended { .. })).count();
        let before = all[..n].iter().filter(|e| matches!(e.what, EventKind::CallIntended { .. })).count();
        assert_eq!(calls, before, "prefix of {n} events");
        changed += usize::from(settings(&after) != settings(&rig.untouched()));
    }
    assert!(changed > 10, "only {changed} prefixes had anything to take back");
}

/// The run up to the event that meets `test`, and the estate at that time.
pub fn until(rig: &Rig, test: impl Fn(&EventKind) -> bool) -> Rehearsed {
    let mut whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let all = events(&whole);
    let n = all.iter().position(|e| test(&e.what)).unwrap();
    whole.notes = estates(&whole.notes, &all[..n]).remove(0);
    whole.records.truncate(n);
    whole
}

/// After Ctrl-C while the fence is being lifted, a resume continues backwards, never forwards.
#[test]
fn an_unwinding_that_was_paused_goes_on_unwinding() {
    let rig = Rig::new(truststream(), "region-slow", 1);
    let promotes = |what: &EventKind| matches!(what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote."));
    let first = until(&rig, promotes);
    let (before, mut paused) = (rig.untouched(), 0);
    for turn in 2..200 {
        let Ok((halfway, _)) = rig.second(&first.records, &first.notes, &[cancel(None)], Some(turn)) else {
            continue;
        };
        if halfway.ended.stop != Stop::Paused {
            continue;
        }
        paused += 1;
        let (done, after) = rig.second(&halfway.records, &halfway.notes, &[Signal::Resume], None).unwrap();
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Cancelled), "turn {turn}");
        assert_eq!(called_after(&events(&done)), Vec::<String>::new(), "turn {turn}");
        assert_eq!(settings(&after), settings(&before), "turn {turn}");
        assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "turn {turn}");
    }
    assert!(paused > 5, "only {paused} were paused");
}

/// The instances never start, and the sizes are still restored.
#[test]
fn capacity_that_never_comes_can_be_taken_back() {
    let rig = Rig::new(stateless(), "capacity-short", 1);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    assert!(!whole.ended.state.finished());
    let (done, after) = rig.cancel(&whole.records, &whole.notes, None);
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Cancelled));
    assert_eq!(settings(&after), settings(&rig.untouched()));
}

/// Each inbox entry is judged against the state that the previous one led to.
#[test]
fn letters_that_contradict_each_other_break_no_run() {
    let rig = Rig::new(stateless(), "capacity-short", 1);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let step = StepId::new("scale.nodes");
    let skip = || Signal::Skip { step: step.clone(), reason: "enough".to_owned() };
    let refused = |r: &Rehearsed| {
        events(r).iter().filter(|e| matches!(e.what, EventKind::SignalRefused { .. })).count()
    };
    let (twice, _) = rig.second(&whole.records, &whole.notes, &[skip(), skip()], None).unwrap();
    assert_eq!(refused(&twice), 1);

    let rig = Rig::new(truststream(), "region-lost", 1);
    let verifies = |what: &EventKind| matches!(what, EventKind::StepStarted { step } if step.as_str().starts_with("verify.db"));
    let first = until(&rig, verifies);
    for second in [cancel(None), Signal::Resume] {
        let (both, _) =
            rig.second(&first.records, &first.notes, &[cancel(None), second.clone()], None).unwrap();
        assert_eq!(both.ended.state.mode, Mode::Finished(Outcome::Abandoned), "{second:?}");
        assert_eq!(called_after(&events(&both)), Vec::<String>::new(), "{second:?}");
    }
}

/// A person who confirmed closing a run after its promotion does so with one command, even if the process dies meanwhile.
#[test]
fn one_cancel_closes_a_run_past_its_point_of_no_return() {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let answered = |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str().starts_with("promote."));
    let first = until(&rig, answered);
    let (closed, _) = rig.cancel(&first.records, &first.notes, None);
    assert_eq!(closed.ended.state.mode, Mode::Finished(Outcome::Abandoned));
    let all = events(&closed);
    let at = |test: &dyn Fn(&EventKind) -> bool| all.iter().position(|e| test(&e.what)).unwrap();
    let ended =
        |w: &EventKind| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == "promote.db");
    let over = at(&|w| matches!(w, EventKind::RunFinished { .. }));
    assert!(at(&ended) < over, "it was closed before it was known what became of the promotion");
    let said = at(&|w| matches!(w, EventKind::CancelRequested { .. }));
    for n in said + 1..over {
        let notes = estates(&closed.notes, &all[..n]).remove(0);
        let (done, _) = rig.second(&closed.records[..n], &notes, &[Signal::Resume], None).unwrap();
        assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Abandoned), "{n} events");
        assert_eq!(called_after(&events(&done)), Vec::<String>::new(), "{n} events");
    }
}

/// Whether undone or closed: users who were affected when a failover was cancelled were not recovered in time, in every report.
#[test]
fn a_cancelled_failover_that_left_users_failing_missed_its_rto_everywhere() {
    for (text, outcome) in [(stateless().text, "cancelled"), (truststream().text, "abandoned")] {
        let folder = Folder::with_plans();
        std::fs::write(folder.path().join("plans/truststream.yaml"), text).unwrap();
        let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=capacity-short"];
        assert_ne!(folder.run(&start).0, 0);
        let run = "sandbox-truststream-failover-s1-1";
        let (_, told, _) = folder.run(&["runs", "cancel", run, "--reason", "give up", "--sandbox", "--yes"]);
        assert!(told.contains("never recovered: at least"), "{told}");
        let report = json(&folder.ok(&["report", "run", run, "--format", "json", "--sandbox"]));
        assert_eq!((&report["outcome"], &report["rto"]["verdict"]), (&outcome.into(), &"missed".into()));
        let status = folder.ok(&["status", "--sandbox"]);
        assert!(status.contains("; RTO never recovered: at least"), "{status}");
        let asked = ["report", "compliance", "--sandbox", "--since", "2026-01-01", "--format"];
        let compliance = json(&folder.ok(&[&asked[..], &["json"]].concat()));
        assert_eq!(compliance["totals"]["not_recovered"], 1);
        assert_eq!(compliance["totals"]["rto_of_incidents"]["missed"], 1, "{compliance:#}");
        assert_eq!(compliance["totals"]["never_proven"], 1, "a rehearsal proves nothing");
        let page = folder.ok(&[&asked[..], &["md"]].concat());
        assert!(page.contains("RTO MISSED: never recovered: at least"), "{page}");
    }
}

/// Cancelling after a false alarm leaves nobody without service.
#[test]
fn a_false_alarm_is_no_missed_rto() {
    let waivers = vec![waiver(Rule::HealthySource, Dur::ZERO)];
    let rig = Rig { waivers, ..Rig::new(stateless(), "calm", 1) };
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let all = events(&whole);
    let good = |e: &Event| matches!(&e.what, EventKind::ProbeTurned { .. });
    let n = all.iter().position(good).unwrap() + 1;
    let (done, _) = rig.cancel(&whole.records[..n], &whole.notes, None);
    let state = &done.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Cancelled));
    let attained = attainment(state, state.last_at);
    assert_eq!((attained.served, attained.never_recovered), (Some(true), false));
}
