//! Imported runs: nothing is done, signed or counted for one before an operator of this store adopts it.

use drctl::journal::contents::LEDGER;
use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Closing, Journal as _, chain, written};
use drctl::model::evidence::Head;
use drctl::model::ids::{Digest, RunId};
use drctl::model::ledger::{ADOPTION, Adoption, Entry, RecordedOperator, StoreWorld};
use drctl::model::time::Timestamp;
use drctl::model::waiver::Person;
use drctl::record::event::Signal;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{as_operator, folder, store, waiting};

/// Every command that sends something to a run, or acts for one; `RUN` is the run.
const ACTING: &[&[&str]] = &[
    &["runs", "resume", "RUN"],
    &["runs", "pause", "RUN"],
    &["runs", "cancel", "RUN", "--yes", "--reason", "why"],
    &["runs", "skip", "RUN", "approve.go", "--reason", "why"],
    &["runs", "done", "RUN", "approve.go"],
    &["approve", "--yes", "RUN", "approve.go"],
    &["runs", "approve", "--yes", "RUN", "approve.go"],
    &["runs", "reject", "RUN", "approve.go", "--reason", "why"],
    &["runs", "override", "RUN", "approve.go", "--reason", "why"],
    &["runs", "ack", "RUN", "--reason", "why"],
    &["reject", "RUN", "approve.go", "--reason", "why"],
    &["override", "RUN", "approve.go", "--reason", "why"],
    &["ack", "RUN", "--reason", "why"],
    &["duties", "done", "RUN", "monitoring", "--reference", "x"],
    &["evidence", "export", "RUN"],
];

/// Subcommands of `runs` that only read, or move a run into this store.
const READING: &[&str] = &["list", "show", "watch", "replay", "export", "import", "adopt"];

/// A run that waits at its gate, as a file, and its original folder.
fn exported() -> (Folder, String, String) {
    let there = folder();
    let run = waiting(&there);
    let text = there.ok(&["runs", "export", &run, "--sandbox"]);
    (there, run, text)
}

fn imported(here: &Folder, text: &str) {
    std::fs::write(here.path().join("run.jsonl"), text).unwrap();
    let (code, out, err) = here.run(&["runs", "import", "run.jsonl", "--sandbox"]);
    assert!(code == 0 && err.contains("is imported and read-only"), "{out}{err}");
}

