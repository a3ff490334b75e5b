//! Journals that were damaged or made up: whatever comes of them is an answer. A failing case prints its seed.

use std::path::Path;

use drctl::adapters::sandbox::scenario::roll;
use drctl::cli::commands::runs::parse_line;
use drctl::executor::create;
use drctl::journal::chain::{self, Record};
use drctl::report::summary;
use drctl::run::{Effect, decide};

fn golden() -> Vec<(String, Vec<Record>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    ["0.1.0-chaos", "0.1.0-dark"]
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

/// Bytes changed, lost or added.
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
                // A field that no reader looks at, or the end of the file.
                assert_eq!(records, written[..records.len()], "seed {seed}");
            }
        }
    }
}

/// Somebody who makes a chain of their own gets its hashes right: what it says may still not follow.
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
