//! What an auditor can do without the private key, and what nothing is signed over.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{chain, contents};
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;

use crate::cli::contract::{Folder, json};
use crate::cli::steering::{as_nobody, modes};
use crate::journal::chain::rehearsed;

/// An auditor can read the store, but not its private key.
#[test]
fn an_auditor_without_the_private_key_gets_the_public_one_and_the_whole_store() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let public = folder.ok(&["audit", "key", "--sandbox"]);
    let run =
        json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]))["runs"][0]["run_id"].clone();
    // From here on, the owner opens the store no more: drctl would take the access of others away.
    modes(&folder, 0o755, 0o644);
    let key = folder.path().join(".drctl/sandbox.db.key");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let (code, out, err) = as_nobody(&folder, &["audit", "key", "--sandbox"]);
    assert!(code == 0 && out == public, "{out}{err}");
    let (code, out, err) = as_nobody(&folder, &["audit", "export", "--sandbox"]);
    let events = out.lines().count();
    assert!(code == 0 && events > 20 && err.contains("the export has no new checkpoint"), "{out}{err}");
    let desk = Folder::empty();
    modes(&desk, 0o777, 0o666);
    let bundle = desk.path().join("b.tar");
    let seal = ["evidence", "export", run.as_str().unwrap(), "--out", bundle.to_str().unwrap(), "--sandbox"];
    let (code, out, err) = as_nobody(&folder, &seal);
    assert!(code == 0 && err.contains("as sealed earlier"), "{out}{err}");
    let (code, _, err) = as_nobody(&folder, &["audit", "checkpoint", "--sandbox"]);
    assert!(
        code == 2 && err.contains("may not read the key of the store") && !err.contains("move "),
        "{err}"
    );
}

/// Other parsers may read such an entry differently, so nothing signs over it.
#[test]
fn an_entry_that_drctl_would_write_differently_is_a_finding() {
    let (folder, path) = rehearsed();
    let pristine = std::fs::read(&path).unwrap();
    let contents = SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap().contents().unwrap();
    let last = contents.ledger.last().unwrap().clone();
    let head = contents.ledger.iter().find(|r| contents::head(&r.bytes).is_some()).unwrap();
    let spaced = format!(" {}", String::from_utf8_lossy(&head.bytes));
    let known = r#"{"key":"SHA256:x","roles":[]}"#;
    let settings = "0".repeat(64);
    let configuration = |operators: &str| {
        format!(
            r#"{{"ledger":"configuration","at":"2026-01-01T03:00:00.000Z","who":"ann","settings":"{settings}","operators":{operators}}}"#
        )
    };
    let usual = configuration(&format!(r#"{{"ann":{known}}}"#));
    drctl::model::ledger::Entry::read(usual.as_bytes()).unwrap();
    for bytes in [
        usual.replace("}}}", r#"}},"more":1}"#),
        usual.replacen('{', r#"{"more":1,"#, 1),
        usual.replace(
            r#""ledger":"configuration","at":"2026-01-01T03:00:00.000Z""#,
            r#""at":"2026-01-01T03:00:00.000Z","ledger":"configuration""#,
        ),
        configuration(&format!(r#"{{"ann":{known},"ann":{known}}}"#)),
        spaced,
    ] {
        for more in ["db-wal", "db-shm"] {
            drop(std::fs::remove_file(path.with_extension(more)));
        }
        std::fs::write(&path, &pristine).unwrap();
        let ledger = RunId::new(contents::LEDGER);
        let added = chain::link(&ledger, Some((last.seq, &last.hash)), 0, bytes.clone().into_bytes());
        let connection = rusqlite::Connection::open(&path).unwrap();
        let insert = "INSERT INTO ledger (seq, bytes, previous, hash) VALUES (?1, ?2, ?3, ?4)";
        let values =
            (i64::try_from(added.seq).unwrap(), &added.bytes, added.previous.as_str(), added.hash.as_str());
        connection.execute(insert, values).unwrap();
        drop(connection);
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains(&format!("ledger, entry {}", added.seq)), "{bytes}: {out}{err}");
        let (code, _, err) = folder.run(&["audit", "export", "--sandbox"]);
        assert!(code == 1 && err.contains("nothing was signed"), "{bytes}: {err}");
    }
}

/// A run that is gone altogether did not only lose its end.
#[test]
fn a_run_that_was_removed_is_named_as_that() {
    let (folder, path) = rehearsed();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let triggers = "DROP TRIGGER IF EXISTS events_stay; DROP TRIGGER IF EXISTS events_remain";
    connection.execute_batch(triggers).unwrap();
    connection.execute("DELETE FROM events WHERE run_id LIKE '%starter%'", []).unwrap();
    drop(connection);
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 1 && out.contains("the whole run was removed"), "{code}: {out}{err}");
}
