//! A change of a single byte anywhere in a stored event is found, with its position.

use std::path::Path;

use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Record, chain, contents, verify, written};
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::people_of;

pub fn rehearsed() -> (Folder, std::path::PathBuf) {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes"]);
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let path = folder.path().join(".drctl/sandbox.db");
    (folder, path)
}

fn audit(path: &Path) -> verify::Audit {
    verify::audit(
        &SqliteJournal::open(path, StoreWorld::Sandbox).unwrap().contents().unwrap(),
        &verify::Trust::default(),
    )
}

/// Changes the store the way somebody with an ordinary SQLite shell would: the triggers are dropped first.
pub fn tamper(path: &Path, sql: &str) -> usize {
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
    // The command names run and event, and its exit code reports the fault.
    let (code, out, _) = folder.run(&["audit", "verify", "--sandbox"]);
    assert_eq!(code, 1);
    assert!(out.contains("broken run") && out.contains("event"), "{out}");
}

#[test]
fn a_tail_that_was_cut_off() {
    let (_folder, path) = rehearsed();
    assert!(tamper(&path, "DELETE FROM events WHERE run_id LIKE '%truststream%' AND seq > 20") > 1);
    let faults = audit(&path).faults;
    assert!(
        faults
            .iter()
            .any(|f| f.run.contains("truststream") && f.why.contains("the end of the run was removed")),
        "{faults:?}"
    );
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
    tamper(&path, "UPDATE ledger SET hash = 'x' WHERE seq = 3");
    let (_, out, err) = folder.run(&["status", "--sandbox"]);
    assert!(out.contains("JOURNAL BROKEN  ledger, entry 3: "), "{out}{err}");
}

/// What an auditor gets: the export of the store, and its public key.
pub fn written_out(folder: &Folder) -> (String, std::path::PathBuf) {
    let file = folder.path().join("audit.jsonl");
    folder.ok(&["audit", "export", "--sandbox", "--out", file.to_str().unwrap()]);
    let key = folder.path().join("store.pub");
    std::fs::write(&key, folder.ok(&["audit", "key", "--sandbox"])).unwrap();
    (std::fs::read_to_string(&file).unwrap(), key)
}

