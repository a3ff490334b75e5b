//! A store whose schema somebody changed. A trigger can drop what drctl writes without an error, and a view can return anything, or never
//! end. No command uses such a store, and the audit names the change.

use std::path::Path;

use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Journal as _, Release};
use drctl::model::ids::{ComponentName, RunId};
use drctl::model::ledger::{Entry, StoreWorld};
use drctl::model::time::{Dur, Timestamp};

use crate::cli::contract::Folder;

const RUN: &str = "sandbox-starter-failover-s1-1";

const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)
    SELECT n AS component, n AS run_id, n AS number, n AS seq, n AS bytes, n AS world FROM r";

/// Commands that use a store.
const USING: &[&[&str]] = &[
    &["status"],
    &["runs", "list"],
    &["runs", "show", RUN],
    &["runs", "resume", RUN],
    &["runs", "cancel", RUN, "--yes", "--reason", "x"],
    &["runs", "export", RUN],
    &["ack", RUN, "--reason", "x"],
    &["report", "run", RUN],
    &["report", "compliance"],
    &["evidence", "list"],
    &["failover", "starter", "--to", "us-east-1", "--yes"],
];

/// A folder with a run, its store, and the content of the store.
fn rehearsed() -> (Folder, std::path::PathBuf, Vec<u8>) {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let path = folder.path().join(".drctl/sandbox.db");
    let content = std::fs::read(&path).unwrap();
    (folder, path, content)
}

/// What somebody with a shell does.
fn shell(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn put_back(path: &Path, content: &[u8]) {
    for more in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(path.with_extension(more)));
    }
    std::fs::write(path, content).unwrap();
}

/// Each command refuses the store, names the change and the fix, and leaves the file as it is.
fn nobody_uses_it(folder: &Folder, path: &Path, what: &str, commands: &[&[&str]]) {
    let before = std::fs::read(path).unwrap();
    for &command in commands {
        let (code, out, err) = folder.run(&[command, &["--sandbox"][..]].concat());
        assert_eq!(code, 3, "{what}: {command:?}: {out}{err}");
        assert!(err.contains("somebody changed the schema of the store "), "{command:?}: {out}{err}");
        assert!(err.contains(what), "{what}: {command:?}: {out}{err}");
        let fix = "keep the file as it is, because it is evidence";
        assert!(
            err.contains(fix) && err.contains("drctl --sandbox observe --store"),
            "{command:?}: {out}{err}"
        );
    }
    assert_eq!(std::fs::read(path).unwrap(), before, "{what}: it was written to");
}

#[test]
fn a_changed_schema_is_named_and_nobody_uses_the_store() {
    let (folder, path, content) = rehearsed();
    folder.ok(&["audit", "verify", "--sandbox"]);
    let view = format!("ALTER TABLE claims RENAME TO c2; CREATE VIEW claims AS {ENDLESS}");
    for (sql, what) in [
        (
            "CREATE TRIGGER quiet BEFORE INSERT ON ledger
             WHEN substr(NEW.bytes, 1, 16) = CAST('{\"ledger\":\"state' AS BLOB) BEGIN SELECT RAISE(IGNORE); END",
            "somebody added the trigger quiet, which drctl does not create",
        ),
        (view.as_str(), "somebody added the view claims, which drctl does not create"),
        ("CREATE TABLE more (n INTEGER)", "somebody added the table more"),
        ("CREATE INDEX fast ON events(epoch)", "somebody added the index fast"),
        ("ALTER TABLE observations ADD COLUMN more TEXT", "somebody changed the table observations"),
        ("DROP TABLE claims", "somebody removed the table claims"),
        (
            "DROP TRIGGER ledger_stays;
             CREATE TRIGGER ledger_stays BEFORE UPDATE ON ledger WHEN 0 BEGIN SELECT 1; END",
            "somebody changed the trigger ledger_stays",
        ),
    ] {
        put_back(&path, &content);
        shell(&path, sql);
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains(&format!("the store: {what}")), "{what}: {code} {out}{err}");
        for command in ["checkpoint", "export"] {
            let (code, out, err) = folder.run(&["audit", command, "--sandbox"]);
            assert!(code == 1 && err.contains("nothing was signed"), "{what}: {code} {out}{err}");
        }
        nobody_uses_it(&folder, &path, what, USING);
    }
}

/// The audit does not read a view, because it may never end.
#[test]
fn a_view_in_the_place_of_a_table_ends_every_command() {
    let (folder, path, content) = rehearsed();
    for table in ["runs", "events", "ledger", "store"] {
        put_back(&path, &content);
        shell(&path, &format!("ALTER TABLE {table} RENAME TO c2; CREATE VIEW {table} AS {ENDLESS}"));
        let what = format!("somebody added the view {table}");
        let audits: &[&[&str]] = &[&["audit", "verify"], &["audit", "export", "--format", "cef"]];
        nobody_uses_it(&folder, &path, &what, &[audits, USING].concat());
    }
}

/// SQLite's own statistics are no change, and a missing trigger is a finding only.
#[test]
fn a_store_that_was_analyzed_is_used_and_so_is_one_without_a_trigger() {
    let (folder, path, _) = rehearsed();
    shell(&path, "ANALYZE; VACUUM");
    folder.ok(&["audit", "verify", "--sandbox"]);
    folder.ok(&["runs", "list", "--sandbox"]);
    shell(&path, "DROP TRIGGER ledger_stays");
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 1 && out.contains("somebody dropped the trigger ledger_stays"), "{code} {out}{err}");
    folder.ok(&["runs", "list", "--sandbox"]);
}

/// The trigger comes while the store is open.
#[test]
fn a_write_that_the_store_drops_fails() {
    for table in ["ledger", "events", "runs", "claims"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drctl.db");
        let store = SqliteJournal::open(&path, StoreWorld::Live).unwrap();
        let (one, two) = (RunId::new("one"), RunId::new("two"));
        store.create(&one, &[ComponentName::new("a")], &[b"{}".to_vec()], None).unwrap();
        let ledger = store.ledger_head().unwrap();
        shell(
            &path,
            &format!("CREATE TRIGGER quiet BEFORE INSERT ON {table} BEGIN SELECT RAISE(IGNORE); END"),
        );
        let failed = |what: &str, e: String| {
            assert!(e.contains("the store did not keep what drctl wrote"), "{table}: {what}: {e}");
        };
        let create = || store.create(&two, &[ComponentName::new("b")], &[b"{}".to_vec()], None);
        failed("create", create().unwrap_err().to_string());
        if ["ledger", "events"].contains(&table) {
            let append = store.append(&one, 1, 1, vec![b"{}".to_vec()], Release::Keep);
            failed("append", futures_executor::block_on(append).unwrap_err().to_string());
        }
        if table == "ledger" {
            let entry = Entry::Clock { at: Timestamp::from_millis(0), behind_ms: Dur::mins(1) };
            failed("enter", store.enter(&entry).unwrap_err().to_string());
        }
        assert_eq!((store.read(&one).unwrap().len(), store.ledger_head().unwrap()), (1, ledger));
        shell(&path, "DROP TRIGGER quiet");
        create().unwrap();
    }
}
