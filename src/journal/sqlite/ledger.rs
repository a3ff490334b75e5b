//! Reads parts of the ledger.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;

use super::{SqliteJournal, ledger_row};
use crate::journal::contents::{Fault, LEDGER, head};
use crate::journal::{Record, StoreError, chain, statements};
use crate::model::ids::RunId;

impl SqliteJournal {
    /// The ledger from the last head of a run up to an entry. This covers all events of the run and names as few other runs as possible.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn ledger_of(&self, run: &RunId, upto: u64) -> Result<Vec<Record>, StoreError> {
        // A head is an array whose first element is its run.
        let begins =
            serde_json::to_string(run).map(|name| format!("[{name},").into_bytes()).unwrap_or_default();
        let query = "SELECT seq, bytes, previous, hash FROM ledger WHERE seq <= ?3 AND seq >= (SELECT seq FROM ledger WHERE seq <= ?3 AND substr(bytes, 1, ?2) = ?1 ORDER BY seq DESC LIMIT 1) ORDER BY seq";
        let of = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare(query)?;
            let parameters = rusqlite::params![begins, of(begins.len() as u64), of(upto)];
            statement.query_map(parameters, ledger_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.fail(&e))
    }

    /// Every entry of the ledger that begins with these bytes.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn entries(&self, kind: &[u8; 14]) -> Result<Vec<Record>, StoreError> {
        let of_kind = "SELECT seq, bytes, previous, hash FROM ledger WHERE substr(bytes, 1, 2) = x'7b22' AND substr(bytes, 1, 14) = ?1 ORDER BY seq";
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare(of_kind)?;
            statement.query_map([kind.as_slice()], ledger_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.fail(&e))
    }

    /// Checks the entries since the first one about a run: their chain, and the statements about the run.
    pub(super) fn check_ledger(&self, run: &RunId, events: &[Record]) -> Result<(), StoreError> {
        let begins =
            serde_json::to_string(run).map(|name| format!("[{name},").into_bytes()).unwrap_or_default();
        let since = "SELECT seq, bytes, previous, hash FROM ledger WHERE seq >= coalesce((SELECT min(seq) FROM ledger WHERE substr(bytes, 1, ?2) = ?1), 1) ORDER BY seq";
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare(since)?;
            let parameters = rusqlite::params![begins, i64::try_from(begins.len()).unwrap_or(i64::MAX)];
            statement.query_map(parameters, ledger_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let entries = read().map_err(|e| self.fail(&e))?;
        let Some(first) = entries.first() else { return Ok(()) };
        let before = (first.seq.saturating_sub(1), first.previous.clone());
        let corrupt = |(seq, why)| StoreError::CorruptLedger { seq, why };
        if let Some(broken) = chain::broken_after(&RunId::new(LEDGER), before, &entries) {
            return Err(corrupt(broken));
        }
        let by_run = BTreeMap::from([(run, events.to_vec())]);
        match statements::unsound(&entries, &by_run).into_iter().next() {
            Some((_, seq, why)) => Err(corrupt((seq, why))),
            None => Ok(()),
        }
    }

    /// What is wrong with the chain of the ledger, and with what it records about a run. An audit also checks all signatures.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn ledger_faults(&self, run: &RunId, events: &[Record]) -> Result<Vec<Fault>, StoreError> {
        let reader = self.reader.borrow();
        let read = || {
            let mut statement =
                reader.prepare("SELECT seq, bytes, previous, hash FROM ledger ORDER BY seq")?;
            statement.query_map([], ledger_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let entries = read().map_err(|e| self.fail(&e))?;
        let broken = chain::broken(&RunId::new(LEDGER), &entries);
        let of_chain = broken.map(|(seq, why)| Fault { run: LEDGER.to_owned(), seq, why });
        let heads = entries.iter().rev().filter_map(|entry| head(&entry.bytes));
        let known = heads.filter(|head| head.run == *run).map(|head| head.seq).max().unwrap_or(0);
        let last = events.last().map_or(0, |event| event.seq);
        let of_run = (known < last).then(|| Fault {
            run: run.to_string(),
            seq: last,
            why: format!(
                "the ledger contains the run only up to event {known}: the end of the ledger was removed"
            ),
        });
        Ok(of_chain.into_iter().chain(of_run).collect())
    }

    /// The statements in the ledger that name a run.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub(super) fn statements(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let of_run = "SELECT seq, bytes, previous, hash FROM ledger WHERE substr(bytes, 1, 2) = x'7b22' AND substr(bytes, 1, 14) = CAST('{\"ledger\":\"sta' AS BLOB) AND instr(bytes, ?1) > 0 ORDER BY seq";
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare_cached(of_run)?;
            statement.query_map([run.as_str().as_bytes()], ledger_row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.fail(&e))
    }

    /// The last entry of the ledger.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn ledger_head(&self) -> Result<Option<Record>, StoreError> {
        let reader = self.reader.borrow();
        reader
            .query_row(
                "SELECT seq, bytes, previous, hash FROM ledger ORDER BY seq DESC LIMIT 1",
                [],
                ledger_row,
            )
            .optional()
            .map_err(|e| self.fail(&e))
    }
}
