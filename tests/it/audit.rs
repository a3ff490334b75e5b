//! One byte changed anywhere in a stored event is found, and named.

use std::path::Path;

use drctl::journal::sqlite::{Durability, SqliteJournal};
use drctl::journal::verify;

use crate::cli::Folder;

fn rehearsed() -> (Folder, std::path::PathBuf) {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes"]);
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let path = folder.path().join(".drctl/sandbox.db");
    (folder, path)
}

fn audit(path: &Path) -> verify::Audit {
    verify::audit(&SqliteJournal::open(path, Durability::Process).unwrap().contents().unwrap())
}

/// Changes the store as somebody with a stock SQLite shell would: first the triggers go.
fn tamper(path: &Path, sql: &str) -> usize {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("DROP TRIGGER IF EXISTS events_stay; DROP TRIGGER IF EXISTS events_remain; DROP TRIGGER IF EXISTS ledger_stays; DROP TRIGGER IF EXISTS ledger_remains;")
        .unwrap();
    connection.execute(sql, []).unwrap()
}

#[test]
fn changes_are_refused_and_an_untouched_store_is_whole() {
    let (folder, path) = rehearsed();
    assert_eq!(audit(&path).faults, []);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let refused = connection.execute("UPDATE events SET bytes = x'00' WHERE seq = 3", []).unwrap_err();
    assert!(refused.to_string().contains("never changed"), "{refused}");
    folder.ok(&["audit", "verify", "--sandbox"]);
}

#[test]
fn every_field_of_every_tenth_event() {
    let (folder, path) = rehearsed();
    let pristine = std::fs::read(&path).unwrap();
    let events: Vec<(String, i64)> = {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let mut statement = connection.prepare("SELECT run_id, seq FROM events").unwrap();
        statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let changes = [
        "bytes = CAST(CAST(substr(bytes, 1, 20) AS TEXT) || CASE substr(CAST(bytes AS TEXT), 21, 1) WHEN 'x' THEN 'y' ELSE 'x' END || substr(CAST(bytes AS TEXT), 22) AS BLOB)",
        "hash = CASE substr(hash, 1, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(hash, 2)",
        "previous = CASE substr(previous, 64, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(previous, 1, 63)",
        "seq = seq + 100000",
        "epoch = epoch + 1",
        "run_id = 'x' || substr(run_id, 2)",
    ];
    let mut tried = 0;
    for (run, seq) in events.iter().step_by(10) {
        for change in changes {
            drop(std::fs::remove_file(path.with_extension("db-wal")));
            drop(std::fs::remove_file(path.with_extension("db-shm")));
            std::fs::write(&path, &pristine).unwrap();
            let n =
                tamper(&path, &format!("UPDATE events SET {change} WHERE run_id = '{run}' AND seq = {seq}"));
            assert_eq!(n, 1);
            let faults = audit(&path).faults;
            let named = faults.iter().any(|f| f.run == *run && i64::try_from(f.seq).unwrap() == *seq);
            assert!(named, "{change} at {run} {seq}: {faults:?}");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
    // The command names run and event, and says by its exit code that something is wrong.
    let (code, out, _) = folder.run(&["audit", "verify", "--sandbox"]);
    assert_eq!(code, 1);
    assert!(out.contains("broken run") && out.contains("event"), "{out}");
}

#[test]
fn a_tail_that_was_cut_off() {
    let (_folder, path) = rehearsed();
    assert!(tamper(&path, "DELETE FROM events WHERE run_id LIKE '%truststream%' AND seq > 20") > 1);
    let faults = audit(&path).faults;
    assert!(faults.iter().any(|f| f.run.contains("truststream") && f.why.contains("cut off")), "{faults:?}");
}

#[test]
fn status_says_that_a_run_is_broken_and_shows_the_others() {
    let (folder, path) = rehearsed();
    folder.ok(&["status", "--sandbox"]);
    let run = "sandbox-truststream-failover-s1-1";
    tamper(&path, &format!("UPDATE events SET epoch = 9 WHERE run_id = '{run}' AND seq = 4"));
    let (code, out, err) = folder.run(&["status", "--sandbox"]);
    assert!(code == 1 && out.contains(&format!("JOURNAL BROKEN  run {run}, event 4")), "{code}: {out}{err}");
    assert!(out.contains("sandbox-starter-failover-s1-2"), "{out}");
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    assert!(listed.contains(&format!("{run}  broken: ")), "{listed}");
    assert!(listed.contains("sandbox-starter-failover-s1-2"), "{listed}");
}
