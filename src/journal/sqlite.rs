//! The journal in one SQLite file: WAL, `synchronous=FULL`, one writer thread.
//!
//! Appends that arrive during a commit share the next one. Sequence and hash are assigned inside the transaction, and the epoch is checked
//! there. After any I/O error, the connection is closed and the written events are read again.

mod dated;
mod driven;
mod imported;
mod ledger;
mod place;
mod readonly;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use futures_channel::oneshot;
use futures_util::future::LocalBoxFuture;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::chain::{self, Record};
use super::contents::{self, Contents, Head, LEDGER};
use super::{AppendError, Closing, InboxEntry, Journal, Opened, Release, RunRow, StoreError};
use crate::inventory::estate::Remembered;
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::ledger::{Entry, RecordedOperator, StoreWorld};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::Signal;
use place::StoreFiles;
use schema::{is_of, unreadable};
use writer::{Job, Writer};

/// A journal in a file.
pub struct SqliteJournal {
    path: PathBuf,
    world: StoreWorld,
    place: StoreFiles,
    /// Why drctl may do nothing for its runs.
    put_back: std::cell::OnceCell<String>,
    /// The operators in `drctl.yaml`.
    operators: std::cell::OnceCell<std::collections::BTreeMap<String, RecordedOperator>>,
    /// The events of the runs that this process drives, in case the file is damaged meanwhile.
    driven: std::cell::RefCell<std::collections::BTreeMap<RunId, Vec<Record>>>,
    /// Whether an earlier entry names the run of an import, by the number of its entry.
    named: std::cell::RefCell<std::collections::BTreeMap<u64, bool>>,
    /// Why this process cannot write to it.
    readonly: Option<String>,
    reader: std::cell::RefCell<Connection>,
    jobs: mpsc::Sender<Job>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SqliteJournal {
    /// Opens a store of this world, and creates it if it does not exist. A store that cannot be written is opened read-only.
    ///
    /// # Errors
    /// With the file, the cause and what to do instead. A store of the other world is not changed.
    pub fn open(path: &Path, world: StoreWorld) -> Result<Self, StoreError> {
        let unreadable = |e: rusqlite::Error| unreadable(path, &e);
        if let Some(why) = readonly::refuses_writes(path) {
            return Self::open_readonly(path, world, why);
        }
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            make_private_folder(folder)?;
        }
        let there = place::identity(path).ok();
        let writer = Connection::open(path).map_err(unreadable)?;
        if there.is_none() {
            make_private(path)?;
        }
        let found = schema::recognise(&writer).map_err(unreadable)?;
        schema::is_unchanged(&writer, path)?;
        is_of(path, found, world)?;
        make_private(path)?;
        schema::prepare(&writer, world).map_err(unreadable)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(unreadable)?;
        schema::prepare(&reader, world).map_err(unreadable)?;
        let place = StoreFiles::from_path(path, there).map_err(StoreError::Gone)?;
        let (jobs, inbox) = mpsc::channel();
        let guarded = Writer::new(writer, place.clone());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || guarded.serve(&inbox))
            .map_err(|e| StoreError::Unreadable(e.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            world,
            place,
            put_back: std::cell::OnceCell::new(),
            operators: std::cell::OnceCell::new(),
            driven: std::cell::RefCell::default(),
            named: std::cell::RefCell::default(),
            readonly: None,
            reader: std::cell::RefCell::new(reader),
            jobs,
            thread: Some(thread),
        })
    }

    /// Opens a store for reading. A missing store reads as an empty one.
    ///
    /// # Errors
    /// If it cannot be read, or is of the other world.
    fn open_readonly(path: &Path, world: StoreWorld, why: String) -> Result<Self, StoreError> {
        let failed = |e: rusqlite::Error| unreadable(path, &e);
        let reader = if path.exists() {
            let reader = readonly::connection(path).map_err(failed)?;
            let found = schema::recognise(&reader).map_err(failed)?;
            schema::is_unchanged(&reader, path)?;
            is_of(path, found, world)?;
            reader
        } else {
            let nothing = Connection::open_in_memory().map_err(failed)?;
            schema::prepare(&nothing, world).map_err(failed)?;
            nothing
        };
        Ok(Self {
            path: path.to_owned(),
            world,
            place: StoreFiles::nowhere(),
            put_back: std::cell::OnceCell::new(),
            operators: std::cell::OnceCell::new(),
            driven: std::cell::RefCell::default(),
            named: std::cell::RefCell::default(),
            readonly: Some(why),
            reader: std::cell::RefCell::new(reader),
            // There is no writer, so every job is refused.
            jobs: mpsc::channel().0,
            thread: None,
        })
    }

    /// Opens an existing store. A reader beside the store's owner never creates one.
    ///
    /// # Errors
    /// The same as for `open`, and if there is no store.
    pub fn open_existing(path: &Path, world: StoreWorld) -> Result<Self, StoreError> {
        match path.is_file() {
            true => Self::open(path, world),
            false => Err(StoreError::Gone(format!("{} no longer exists", path.display()))),
        }
    }

    /// The world of the store.
    pub const fn world(&self) -> StoreWorld {
        self.world
    }

    /// Refuses to write if the file is no longer at its path, because nobody would find the data.
    fn in_place(&self) -> Result<(), StoreError> {
        self.place.lost().map_or(Ok(()), |lost| Err(StoreError::Gone(lost)))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fail(&self, e: &rusqlite::Error) -> StoreError {
        unreadable(&self.path, e)
    }

    fn submit(
        &self,
        build: impl FnOnce(oneshot::Sender<Result<Vec<Record>, AppendError>>) -> Job,
    ) -> oneshot::Receiver<Result<Vec<Record>, AppendError>> {
        let (answer, receiver) = oneshot::channel();
        // If the writer has ended, the job and the answer's sender are dropped, and the receiver reports that.
        let _ = self.jobs.send(build(answer));
        receiver
    }

    /// A truncated chain is still valid. Only the ledger knows that it was longer.
    ///
    /// # Errors
    /// If the ledger knows later events of the run, or a different hash.
    pub fn check_head(&self, run: &RunId, records: &[Record]) -> Result<(), StoreError> {
        let known = self.known_head(run)?;
        let corrupt =
            |seq, why: &str| Err(StoreError::Corrupt { run: run.to_string(), seq, why: why.to_owned() });
        match known {
            None => corrupt(1, "the ledger does not contain this run"),
            Some(head) => match records.iter().find(|r| r.seq == head.seq) {
                Some(record) if record.hash == head.hash => Ok(()),
                Some(_) => corrupt(head.seq, "the ledger has another hash for it"),
                None => corrupt(
                    head.seq,
                    "the ledger records this event, but it is missing: the end of the run was removed",
                ),
            },
        }
    }

    /// Everything in the store, unchecked, for the audit.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        contents(&mut self.reader.borrow_mut()).map_err(|e| self.fail(&e))
    }

    /// The same for a store that is only read. It writes nothing, even if it could.
    ///
    /// # Errors
    /// If it is not there, or cannot be read at all.
    pub fn look(path: &Path, world: StoreWorld) -> Result<Contents, StoreError> {
        let failed = |e: rusqlite::Error| unreadable(path, &e);
        let log = place::beside(path, "-wal");
        let read = || {
            let mut connection = readonly::connection(path).map_err(failed)?;
            let found = schema::recognise(&connection).map_err(failed)?;
            schema::is_readable(&connection, path)?;
            is_of(path, found, world)?;
            contents(&mut connection).map_err(failed)
        };
        let (quiet, found) = (!log.exists(), read()?);
        // Another process began to write in the meantime.
        if quiet && log.exists() { read() } else { Ok(found) }
    }

    /// All runs, including imported ones that are read-only.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn all_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let reader = self.reader.borrow();
        let read = || -> rusqlite::Result<Vec<RunRow>> {
            let mut statement = reader.prepare(
                "SELECT r.run_id, (SELECT max(seq) FROM events e WHERE e.run_id = r.run_id),
                 NOT EXISTS (SELECT 1 FROM claims c WHERE c.run_id = r.run_id) FROM runs r ORDER BY r.number",
            )?;
            let row = |r: &rusqlite::Row<'_>| {
                let events: Option<i64> = r.get(1)?;
                Ok(RunRow {
                    run: RunId::new(r.get::<_, String>(0)?),
                    events: events.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
                    finished: r.get(2)?,
                })
            };
            statement.query_map([], row)?.collect()
        };
        read().map_err(|e| self.fail(&e))
    }

    /// Adds an entry to the ledger that is not the head of a run.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn enter(&self, entry: &Entry) -> Result<Record, StoreError> {
        self.may_write()?;
        self.put(&self.dated(entry)?)
    }

    fn put(&self, entry: &Entry) -> Result<Record, StoreError> {
        let bytes = serde_json::to_vec(entry).map_err(|e| StoreError::Unreadable(e.to_string()))?;
        entered(self.submit(|answer| Job::Enter { bytes, answer }))
    }

    /// The last observed state of a target.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn remembered(&self, key: &str) -> Result<Option<Remembered>, StoreError> {
        let reader = self.reader.borrow();
        let bytes: Option<Vec<u8>> = reader
            .prepare_cached("SELECT bytes FROM observations WHERE target = ?1")
            .and_then(|mut s| s.query_row([key], |r| r.get(0)).optional())
            .map_err(|e| self.fail(&e))?;
        Ok(bytes.and_then(|b| serde_json::from_slice(&b).ok()))
    }

    /// The last observed state of every target.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn all_remembered(&self) -> Result<Vec<(String, Remembered)>, StoreError> {
        let reader = self.reader.borrow();
        let read = || -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
            let mut statement = reader.prepare("SELECT target, bytes FROM observations ORDER BY target")?;
            statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
        };
        let rows = read().map_err(|e| self.fail(&e))?;
        Ok(rows.into_iter().filter_map(|(k, b)| Some((k, serde_json::from_slice(&b).ok()?))).collect())
    }

    /// Stores observed states. An older one never replaces a newer one.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn remember(&self, seen: &[(String, Remembered)]) -> Result<(), StoreError> {
        // A process that can only read still observes, but does not store what it sees.
        if self.readonly.is_some() {
            return Ok(());
        }
        self.in_place()?;
        let mut reader = self.reader.borrow_mut();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = reader.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO observations (target, observed_at_ms, bytes) VALUES (?1, ?2, ?3)
                     ON CONFLICT (target) DO UPDATE SET observed_at_ms = excluded.observed_at_ms, bytes = excluded.bytes
                     WHERE excluded.observed_at_ms >= observations.observed_at_ms",
                )?;
                for (key, remembered) in seen {
                    let bytes = serde_json::to_vec(remembered).unwrap_or_default();
                    insert.execute(params![key, remembered.observed_at.millis(), bytes])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|e| self.fail(&e))
    }

    /// Records changes of a run's simulated environment. They are stored by the next append, or when the journal is dropped.
    pub fn notes(&self, run: &RunId) -> impl Fn(Timestamp, &[u8]) + 'static {
        let (jobs, run) = (self.jobs.clone(), run.clone());
        move |at, bytes| {
            // Without a writer no append is possible, and the caller gets an error.
            let _ = jobs.send(Job::Note { run: run.clone(), at, bytes: bytes.to_vec() });
        }
    }

    /// The recorded changes, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn simulated(&self, run: &RunId) -> Result<Vec<(Timestamp, Vec<u8>)>, StoreError> {
        let reader = self.reader.borrow();
        let read = || -> rusqlite::Result<Vec<(Timestamp, Vec<u8>)>> {
            let mut statement =
                reader.prepare("SELECT at_ms, bytes FROM simulated WHERE run_id = ?1 ORDER BY id")?;
            statement
                .query_map([run.as_str()], |r| Ok((Timestamp::from_millis(r.get(0)?), r.get(1)?)))?
                .collect()
        };
        read().map_err(|e| self.fail(&e))
    }
}

