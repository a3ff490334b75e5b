//! Stores that are removed, replaced, or opened in the wrong mode (live or rehearsal).

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Journal as _, written};
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;

use crate::cli::contract::{Folder, finish, json};

/// A rehearsal that takes some seconds.
const PACED: &[&str] =
    &["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes", "--pace", "60"];

/// Waits until a run has this many events. Returns its name.
fn until(folder: &Folder, store: &Path, events: u64) -> String {
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(50));
        if !store.exists() {
            continue;
        }
        let listed = folder.run(&["runs", "list", "--sandbox", "--output", "json"]).1;
        let run = &serde_json::from_str::<serde_json::Value>(&listed).unwrap_or_default()["runs"][0];
        if run["events"].as_u64() >= Some(events) {
            return run["run_id"].as_str().unwrap().to_owned();
        }
    }
    panic!("the run never had {events} events");
}

/// A run in progress, and the path of its store.
fn under_way() -> (Folder, Child, PathBuf, String) {
    let folder = Folder::with_plans();
    let child = folder.start(PACED);
    let store = folder.path().join(".drctl/sandbox.db");
    let run = until(&folder, &store, 20);
    (folder, child, store, run)
}

/// Checks the message of the process and the file that it left, and continues the run elsewhere from that file.
fn stopped_and_goes_on((folder, child, run): (&Folder, Child, &str), happened: &str) {
    let (code, out, err) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("the run stops: ") && err.contains(happened), "{err}");
    assert!(!out.contains("RECOVERED"), "{out}");
    let rescued: Vec<PathBuf> = [folder.path(), folder.path().join("plans")]
        .iter()
        .flat_map(|f| std::fs::read_dir(f).unwrap().map(|e| e.unwrap().path()))
        .filter(|p| p.to_string_lossy().ends_with(".rescued.jsonl"))
        .collect();
    let [file] = &rescued[..] else { panic!("{rescued:?}: {err}") };
    let named = file.file_name().unwrap().to_str().unwrap();
    assert!(err.contains(named) && err.contains("runs import") && err.contains("runs resume"), "{err}");
    let elsewhere = |args: &[&str]| folder.run(&[args, &["--store", "new.db", "--sandbox"][..]].concat());
    let (code, out, err) = elsewhere(&["runs", "import", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = elsewhere(&["runs", "adopt", run, "--reason", "its store was deleted"]);
    assert_eq!(code, 0, "{out}{err}");
    let events = || elsewhere(&["runs", "export", run]).1.lines().count();
    let before = events();
    // Without its simulated estate it may not get far, but it does continue.
    let (code, out, err) = elsewhere(&["runs", "resume", run, "--output", "json"]);
    assert!(code != 3 && json(&out)["run_id"] == run && events() > before, "{code} {out}{err}");
}

#[test]
fn a_store_that_is_deleted_under_a_run_stops_it() {
    let (folder, child, store, run) = under_way();
    std::fs::remove_file(&store).unwrap();
    stopped_and_goes_on((&folder, child, &run), "was deleted or moved away while it was in use");
}

#[test]
fn a_folder_that_is_moved_away_under_a_run_stops_it() {
    let (folder, child, store, run) = under_way();
    std::fs::rename(store.parent().unwrap(), folder.path().join("moved")).unwrap();
    stopped_and_goes_on((&folder, child, &run), "was deleted or moved away while it was in use");
}

#[test]
fn another_file_in_its_place_stops_the_run() {
    let (folder, child, store, run) = under_way();
    std::fs::rename(&store, folder.path().join("old.db")).unwrap();
    std::fs::write(&store, b"").unwrap();
    stopped_and_goes_on((&folder, child, &run), "was replaced by another file while it was in use");
}

/// The same file, so its identity does not change. What earlier processes wrote is only in it, and not in the log.
#[test]
fn a_store_that_is_overwritten_in_place_recovers_nothing() {
    let folder = Folder::with_plans();
    let store = folder.path().join(".drctl/sandbox.db");
    let earlier = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];
    folder.ok(&earlier);
    let older = std::fs::read(&store).unwrap();
    folder.ok(&earlier);
    let whole = std::fs::read(&store).unwrap();
    for content in [&older[..], b""] {
        for more in ["db-wal", "db-shm"] {
            drop(std::fs::remove_file(store.with_extension(more)));
        }
        std::fs::write(&store, &whole).unwrap();
        let child = folder.start(PACED);
        let begun = || folder.run(&["runs", "list", "--sandbox"]).1.contains("truststream");
        assert!((0..600).any(|_| begun() || {
            std::thread::sleep(Duration::from_millis(50));
            false
        }));
        std::fs::write(&store, content).unwrap();
        let (code, out, err) = finish(child.wait_with_output().unwrap());
        assert!(code == 1 && err.contains("the run stops: "), "{code} {out}{err}");
        assert!(err.contains(".rescued.jsonl") && !out.contains("RECOVERED"), "{out}{err}");
    }
}

