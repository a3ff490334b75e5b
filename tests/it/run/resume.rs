//! Every prefix of a journal is resumed, with and without the effect of the last call.

use std::collections::BTreeMap;

use drctl::kinds::Operation;
use drctl::kinds::shared::rejoin::Rejoin;
use drctl::kinds::shared::restore::RestoreStep;
use drctl::model::ids::StepId;
use drctl::model::time::{Dur, Timestamp};
use drctl::record::action::{Action, Undo};
use drctl::record::event::{Direction, Event, EventKind, Outcome};
use drctl::record::runbook::Runbook;
use drctl::run::state::Mode;

use crate::support::oracle::invariants;
use crate::support::rig::{Notes, Rehearsed, Rig, truststream};

pub fn events(r: &Rehearsed) -> Vec<Event> {
    r.records.iter().map(|r| serde_json::from_slice(&r.bytes).unwrap()).collect()
}

fn promotions(notes: &Notes) -> usize {
    notes
        .iter()
        .filter(|(_, b)| matches!(serde_json::from_slice(b), Ok(Action::Op(Operation::Promote(_)))))
        .count()
}

pub fn runbook(prefix: &[Event]) -> Runbook {
    let EventKind::RunCreated(created) = &prefix[0].what else {
        panic!("a run must start with one run_created event")
    };
    serde_json::from_str(&created.runbook).unwrap()
}

/// The effects of calls that were in progress when only `prefix` was written. Jobs on hosts are left out: the host runs each once, whoever
/// requests it again, and however late (`postgres/host.rs`; the sandbox's hosts do not know their jobs' keys).
pub fn in_flight(prefix: &[Event]) -> Vec<Action> {
    let runbook = runbook(prefix);
    let actions =
        on_their_way(prefix).into_iter().map(|(step, (_, direction))| asked(&runbook, step, direction));
    let on_host = |a: &Action| match a {
        Action::Op(Operation::Rejoin(Rejoin { replica, .. })) => replica.is_none(),
        Action::Op(Operation::Restore(RestoreStep { of, .. })) => of.instance().is_none(),
        _ => false,
    };
    actions.filter(|a| !on_host(a)).collect()
}

/// The effect of this step's call.
fn asked(runbook: &Runbook, step: &StepId, direction: Direction) -> Action {
    let action = runbook.step(step).unwrap().action.clone();
    match (direction, action.undo()) {
        (Direction::Undo, Undo::By(back)) => *back,
        _ => action,
    }
}

fn on_their_way(prefix: &[Event]) -> BTreeMap<&StepId, (Timestamp, Direction)> {
    let mut on_their_way = BTreeMap::new();
    for event in prefix {
        match &event.what {
            EventKind::CallIntended { step, direction, .. } => {
                on_their_way.insert(step, (event.at, *direction));
            }
            EventKind::CallAnswered { step, .. }
            | EventKind::CallRefused { step, .. }
            // An observed effect exists, and a disproved one never will.
            | EventKind::StepFinished { step, .. }
            | EventKind::StepUndone { step }
            | EventKind::PartSettled { step }
            | EventKind::EffectDisproved { step, .. } => {
                on_their_way.remove(step);
            }
            _ => {}
        }
    }
    on_their_way
}

/// The estate when only `prefix` was written. Calls in progress took effect, or not.
pub fn estates(all: &Notes, prefix: &[Event]) -> Vec<Notes> {
    let last = prefix.last().unwrap();
    let runbook = runbook(prefix);
    let on_their_way = on_their_way(prefix);
    let is_of = |action: &[u8], at: Timestamp| {
        let action: Action = serde_json::from_slice(action).unwrap();
        // The latest effect comes 30 s after its intent; anything later belongs to a later call.
        let late = Dur::secs(31);
        on_their_way.iter().any(|(step, (since, direction))| {
            at >= *since && at <= *since + late && asked(&runbook, step, *direction) == action
        })
    };
    let settled: Notes = all.iter().filter(|(at, b)| *at <= last.at && !is_of(b, *at)).cloned().collect();
    if on_their_way.is_empty() {
        return vec![settled];
    }
    let mut seen = Vec::new();
    let mut first_of = |b: &Vec<u8>| {
        let new = !seen.contains(b);
        seen.push(b.clone());
        new
    };
    let done: Notes = all
        .iter()
        .filter(|(at, b)| if is_of(b, *at) { first_of(b) } else { *at <= last.at })
        .cloned()
        .collect();
    vec![done, settled]
}

fn every_prefix(scenario: &str, seed: u64) {
    let rig = Rig::new(truststream(), scenario, seed);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(whole.ended.state.mode, Mode::Finished(Outcome::Recovered), "{scenario} {seed}");
    let all = events(&whole);
    let expected = promotions(&whole.notes);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for n in 2..all.len() {
        for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
            let context = format!("{scenario} seed {seed}, prefix of {n} events, variant {variant}");
            let resumed = rig.carry_on(&whole.records[..n], &notes);
            assert_eq!(
                resumed.ended.state.mode,
                Mode::Finished(Outcome::Recovered),
                "{context}: {:?}",
                resumed.ended.stop
            );
            invariants(&rig, &resumed, &context);
            // A promotion that took effect is never requested again.
            assert!(
                promotions(&resumed.notes) <= expected,
                "{context}: promoted {} times",
                promotions(&resumed.notes)
            );
            *ends.entry(format!("variant {variant}")).or_default() += 1;
        }
    }
    assert!(ends.get("variant 1").is_some_and(|n| *n > 3), "no prefix ended in a call under way: {ends:?}");
}

#[test]
fn a_lost_region() {
    every_prefix("region-lost", 1);
}

#[test]
fn throttled() {
    every_prefix("api-throttled", 4);
}

#[test]
fn a_promotion_that_comes_to_nothing() {
    every_prefix("promotion-fails-once", 2);
}

#[test]
fn chaos() {
    for seed in 1..4 {
        every_prefix("chaos", seed);
    }
}

/// The idle time of the run is unknown, so its figures are bounds. Its own time continues, and it does not wait for the clock.
#[test]
fn a_clock_that_was_set_back_between_two_processes_is_an_event() {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let prefix = &whole.records[..whole.records.len() / 2];
    let (owned, world) = rig.taken_up(prefix, Dur::mins(60));
    assert!(owned.state.clock_jumped);
    let before = world.now();
    assert!(before >= owned.state.last_at);
    world.block_on(world.sleep_until(before + Dur(30)));
    assert!(world.now() >= before + Dur(30));
    let (owned, _) = rig.taken_up(prefix, Dur::ZERO);
    assert!(!owned.state.clock_jumped);
}
