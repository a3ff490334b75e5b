//! Stored journals still lead to the same reports as when they were written.

use std::path::{Path, PathBuf};

use drctl::executor::create;
use drctl::journal::bundle::RENDERS;
use drctl::journal::written::{line, parse_line};
use drctl::journal::{Record, chain};
use drctl::model::duty::Decision;
use drctl::model::ids::Digest;
use drctl::model::intent::{Drill, Intent};
use drctl::model::waiver::{Person, Rule};
use drctl::record::event::{Event, EventKind};
use drctl::report::{html, markdown, summary};

use crate::support::rig::{Rig, truststream};

const NAMES: [&str; 6] = ["chaos", "dark", "drill", "lagging", "lost", "stopped"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name)
}

/// The stored content. `DRCTL_TEST_GOLDEN=write` rewrites it first: until 1.0 formats may change, and their files with them.
fn kept(name: &str, now: impl FnOnce() -> String) -> String {
    let path = file(name);
    if std::env::var("DRCTL_TEST_GOLDEN").is_ok_and(|v| v == "write") {
        std::fs::write(&path, now()).unwrap();
    }
    std::fs::read_to_string(path).unwrap()
}

/// The run behind each stored journal.
fn rehearsed(name: &str) -> Vec<Record> {
    let rig = |scenario, seed| Rig::new(truststream(), scenario, seed);
    let rig = match name {
        "chaos" => rig("chaos", 7),
        "dark" => {
            let waivers =
                [Rule::UnfencedPromotion, Rule::ExposureAboveRpo].map(crate::sandbox::simulation::accept);
            Rig { waivers: waivers.to_vec(), ..rig("region-dark", 1) }
        }
        "drill" => Rig { drill: Some(Drill::Isolated), intent: Intent::Drill, ..rig("calm", 1) },
        "lagging" => rig("replica-lagging", 1),
        "lost" => rig("region-lost", 1),
        _ => return stopped_and_decided(),
    };
    rig.rehearse().unwrap_or_else(|refused| panic!("{name}: {refused:?}")).records
}

/// A failover that stopped, and two decisions about it.
fn stopped_and_decided() -> Vec<Record> {
    let (_, stopped) = crate::run::stops::stopped();
    let mut events = create::decode(&crate::support::rig::run_id(), &stopped.records).unwrap();
    let at = stopped.ended.state.last_at;
    for (decision, reason) in [(Decision::Restore, "data are damaged"), (Decision::FixForward, "mended")] {
        let who = Person::claimed("golden");
        let what = EventKind::Acknowledged { who, decision: Some(decision), reason: reason.to_owned() };
        events.push(Event { at, what });
    }
    Rig::journal_of(&events)
}

fn journal(name: &str) -> Vec<Record> {
    let text = kept(&format!("{name}.jsonl"), || rehearsed(name).iter().map(|r| line(r) + "\n").collect());
    text.lines().map(|l| parse_line(l).unwrap()).collect()
}

#[test]
fn every_kept_journal_says_what_it_said() {
    for name in NAMES {
        let records = journal(name);
        let run = records[0].run.clone();
        assert_eq!(chain::broken(&run, &records), None, "{name}");
        let state = create::replay(&run, &records).unwrap();
        let report = summary::report(&state, state.last_at);
        let said =
            format!("{} {} {} {}\n", report.outcome, report.rto.text, report.rpo.text, report.fence.state);
        assert_eq!(said, kept(&format!("{name}.txt"), || said.clone()), "{name}");
    }
}

/// A bundle is verified by rendering its events again, so a changed rendering must be noticed.
#[test]
fn a_change_of_what_is_rendered_is_noticed() {
    let mut told = Vec::new();
    for name in NAMES {
        let records = journal(name);
        let state = create::replay(&records[0].run.clone(), &records).unwrap();
        let report = summary::report(&state, state.last_at);
        told.extend(serde_json::to_vec_pretty(&report).unwrap());
        told.extend(markdown::render(&report).unwrap().into_bytes());
        told.extend(html::render(&report, &state).unwrap().into_bytes());
    }
    let now = format!("{RENDERS} {}\n", Digest::of_bytes(&told));
    assert_eq!(
        now,
        kept("renders.txt", || now.clone()),
        "reports render the same events differently: until 1.0 run this again with DRCTL_TEST_GOLDEN=write; later \
         raise RENDERS in src/journal/bundle.rs first, or older bundles look forged"
    );
}

#[test]
fn an_event_of_a_later_version_is_refused_by_name() {
    let rig = crate::support::rig::Rig::new(crate::support::rig::truststream(), "region-lost", 1);
    let mut records = rig.rehearse().unwrap().records;
    let last = records.last().unwrap();
    let bytes = br#"{"at":"2026-01-01T09:00:00.000Z","kind":"teleported","step":"x"}"#.to_vec();
    let next = chain::link(&last.run.clone(), Some((last.seq, &last.hash.clone())), 1, bytes);
    records.push(next);
    let refused = create::replay(&records[0].run.clone(), &records).unwrap_err().to_string();
    assert!(refused.contains("teleported") && refused.contains("drctl test wrote the run"), "{refused}");
}
