//! Processes that end badly: killed, interrupted, or with a full disk. Another process continues each run.

use std::process::Command;
use std::time::Duration;

use drctl::model::time::{Dur, Timestamp};

use crate::cli::contract::{Folder, finish, json};

const PACED: &[&str] = &["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes", "--pace"];

fn run_id(folder: &Folder) -> String {
    let runs = folder.ok(&["runs", "list", "--sandbox", "--output", "json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    runs["runs"][0]["run_id"].as_str().unwrap_or_default().to_owned()
}

/// The run of a process, as soon as it is in the store.
fn begun(folder: &Folder) -> String {
    for _ in 0..600 {
        let id = run_id(folder);
        if !id.is_empty() {
            return id;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no run began");
}

fn carried_on(folder: &Folder, context: &str) {
    let id = run_id(folder);
    if id.is_empty() {
        return;
    }
    let (code, out, err) = folder.run(&["runs", "resume", &id, "--sandbox", "--output", "json"]);
    assert_eq!(code, 0, "{context}: {out}{err}");
    let (_, show, _) = folder.run(&["runs", "show", &id, "--sandbox", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&show).unwrap();
    assert_eq!(report["outcome"], "recovered", "{context}: {show}");
    folder.ok(&["audit", "verify", "--sandbox"]);
}

#[test]
fn killed_at_any_moment() {
    // Users are served after about four minutes of virtual time, at 200 times real speed. The kills are spread over that.
    for (i, after_ms) in [350, 500, 700, 900, 1_100, 1_300, 1_500, 1_700].into_iter().enumerate() {
        let folder = Folder::with_plans();
        let mut child = folder.start(&[PACED, &["200"]].concat());
        std::thread::sleep(Duration::from_millis(after_ms + 13 * i as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        carried_on(&folder, &format!("killed after {after_ms} ms"));
    }
}

/// The last event of a store, and the last time that a rehearsal recorded.
fn last_times(store: &rusqlite::Connection) -> Option<(Timestamp, Timestamp)> {
    let event = "SELECT CAST(bytes AS TEXT) FROM events ORDER BY seq DESC LIMIT 1";
    let event: String = store.query_row(event, [], |row| row.get(0)).ok()?;
    let ticked = "SELECT max(at_ms) FROM simulated WHERE length(bytes) = 0";
    let ticked: Option<i64> = store.query_row(ticked, [], |row| row.get(0)).ok()?;
    Some((Timestamp::parse(json(&event)["at"].as_str()?).ok()?, Timestamp::from_millis(ticked?)))
}

/// In the watch nothing happens for two hours of virtual time. The process that continues is not before the time that a person saw last.
#[test]
fn virtual_time_goes_on_from_where_the_process_was_killed() {
    let folder = Folder::with_plans();
    let mut child = folder.start(&[PACED, &["100"]].concat());
    let id = begun(&folder);
    let store = rusqlite::Connection::open(folder.path().join(".drctl/sandbox.db")).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut seen = None;
    for _ in 0..2_400 {
        seen = last_times(&store).filter(|(last, ticked)| ticked.since(*last) >= Dur::mins(5));
        if seen.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (_, ticked) = seen.expect("no time was recorded in the watch");
    let events = || {
        let out = folder.ok(&["runs", "replay", &id, "--sandbox", "--output", "json"]);
        json(&out)["events"].as_array().unwrap().clone()
    };
    let before = events().len();
    folder.ok(&["runs", "resume", &id, "--sandbox"]);
    let next = Timestamp::parse(events()[before]["at"].as_str().unwrap()).unwrap();
    assert!(next >= ticked, "{ticked} was recorded, then {next}");
}

#[test]
fn interrupted_once_it_pauses_and_says_how_to_go_on() {
    let folder = Folder::with_plans();
    let child = folder.start(&[PACED, &["100"]].concat());
    begun(&folder);
    std::thread::sleep(Duration::from_millis(500));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (code, out, err) = finish(child.wait_with_output().unwrap());
    assert_eq!(code, 4, "{out}{err}");
    assert!(out.contains("\nPAUSED: ") && out.contains("drctl runs resume"), "{out}");
    carried_on(&folder, "interrupted");
}

#[test]
fn another_process_cannot_drive_the_same_run() {
    let folder = Folder::with_plans();
    let mut child = folder.start(&[PACED, &["60"]].concat());
    let id = begun(&folder);
    let (code, _, err) = folder.run(&["runs", "resume", &id, "--sandbox"]);
    assert_eq!(code, 6, "{err}");
    assert!(err.contains("another process drives run"), "{err}");
    child.kill().unwrap();
    child.wait().unwrap();
    carried_on(&folder, "taken over");
}

/// The kernel limits the size of the journal: the run stops before the next effect and says how to continue.
#[test]
fn a_full_disk_stops_the_run_with_a_reason() {
    let folder = Folder::with_plans();
    folder.ok(&["runs", "list", "--sandbox"]);
    let mut stopped = 0;
    for blocks in [80, 120, 160, 200] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let program = env!("CARGO_BIN_EXE_drctl");
        let output = Command::new("bash")
            .args([
                "-c",
                &script,
                "drctl",
                program,
                "failover",
                "truststream",
                "--sandbox",
                "--to",
                "us-east-1",
                "--yes",
            ])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let (code, out, err) = finish(output);
        if code != 0 {
            assert!([1, 2].contains(&code), "{blocks}: {code} {out}{err}");
            assert!(
                err.contains("--store") && err.contains("its room and its limits, or"),
                "{blocks}: {err}"
            );
            stopped += 1;
        }
    }
    assert!(stopped > 0, "the limit was never reached");
    folder.ok(&["audit", "verify", "--sandbox"]);
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_with_a_way_out() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let path = folder.path().join(".drctl/sandbox.db");
    for junk in ["wal", "shm"] {
        drop(std::fs::remove_file(path.with_extension(format!("db-{junk}"))));
    }
    std::fs::write(&path, b"this is no database, however long it may be ".repeat(200)).unwrap();
    let (code, _, err) = folder.run(&["status", "--sandbox"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("sandbox.db") && err.contains("names a store of drctl, or"), "{err}");
}

/// A truncated journal is a valid chain, but the ledger knows that there was more, so it cannot be continued.
#[test]
fn a_truncated_journal_is_not_carried_on() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes"]);
    let id = run_id(&folder);
    let path = folder.path().join(".drctl/sandbox.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("DROP TRIGGER events_remain; DELETE FROM events WHERE seq > 30").unwrap();
    drop(connection);
    let (code, out, err) = folder.run(&["runs", "resume", &id, "--sandbox"]);
    assert!(code == 2 && err.contains("the end of the run was removed"), "{code} {out}{err}");
}

/// A run without probes, and a finished run with a pending fence, have nothing in progress to wait for, and still end.
#[test]
fn nothing_under_way_is_no_reason_to_hang() {
    let folder = Folder::with_plans();
    let dark = ["failover", "truststream", "--sandbox", "region-dark", "--to", "us-east-1", "--yes"];
    let waive = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "dark"];
    assert_eq!(folder.run(&[&dark[..], &waive[..]].concat()).0, 5);
    let id = run_id(&folder);
    let limited = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_drctl");
        let mut command = Command::new("timeout");
        command.args(["60", program]).args(args).current_dir(folder.path());
        finish(command.output().unwrap())
    };
    let (code, _, err) = limited(&["runs", "resume", &id, "--sandbox"]);
    assert_eq!(code, 5, "{err}");
    let plan = folder.path().join("plans/starter.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, &text[..text.find("probes:").unwrap()]).unwrap();
    let began = ["--outage-began", "2026-01-01T03:00:30Z"];
    let (code, _, err) = limited(
        &[&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"][..], &began[..]].concat(),
    );
    assert_eq!(code, 5, "recovered, and without probes nothing is proven: {err}");
}
