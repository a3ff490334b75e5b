//! Another process holds the write lock of a store: a backup, a shell, a hung process. Whoever writes waits for it for five seconds, then
//! fails and says why, and the store is whole.

use std::path::Path;
use std::time::{Duration, Instant};

use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Journal as _, Release};
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;

use crate::cli::contract::{Folder, finish, json};

/// Holds the write lock until the transaction ends.
fn locked(path: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(path).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn count(store: &rusqlite::Connection, table: &str) -> i64 {
    store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// How long an append took, and why it was refused, if it was.
fn appended(store: &SqliteJournal, run: &RunId) -> (Duration, Option<String>) {
    let began = Instant::now();
    let append = store.append(run, 1, 1, vec![b"{}".to_vec()], Release::Keep);
    let refused = futures_executor::block_on(append).err();
    (began.elapsed(), refused.map(|e| e.to_string()))
}

#[test]
fn an_append_waits_for_the_lock_and_then_fails_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drctl.db");
    let store = SqliteJournal::open(&path, StoreWorld::Live).unwrap();
    let run = RunId::new("one");
    store.create(&run, &[], &[b"{}".to_vec()], None).unwrap();

    let other = locked(&path);
    let (took, refused) = appended(&store, &run);
    assert_eq!(refused.as_deref(), Some("drctl cannot write to the store: database is locked"));
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(60), "{took:?}");
    assert_eq!(store.read(&run).unwrap().len(), 1);

    // The lock is released while it waits.
    let holds = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        other.execute_batch("ROLLBACK").unwrap();
    });
    let (took, refused) = appended(&store, &run);
    assert_eq!(refused, None);
    assert!(took >= Duration::from_millis(300), "{took:?}: it did not wait");
    assert_eq!(store.read(&run).unwrap().len(), 2);
    holds.join().unwrap();
}

/// It makes no call that it cannot record. Later, it continues in the same store.
#[test]
fn a_run_whose_store_is_locked_stops_before_its_next_effect() {
    let folder = Folder::with_plans();
    let paced = ["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes", "--pace", "60"];
    let child = folder.start(&paced);
    let path = folder.path().join(".drctl/sandbox.db");
    let begun = || {
        let listed = folder.run(&["runs", "list", "--sandbox", "--output", "json"]).1;
        let listed = serde_json::from_str::<serde_json::Value>(&listed).unwrap_or_default();
        listed["runs"][0]["events"].as_u64() >= Some(10)
    };
    let waits = || {
        std::thread::sleep(Duration::from_millis(50));
        path.exists() && begun()
    };
    assert!((0..600).any(|_| waits()), "the run never had ten events");
    let other = locked(&path);
    let written = || ["events", "simulated", "ledger"].map(|table| count(&other, table));
    let before = written();
    let (code, out, err) = finish(child.wait_with_output().unwrap());
    assert_eq!(written(), before);
    assert_eq!(code, 1, "{out}{err}");
    let words = "error: the run stops because drctl cannot write its journal: drctl cannot write to the store: database is locked";
    assert!(err.contains(words), "{err}");
    assert!(err.contains("fix: wait for the process that holds it to end"), "{err}");
    assert!(!out.contains("RECOVERED"), "{out}");

    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    folder.ok(&["audit", "verify", "--sandbox"]);
    let (code, out, err) = folder.run(&["runs", "resume", "--sandbox", "--output", "json"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(json(&out)["outcome"], "recovered");
    folder.ok(&["audit", "verify", "--sandbox"]);
}
