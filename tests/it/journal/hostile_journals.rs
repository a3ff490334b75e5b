//! Damaged or forged journals always lead to an answer. A failing case prints its seed.

use std::path::Path;

use drctl::executor::create;
use drctl::journal::chain::{self, Record};
use drctl::journal::written::parse_line;
use drctl::kinds::Operation;
use drctl::kinds::world::chance::roll;
use drctl::model::ids::StepId;
use drctl::model::time::Timestamp;
use drctl::model::waiver::Person;
use drctl::record::action::Action;
use drctl::record::event::{Direction, End, Event, EventKind};
use drctl::report::summary;
use drctl::run::state::{Status, Work};
use drctl::run::{Effect, decide};

use crate::support::rig::{Rig, run_id, truststream};

fn golden() -> Vec<(String, Vec<Record>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    ["chaos", "dark"]
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
            let records = text.lines().map(|l| parse_line(l).unwrap()).collect();
            (text, records)
        })
        .to_vec()
}

fn pick(seed: u64, what: &str, n: usize, below: usize) -> usize {
    usize::try_from(roll(seed, &[what, &n.to_string()], below as u64)).unwrap()
}

/// Changes, removes or adds bytes.
fn damage(seed: u64, bytes: &mut Vec<u8>) {
    for n in 0..=pick(seed, "n", 0, 4) {
        let at = pick(seed, "at", n, bytes.len());
        let byte = u8::try_from(pick(seed, "byte", n, 256)).unwrap();
        match pick(seed, "kind", n, 4) {
            0 => bytes[at] ^= byte | 1,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes[at] = b"{}[]:,\"0-9e\\u"[usize::from(byte) % 13],
        }
    }
}

#[test]
fn a_damaged_export_is_refused_or_is_what_was_written() {
    for (text, written) in golden() {
        for seed in 0..400 {
            let mut bytes = text.clone().into_bytes();
            damage(seed, &mut bytes);
            let damaged = String::from_utf8_lossy(&bytes);
            let Some(records) = damaged.lines().map(parse_line).collect::<Option<Vec<_>>>() else { continue };
            let Some(first) = records.first() else { continue };
            if chain::broken(&first.run, &records).is_none() {
                // A field that no reader uses, or the end of the file.
                assert_eq!(records, written[..records.len()], "seed {seed}");
            }
        }
    }
}

/// A forged chain has valid hashes, but its content may still be illegal.
#[test]
fn a_forged_chain_is_refused_or_told_without_panic() {
    let (mut refused, mut told) = (0, 0);
    for (_, written) in golden() {
        for seed in 0..400 {
            let mut events: Vec<Vec<u8>> = written.iter().map(|r| r.bytes.clone()).collect();
            for n in 0..=pick(seed, "changes", 0, 3) {
                let (at, other) =
                    (pick(seed, "event", n, events.len()), pick(seed, "other", n, events.len()));
                match pick(seed, "what", n, 4) {
                    0 if events.len() > 2 => drop(events.remove(at)),
                    1 => events.insert(at, events[other].clone()),
                    2 => events.swap(at, other),
                    _ => damage(seed + 1_000 * n as u64, &mut events[at]),
                }
            }
            let mut forged: Vec<Record> = Vec::new();
            for bytes in events {
                let last = forged.last().map(|r| (r.seq, r.hash.clone()));
                forged.push(chain::link(&written[0].run, last.as_ref().map(|(s, h)| (*s, h)), 1, bytes));
            }
            assert_eq!(chain::broken(&written[0].run, &forged), None);
            match create::replay(&written[0].run, &forged) {
                Err(e) => {
                    assert!(!e.to_string().is_empty());
                    refused += 1;
                }
                Ok(state) => {
                    let effects: Vec<Effect> = decide(&state, state.last_at);
                    assert!(effects.len() <= 4 * state.steps.len() + 4, "seed {seed}");
                    assert_eq!(summary::report(&state, state.last_at).run_id, state.created.run);
                    told += 1;
                }
            }
        }
    }
    assert!(refused > 100 && told > 20, "{refused} refused, {told} told: the test has lost its aim");
}