/// Whether the error is about a component that another run holds.
fn busy(e: &AppendError) -> Option<StoreError> {
    let AppendError::Unavailable(why) = e else { return None };
    let (component, other) = why.strip_prefix(writer::BUSY)?.split_once('\0')?;
    Some(StoreError::Busy { component: ComponentName::new(component), run: RunId::new(other) })
}

/// The answer of the writer. It polls first, because the answer usually comes within microseconds.
async fn answered(
    mut receiver: oneshot::Receiver<Result<Vec<Record>, AppendError>>,
) -> Result<Vec<Record>, AppendError> {
    let gone = |_| Err(AppendError::Unknown("the writer of the journal has ended".to_owned()));
    for _ in 0..writer::YIELDS {
        match receiver.try_recv() {
            Ok(Some(answer)) => return answer,
            Ok(None) => std::thread::yield_now(),
            Err(e) => return gone(e),
        }
    }
    receiver.await.unwrap_or_else(gone)
}

/// The entry of the ledger that a job wrote.
fn entered(receiver: oneshot::Receiver<Result<Vec<Record>, AppendError>>) -> Result<Record, StoreError> {
    match wait(receiver).map_err(StoreError::Unreadable)? {
        Ok(mut records) => {
            records.pop().ok_or_else(|| StoreError::Unreadable("nothing was written".to_owned()))
        }
        Err(AppendError::Gone(why)) => Err(StoreError::Gone(why)),
        Err(e) => Err(StoreError::Unreadable(e.to_string())),
    }
}

