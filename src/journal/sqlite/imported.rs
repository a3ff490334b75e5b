//! The check before anything acts on a run: it is this store's own, or an operator of this store adopted it.

use std::collections::BTreeMap;

use rusqlite::params;

use super::writer::{self, Job};
use super::{SqliteJournal, ledger_row, wait};
use crate::journal::contents;
use crate::journal::imported::{self, Imported, Stored};
use crate::journal::{AppendError, Journal as _, Record, StoreError, verify};
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::ledger::{Entry, RecordedOperator};
use crate::record::event::{Event, EventKind};

/// Imports, adoptions, and the settings that list the operators.
const KINDS: &str = "SELECT seq, bytes, previous, hash FROM ledger WHERE substr(bytes, 1, 2) = x'7b22'
    AND substr(bytes, 1, 14) IN (CAST('{\"ledger\":\"imp' AS BLOB), CAST('{\"ledger\":\"ado' AS BLOB), CAST('{\"ledger\":\"con' AS BLOB)) ORDER BY seq";

impl SqliteJournal {
    /// What the ledger records about imported runs.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn imported(&self) -> Result<Imported, StoreError> {
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare_cached(KINDS)?;
            statement.query_map([], ledger_row)?.collect::<rusqlite::Result<Vec<Record>>>()
        };
        let entries = read().map_err(|e| self.fail(&e))?;
        drop(reader);
        let nobody = BTreeMap::new();
        Ok(imported::read(entries.iter(), self, self.operators.get().unwrap_or(&nobody)))
    }

    /// From now on, the operators in `drctl.yaml` are known, which nobody changes by writing to the store.
    pub fn adopted_by(&self, operators: BTreeMap<String, RecordedOperator>) {
        drop(self.operators.set(operators));
    }

    /// Whether drctl may act on a run or accept a signal for it.
    ///
    /// # Errors
    /// If it was imported and nobody of this store adopted it; with the operators that the file names.
    pub fn may_act(&self, run: &RunId) -> Result<(), StoreError> {
        self.may_write()?;
        let Some(waiting) = self.imported()?.waiting.remove(run) else { return Ok(()) };
        let operators = self.read(run).ok().and_then(|records| {
            match serde_json::from_slice::<Event>(&records.first()?.bytes).ok()?.what {
                EventKind::RunCreated(created) => Some(created.authority.operators.into_keys().collect()),
                _ => None,
            }
        });
        Err(StoreError::Imported {
            run: run.clone(),
            operators: operators.unwrap_or_default(),
            unsound: waiting.unsound,
        })
    }

    /// The events of a run that counts, if there is such a run. Scheduled drills have names that anybody can predict, so whoever reads a run
    /// by such a name reads it here.
    ///
    /// # Errors
    /// If the run came from a file and nobody of this store adopted it, or its chain is invalid.
    pub fn own(&self, run: &RunId) -> Result<Option<Vec<Record>>, StoreError> {
        match self.read(run) {
            Err(StoreError::NoRun(_)) => Ok(None),
            Err(e) => Err(e),
            Ok(records) => self.may_act(run).map(|()| Some(records)),
        }
    }

    /// Stores a whole exported run if its chain is valid. It holds no component until somebody adopts it.
    ///
    /// # Errors
    /// If its chain is invalid, or the store has different events of the run.
    pub fn import(&self, run: &RunId, records: &[Record], entry: &Entry) -> Result<(), StoreError> {
        self.may_write()?;
        if let Some((seq, why)) = crate::journal::chain::broken(run, records) {
            return Err(StoreError::Corrupt { run: run.to_string(), seq, why });
        }
        let (run, records, entry) = (run.clone(), records.to_vec(), bytes(entry)?);
        let here = format!("run {run} is already in {}", self.path.display());
        let receiver = self.submit(|answer| Job::Import { run, records, entry, answer });
        match wait(receiver).map_err(StoreError::Unreadable)? {
            Ok(_) => Ok(()),
            Err(AppendError::Conflict { have, .. }) => {
                Err(StoreError::Unreadable(format!("{here}, with {have} events")))
            }
            Err(e) => Err(refused(e)),
        }
    }

    /// Adopts an imported run. From now on it counts, and it holds its components if it is not finished.
    ///
    /// # Errors
    /// `Busy` if another unfinished run holds one of them.
    pub fn adopt(&self, run: &RunId, claims: &[ComponentName], entry: &Entry) -> Result<(), StoreError> {
        self.may_write()?;
        let (run, claims, entry) = (run.clone(), claims.to_vec(), bytes(entry)?);
        let receiver = self.submit(|answer| Job::Adopt { run, claims, entry, answer });
        match wait(receiver).map_err(StoreError::Unreadable)? {
            Ok(_) => Ok(()),
            Err(e) => Err(refused(e)),
        }
    }

    /// How the store contradicts something that was signed elsewhere, if it does.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn contradicts(&self, anchor: &verify::Anchor) -> Result<Option<String>, StoreError> {
        let length = self.ledger_head()?.map_or(0, |head| head.seq);
        Ok(verify::contradiction(anchor, length, self))
    }

    /// From now on drctl only reads this store, because something kept beside it is newer.
    pub fn only_read(&self, why: String) {
        // The first cause is reported.
        drop(self.put_back.set(why));
    }

    /// Whether anything may be written: the file is still in its place, and nothing kept beside it is newer.
    ///
    /// # Errors
    /// Why nothing may be written.
    pub fn may_write(&self) -> Result<(), StoreError> {
        self.in_place()?;
        if let Some(why) = &self.readonly {
            return Err(StoreError::Unreadable(why.clone()));
        }
        match self.put_back.get() {
            Some(why) => Err(StoreError::PutBack(why.clone())),
            None => Ok(()),
        }
    }

    /// The hash of the last event of a run in the ledger.
    pub(super) fn known_head(&self, run: &RunId) -> Result<Option<contents::Head>, StoreError> {
        super::last_head(&self.reader.borrow(), run).map_err(|e| self.fail(&e))
    }
}

