//! The thread that writes events.

use std::sync::mpsc::{Receiver, TryRecvError};

use futures_channel::oneshot;
use rusqlite::{Connection, OptionalExtension as _, Params, TransactionBehavior, params};

use super::super::chain::{self, Record};
use super::super::{AppendError, Closing, Release};
use super::place::{Stamp, StoreFiles};
use crate::journal::contents::LEDGER;
use crate::journal::imported;
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::time::Timestamp;

/// Marks an error about a component that another run holds.
pub(super) const BUSY: &str = "busy\0";

type Answer = oneshot::Sender<Result<Vec<Record>, AppendError>>;

/// Something to write.
pub(super) enum Job {
    Create {
        run: RunId,
        claims: Vec<ComponentName>,
        events: Vec<Vec<u8>>,
        closes: Option<Closing>,
        answer: Answer,
    },
    Append {
        run: RunId,
        epoch: u64,
        expect: u64,
        events: Vec<Vec<u8>>,
        release: Release,
        answer: Answer,
    },
    Import {
        run: RunId,
        records: Vec<Record>,
        /// With this entry the ledger records from the beginning that the run was imported.
        entry: Vec<u8>,
        answer: Answer,
    },
    /// Makes an imported run one of this store's own.
    Adopt {
        run: RunId,
        claims: Vec<ComponentName>,
        entry: Vec<u8>,
        answer: Answer,
    },
    /// A ledger entry that is not the head of a run.
    Enter {
        bytes: Vec<u8>,
        answer: Answer,
    },
    /// A change of a simulated environment. It is written with the next append, so it is never ahead of the journal. Without bytes it is the
    /// time alone, which is written at once.
    Note {
        run: RunId,
        at: Timestamp,
        bytes: Vec<u8>,
    },
    /// Ends the writer.
    Stop,
}

impl Job {
    fn answer(self, result: Result<Vec<Record>, AppendError>) {
        if let Self::Create { answer, .. }
        | Self::Append { answer, .. }
        | Self::Import { answer, .. }
        | Self::Adopt { answer, .. }
        | Self::Enter { answer, .. } = self
        {
            // The requesting process may have ended. What was written stays.
            let _ = answer.send(result);
        }
    }
}

pub(super) struct Writer {
    connection: Connection,
    place: StoreFiles,
    /// The file after this process last wrote to it.
    seen: Option<Stamp>,
    /// Number and hash of the last entry of the ledger by then.
    last: Option<(i64, String)>,
}

/// How often a waiting thread yields before it sleeps, well under a millisecond in all. Waking a sleeping thread takes about as long as a
/// write on a fast disk.
pub(super) const YIELDS: u32 = 1_000;

/// Most jobs in one commit: enough for a fleet, few enough that nobody waits for a long transaction.
const GROUP: usize = 256;

impl Writer {
    pub(super) fn new(connection: Connection, place: StoreFiles) -> Self {
        let mut writer = Self { connection, place, seen: None, last: None };
        writer.look();
        writer
    }

    /// Remembers what the file is now.
    fn look(&mut self) {
        self.seen = self.place.stamp();
        let last = "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1";
        let last = self
            .connection
            .prepare_cached(last)
            .and_then(|mut s| s.query_row([], |r| Ok((r.get(0)?, r.get(1)?))));
        self.last = last.ok();
    }

    /// Whether another program wrote into the file. SQLite does so too when it empties its log.
    fn overwritten(&self) -> Option<String> {
        if self.place.stamp() == self.seen { None } else { self.place.damaged(self.last.as_ref()) }
    }

    /// Runs until all senders are gone. Jobs that arrive during a commit share the next one.
    pub(super) fn serve(mut self, jobs: &Receiver<Job>) {
        let mut group: Vec<Job> = Vec::new();
        while let Some(first) = next(jobs) {
            group.push(first);
            group.extend(jobs.try_iter().take(GROUP - 1));
            let stops = group.iter().any(|job| matches!(job, Job::Stop));
            let only_notes =
                group.iter().all(|job| matches!(job, Job::Note { bytes, .. } if !bytes.is_empty()));
            if stops || !only_notes || group.len() >= GROUP {
                self.commit(std::mem::take(&mut group));
            }
            if stops {
                return;
            }
        }
    }