fn wait<T>(receiver: oneshot::Receiver<T>) -> Result<T, String> {
    // This is outside of any run, so blocking delays nothing else on this thread.
    futures_executor::block_on(receiver).map_err(|_| "the writer of the journal has ended".to_owned())
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Journal for SqliteJournal {
    fn create(
        &self,
        run: &RunId,
        claims: &[ComponentName],
        events: &[Vec<u8>],
        closes: Option<&Closing>,
    ) -> Result<Vec<Record>, StoreError> {
        self.may_write()?;
        if let Some(old) = closes {
            self.may_act(&old.run)?;
        }
        let receiver = self.submit(|answer| Job::Create {
            run: run.clone(),
            claims: claims.to_vec(),
            events: events.to_vec(),
            closes: closes.cloned(),
            answer,
        });
        match wait(receiver).map_err(StoreError::Unreadable)? {
            Ok(records) => {
                self.drives(run, &records, Release::Keep);
                Ok(records)
            }
            Err(AppendError::Gone(why)) => Err(StoreError::Gone(why)),
            // Another process continues the run that was to end.
            Err(AppendError::Fenced { run, .. } | AppendError::Conflict { run, .. }) => {
                Err(StoreError::Owned(run))
            }
            Err(other) => Err(busy(&other).unwrap_or_else(|| StoreError::Unreadable(other.to_string()))),
        }
    }

    fn open(&self, run: &RunId) -> Result<Opened, StoreError> {
        let records = self.read(run)?;
        self.check_head(run, &records)?;
        self.in_place()?;
        self.may_act(run)?;
        let reader = self.reader.borrow();
        let epoch = reader
            .query_row(
                "UPDATE runs SET epoch = epoch + 1 WHERE run_id = ?1 RETURNING epoch",
                [run.as_str()],
                |r| r.get::<_, i64>(0),
            )
            .map_err(|e| self.fail(&e))?;
        self.driven.borrow_mut().insert(run.clone(), records.clone());
        Ok(Opened { epoch: u64::try_from(epoch).unwrap_or(0), records })
    }

    fn append<'a>(
        &'a self,
        run: &'a RunId,
        epoch: u64,
        expect: u64,
        events: Vec<Vec<u8>>,
        release: Release,
    ) -> LocalBoxFuture<'a, Result<Vec<Record>, AppendError>> {
        let receiver =
            self.submit(|answer| Job::Append { run: run.clone(), epoch, expect, events, release, answer });
        Box::pin(async move {
            let written = answered(receiver).await;
            if let Ok(records) = &written {
                self.drives(run, records, release);
            }
            written
        })
    }

    fn known_time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.latest()
    }

    fn read(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let reader = self.reader.borrow();
        let read = || -> rusqlite::Result<Vec<Record>> {
            let mut statement = reader.prepare(
                "SELECT run_id, seq, epoch, bytes, previous, hash FROM events WHERE run_id = ?1 ORDER BY seq",
            )?;
            statement.query_map([run.as_str()], row)?.collect()
        };
        let records = read().map_err(|e| self.fail(&e))?;
        if records.is_empty() {
            return Err(StoreError::NoRun(run.to_string()));
        }
        match chain::broken(run, &records) {
            Some((seq, why)) => Err(StoreError::Corrupt { run: run.to_string(), seq, why }),
            None => Ok(records),
        }
    }

    fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let imported = self.imported()?.waiting;
        Ok(self.all_runs()?.into_iter().filter(|row| !imported.contains_key(&row.run)).collect())
    }

    fn post(&self, run: &RunId, at: Timestamp, who: &Person, signal: &Signal) -> Result<Digest, StoreError> {
        self.in_place()?;
        self.may_act(run)?;
        let says = serde_json::to_string(signal).unwrap_or_default();
        let entry = Entry::Statement { at, run: run.clone(), who: who.clone(), says };
        let bytes = serde_json::to_vec(&self.dated(&entry)?).unwrap_or_default();
        Ok(entered(self.submit(|answer| Job::Enter { bytes, answer }))?.hash)
    }

    fn letters(&self, run: &RunId) -> Result<Vec<InboxEntry>, StoreError> {
        let mut letters = Vec::new();
        for record in self.statements(run)? {
            let unreadable = |e: &dyn std::fmt::Display| {
                StoreError::Unreadable(format!(
                    "entry {} of the ledger is a statement that this version cannot read: {e}",
                    record.seq
                ))
            };
            let entry = Entry::read(&record.bytes).map_err(|e| unreadable(&e))?;
            if let Entry::Statement { run: of, who, says, .. } = entry
                && of == *run
            {
                let signal = serde_json::from_str(&says).map_err(|e| unreadable(&e))?;
                letters.push(InboxEntry { id: record.hash, who, signal });
            }
        }
        Ok(letters)
    }

    fn vouched(&self, run: &RunId, events: &[Record]) -> Result<(), StoreError> {
        self.check_ledger(run, events)
    }
}