/// Verifies a text on a machine that has only the text and the key. Returns the exit code and the document.
pub fn elsewhere(text: &str, more: &[&str]) -> (i32, serde_json::Value) {
    let machine = Folder::empty();
    std::fs::write(machine.path().join("audit.jsonl"), text).unwrap();
    let args = [&["audit", "verify", "--file", "audit.jsonl", "--output", "json"][..], more].concat();
    let (code, out, err) = machine.run(&args);
    assert!(code == 0 || code == 1, "{code}: {err}");
    assert!(!machine.path().join(".drctl").exists(), "an auditor's machine keeps nothing");
    (code, json(&out))
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(lines: &[serde_json::Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub fn places(document: &serde_json::Value) -> Vec<String> {
    let faults = document["faults"].as_array().unwrap();
    faults
        .iter()
        .map(|f| format!("{}: {}", f["place"].as_str().unwrap(), f["why"].as_str().unwrap()))
        .collect()
}

const RUN: &str = "sandbox-truststream-failover-s1-1";

#[test]
fn what_was_written_out_is_whole_on_any_machine_that_has_the_public_key() {
    let (folder, _) = rehearsed();
    let (whole, key) = written_out(&folder);
    let (code, found) = elsewhere(&whole, &["--key", key.to_str().unwrap()]);
    assert_eq!((code, places(&found)), (0, Vec::new()), "{found:#}");
    // Two runs, each from its start to its seal, and the checkpoint of the export.
    assert_eq!(
        (&found["runs"], &found["checkpoints"], &found["entries_after_it"]),
        (&2.into(), &5.into(), &0.into())
    );
    assert_eq!(found["last_checkpoint"]["why"], "export");
    assert_eq!(found["keys_named_by_the_store_itself"], false);
    let start = lines(&whole)
        .into_iter()
        .find(|l| l["bytes"].as_str().is_some_and(|b| b.contains("\\\"why\\\":\\\"start\\\"")));
    let start: serde_json::Value = serde_json::from_str(start.unwrap()["bytes"].as_str().unwrap()).unwrap();
    let said: serde_json::Value = serde_json::from_str(start["statement"].as_str().unwrap()).unwrap();
    assert_eq!((said["run"].as_str().unwrap(), said["store"].as_str().unwrap()), (RUN, "sandbox"));
    // OpenSSH alone can verify that the store's key signed it.
    let allowed = folder.path().join("allowed");
    std::fs::write(&allowed, format!("store {}", std::fs::read_to_string(&key).unwrap())).unwrap();
    std::fs::write(folder.path().join("cp.sig"), start["signature"].as_str().unwrap()).unwrap();
    std::fs::write(folder.path().join("cp"), start["statement"].as_str().unwrap()).unwrap();
    let verified = std::process::Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", "drctl-checkpoint", "-I", "store", "-s", "cp.sig", "-f", "allowed"])
        .current_dir(folder.path())
        .stdin(std::fs::File::open(folder.path().join("cp")).unwrap())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let text = folder.ok(&["audit", "verify", "--sandbox"]);
    assert!(text.contains("5 checkpoints match, with the key from the store itself (SHA256:"), "{text}");
}

#[test]
fn a_flipped_byte_is_found_offline_wherever_it_is() {
    let (folder, _) = rehearsed();
    let (whole, key) = written_out(&folder);
    let key = key.to_str().unwrap();
    let starts: Vec<usize> =
        std::iter::once(0).chain(whole.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let mut tried = 0;
    for (n, pair) in starts.windows(2).enumerate().skip(1).step_by(7) {
        for at in [pair[0] + 40, pair[0] + (pair[1] - pair[0]) / 2, pair[1] - 30] {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let (code, found) = elsewhere(&String::from_utf8(bytes).unwrap(), &["--key", key]);
            assert_eq!(code, 1, "line {}, byte {at}: {found:#}", n + 1);
            // An unreadable line is named by its number; any other by its run and event, or its ledger entry.
            let line = lines(&whole)[n].clone();
            let (run, seq) = (line["run"].as_str().unwrap(), line["seq"].as_u64().unwrap());
            // If its first event has another name, a run starts with the second event.
            let names = [
                format!("line {}", n + if seq == 1 { 2 } else { 1 }),
                format!("line {}", n + 1),
                format!("{run}, event {seq}"),
                format!("ledger, entry {seq}"),
                format!("event {seq} is missing"),
            ];
            let told = places(&found);
            assert!(
                told.iter().any(|t| names.iter().any(|name| t.contains(name))),
                "line {}: {told:?}",
                n + 1
            );
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn a_tail_that_was_removed_and_a_pair_that_was_exchanged_are_found_offline() {
    let (folder, _) = rehearsed();
    let (whole, key) = written_out(&folder);
    let key = ["--key", key.to_str().unwrap()];
    let all = lines(&whole);
    // The last entry of the ledger, and the last event of a run.
    let (code, found) = elsewhere(&text(&all[..all.len() - 1]), &key);
    assert!(code == 1 && places(&found)[0].contains("its end is missing"), "{found:#}");
    let last = all.iter().rposition(|l| l["run"] == RUN).unwrap();
    let mut cut = all.clone();
    let seq = cut.remove(last)["seq"].as_u64().unwrap();
    let (code, found) = elsewhere(&text(&cut), &key);
    assert_eq!(code, 1);
    assert!(
        places(&found)[0].starts_with(&format!("run {RUN}, event {seq}: the ledger records this event")),
        "{found:#}"
    );
    // A person who truncates the ledger to an earlier checkpoint, with the events, gets a store that was once intact.
    let seal = all.iter().position(seals).unwrap();
    let earlier: Vec<_> =
        all[..=seal].iter().filter(|l| l["run"] != "sandbox-starter-failover-s1-2").cloned().collect();
    let (code, found) = elsewhere(&text(&earlier), &key);
    assert!(
        code == 1
            && places(&found)
                == [format!(
                    "ledger, entry {}: {}",
                    earlier.iter().filter(|l| l["run"] == "ledger").count(),
                    "it does not end with the checkpoint of the export, so its end is missing"
                )],
        "{found:#}"
    );
    for (a, b) in [(3, 4), (last, last + 1), (all.len() - 3, all.len() - 2)] {
        let mut swapped = all.clone();
        swapped.swap(a, b);
        let (code, found) = elsewhere(&text(&swapped), &key);
        assert!(code == 1 && !places(&found).is_empty(), "{a} {b}: {found:#}");
        // The first fault names one of the two exchanged items, by its name or its line.
        let place = &places(&found)[0];
        let named = |i: usize| {
            let (run, seq) = (all[i]["run"].as_str().unwrap(), all[i]["seq"].as_u64().unwrap());
            let of = if run == "ledger" { "ledger, entry" } else { &format!("run {run}, event") };
            place.starts_with(&format!("{of} {seq}:")) || place.contains(&format!("line {}:", i + 1))
        };
        assert!(named(a) || named(b), "{a} {b}: {place}");
    }
}

fn seals(line: &serde_json::Value) -> bool {
    line["run"] == "ledger" && line["bytes"].as_str().unwrap().contains("seal")
}

/// The owner of a store can rewrite everything, except what a key they lack has signed and what somebody else has kept.
#[test]
fn a_forged_checkpoint_is_found_offline_and_so_is_a_store_that_was_written_anew() {
    let (folder, path) = rehearsed();
    let (whole, key) = written_out(&folder);
    let key = ["--key", key.to_str().unwrap()];
    let kept = folder.path().join("kept.json");
    folder.ok(&["audit", "checkpoint", "--sandbox", "--out", kept.to_str().unwrap()]);
    let all = lines(&whole);
    let forged = |change: &dyn Fn(&str) -> String| {
        let mut written: Vec<Record> = Vec::new();
        let mut out = Vec::new();
        for line in &all {
            if line["run"] != "ledger" {
                out.push(line.clone());
                continue;
            }
            let bytes = change(line["bytes"].as_str().unwrap()).into_bytes();
            let last = written.last().map(|r| (r.seq, &r.hash));
            written.push(chain::link(&RunId::new("ledger"), last, 0, bytes));
            out.push(serde_json::from_str(&written::line(written.last().unwrap())).unwrap());
        }
        elsewhere(&text(&out), &key)
    };
    assert_eq!(forged(&str::to_owned).0, 0, "what is written as it was is as it was");
    let (code, found) =
        forged(&|bytes| bytes.replace("\\\"why\\\":\\\"seal\\\"", "\\\"why\\\":\\\"asked\\\""));
    assert_eq!(code, 1);
    assert!(
        places(&found)[0].contains(
            "a checkpoint is not valid: the signature does not match this checkpoint: the signature is forged"
        ),
        "{found:#}"
    );
    let first = all.iter().find(|l| seals(l)).unwrap()["seq"].as_u64().unwrap();
    assert!(places(&found)[0].starts_with(&format!("ledger, entry {first}:")), "{first}: {found:#}");
    // Signed with a key of their own.
    let other = Folder::with_plans();
    other.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let (theirs, _) = written_out(&other);
    let (code, found) = elsewhere(&theirs, &key);
    assert!(code == 1 && places(&found)[0].contains("which is not the key of the store"), "{found:#}");
    let (code, found) = elsewhere(&theirs, &[]);
    assert!(code == 0 && found["keys_named_by_the_store_itself"] == true, "{found:#}");
    // A checkpoint that was kept elsewhere proves the original content.
    let with = ["--checkpoint", kept.to_str().unwrap()];
    let store = ["audit", "verify", "--sandbox", "--output", "json"];
    let (code, out, _) = folder.run(&[&store[..], &with].concat());
    assert_eq!((code, json(&out)["checkpoints_kept_elsewhere"].as_u64()), (0, Some(1)), "{out}");
    tamper(&path, "DELETE FROM ledger WHERE seq > (SELECT max(seq) FROM ledger) - 3");
    let (code, out, _) = folder.run(&[&store[..], &with].concat());
    let told = places(&json(&out));
    assert!(
        code == 1
            && told
                .iter()
                .any(|t| t.contains("kept.json") && t.contains("the end of the ledger was removed")),
        "{told:?}"
    );
    let (code, found) = elsewhere(&theirs, &with);
    assert!(code == 1 && places(&found)[0].contains("which is not the key of the store"), "{found:#}");
}

/// drctl.yaml determines whose statements count, so changes of it are recorded. A lost key is replaced, and that is recorded as well.
#[test]
fn changes_of_settings_and_keys_are_in_the_ledger() {
    let folder = Folder::with_plans();
    let entries = |kind: &str| {
        let contents =
            SqliteJournal::open(&folder.path().join(".drctl/sandbox.db"), StoreWorld::Sandbox).unwrap();
        let ledger = contents.contents().unwrap().ledger;
        let all = ledger.iter().map(|r| serde_json::from_slice::<serde_json::Value>(&r.bytes).unwrap());
        all.filter(|value| value["ledger"] == kind).collect::<Vec<_>>()
    };
    let failover = ["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"];
    folder.ok(&failover);
    folder.ok(&failover);
    assert_eq!(
        (entries("configuration").len(), entries("key").len()),
        (1, 1),
        "what did not change is told once"
    );
    people_of(&folder, "plans/drctl.yaml", &[("ann", "dba")], "");
    folder.ok(&failover);
    let told = entries("configuration");
    assert_eq!(told.len(), 2);
    let ann = &told[1]["operators"]["ann"];
    assert!(ann["key"].as_str().unwrap().starts_with("SHA256:") && ann["roles"][0] == "dba", "{ann}");
    std::fs::remove_file(folder.path().join(".drctl/sandbox.db.key")).unwrap();
    folder.ok(&failover);
    assert_eq!(entries("key").len(), 2);
    let found = json(&folder.ok(&["audit", "verify", "--sandbox", "--output", "json"]));
    assert_eq!(found["keys"].as_array().unwrap().len(), 2, "{found:#}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join(".drctl/sandbox.db.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

/// A store whose key cannot be created or read still recovers, and reports that its runs are not signed.
#[test]
fn a_run_goes_on_without_a_checkpoint() {
    let other = Folder::empty();
    let encrypted = other.path().join("encrypted");
    let keygen = |args: &[&str]| {
        assert!(std::process::Command::new(args[0]).args(&args[1..]).status().unwrap().success())
    };
    keygen(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", encrypted.to_str().unwrap()]);
    let no_key = other.path().join("no-key");
    std::fs::write(&no_key, "no key").unwrap();
    keygen(&["chmod", "600", no_key.to_str().unwrap()]);
    let ways: [&dyn Fn(&Path); 4] = [
        &|key| assert!(std::fs::copy(&no_key, key).unwrap() > 0),
        &|key| assert!(std::fs::copy(&encrypted, key).unwrap() > 0),
        &|key| keygen(&["mkfifo", "-m", "600", key.to_str().unwrap()]),
        &|key| std::fs::create_dir(key).unwrap(),
    ];
    for way in ways {
        let folder = Folder::with_plans();
        std::fs::create_dir_all(folder.path().join(".drctl")).unwrap();
        way(&folder.path().join(".drctl/sandbox.db.key"));
        let (code, _, err) = folder.run(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
        assert_eq!(code, 0, "{err}");
        for words in ["no checkpoint of the ledger: ", "no evidence of run "] {
            assert_eq!(err.matches(words).count(), 1, "{err}");
        }
        let text = folder.ok(&["audit", "verify", "--sandbox"]);
        assert!(text.contains("no key: nothing was signed"), "{text}");
    }
}

/// A query about a store in the wrong folder creates neither a store nor a key.
#[test]
fn nobody_makes_a_store_by_asking_about_it() {
    let folder = Folder::empty();
    for args in [&["audit", "verify"][..], &["audit", "key"], &["audit", "export"], &["audit", "checkpoint"]]
    {
        let (code, _, err) = folder.run(args);
        assert!(
            code == 2 && err.contains("use drctl -C DIR for the folder where runs were started"),
            "{args:?} {code}: {err}"
        );
    }
    assert!(!folder.path().join(".drctl").exists());
}

/// A store on a read-only medium is verified there.
#[test]
fn a_store_that_cannot_be_written_is_verified() {
    let (folder, path) = rehearsed();
    let medium = Folder::empty();
    std::fs::copy(&path, medium.path().join("copy.db")).unwrap();
    let (code, before, _) = folder.run(&["audit", "verify", "--sandbox", "--output", "json"]);
    let store = medium.path().join("copy.db");
    let names = || std::fs::read_dir(medium.path()).unwrap().count();
    let there = names();
    let (again, copy, err) =
        folder.run(&["audit", "verify", "--sandbox", "--store", store.to_str().unwrap(), "--output", "json"]);
    assert_eq!((code, again), (0, 0), "{err}");
    assert_eq!(json(&before)["events"], json(&copy)["events"]);
    assert_eq!(names(), there, "nothing is left beside what was only looked at");
}

/// A changed store is never signed, and a store that was not signed with the given key does not verify.
#[test]
fn nothing_that_is_broken_is_signed_and_a_named_key_has_to_have_signed_something() {
    let (folder, path) = rehearsed();
    let key = folder.path().join("store.pub");
    std::fs::write(&key, folder.ok(&["audit", "key", "--sandbox"])).unwrap();
    let verify = ["audit", "verify", "--sandbox", "--key", key.to_str().unwrap(), "--output", "json"];
    assert_eq!(folder.run(&verify).0, 0);
    // Everything was rewritten without the signed entries, and each hash chain is valid.
    let contents = SqliteJournal::look(&path, StoreWorld::Sandbox).unwrap();
    tamper(&path, "DELETE FROM ledger");
    let mut last: Option<Record> = None;
    for entry in contents.ledger.iter().filter(|entry| contents::head(&entry.bytes).is_some()) {
        let next = chain::link(
            &RunId::new("ledger"),
            last.as_ref().map(|r| (r.seq, &r.hash)),
            0,
            entry.bytes.clone(),
        );
        let connection = rusqlite::Connection::open(&path).unwrap();
        let values = (
            next.seq as i64,
            next.bytes.clone(),
            next.previous.as_str().to_owned(),
            next.hash.as_str().to_owned(),
        );
        connection
            .execute("INSERT INTO ledger (seq, bytes, previous, hash) VALUES (?1, ?2, ?3, ?4)", values)
            .unwrap();
        last = Some(next);
    }
    let (code, out, _) = folder.run(&verify);
    let told = places(&json(&out));
    assert!(
        code == 1 && told.iter().any(|t| t.contains("nothing in it is signed with the given key")),
        "{told:?}"
    );
    assert_eq!(
        json(&out)["entries_after_it"].as_u64(),
        Some(last.unwrap().seq),
        "nobody vouches for any of them"
    );
    assert!(told.iter().any(|t| t.contains("somebody dropped the trigger ledger_remains")), "{told:?}");
    for args in [&["audit", "export", "--sandbox"][..], &["audit", "checkpoint", "--sandbox"]] {
        let (code, out, err) = folder.run(args);
        assert!(
            code == 1 && err.contains("nothing was signed") && !out.contains("SSH SIGNATURE"),
            "{code} {out} {err}"
        );
    }
    assert!(
        folder.run(&["audit", "export", "--sandbox", "--format", "cef"]).1.contains("|run_created|"),
        "a SIEM is told all the same"
    );
}

#[test]
fn a_missing_entry_and_a_run_that_is_not_listed_are_named() {
    let (folder, path) = rehearsed();
    let pristine = std::fs::read(&path).unwrap();
    for (sql, words) in [
        ("DELETE FROM ledger WHERE seq = 3", "ledger, entry 3: event 3 is missing"),
        ("DELETE FROM runs WHERE run_id LIKE '%starter%'", "the list of runs in the store lacks it"),
        (
            "INSERT INTO runs (run_id, epoch) VALUES ('ghost', 1)",
            "the store lists this run but has no event of it",
        ),
        (
            "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"kind\"', '\"kynd\"') AS BLOB) WHERE seq = 4",
            "event 4",
        ),
    ] {
        for more in ["db-wal", "db-shm"] {
            drop(std::fs::remove_file(path.with_extension(more)));
        }
        std::fs::write(&path, &pristine).unwrap();
        tamper(&path, sql);
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox", "--output", "json"]);
        let told = places(&json(&out));
        assert!(code == 1 && told.iter().any(|t| t.contains(words)), "{sql}: {told:?} {err}");
    }
    let cef = folder.ok(&["audit", "export", "--sandbox", "--format", "cef"]);
    assert!(cef.contains("|unreadable|unreadable|10|"), "what cannot be read is told as that");
}

/// A rehearsal's key does not sign for live runs.
#[test]
fn a_rehearsal_is_taken_for_nothing_else() {
    let (folder, path) = rehearsed();
    std::fs::copy(path.with_extension("db.key"), folder.path().join(".drctl/drctl.db.key")).unwrap();
    std::fs::copy(&path, folder.path().join(".drctl/drctl.db")).unwrap();
    let text = folder.ok(&["audit", "verify", "--sandbox"]);
    assert!(text.contains("whole: 2 sandbox runs"), "it says what it is: {text}");
    for verb in [&["audit", "verify"][..], &["audit", "checkpoint", "--out", "live.json"], &["runs", "list"]]
    {
        let (code, out, err) = folder.run(verb);
        assert!(code == 2 && err.contains("drctl.db is a sandbox store"), "{verb:?}: {out}{err}");
    }
    assert!(!folder.path().join("live.json").exists());
}

#[test]
fn events_go_to_a_siem() {
    let folder = Folder::with_plans();
    let reason = "pipe | equals = back\\slash";
    let args = [
        "failover",
        "truststream",
        "--sandbox",
        "region-dark",
        "--to",
        "us-east-1",
        "--yes",
        "--waive",
        "unfenced-promotion",
        "--accept-data-loss",
        "5m",
        "--reason",
        reason,
    ];
    folder.run(&args);
    let cef = folder.ok(&["audit", "export", "--sandbox", "--format", "cef"]);
    let created = cef.lines().find(|l| l.contains("|run_created|")).unwrap();
    assert!(created.starts_with("CEF:0|drctl|drctl|"), "{created}");
    for words in [
        "|run created|8|rt=",
        "externalId=sandbox-truststream-failover-s1-1/1",
        "cs2=truststream cs2Label=plan",
        "cs5=sandbox cs5Label=world",
        "reason=pipe | equals \\= back\\\\slash",
    ] {
        assert!(created.contains(words), "{words}\n{created}");
    }
    assert!(
        cef.lines().all(|l| l.starts_with("CEF:0|") && l.split(" msg=").nth(1).unwrap().len() < 4 * 1024),
        "{cef}"
    );
    for kind in ["checkpoint", "configuration", "key", "run_finished"] {
        assert!(cef.contains(&format!("|{kind}|")), "{kind}");
    }
    assert!(!cef.contains("BEGIN SSH SIGNATURE"), "signatures say nothing to people");
    // What people accepted at the start is in its runbook, and visible here.
    assert!(
        created.contains("cs6=unfenced-promotion:db by ") && created.contains("cs6Label=waived"),
        "{created}"
    );
    assert!(created.starts_with("CEF:0|drctl|drctl|") && created.contains("|run created|8|"), "{created}");
    let long = format!("\u{202e}\u{2028}{}", "=".repeat(3_000));
    let args = ["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes", "--reason", &long];
    folder.ok(&args);
    let cef = folder.ok(&["audit", "export", "--sandbox", "--format", "cef"]);
    assert!(cef.lines().all(|l| l.len() < 8 * 1024 && !l.contains(['\u{202e}', '\u{2028}'])));
    let reason =
        cef.lines().find_map(|l| l.split(" reason=").nth(1).filter(|r| r.contains("\\=\\="))).unwrap();
    assert!(reason.split(" msg=").next().unwrap().len() <= 1_023, "{}", reason.len());
}
