//! Journals of earlier releases stay readable, and say the same as they did. Files are only ever added.

use std::path::Path;

use drctl::executor::create;
use drctl::journal::bundle::RENDERS;
use drctl::journal::chain;
use drctl::journal::written::parse_line;
use drctl::model::ids::Digest;
use drctl::report::{html, markdown, summary};

#[test]
fn every_released_journal_is_read_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|x| x == "jsonl"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let records: Vec<_> = text.lines().map(|l| parse_line(l).unwrap()).collect();
        let run = records[0].run.clone();
        assert_eq!(chain::broken(&run, &records), None, "{}", file.display());
        let state = create::replay(&run, &records).unwrap();
        let report = summary::report(&state, state.last_at);
        let said =
            format!("{} {} {} {}\n", report.outcome, report.rto.text, report.rpo.text, report.fence.state);
        let expected = std::fs::read_to_string(file.with_extension("txt")).unwrap();
        assert_eq!(said, expected, "{}", file.display());
    }
}

/// A bundle is checked by rendering its events again: whoever changes what is rendered says so, or older bundles look forged.
#[test]
fn what_is_told_of_events_changes_with_its_number() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    let mut told = Vec::new();
    for name in ["chaos", "dark", "drill", "lagging", "lost", "stopped"] {
        let text = std::fs::read_to_string(folder.join(format!("0.1.0-{name}.jsonl"))).unwrap();
        let records: Vec<_> = text.lines().map(|l| parse_line(l).unwrap()).collect();
        let state = create::replay(&records[0].run.clone(), &records).unwrap();
        let report = summary::report(&state, state.last_at);
        told.extend(serde_json::to_vec_pretty(&report).unwrap());
        told.extend(markdown::render(&report).unwrap().into_bytes());
        told.extend(html::render(&report, &state).unwrap().into_bytes());
    }
    let lines = std::fs::read_to_string(folder.join("renders.txt")).unwrap();
    let lines: Vec<_> = lines.lines().filter_map(|line| line.split_once(' ')).collect();
    let numbers: Vec<u32> = lines.iter().map(|(n, _)| n.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let (now, known) = ((RENDERS.to_string(), Digest::of(&told).to_string()), lines.last().unwrap());
    assert_eq!(
        (now.0.as_str(), now.1.as_str()),
        *known,
        "reports tell the same events otherwise: raise RENDERS in src/journal/bundle.rs, and add this line to renders.txt"
    );
}

#[test]
fn an_event_of_a_later_version_is_refused_by_name() {
    let rig = crate::rig::Rig::new(crate::rig::truststream(), "region-lost", 1);
    let mut records = rig.rehearse().unwrap().records;
    let last = records.last().unwrap();
    let bytes = br#"{"at":"2026-01-01T09:00:00.000Z","kind":"teleported","step":"x"}"#.to_vec();
    let next = chain::link(&last.run.clone(), Some((last.seq, &last.hash.clone())), 1, bytes);
    records.push(next);
    let refused = create::replay(&records[0].run.clone(), &records).unwrap_err().to_string();
    assert!(refused.contains("teleported") && refused.contains("drctl test wrote the run"), "{refused}");
}
