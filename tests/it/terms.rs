//! The terms that a run was decided under: they stand in its journal, its evidence and the ledger, and nobody puts others in their place.

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::event::{Event, RunCreated, What};
use drctl::model::ids::RunId;
use drctl::model::ledger::{Entry, StoreWorld};

use crate::cli::{Folder, json};
use crate::lived::keep;
use crate::signed::{state_of, store};

const FAILOVER: &[&str] =
    &["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--output", "json"];

fn begin(folder: &Folder) -> String {
    let (_, out, err) = folder.run(FAILOVER);
    assert!(out.contains("run_id"), "{out}\n{err}");
    json(&out)["run_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_terms_of_a_run_stand_in_its_journal_its_evidence_and_the_ledger() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let created = state_of(&folder, &run).created;
    assert_eq!(created.terms.digest(), created.terms_digest);
    let lines = created.terms.lines();
    assert_eq!(lines["policy.changes.database.by"], "dba, engineering-lead");
    assert_eq!((lines["environment"].as_str(), lines["sql.tls"].as_str()), ("production", "verify"));
    assert!(created.terms.tiers.contains_key("critical"), "{lines:#?}");

    let contents = store(&folder).contents().unwrap();
    let entries: Vec<Entry> =
        contents.ledger.iter().filter_map(|r| serde_json::from_slice(&r.bytes).ok()).collect();
    let known = entries.iter().position(|entry| {
        matches!(entry, Entry::Terms { run: of, terms, .. } if of.as_str() == run && *terms == created.terms_digest)
    });
    let vouched = entries.iter().position(|entry| matches!(entry, Entry::Checkpoint(_)));
    assert!(known.is_some() && known < vouched, "{entries:#?}");

    folder.ok(&["evidence", "export", &run, "--out", "b.tar", "--sandbox"]);
    let shown = folder.ok(&["evidence", "verify", "b.tar", "--sandbox", "--output", "json"]);
    let terms = &json(&shown)["manifest"]["drctl"]["terms"];
    assert_eq!(terms["digest"], created.terms_digest.to_string(), "{terms}");
    assert_eq!(folder.run(&["audit", "verify", "--sandbox"]).0, 0);
}

/// A journal with this in its first event, in a store of its own: what the audit and a resume say.
fn forged(folder: &Folder, run: &str, change: impl FnOnce(&mut RunCreated)) -> (String, String) {
    let id = RunId::new(run);
    let records = store(folder).read(&id).unwrap();
    let mut events: Vec<Event> = create::decode(&id, &records).unwrap();
    let What::RunCreated(created) = &mut events[0].what else { panic!("no run begins so") };
    change(created);
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("forged.db");
    keep(&SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap(), run, &events);
    let path = path.display().to_string();
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox", "--store", &path]);
    assert_eq!(code, 1, "{out}\n{err}");
    let (code, _, resumed) = folder.run(&["runs", "resume", run, "--sandbox", "--store", &path]);
    assert!(code != 0 && code != 70, "{code} {resumed}");
    (out, resumed)
}

#[test]
fn forged_terms_are_a_finding_and_no_bug() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let (found, resumed) = forged(&folder, &run, |created| {
        created.terms.settings.insert("policy.changes.database.by".to_owned(), "none".to_owned());
    });
    assert!(found.contains("their digest is another"), "{found}");
    assert!(resumed.contains("the terms of the run do not hold"), "{resumed}");
    let (found, _) = forged(&folder, &run, |created| {
        let known = drctl::model::ledger::Known { key: "SHA256:x\u{1b}[2J".to_owned(), roles: Vec::new() };
        created.terms.operators.insert("mallory".to_owned(), known);
        created.terms_digest = created.terms.digest();
    });
    assert!(found.contains("other operators than those whose word it takes"), "{found}");
    assert!(!found.contains('\u{1b}'), "{found:?}");
}

#[test]
fn a_run_that_the_ledger_knows_under_other_terms_is_a_finding() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let at = state_of(&folder, &run).last_at;
    let terms = drctl::model::terms::Terms::default().digest();
    store(&folder).enter(&Entry::Terms { at, run: RunId::new(&*run), terms }).unwrap();
    let (code, out, _) = folder.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 1 && out.contains("it has other terms for run"), "{out}");
}
