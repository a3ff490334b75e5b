//! Imports exported runs.

use super::error::AppError;
use super::presenter::Presenter;
use super::{clock, environment, ledger};
use crate::executor::create;
use crate::journal::StoreError;
use crate::journal::chain::{self, Record};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::RunId;
use crate::model::ledger::Entry;

/// Imports an exported run into a store.
///
/// # Errors
/// If it is not intact, or the store cannot be written.
pub fn import_records(
    presenter: &dyn Presenter,
    store: &SqliteJournal,
    records: &[Record],
) -> Result<RunId, AppError> {
    let Some(first) = records.first() else { return Err(AppError::usage("the file holds no events")) };
    let run = first.run.clone();
    if let Some((seq, why)) = chain::broken(&run, records) {
        return Err(StoreError::Corrupt { run: run.to_string(), seq, why }.into());
    }
    create::replay(&run, records)?;
    create::vouched_for(&run, records)?;
    let (at, last) = (ledger::dated(presenter, store, clock::now()?)?, records.last().unwrap_or(first));
    let entry = Entry::Imported {
        at,
        run: run.clone(),
        who: environment::os_identity(),
        events: last.seq,
        head: last.hash.clone(),
    };
    store.import(&run, records, &entry)?;
    Ok(run)
}