#[test]
fn nothing_acts_on_a_run_from_a_file() {
    let (_there, run, text) = exported();
    let here = folder();
    imported(&here, &text);
    for verb in ACTING {
        let args: Vec<&str> = verb.iter().map(|a| if *a == "RUN" { run.as_str() } else { a }).collect();
        let (code, out, err) = as_operator(&here, "ann.key", &[&args[..], &["--sandbox"]].concat());
        assert_eq!(code, 3, "{args:?}: {out}{err}");
        let said = "came from a file and is read-only, because nobody adopted it in this store; the operators of its file are ann, bob, cy, eve";
        assert!(err.contains(said) && err.contains("runs adopt"), "{args:?}: {out}{err}");
    }
    assert_eq!(here.ok(&["runs", "export", &run, "--sandbox"]), text, "not one event came of that");
    // A new command must be added to one of the lists.
    let command = drctl::cli::parser::command();
    for verb in command.find_subcommand("runs").unwrap().get_subcommands() {
        let acts = ACTING.iter().any(|a| a[0] == "runs" && a[1] == verb.get_name());
        assert!(acts != READING.contains(&verb.get_name()), "runs {}", verb.get_name());
    }
    // It counts for nothing, and nothing in it is signed here.
    let bundles = json(&here.ok(&["evidence", "list", "--sandbox", "--output", "json"]));
    assert_eq!(bundles["bundles"], serde_json::json!([]));
    let listed = json(&here.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    assert_eq!(listed["runs"][0]["imported"], true);
    let (_, status, _) = here.run(&["status", "--sandbox", "--output", "json"]);
    assert_eq!(json(&status)["runs"], serde_json::json!([]));
    assert_eq!(json(&status)["imported"], serde_json::json!([run]));
    let audit = json(&here.ok(&["audit", "verify", "--sandbox", "--output", "json"]));
    assert_eq!(audit["imported"], serde_json::json!([run]));
}

/// The engine itself refuses, whoever calls it.
#[test]
fn the_journal_is_the_gate() {
    let (_there, run, text) = exported();
    let here = folder();
    imported(&here, &text);
    let (store, run) = (store(&here), RunId::new(run));
    let refused = |what: &str, e: String| assert!(e.contains("is read-only"), "{what}: {e}");
    refused("open", store.open(&run).unwrap_err().to_string());
    let who = Person::claimed("ann");
    let post = store.post(&run, Timestamp::from_millis(0), &who, &Signal::Resume);
    refused("post", post.unwrap_err().to_string());
    assert!(store.runs().unwrap().iter().all(|row| row.run != run), "it does not count");
    assert!(store.all_runs().unwrap().iter().any(|row| row.run == run && row.finished), "it holds nothing");
    let closing = Closing {
        run: run.clone(),
        epoch: 1,
        expect: store.read(&run).unwrap().len() as u64,
        events: vec![b"{}".to_vec()],
    };
    let create = store.create(&RunId::new("two"), &[], &[b"{}".to_vec()], Some(&closing));
    refused("create", create.unwrap_err().to_string());
}

#[test]
fn an_operator_of_this_store_adopts_it_and_carries_it_on() {
    let (there, run, text) = exported();
    let here = folder();
    // The same people, so that its operators match those in drctl.yaml, but a separate store.
    for file in ["plans/drctl.yaml", "ann.key", "bob.key", "eve.key", "mallory.key"] {
        std::fs::copy(there.path().join(file), here.path().join(file)).unwrap();
    }
    imported(&here, &text);
    let adopt = ["runs", "adopt", &run, "--reason", "the other machine is gone", "--sandbox"];
    let (code, _, err) = here.run(&adopt);
    assert!(code == 2 && err.contains("no key to sign with"), "{err}");
    let (code, _, err) = as_operator(&here, "mallory.key", &adopt);
    assert!(code == 2 && err.contains("is not the key of any current or former operator"), "{err}");
    let (code, out, err) = as_operator(&here, "bob.key", &adopt);
    assert!(code == 0 && err.contains(&format!("bob adopted run {run}")), "{out}{err}");
    let (code, _, err) = as_operator(&here, "bob.key", &adopt);
    assert!(code == 2 && err.contains("belongs to this store already"), "{err}");
    let audit = json(&here.ok(&["audit", "verify", "--sandbox", "--output", "json"]));
    assert_eq!((&audit["imported"], &audit["faults"]), (&serde_json::json!([]), &serde_json::json!([])));
    for who in ["bob.key", "eve.key"] {
        let (code, out, err) =
            as_operator(&here, who, &["approve", "--yes", &run, "approve.go", "--sandbox"]);
        assert_eq!(code, 0, "{out}{err}");
    }
    let events = || here.ok(&["runs", "export", &run, "--sandbox"]).lines().count();
    let before = events();
    // Without its simulated estate it does not get far, but it does continue.
    let (code, out, err) =
        as_operator(&here, "ann.key", &["runs", "resume", &run, "--sandbox", "--output", "json"]);
    assert!(code != 3 && json(&out)["run_id"] == run.as_str() && events() > before, "{code} {out}{err}");
    here.ok(&["audit", "verify", "--sandbox"]);
    let bundles = json(&here.ok(&["evidence", "list", "--sandbox", "--output", "json"]));
    assert!(bundles["bundles"].as_array().unwrap().iter().all(|b| b["whole"] == true), "{bundles}");
}

/// Adopted or not: a run with other operators is neither continued nor ended by calls that its file requests.
#[test]
fn a_run_of_other_operators_is_not_driven() {
    let (_there, run, text) = exported();
    let here = folder();
    imported(&here, &text);
    let adopt = ["runs", "adopt", &run, "--reason", "to look at it", "--sandbox"];
    let (code, out, err) = as_operator(&here, "ann.key", &adopt);
    assert!(code == 0 && err.contains("its operators differ from those in drctl.yaml"), "{out}{err}");
    let before = here.ok(&["runs", "export", &run, "--sandbox"]);
    for verb in [&["runs", "resume", &run][..], &["runs", "cancel", &run, "--yes", "--reason", "why"]] {
        let (code, out, err) = as_operator(&here, "ann.key", &[verb, &["--sandbox"]].concat());
        assert_eq!(code, 3, "{verb:?}: {out}{err}");
        assert!(err.contains("started with different operators or roles than drctl.yaml has"), "{err}");
    }
    assert_eq!(here.ok(&["runs", "export", &run, "--sandbox"]), before);
}

/// Somebody with write access to the store but without an operator's key cannot adopt a run.
#[test]
fn a_forged_adoption_is_none() {
    let (there, run, text) = exported();
    let here = folder();
    imported(&here, &text);
    // It updates the settings in the ledger, and fails.
    assert_eq!(as_operator(&here, "cy.key", &["audit", "checkpoint", "--sandbox"]).0, 0);
    let run = RunId::new(run);
    let end = |r: &drctl::journal::Record| Head { entries: r.seq, hash: r.hash.clone() };
    let said = |store: &SqliteJournal| Adoption {
        drctl: Adoption::VERSION,
        run: run.clone(),
        head: end(store.read(&run).unwrap().last().unwrap()),
        ledger: end(&store.ledger_head().unwrap().unwrap()),
        reason: "forged".to_owned(),
        by: "ann".to_owned(),
        at: Timestamp::from_millis(0),
    };
    let sign = |folder: &Folder, key: &str, said: &Adoption, namespace: &str| {
        let text = serde_json::to_string(said).unwrap();
        let key = PrivateKey::read_openssh_file(&folder.path().join(key)).unwrap();
        let signature = key.sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap();
        Person {
            who: said.by.clone(),
            claimed: false,
            signature: Some(signature.to_pem(LineEnding::LF).unwrap()),
            statement: Some(text),
        }
    };
    let store_here = store(&here);
    let own = said(&store_here);
    let unsigned = Person { signature: None, ..sign(&here, "ann.key", &own, ADOPTION) };
    let changed = Person {
        statement: unsigned.statement.clone().map(|s| s.replace("forged", "other")),
        ..sign(&here, "ann.key", &own, ADOPTION)
    };
    let other_store = sign(&here, "ann.key", &said(&store(&there)), ADOPTION);
    let mut other_run = own.clone();
    other_run.run = RunId::new("another");
    let mut other_events = own.clone();
    other_events.head.entries -= 1;
    for (who, why) in [
        (unsigned, "it is not signed, and the store has operators"),
        (changed, "the signature does not match this statement"),
        (sign(&here, "mallory.key", &own, ADOPTION), "which was not the key of an operator at that time"),
        (sign(&there, "ann.key", &own, ADOPTION), "which was not the key of an operator at that time"),
        (sign(&here, "bob.key", &own, ADOPTION), "is signed with the key of bob"),
        (sign(&here, "ann.key", &own, "drctl-statement"), "the signature does not match this statement"),
        (other_store, "it was made for another store"),
        (sign(&here, "ann.key", &other_run, ADOPTION), "it is for run another"),
        (sign(&here, "ann.key", &other_events, ADOPTION), "it is for different events than the run has"),
    ] {
        store_here.adopt(&run, &[], &Entry::Adopted { at: own.at, run: run.clone(), who }).unwrap();
        let refused = store_here.may_act(&run).unwrap_err().to_string();
        assert!(
            refused.contains("an adoption of it is not valid") && refused.contains(why),
            "{why}: {refused}"
        );
    }
    drop(store_here);
    let (code, out, _) = here.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 1 && out.matches("is not valid: ").count() >= 9, "{out}");
}

