//! Clocks may be wrong, so a journal may have any number as a duration. Nothing that reads one panics, or shows a small number instead.

use drctl::executor::create;
use drctl::journal::chain::{self, Record};
use drctl::journal::written;
use drctl::record::event::{Event, EventKind};
use drctl::record::runbook::Runbook;
use serde_json::Value;

use crate::cli::contract::{Folder, json};

const DARK: &[&str] = &[
    "failover",
    "truststream",
    "--to",
    "us-east-1",
    "--yes",
    "--sandbox",
    "region-dark",
    "--waive",
    "unfenced-promotion:db",
    "--accept-data-loss",
    "5m",
    "--reason",
    "dark",
    "--output",
    "json",
];

/// Sets every duration with one of these keys to the greatest number. Returns how many there are.
fn lengthened(value: &mut Value, keys: &[&str]) -> usize {
    match value {
        Value::Array(all) => all.iter_mut().map(|value| lengthened(value, keys)).sum(),
        Value::Object(all) => all
            .iter_mut()
            .map(|(key, value)| {
                if !(keys.contains(&key.as_str()) && value.is_u64()) {
                    return lengthened(value, keys);
                }
                *value = u64::MAX.into();
                1
            })
            .sum(),
        _ => 0,
    }
}

/// The journal with the greatest durations under these keys, with valid digests and hashes.
fn forged(records: &[Record], keys: &[&str]) -> Vec<Record> {
    let (mut forged, mut changed) = (Vec::<Record>::new(), 0);
    for record in records {
        let mut value = serde_json::to_value(Event::read(&record.bytes).unwrap()).unwrap();
        changed += lengthened(&mut value, keys);
        let mut event: Event = serde_json::from_value(value).unwrap();
        if let EventKind::RunCreated(created) = &mut event.what {
            let mut value: Value = serde_json::from_str(&created.runbook).unwrap();
            changed += lengthened(&mut value, keys);
            let runbook: Runbook = serde_json::from_value(value).unwrap();
            created.runbook = String::from_utf8(runbook.bytes()).unwrap();
            created.runbook_digest = runbook.digest();
            created.terms_digest = created.terms.digest();
        }
        let last = forged.last().map(|r| (r.seq, r.hash.clone()));
        let last = last.as_ref().map(|(seq, hash)| (*seq, hash));
        forged.push(chain::link(&record.run, last, record.epoch, create::encode(&event)));
    }
    assert!(changed > 0, "{keys:?}: nothing was changed, so the test has lost its aim");
    forged
}

/// The output of a command, which never is a panic or an internal error.
fn answered(folder: &Folder, args: &[&str]) -> (i32, String) {
    let (code, out, err) = folder.run(&[args, &["--sandbox"]].concat());
    assert!(![-1, 70, 101].contains(&code) && !err.contains("panicked"), "{args:?}: {code} {out}{err}");
    (code, out + &err)
}

/// Everything that is said about a run.
fn told(folder: &Folder, run: &str) -> String {
    [
        &["runs", "list"][..],
        &["runs", "show", run],
        &["runs", "show", run, "--output", "json"],
        &["report", "run", run, "--format", "md"],
        &["report", "run", run, "--format", "html"],
        &["report", "run", run, "--format", "json"],
        &["report", "run", run, "--format", "otlp"],
        &["report", "document", run, "--kind", "post-incident"],
        &["report", "compliance", "--format", "md"],
        &["report", "compliance", "--format", "html"],
        &["report", "compliance", "--format", "json"],
        &["evidence", "export", run, "--out", "run.tar"],
        &["duties"],
        &["status"],
        &["audit", "verify"],
    ]
    .into_iter()
    .map(|args| answered(folder, args).1)
    .collect()
}

#[test]
fn the_greatest_durations_are_read_shown_and_reported() {
    let folder = Folder::with_plans();
    let (_, out, _) = folder.run(DARK);
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    let text = folder.ok(&["runs", "export", &run, "--sandbox"]);
    let records: Vec<Record> = text.lines().map(|line| written::parse_line(line).unwrap()).collect();
    let mut imported = 0;
    // A figure of an exposure, objectives, a waiver and a probe; and whether people see the duration.
    for (keys, shown) in [
        (&["value_ms"][..], false),
        (&["resolution_ms"], false),
        (&["rto_ms", "rpo_ms", "drill_every_ms"], true),
        (&["accept_loss_ms"], true),
        (&["every_ms"], false),
        (&["every_ms", "timeout_ms"], false),
    ] {
        let here = Folder::with_plans();
        let lines: String = forged(&records, keys).iter().map(|r| written::line(r) + "\n").collect();
        std::fs::write(here.path().join("run.jsonl"), lines).unwrap();
        let (code, said) = answered(&here, &["runs", "import", "run.jsonl"]);
        if code != 0 {
            assert!(code == 2 && said.contains("is not valid in a run of drctl"), "{keys:?}: {code} {said}");
            continue;
        }
        imported += 1;
        let before = told(&here, &run);
        let (code, said) = answered(&here, &["runs", "adopt", &run, "--reason", "the machine is gone"]);
        assert_eq!(code, 0, "{keys:?}: {said}");
        for said in [before, told(&here, &run)] {
            assert!(!shown || said.contains("213503982334d"), "{keys:?}: {said}");
        }
    }
    assert!(imported >= 3, "{imported} were imported: the test has lost its aim");
}