/// Data that is not in the database file yet is in its WAL: without it, the last events would be lost with the process.
#[test]
fn a_log_that_is_deleted_stops_the_run() {
    for suffix in ["-wal", "-shm"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drctl.db");
        let store = SqliteJournal::open(&path, StoreWorld::Live).unwrap();
        let run = RunId::new("one");
        store.create(&run, &[], &[b"{}".to_vec()], None).unwrap();
        let beside = folder.path().join(format!("drctl.db{suffix}"));
        std::fs::remove_file(&beside).unwrap();
        let owned = store.open(&run).unwrap_err().to_string();
        assert!(owned.contains(&format!("drctl.db{suffix} was deleted")), "{owned}");
        let append = store.append(&run, 1, 1, vec![b"{}".to_vec()], drctl::journal::Release::Keep);
        let refused = futures_executor::block_on(append).unwrap_err().to_string();
        assert!(refused.contains(&format!("drctl.db{suffix} was deleted")), "{refused}");
        let again = store.create(&RunId::new("two"), &[], &[b"{}".to_vec()], None).unwrap_err().to_string();
        assert!(again.contains("was deleted"), "{again}");
        assert_eq!(store.read(&run).unwrap().len(), 1, "what was written is read still");
    }
}

/// Every command that opens a store, used with a store of the other mode.
const VERBS: &[&[&str]] = &[
    &["failover", "starter", "--to", "us-east-1", "--yes"],
    &["switchover", "starter", "--to", "us-east-1", "--yes"],
    &["failback", "starter", "--to", "us-west-2", "--yes"],
    &["drill", "starter", "--to", "us-east-1", "--mode", "rehearsal"],
    &["status"],
    &["ready"],
    &["observe"],
    &["assess", "--from", "us-west-2"],
    &["plan", "show", "starter", "--to", "us-east-1"],
    &["runs", "list"],
    &["runs", "show", "x"],
    &["runs", "resume", "x"],
    &["runs", "cancel", "x", "--yes", "--reason", "y"],
    &["runs", "skip", "x", "y", "--reason", "z"],
    &["runs", "export", "x"],
    &["approve", "--yes", "x", "y"],
    &["reject", "x", "y", "--reason", "z"],
    &["report", "run", "x"],
    &["report", "compliance"],
    &["audit", "verify"],
    &["audit", "export"],
    &["audit", "checkpoint"],
    &["evidence", "list"],
    &["evidence", "export", "x"],
    &["duties"],
    &["kit", "export", "--out", "kit.json"],
];

#[test]
fn a_store_of_the_other_world_is_refused_and_left_as_it_is() {
    let folder = Folder::with_plans();
    folder.ok(&["runs", "list", "--store", "live.db"]);
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox", "--store", "sandbox.db"]);
    for (store, world, more, fix) in [
        ("live.db", "live", Some("--sandbox"), "fix: remove --sandbox"),
        ("sandbox.db", "sandbox", None, "fix: add --sandbox"),
    ] {
        let before = std::fs::read(folder.path().join(store)).unwrap();
        for verb in VERBS {
            let args: Vec<&str> = verb.iter().copied().chain(["--store", store]).chain(more).collect();
            let (code, out, err) = folder.run(&args);
            assert_eq!(code, 2, "{args:?}: {out}{err}");
            let expected = format!("{store} is a {world} store, but this command needs a store for ");
            assert!(err.contains(&expected) && err.contains(fix), "{args:?}: {out}{err}");
        }
        assert_eq!(std::fs::read(folder.path().join(store)).unwrap(), before, "{store} was written to");
    }
    // A run of the other mode that was added by other means is detected.
    let connection = rusqlite::Connection::open(folder.path().join("sandbox.db")).unwrap();
    let refused = connection.execute("UPDATE store SET world = 'live'", []).unwrap_err();
    assert!(refused.to_string().contains("never changed"), "{refused}");
    connection.execute_batch("DROP TRIGGER store_stays; UPDATE store SET world = 'live'").unwrap();
    drop(connection);
    let (code, out, err) = folder.run(&["audit", "verify", "--store", "sandbox.db"]);
    assert!(code == 1 && out.contains("it is a sandbox run in a live store"), "{out}{err}");
    assert!(out.contains("somebody dropped the trigger store_stays"), "{out}");
}

/// A link is not a valid run.
#[test]
fn a_name_that_leads_elsewhere_is_no_run() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let listed = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let run = listed["runs"][0]["run_id"].as_str().unwrap();
    let export = folder.ok(&["runs", "export", run, "--sandbox"]);
    let mut hostile =
        vec!["../../outside", "/etc/x", "a/b", "..", ".hidden", "-rf", "", "a\0b", "a\u{1b}[2Jb", "a b", "ä"];
    let long = "x".repeat(300);
    hostile.push(&long);
    for name in hostile {
        assert!(RunId::parse(name).is_err(), "{name:?}");
        let quoted = serde_json::to_string(name).unwrap();
        assert!(serde_json::from_str::<RunId>(&quoted).is_err(), "{name:?}");
        let text = export.replace(&format!("\"{run}\""), &quoted);
        assert!(text.lines().all(|line| written::parse_line(line).is_none()), "{name:?}");
        std::fs::write(folder.path().join("run.jsonl"), text).unwrap();
        let (code, out, err) =
            folder.run(&["runs", "import", "run.jsonl", "--sandbox", "--store", "other.db"]);
        assert!(code == 2 && err.contains("this is not an exported event"), "{name:?}: {code} {out}{err}");
        if !name.starts_with('-') && !name.contains('\0') {
            let (code, out, err) = folder.run(&["runs", "watch", name, "--sandbox"]);
            assert!(code == 2 && err.contains("is not a valid run name"), "{name:?}: {code} {out}{err}");
        }
    }
    for name in ["20260101030000-starter-drill-live~weekly~db", "sandbox-a.b_c-failover-s1-1"] {
        assert_eq!(RunId::parse(name).unwrap().as_str(), name);
    }
}