fn statuses(at: Timestamp) -> [(&'static str, Status); 10] {
    [
        ("pending", Status::Pending),
        ("started", Status::Started),
        ("calling", Status::Calling),
        ("doubt", Status::InDoubt { since: at }),
        ("awaiting", Status::Awaiting { answered_at: at, token: None }),
        ("backoff", Status::Backoff { due: at }),
        ("blocked", Status::Blocked { why: String::new(), rule: None, flag: None }),
        ("done", Status::Done(End::Performed)),
        ("failed", Status::Failed),
        ("skipped", Status::Skipped),
    ]
}

/// Every event about a step, and the statuses in which it is legal.
fn follows(id: &StepId) -> [(EventKind, &'static str); 16] {
    let step = || id.clone();
    let (why, reason, who) = (String::new, String::new, || Person::claimed("eve"));
    let intended = EventKind::CallIntended {
        step: step(),
        direction: Direction::Do,
        attempt: 1,
        generation: 1,
        key: String::new(),
        part: Vec::new(),
        found: None,
    };
    let open = "pending started doubt awaiting backoff blocked";
    [
        (EventKind::StepStarted { step: step() }, "pending"),
        (intended, "started doubt awaiting backoff blocked"),
        (EventKind::CallAnswered { step: step(), token: None }, "calling"),
        (EventKind::CallRequests { step: step(), requests: Vec::new() }, "calling"),
        (EventKind::CallRefused { step: step(), code: why(), why: why(), retry_at: None }, "calling"),
        (EventKind::CallInDoubt { step: step(), why: why() }, "calling"),
        (EventKind::PartSettled { step: step() }, "doubt awaiting"),
        (EventKind::EffectDisproved { step: step(), seen: why() }, "doubt awaiting"),
        (EventKind::StepFinished { step: step(), end: End::Noop, facts: Vec::new() }, open),
        // These events are about other kinds of steps.
        (EventKind::FoundPromoted { step: step() }, ""),
        (EventKind::Overdue { step: step(), since: Timestamp::from_millis(0), why: why(), flag: why() }, ""),
        (EventKind::StepFailed { step: step(), reason: reason() }, open),
        (EventKind::GuardLost { step: step(), reason: reason() }, ""),
        (
            EventKind::StepSkipped { step: step(), reason: reason(), who: None },
            "pending started backoff blocked failed",
        ),
        (
            EventKind::GateBlocked { step: step(), rule: None, why: why(), flag: None },
            "started awaiting doubt backoff blocked",
        ),
        (EventKind::Rejected { step: step(), who: who(), reason: reason() }, ""),
    ]
}

/// The legal order of events, stated again independently. A hand-written journal must follow it.
#[test]
fn no_event_of_a_step_follows_but_where_it_may() {
    let done = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap();
    let state = create::replay(&run_id(), &done.records[..1]).unwrap();
    let of = |a: &Action| matches!(a, Action::Op(Operation::Scale(_)));
    let i = (0..state.steps.len()).find(|&i| of(&state.step(i).action)).unwrap();
    let mut state = state;
    // Its dependencies are done.
    for (_, step) in state.steps.iter_mut().enumerate().filter(|(j, _)| *j != i) {
        step.work.status = Status::Done(End::Performed);
    }
    let (step, at) = (|| state.step(i).id.clone(), state.last_at);
    let mut wrong = Vec::new();
    for (what, after) in follows(&step()) {
        for (name, status) in statuses(at) {
            let mut state = state.clone();
            state.steps[i].work.status = status;
            let may = state.apply(&Event { at, what: what.clone() }).is_ok();
            if may != after.split(' ').any(|word| word == name) {
                wrong.push(format!("{what:?} after {name}: {may}"));
            }
        }
    }
    // A call of an undo without an answer is not over.
    for what in [
        EventKind::StepUndone { step: step() },
        EventKind::UndoFailed { step: step(), reason: String::new() },
    ] {
        for (name, status) in statuses(at) {
            let mut state = state.clone();
            state.steps[i].undo = Some(Work { status, ..Work::new() });
            state.cancelled_at = Some(at);
            let may = state.apply(&Event { at, what: what.clone() }).is_ok();
            if may != (name != "calling") {
                wrong.push(format!("{what:?} while its undo is {name}: {may}"));
            }
        }
    }
    // A doubt about a call remains while the step is tried again, and only then can it be settled or disproved.
    for (name, status) in
        statuses(at).into_iter().filter(|(n, _)| ["started", "backoff", "blocked"].contains(n))
    {
        for doubt in [None, Some(at)] {
            let mut state = state.clone();
            (state.steps[i].work.status, state.steps[i].work.doubt) = (status.clone(), doubt);
            let may = state.apply(&Event { at, what: EventKind::PartSettled { step: step() } }).is_ok();
            assert_eq!(may, doubt.is_some(), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