    fn commit(&mut self, group: Vec<Job>) {
        let gone = |group: Vec<Job>, why: &str| {
            group.into_iter().for_each(|job| job.answer(Err(AppendError::Gone(why.to_owned()))));
        };
        if let Some(lost) = self.place.lost().or_else(|| self.overwritten()) {
            return gone(group, &lost);
        }
        let written = self.write(&group);
        self.look();
        // The file may have disappeared during the write. Then nobody would find these data, either. After the end of a run nothing is written
        // that would find it, so the file is checked.
        let ends = |job: &Job| matches!(job, Job::Append { release: Release::Free, .. });
        let ended = written.is_ok() && group.iter().any(ends);
        let damaged = || ended.then(|| self.place.damaged(self.last.as_ref())).flatten();
        if let Some(lost) = self.place.lost().or_else(damaged) {
            return gone(group, &lost);
        }
        match written {
            Ok(results) => group.into_iter().zip(results).for_each(|(job, result)| job.answer(result)),
            Err((e, committing)) => {
                // A failed commit may still be on disk, so the caller must read the store before it acts.
                let error = |e: &rusqlite::Error| {
                    if committing {
                        AppendError::Unknown(e.to_string())
                    } else {
                        AppendError::Unavailable(e.to_string())
                    }
                };
                group.into_iter().for_each(|job| job.answer(Err(error(&e))));
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "one result a job, inside the fate of the transaction")]
    fn write(
        &mut self,
        group: &[Job],
    ) -> Result<Vec<Result<Vec<Record>, AppendError>>, (rusqlite::Error, bool)> {
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| (e, false))?;
        let mut results = Vec::with_capacity(group.len());
        for job in group {
            if group.len() == 1 {
                results.push(perform(&transaction, job).map_err(|e| (e, false))?);
                break;
            }
            // A refused job is rolled back alone and does not affect the other jobs.
            let savepoint = transaction.savepoint().map_err(|e| (e, false))?;
            let result = perform(&savepoint, job).map_err(|e| (e, false))?;
            if result.is_ok() {
                savepoint.commit().map_err(|e| (e, false))?;
            } else {
                drop(savepoint);
            }
            results.push(result);
        }
        // If the only job was refused, the whole transaction is rolled back.
        if let [Err(_)] = results.as_slice() {
            return Ok(results);
        }
        transaction.commit().map_err(|e| (e, true))?;
        Ok(results)
    }
}

