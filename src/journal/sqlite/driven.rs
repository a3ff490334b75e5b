//! The events of the runs that this process drives, so that they outlast the file.

use super::SqliteJournal;
use crate::journal::{Journal as _, Record, Release, StoreError};
use crate::model::ids::RunId;

impl SqliteJournal {
    /// The events of a run, also of a damaged file if this process drives the run.
    ///
    /// # Errors
    /// If there is no such run, or the file is damaged.
    pub fn rescued(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let driven = self.driven.borrow().get(run).cloned().unwrap_or_default();
        match self.read(run) {
            Ok(read) if read.len() >= driven.len() => Ok(read),
            Err(e) if driven.is_empty() => Err(e),
            _ => Ok(driven),
        }
    }

    pub(super) fn drives(&self, run: &RunId, records: &[Record], release: Release) {
        let mut driven = self.driven.borrow_mut();
        match release {
            Release::Keep => driven.entry(run.clone()).or_default().extend_from_slice(records),
            Release::Free => drop(driven.remove(run)),
        }
    }
}