impl Stored for SqliteJournal {
    fn entry(&self, seq: u64) -> Option<Digest> {
        let found =
            self.reader
                .borrow()
                .query_row("SELECT hash FROM ledger WHERE seq = ?1", [int(seq)], |r| r.get(0));
        found.ok().map(|hash: String| Digest::from_stored(hash))
    }

    fn event(&self, run: &RunId, seq: u64) -> Option<Digest> {
        let query = "SELECT hash FROM events WHERE run_id = ?1 AND seq = ?2";
        let found = self.reader.borrow().query_row(query, params![run.as_str(), int(seq)], |r| r.get(0));
        found.ok().map(|hash: String| Digest::from_stored(hash))
    }

    fn follows(&self, seq: u64, bytes: &[u8]) -> bool {
        let query = "SELECT EXISTS (SELECT 1 FROM ledger WHERE seq > ?1 AND bytes = ?2)";
        self.reader.borrow().query_row(query, params![int(seq), bytes], |r| r.get(0)).unwrap_or(false)
    }

    fn is_named_before(&self, seq: u64, run: &RunId) -> bool {
        // Nothing is inserted before an entry, so what was found once stays.
        if let Some(known) = self.named.borrow().get(&seq) {
            return *known;
        }
        let found = writer::is_named_before(&self.reader.borrow(), int(seq), run);
        if let Ok(found) = found {
            self.named.borrow_mut().insert(seq, found);
        }
        found.unwrap_or(false)
    }
}

fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn bytes(entry: &Entry) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(entry).map_err(|e| StoreError::Unreadable(e.to_string()))
}

fn refused(e: AppendError) -> StoreError {
    super::busy(&e).unwrap_or_else(|| match e {
        AppendError::Gone(why) => StoreError::Gone(why),
        other => StoreError::Unreadable(other.to_string()),
    })
}