/// Somebody who can only write to the store removes its operators in the ledger, or adds one, and adopts.
#[test]
fn operators_that_somebody_wrote_into_the_ledger_adopt_nothing() {
    for emptied in [true, false] {
        let (_there, run, text) = exported();
        let here = folder();
        imported(&here, &text);
        assert_eq!(as_operator(&here, "ann.key", &["audit", "checkpoint", "--sandbox"]).0, 0);
        let (store, run) = (store(&here), RunId::new(run));
        let last = store.entries(b"{\"ledger\":\"con").unwrap().pop().unwrap();
        let Ok(Entry::Configuration { at, who, settings, .. }) = Entry::read(&last.bytes) else { panic!() };
        let mallory = PrivateKey::read_openssh_file(&here.path().join("mallory.key")).unwrap();
        let key = mallory.fingerprint(HashAlg::Sha256).to_string();
        let mut operators = std::collections::BTreeMap::new();
        if !emptied {
            operators.insert("mallory".to_owned(), RecordedOperator { key, roles: vec!["dba".to_owned()] });
        }
        store
            .enter(&Entry::Configuration { at, who, operator: None, command: None, settings, operators })
            .unwrap();
        let end = |r: &drctl::journal::Record| Head { entries: r.seq, hash: r.hash.clone() };
        let said = Adoption {
            drctl: Adoption::VERSION,
            run: run.clone(),
            head: end(store.read(&run).unwrap().last().unwrap()),
            ledger: end(&store.ledger_head().unwrap().unwrap()),
            reason: "forged".to_owned(),
            by: "mallory".to_owned(),
            at,
        };
        let statement = serde_json::to_string(&said).unwrap();
        let signature = mallory.sign(ADOPTION, HashAlg::Sha512, statement.as_bytes()).unwrap();
        let signature = (!emptied).then(|| signature.to_pem(LineEnding::LF).unwrap());
        let who = Person { who: said.by, claimed: emptied, signature, statement: Some(statement) };
        store.adopt(&run, &[], &Entry::Adopted { at, run: run.clone(), who }).unwrap();
        drop(store);
        let (code, out, err) = as_operator(&here, "ann.key", &["runs", "resume", run.as_str(), "--sandbox"]);
        let why = if emptied {
            "it is not signed, and the store has operators"
        } else {
            "which is not the key of an operator in drctl.yaml"
        };
        assert!(code == 3 && err.contains(why), "{code} {out}{err}");
        let (code, out, _) = here.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains(why), "{out}");
        assert_eq!(out.contains("it removes all operators, and no checkpoint covers it"), emptied, "{out}");
        let (code, _, err) = as_operator(&here, "ann.key", &["audit", "export", "--sandbox"]);
        assert!(code == 1 && err.contains("nothing was signed"), "{err}");
    }
}

