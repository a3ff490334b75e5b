//! A run is cancelled after every prefix of its journal, with the effect of the last call done and not done.

use drctl::model::event::{Direction, Event, Outcome, What};
use drctl::model::state::State;
use drctl::plan::Plan;
use drctl::run::Stop;
use drctl::run::state::Mode;

use crate::resume::{estates, events};
use crate::rig::{Rig, Seen, plan, truststream};

/// Groups and names without a database: nothing in it is a point of no return.
pub fn stateless() -> Plan {
    plan(include_str!("../../plans/truststream.yaml").split("components:\n").next().map(|head| {
        format!(
            "{head}components:\n  nodes:\n    kind: aws.autoscaling\n    at:\n      us-west-2: {{group: w}}\n      us-east-1: {{group: e, capacity_floor: 4}}\n  www:\n    kind: aws.route53\n    via: dns\n    needs: [nodes]\n    zone: Z1\n    records:\n      - {{name: www.example, type: A, ttl: 60s, at: {{us-west-2: [192.0.2.10], us-east-1: [198.51.100.10]}}}}\n      - {{name: api.example, type: A, ttl: 30s, policy: weighted, at: {{us-west-2: {{set: w, values: [192.0.2.20], weight: 9}}, us-east-1: {{set: e, values: [198.51.100.20], weight: 0}}}}}}\nprobes:\n  - {{name: public, role: public, http: \"https://www.example/health\", every: 5s, timeout: 3s}}\nwatch: {{for: 5m}}\n"
        )
    }).as_deref().unwrap())
}

/// What a person can set, without what follows from it: sizes, processes, record sets and fences.
fn settings(seen: &Seen) -> Vec<(&String, String)> {
    let set = |state: &State| match state {
        State::Group(g) => Some(format!("{:?} {:?}", g.size, g.suspended)),
        State::Records(r) => {
            let mut sets: Vec<_> = r.sets.iter().map(|s| format!("{s:?}")).collect();
            sets.sort();
            Some(sets.join("\n"))
        }
        State::Fence(f) => Some(format!("{:?}", f.stage)),
        _ => None,
    };
    // SQL of the lost site may answer before and not after.
    let in_both = |key: &&String| !key.starts_with("fence/us-west-2/") || key.ends_with("/security_group");
    let kept = seen.iter().filter(|(key, _)| in_both(key));
    kept.filter_map(|(key, state)| Some((key, set(state)?))).collect()
}

/// Steps that were called forward once the person had cancelled. A fence that is owed is paid all the same.
fn called_after(all: &[Event]) -> Vec<String> {
    let cancelled = all.iter().position(|e| matches!(e.what, What::CancelRequested { .. })).unwrap();
    let forward = |e: &Event| match &e.what {
        What::CallIntended { step, direction: Direction::Do, .. } => Some(step.to_string()),
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
                (Mode::Cancelling, Stop::PastReturn) => {
                    assert!(state.past_return(), "{context}");
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

/// Another run holds the guard by now: what this one did is that one's to keep.
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
        let calls = events(&done).iter().filter(|e| matches!(e.what, What::CallIntended { .. })).count();
        let before = all[..n].iter().filter(|e| matches!(e.what, What::CallIntended { .. })).count();
        assert_eq!(calls, before, "prefix of {n} events");
        changed += usize::from(settings(&after) != settings(&rig.untouched()));
    }
    assert!(changed > 10, "only {changed} prefixes had anything to take back");
}
