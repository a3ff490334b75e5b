//! Schedules and their drills, as the ledger has them.

use super::error::AppError;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ledger::Entry;
use crate::policy::schedules::RecordedSchedules;

/// Schedules and drills, as recorded in the ledger of a store.
///
/// # Errors
/// If the ledger cannot be read.
pub fn known(store: &SqliteJournal) -> Result<RecordedSchedules, AppError> {
    let mut entries = store.entries(b"{\"ledger\":\"sch")?;
    entries.extend(store.entries(b"{\"ledger\":\"dri")?);
    entries.sort_by_key(|record| record.seq);
    Ok(RecordedSchedules::from_entries(entries.iter().filter_map(|record| Entry::read(&record.bytes).ok())))
}