/// Waits for a job. It polls first, because the next append of a busy run follows within microseconds.
fn next(jobs: &Receiver<Job>) -> Option<Job> {
    for _ in 0..YIELDS {
        match jobs.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
    jobs.recv().ok()
}

fn perform(connection: &Connection, job: &Job) -> rusqlite::Result<Result<Vec<Record>, AppendError>> {
    match job {
        Job::Create { run, claims, events, closes, .. } => {
            if let Some(old) = closes {
                let ended = append(connection, &old.run, old.epoch, old.expect, &old.events, Release::Free)?;
                if let Err(refused) = ended {
                    return Ok(Err(refused));
                }
            }
            create(connection, run, claims, events)
        }
        Job::Append { run, epoch, expect, events, release, .. } => {
            append(connection, run, *epoch, *expect, events, *release)
        }
        Job::Import { run, records, entry, .. } => import(connection, run, records, entry),
        Job::Adopt { run, claims, entry, .. } => match claim(connection, run, claims)? {
            Some(busy) => Ok(Err(busy)),
            None => Ok(Ok(vec![enter(connection, entry.clone())?])),
        },
        Job::Enter { bytes, .. } => Ok(Ok(vec![enter(connection, bytes.clone())?])),
        Job::Note { run, at, bytes } => {
            let note = "INSERT INTO simulated (run_id, at_ms, bytes) VALUES (?1, ?2, ?3)";
            put(connection, note, params![run.as_str(), at.millis(), bytes])?;
            Ok(Ok(Vec::new()))
        }
        Job::Stop => Ok(Ok(Vec::new())),
    }
}

fn create(
    connection: &Connection,
    run: &RunId,
    claims: &[ComponentName],
    events: &[Vec<u8>],
) -> rusqlite::Result<Result<Vec<Record>, AppendError>> {
    if let Some(busy) = claim(connection, run, claims)? {
        return Ok(Err(busy));
    }
    put(connection, "INSERT INTO runs (run_id, epoch) VALUES (?1, 1)", [run.as_str()])?;
    let records = insert(connection, run, None, 1, events)?;
    note_head(connection, records.last())?;
    Ok(Ok(records))
}

fn claim(
    connection: &Connection,
    run: &RunId,
    claims: &[ComponentName],
) -> rusqlite::Result<Option<AppendError>> {
    for component in claims {
        let holder: Option<String> = connection
            .query_row("SELECT run_id FROM claims WHERE component = ?1", [component.as_str()], |r| r.get(0))
            .optional()?;
        if let Some(holder) = holder {
            return Ok(Some(AppendError::Unavailable(format!("{BUSY}{component}\0{holder}"))));
        }
        let values = params![component.as_str(), run.as_str()];
        put(connection, "INSERT INTO claims (component, run_id) VALUES (?1, ?2)", values)?;
    }
    Ok(None)
}

fn append(
    connection: &Connection,
    run: &RunId,
    epoch: u64,
    expect: u64,
    events: &[Vec<u8>],
    release: Release,
) -> rusqlite::Result<Result<Vec<Record>, AppendError>> {
    let holds: Option<i64> = connection
        .prepare_cached("SELECT epoch FROM runs WHERE run_id = ?1")?
        .query_row([run.as_str()], |r| r.get(0))
        .optional()?;
    let Some(holds) = holds.and_then(|n| u64::try_from(n).ok()) else {
        return Ok(Err(AppendError::Unavailable(format!("run {run} does not exist"))));
    };
    if holds != epoch {
        return Ok(Err(AppendError::Fenced { run: run.clone(), epoch: holds }));
    }
    let last: Option<(i64, String)> = connection
        .prepare_cached("SELECT seq, hash FROM events WHERE run_id = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([run.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let last = last.map(|(seq, hash)| (u64::try_from(seq).unwrap_or(0), Digest::from_stored(hash)));
    let have = last.as_ref().map_or(0, |(seq, _)| *seq);
    if have != expect {
        return Ok(Err(AppendError::Conflict { run: run.clone(), have, expected: expect }));
    }
    let records = insert(connection, run, last, epoch, events)?;
    if release == Release::Free {
        connection.execute("DELETE FROM claims WHERE run_id = ?1", [run.as_str()])?;
    }
    note_head(connection, records.last())?;
    Ok(Ok(records))
}

fn insert(
    connection: &Connection,
    run: &RunId,
    mut last: Option<(u64, Digest)>,
    epoch: u64,
    events: &[Vec<u8>],
) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::with_capacity(events.len());
    for bytes in events {
        let record = chain::link(run, last.as_ref().map(|(s, h)| (*s, h)), epoch, bytes.clone());
        put_event(connection, &record)?;
        last = Some((record.seq, record.hash.clone()));
        records.push(record);
    }
    Ok(records)
}

fn import(
    connection: &Connection,
    run: &RunId,
    records: &[Record],
    entry: &[u8],
) -> rusqlite::Result<Result<Vec<Record>, AppendError>> {
    let have: i64 =
        connection
            .query_row("SELECT count(*) FROM events WHERE run_id = ?1", [run.as_str()], |r| r.get(0))?;
    if have > 0 {
        return Ok(Err(AppendError::Conflict {
            run: run.clone(),
            have: u64::try_from(have).unwrap_or(0),
            expected: 0,
        }));
    }
    if is_named_before(connection, i64::MAX, run)? {
        return Ok(Err(AppendError::Unavailable(format!(
            "the ledger records run {run}, but its events are missing: somebody removed them. Import the run into another store"
        ))));
    }
    enter(connection, entry.to_vec())?;
    let epoch = records.iter().map(|r| r.epoch).max().unwrap_or(1);
    let values = params![run.as_str(), int(epoch)];
    put(connection, "INSERT INTO runs (run_id, epoch) VALUES (?1, ?2)", values)?;
    for record in records {
        put_event(connection, record)?;
    }
    note_head(connection, records.last())?;
    Ok(Ok(records.to_vec()))
}

/// Whether an entry of the ledger before this one names the run.
pub(super) fn is_named_before(connection: &Connection, seq: i64, run: &RunId) -> rusqlite::Result<bool> {
    let query = "SELECT bytes FROM ledger WHERE seq < ?1 AND instr(bytes, ?2) > 0 ORDER BY seq";
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![seq, run.as_str().as_bytes()])?;
    while let Some(row) = rows.next()? {
        if imported::names(&row.get::<_, Vec<u8>>(0)?).as_ref() == Some(run) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Records the head of a run in the commit that changes it. Whoever truncates a run must therefore also truncate the ledger.
fn note_head(connection: &Connection, last: Option<&Record>) -> rusqlite::Result<()> {
    let Some(last) = last else { return Ok(()) };
    enter(connection, serde_json::to_vec(&(&last.run, last.seq, &last.hash)).unwrap_or_default())?;
    Ok(())
}

/// Appends an entry to the ledger.
fn enter(connection: &Connection, bytes: Vec<u8>) -> rusqlite::Result<Record> {
    let head: Option<(i64, String)> = connection
        .prepare_cached("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let head = head.map(|(seq, hash)| (u64::try_from(seq).unwrap_or(0), Digest::from_stored(hash)));
    let entry = chain::link(&RunId::new(LEDGER), head.as_ref().map(|(s, h)| (*s, h)), 0, bytes);
    let values = params![int(entry.seq), entry.bytes, entry.previous.as_str(), entry.hash.as_str()];
    put(connection, "INSERT INTO ledger (seq, bytes, previous, hash) VALUES (?1, ?2, ?3, ?4)", values)?;
    Ok(entry)
}

fn put_event(connection: &Connection, r: &Record) -> rusqlite::Result<()> {
    put(
        connection,
        "INSERT INTO events (run_id, seq, epoch, bytes, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![r.run.as_str(), int(r.seq), int(r.epoch), r.bytes, r.previous.as_str(), r.hash.as_str()],
    )
}

/// Inserts one row. A trigger that somebody added could drop it without an error.
fn put(connection: &Connection, insert: &str, values: impl Params) -> rusqlite::Result<()> {
    if connection.prepare_cached(insert)?.execute(values)? == 1 {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT);
    let why = "the store did not keep what drctl wrote: somebody changed its schema (drctl audit verify names the change)";
    Err(rusqlite::Error::SqliteFailure(code, Some(why.to_owned())))
}

fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
