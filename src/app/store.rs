//! Opens the store that a command works in.

use super::anchors;
use super::context::Context;
use super::error::AppError;
use crate::journal::sqlite::SqliteJournal;
use crate::plan::terms;

impl Context {
    /// Opens the journal. Rehearsals have a store of their own, which never appears in live status or compliance reports.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn store(&self) -> Result<SqliteJournal, AppError> {
        let store = SqliteJournal::open(&self.store_file(), self.world())?;
        store.adopted_by(terms::known(&self.settings.authority));
        anchors::hold(&store)?;
        anchors::hold_to(&store, &self.options.checkpoint)?;
        Ok(store)
    }
}