fn row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Record {
        run: RunId::new(text(r, 0)?),
        seq: number(r.get(1)?),
        epoch: number(r.get(2)?),
        bytes: r.get(3)?,
        previous: Digest::from_stored(text(r, 4)?),
        hash: Digest::from_stored(text(r, 5)?),
    })
}

/// Reads text even if a flipped bit made it invalid UTF-8. The audit then reports the fault instead of failing.
fn text(r: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(r.get_ref(column)?.as_bytes()?).into_owned())
}

/// Events, ledger and the list of runs in one consistent snapshot: another process may be writing.
fn contents(connection: &mut Connection) -> rusqlite::Result<Contents> {
    let snapshot = connection.transaction()?;
    let mut statement = snapshot
        .prepare("SELECT run_id, seq, epoch, bytes, previous, hash FROM events ORDER BY run_id, seq")?;
    let events = statement.query_map([], row)?.collect::<Result<_, _>>()?;
    let mut statement = snapshot.prepare("SELECT seq, bytes, previous, hash FROM ledger ORDER BY seq")?;
    let ledger = statement.query_map([], ledger_row)?.collect::<Result<_, _>>()?;
    let mut statement = snapshot.prepare("SELECT run_id FROM runs")?;
    let listed = statement.query_map([], |r| Ok(RunId::new(text(r, 0)?)))?.collect::<Result<_, _>>()?;
    let world = snapshot.query_row("SELECT world FROM store", [], |r| r.get(0)).optional()?;
    Ok(Contents {
        events,
        ledger,
        listed: Some(listed),
        dropped: schema::missing_triggers(&snapshot)?,
        changed: schema::changes(&snapshot)?,
        world,
    })
}

/// The last ledger entry of a run.
fn last_head(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<Head>> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM ledger ORDER BY seq DESC")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(head) = contents::head(&row.get::<_, Vec<u8>>(0)?).filter(|head| head.run == *run) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn ledger_row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        run: RunId::new(LEDGER),
        seq: u64::try_from(r.get::<_, i64>(0)?).unwrap_or(0),
        epoch: 0,
        bytes: r.get(1)?,
        previous: Digest::from_stored(text(r, 2)?),
        hash: Digest::from_stored(text(r, 3)?),
    })
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| StoreError::Unreadable(format!("{}: {e}", folder.display())))
}

#[cfg(unix)]
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| StoreError::Unreadable(format!("{}: {e}", path.display())))
}
