//! The tables. Triggers protect events and the ledger: to change them, a stock `sqlite3` shell has to drop a trigger first, and that leaves
//! a trace. Nothing else belongs into a store: a trigger can drop what drctl writes without an error, and a view can return anything.

use std::path::Path;
use std::sync::OnceLock;

use rusqlite::{Connection, OptionalExtension as _};

use crate::journal::StoreError;
use crate::model::ledger::StoreWorld;
use crate::model::waiver::one_line;

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

/// An object of a schema: its type, its name, and the text that created it.
type Object = (String, String, String);

/// The tables, indexes, views and triggers in a file. SQLite's own indexes follow from the tables, and its own statistics change no result.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE NOT (type = 'index' AND sql IS NULL AND name GLOB 'sqlite_autoindex_*')
         AND NOT (type = 'table' AND ifnull(sql, '') GLOB 'CREATE TABLE sqlite_stat[14](*') ORDER BY type DESC, rowid",
    )?;
    let word = |r: &rusqlite::Row<'_>, column: usize| -> rusqlite::Result<String> {
        let value = r.get_ref(column)?;
        Ok(value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default())
    };
    statement.query_map([], |r| Ok((word(r, 0)?, word(r, 1)?, word(r, 2)?)))?.collect()
}

/// What drctl creates.
fn own_objects() -> rusqlite::Result<&'static [Object]> {
    static OWN: OnceLock<Vec<Object>> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own.as_slice());
    }
    let memory = Connection::open_in_memory()?;
    memory.execute_batch(TABLES)?;
    let own = objects(&memory)?;
    Ok(OWN.get_or_init(|| own).as_slice())
}

/// How the schema of a store differs from what drctl creates, in words. Missing triggers are not part of it, nor is a missing `store`:
/// [`missing_triggers`] and [`is_of`] report them.
pub(super) fn changes(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let (own, there) = (own_objects()?, objects(connection)?);
    if there.is_empty() {
        return Ok(Vec::new());
    }
    let is_in = |all: &[Object], object: &Object| all.iter().any(|o| (&o.0, &o.1) == (&object.0, &object.1));
    let named = |(kind, name, _): &Object| {
        let name: String = one_line(name).chars().take(80).collect();
        format!("the {} {name}", one_line(kind))
    };
    let mut changes = Vec::new();
    for object in there.iter().filter(|object| !own.contains(object)) {
        changes.push(match is_in(own, object) {
            true => format!("somebody changed {}", named(object)),
            false => format!("somebody added {}, which drctl does not create", named(object)),
        });
    }
    for object in own.iter().filter(|object| !is_in(&there, object)) {
        if object.0 != "trigger" && object.1 != "store" {
            changes.push(format!("somebody removed {}", named(object)));
        }
    }
    Ok(changes)
}

/// Refuses a store with a changed schema.
///
/// # Errors
/// What was changed.
pub(super) fn is_unchanged(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mut all = changes(connection).map_err(|e| unreadable(path, &e))?;
    if all.is_empty() {
        return Ok(());
    }
    let more = all.split_off(all.len().min(3)).len();
    let more = if more > 0 { format!("; and {more} more changes") } else { String::new() };
    Err(StoreError::Changed { path: path.display().to_string(), what: all.join("; ") + &more })
}

/// Whether an audit can read the store: in the place of a table that it reads, there may be a view, which may never end.
///
/// # Errors
/// What was changed.
pub(super) fn is_readable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let text = "SELECT count(*) FROM sqlite_schema WHERE type <> 'table' AND lower(name) IN ('runs', 'events', 'ledger', 'store')";
    match connection.query_row(text, [], |r| r.get::<_, i64>(0)).map_err(|e| unreadable(path, &e))? {
        0 => Ok(()),
        _ => is_unchanged(connection, path),
    }
}

/// A mistyped `--store` may name another program's database: nothing is written into it.
fn refuse_foreign(connection: &Connection) -> rusqlite::Result<()> {
    let objects = |which: &str| {
        let text = format!("SELECT count(*) FROM sqlite_schema WHERE {which}");
        connection.query_row(&text, [], |r| r.get::<_, i64>(0))
    };
    // A view in the place of the table is a store that somebody changed.
    if objects("type = 'table' AND name NOT LIKE 'sqlite_%'")? > 0 && objects("name = 'runs'")? == 0 {
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