/// A run that finished elsewhere proves nothing here.
#[test]
fn a_finished_run_counts_once_it_is_adopted() {
    let (there, here) = (Folder::with_plans(), Folder::with_plans());
    there.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let listed = json(&there.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let run = listed["runs"][0]["run_id"].as_str().unwrap().to_owned();
    imported(&here, &there.ok(&["runs", "export", &run, "--sandbox"]));
    let documents: &[&[&str]] = &[
        &["report", "run", &run, "--format", "md"],
        &["report", "run", &run, "--format", "html"],
        &["report", "run", &run, "--format", "json"],
        &["report", "document", &run, "--kind", "rollback"],
    ];
    let said = |folder: &Folder| {
        let text = |args: &&[&str]| folder.ok(&[args, &["--sandbox"][..]].concat()).to_lowercase();
        documents
            .iter()
            .map(text)
            .filter(|text| text.contains("from a file") || text.contains("from_file"))
            .count()
    };
    assert_eq!((said(&there), said(&here)), (0, documents.len()));
    let report = |folder: &Folder| {
        folder
            .run(&[
                "report",
                "compliance",
                "--sandbox",
                "--since",
                "2026-01-01",
                "--until",
                "2026-02-01",
                "--format",
                "json",
            ])
            .1
    };
    let bundles = |folder: &Folder| {
        let all = json(&folder.ok(&["evidence", "list", "--sandbox", "--output", "json"]));
        all["bundles"].as_array().unwrap().len()
    };
    assert!(report(&there).contains(&run), "{}", report(&there));
    assert!(!report(&here).contains(&run) && bundles(&here) == 0);
    // There are no operators here, so only a name is recorded.
    let (code, out, err) = here.run(&["runs", "adopt", &run, "--reason", "moved here", "--sandbox"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(report(&here).contains(&run) && bundles(&here) == 1);
    assert_eq!(said(&here), 0);
    here.ok(&["audit", "verify", "--sandbox"]);
    let text = written::store(&store_at(&here).contents().unwrap());
    assert!(text.contains("imported") && text.contains("adopted"));
}

/// Appends to the ledger as somebody can who may write to the file.
fn append<T: serde::Serialize>(store: &SqliteJournal, entry: &T) {
    let last = store.ledger_head().unwrap();
    let bytes = serde_json::to_vec(entry).unwrap();
    let next = chain::link(&RunId::new(LEDGER), last.as_ref().map(|r| (r.seq, &r.hash)), 0, bytes);
    let insert = "INSERT INTO ledger (seq, bytes, previous, hash) VALUES (?1, ?2, ?3, ?4)";
    let seq = i64::try_from(next.seq).unwrap();
    let values = rusqlite::params![seq, next.bytes, next.previous.as_str(), next.hash.as_str()];
    rusqlite::Connection::open(store.path()).unwrap().execute(insert, values).unwrap();
}

fn import_of(run: &RunId, events: u64, head: &Digest) -> Entry {
    let (at, who) = (Timestamp::from_millis(0), "root@vm".to_owned());
    Entry::Imported { at, run: run.clone(), who, events, head: head.clone() }
}

/// The run counts, and the audit names the entry that says otherwise.
fn counts(folder: &Folder, run: &RunId, why: &str) {
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    let fault = format!("it says that run {run} came from a file, but {why}");
    assert!(code == 1 && out.contains(&fault) && !out.contains("not counted"), "{code} {out}{err}");
    let period = ["--since", "2026-01-01", "--until", "2026-02-01", "--format", "json"];
    let (_, out, err) = folder.run(&[&["report", "compliance", "--sandbox"][..], &period].concat());
    assert!(out.contains(run.as_str()), "{out}{err}");
    let (_, out, err) = folder.run(&["status", "--sandbox"]);
    assert!(!out.contains("IMPORTED"), "{out}{err}");
    let listed = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    assert_ne!(listed["runs"][0]["imported"], true, "{listed}");
}

/// Whoever may write to the store says that one of its own runs came from a file, so that nobody counts it.
#[test]
fn a_run_of_this_store_does_not_become_one_from_a_file() {
    for with_head in [false, true] {
        let folder = Folder::with_plans();
        folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
        let (store, run) = (store_at(&folder), RunId::new("sandbox-starter-failover-s1-1"));
        let last = store.read(&run).unwrap().pop().unwrap();
        append(&store, &import_of(&run, last.seq, &last.hash));
        if with_head {
            append(&store, &(&run, last.seq, &last.hash));
        }
        store.may_act(&run).unwrap();
        drop(store);
        counts(&folder, &run, "the store had the run before");
    }
}

/// The names of runs can be predicted.
#[test]
fn a_run_that_was_said_to_come_from_a_file_before_it_began_counts() {
    let folder = Folder::with_plans();
    folder.ok(&["runs", "list", "--sandbox"]);
    let run = RunId::new("sandbox-starter-failover-s1-1");
    append(&store_at(&folder), &import_of(&run, 1, &Digest::of_bytes(b"x")));
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    store_at(&folder).may_act(&run).unwrap();
    counts(&folder, &run, "the next entry is not the head of the run");
}

/// An adoption stays, and nobody makes the run read-only again.
#[test]
fn an_adopted_run_is_not_imported_again() {
    let there = Folder::with_plans();
    there.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let run = RunId::new("sandbox-starter-failover-s1-1");
    let text = there.ok(&["runs", "export", run.as_str(), "--sandbox"]);
    let here = Folder::with_plans();
    imported(&here, &text);
    let again = || here.run(&["runs", "import", "run.jsonl", "--sandbox"]);
    let (code, out, err) = again();
    assert!(code == 2 && err.contains("is already in "), "{code} {out}{err}");
    assert_eq!(store_at(&here).imported().unwrap().waiting.len(), 1);
    here.ok(&["runs", "adopt", run.as_str(), "--reason", "moved here", "--sandbox"]);
    let (code, out, err) = again();
    assert!(code == 2 && err.contains("is already in "), "{code} {out}{err}");
    here.ok(&["audit", "verify", "--sandbox"]);
    let store = store_at(&here);
    let last = store.read(&run).unwrap().pop().unwrap();
    append(&store, &import_of(&run, last.seq, &last.hash));
    append(&store, &(&run, last.seq, &last.hash));
    drop(store);
    counts(&here, &run, "the store had the run before");
}

/// What removes the events of a run does not make room for others.
#[test]
fn a_run_whose_events_were_removed_is_not_imported_in_their_place() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let text = folder.ok(&["runs", "export", "sandbox-starter-failover-s1-1", "--sandbox"]);
    std::fs::write(folder.path().join("run.jsonl"), text).unwrap();
    let path = store_at(&folder).path().to_owned();
    let remove = "DROP TRIGGER events_remain; DELETE FROM events; DELETE FROM runs";
    rusqlite::Connection::open(&path).unwrap().execute_batch(remove).unwrap();
    // What was signed about it is gone, too.
    drop(std::fs::remove_dir_all(path.with_extension("db.evidence")));
    drop(std::fs::remove_file(path.with_extension("db.checkpoint")));
    let (code, out, err) = folder.run(&["runs", "import", "run.jsonl", "--sandbox"]);
    assert!(code == 2 && err.contains("its events are missing: somebody removed them"), "{code} {out}{err}");
}

fn store_at(folder: &Folder) -> SqliteJournal {
    let base = [folder.path().join("plans/.drctl"), folder.path().join(".drctl")];
    let path = base.iter().map(|b| b.join("sandbox.db")).find(|p| p.exists()).unwrap();
    SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap()
}
