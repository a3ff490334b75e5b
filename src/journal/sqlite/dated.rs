//! The time that the ledger knows. Nothing new is dated earlier than that, whatever the machine's clock shows.

use rusqlite::OptionalExtension as _;
use serde::Deserialize;

use super::SqliteJournal;
use crate::journal::StoreError;
use crate::model::ledger::{Entry, StoreWorld};
use crate::model::time::Timestamp;
use crate::world::JUMP;

/// The last entry that is not the head of a run.
const LAST: &str = "SELECT bytes FROM ledger WHERE substr(bytes, 1, 2) = x'7b22' ORDER BY seq DESC LIMIT 1";

/// The last event of each run.
const ENDS: &str = "SELECT r.run_id, e.bytes FROM runs r JOIN events e ON e.run_id = r.run_id
    AND e.seq = (SELECT max(seq) FROM events x WHERE x.run_id = r.run_id)";

/// The time of an event.
#[derive(Deserialize)]
struct When {
    at: Timestamp,
}

impl SqliteJournal {
    /// The latest time in the ledger, from its entries and the events of the store's own runs. A store of rehearsals knows none, because
    /// each rehearsal has its own simulated time.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn latest(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.world == StoreWorld::Sandbox {
            return Ok(None);
        }
        let foreign = self.imported()?.waiting;
        let entry = self.last_entry(LAST)?.and_then(|entry| entry.at());
        let reader = self.reader.borrow();
        let read = || {
            let mut statement = reader.prepare_cached(ENDS)?;
            let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, Vec<u8>>(1)?));
            statement.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let ends = read().map_err(|e| self.fail(&e))?;
        let own = ends.iter().filter(|(run, _)| !foreign.keys().any(|other| other.as_str() == run));
        let events =
            own.filter_map(|(_, bytes)| serde_json::from_slice::<When>(bytes).ok()).map(|when| when.at);
        Ok(events.chain(entry).max())
    }

    /// The time for something that is signed or written now, never earlier than the time that the ledger knows. If the machine's clock is
    /// behind, a separate entry records that.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn date(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let Some(known) = self.latest()? else { return Ok(now) };
        let behind_ms = known.since(now);
        if behind_ms >= JUMP && !self.said_behind(known)? {
            self.may_write()?;
            self.put(&Entry::Clock { at: known, behind_ms })?;
        }
        Ok(now.max(known))
    }

    /// An entry with its time.
    pub(super) fn dated(&self, entry: &Entry) -> Result<Entry, StoreError> {
        match (entry, entry.at()) {
            // The signature covers the time of a signed entry.
            (Entry::Checkpoint(_) | Entry::Adopted { .. }, _) | (_, None) => Ok(entry.clone()),
            (_, Some(at)) => Ok(entry.clone().dated(self.date(at)?)),
        }
    }

    fn said_behind(&self, known: Timestamp) -> Result<bool, StoreError> {
        let last = self.entries(b"{\"ledger\":\"clo")?.pop();
        let last = last.and_then(|record| Entry::read(&record.bytes).ok());
        Ok(matches!(last, Some(Entry::Clock { at, .. }) if at == known))
    }

    fn last_entry(&self, query: &str) -> Result<Option<Entry>, StoreError> {
        let reader = self.reader.borrow();
        let bytes: Option<Vec<u8>> =
            reader.query_row(query, [], |r| r.get(0)).optional().map_err(|e| self.fail(&e))?;
        Ok(bytes.and_then(|bytes| Entry::read(&bytes).ok()))
    }
}
