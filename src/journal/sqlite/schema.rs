//! The tables. Triggers protect events and the ledger: to change them, a stock `sqlite3` shell has to drop a trigger first, and that leaves
//! a trace.

use rusqlite::{Connection, OptionalExtension as _};
use std::path::Path;

use crate::journal::StoreError;
use crate::model::ledger::StoreWorld;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
  run_id TEXT NOT NULL, seq INTEGER NOT NULL, epoch INTEGER NOT NULL, bytes BLOB NOT NULL,
  previous TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run_id, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS claims (component TEXT PRIMARY KEY, run_id TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observations (target TEXT PRIMARY KEY, observed_at_ms INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS simulated (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, at_ms INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS ledger_kinds ON ledger(substr(bytes, 1, 14), seq) WHERE substr(bytes, 1, 2) = x'7b22';
CREATE TABLE IF NOT EXISTS store (one INTEGER PRIMARY KEY CHECK (one = 1), world TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS store_stays BEFORE UPDATE ON store BEGIN SELECT RAISE(ABORT, 'the world of a store is never changed'); END;
CREATE TRIGGER IF NOT EXISTS store_remains BEFORE DELETE ON store BEGIN SELECT RAISE(ABORT, 'the world of a store is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER IF NOT EXISTS ledger_stays BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is never changed'); END;
CREATE TRIGGER IF NOT EXISTS ledger_remains BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is never deleted'); END;
";

/// The length of the WAL at which SQLite checkpoints it and starts over. Overwriting a file is cheaper than extending it, so it is short: 1
/// MiB, about 80 steps.
const CHECKPOINT_PAGES: u32 = 250;

/// What a file contains before drctl writes to it.
pub(super) enum StoreFile {
    /// The file is empty.
    Empty,
    /// A store with this world.
    Store(String),
    /// A store without a world: an older build made it, or somebody removed the world.
    Unstamped,
}

/// Inspects a file without changing it.
pub(super) fn recognise(connection: &Connection) -> rusqlite::Result<StoreFile> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    refuse_foreign(connection)?;
    let there = |name: &str| {
        let text = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        connection.query_row(text, [name], |r| r.get::<_, i64>(0)).map(|n| n > 0)
    };
    if !there("runs")? {
        return Ok(StoreFile::Empty);
    }
    if !there("store")? {
        return Ok(StoreFile::Unstamped);
    }
    let world = connection.query_row("SELECT world FROM store", [], |r| r.get(0)).optional()?;
    Ok(world.map_or(StoreFile::Unstamped, StoreFile::Store))
}

/// Configures the connection, and creates missing tables.
pub(super) fn prepare(connection: &Connection, world: StoreWorld) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let (synchronous, checkpoint) = match world {
        StoreWorld::Live => ("FULL", CHECKPOINT_PAGES),
        // A rehearsal survives a crash of its process but not a power failure, which would end its simulated environment anyway. Nothing
        // waits for a sync here, so fewer checkpoints are faster.
        StoreWorld::Sandbox => ("OFF", 16 * CHECKPOINT_PAGES),
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint)?;
    let there = "SELECT count(*) FROM sqlite_schema WHERE name IN ('ledger', 'store')";
    if connection.query_row(there, [], |r| r.get::<_, i64>(0))? == 2 {
        return Ok(());
    }
    // In one transaction: a process that opens the file meanwhile finds it empty, or a store with its world.
    let stamp = format!("INSERT OR IGNORE INTO store (one, world) VALUES (1, '{world}');");
    connection.execute_batch(&format!("BEGIN IMMEDIATE;{TABLES}{stamp}COMMIT;"))
}

/// Triggers that prevent changes from a stock `sqlite3` shell. A dropped one is never created again, so that the audit reports it.
pub(super) fn missing_triggers(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = ?1")?;
    let mut missing = Vec::new();
    for name in
        ["events_stay", "events_remain", "ledger_stays", "ledger_remains", "store_stays", "store_remains"]
    {
        if !statement.exists([name])? {
            missing.push(name.to_owned());
        }
    }
    Ok(missing)
}

/// A mistyped `--store` may name another program's database: nothing is written into it.
fn refuse_foreign(connection: &Connection) -> rusqlite::Result<()> {
    let tables = |named: &str| {
        let text = format!("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name {named}");
        connection.query_row(&text, [], |r| r.get::<_, i64>(0))
    };
    if tables("NOT LIKE 'sqlite_%'")? > 0 && tables("= 'runs'")? == 0 {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
        let why = "it is a database of another program, and drctl did not change it".to_owned();
        return Err(rusqlite::Error::SqliteFailure(code, Some(why)));
    }
    Ok(())
}

/// Whether a file is a store of this world, or empty.
pub(super) fn is_of(path: &Path, found: StoreFile, asked: StoreWorld) -> Result<(), StoreError> {
    let path = path.display().to_string();
    match found {
        StoreFile::Empty => Ok(()),
        StoreFile::Store(world) if world == asked.id() => Ok(()),
        StoreFile::Store(world) => {
            match [StoreWorld::Live, StoreWorld::Sandbox].into_iter().find(|w| w.id() == world) {
                Some(is) => Err(StoreError::OtherWorld { path, is, asked }),
                None => Err(StoreError::Unreadable(format!(
                    "{path}: this version does not support stores of this kind"
                ))),
            }
        }
        StoreFile::Unstamped => Err(StoreError::Unreadable(format!(
            "{path}: it does not record whether it is live or for the sandbox. An older version made it, or it was changed"
        ))),
    }
}

pub(super) fn unreadable(path: &Path, e: &rusqlite::Error) -> StoreError {
    StoreError::Unreadable(format!("{}: {e}", path.display()))
}
