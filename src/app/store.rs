//! Opens the store that a command works in. Commands read it in no other way, so that each of them learns whether it is older than
//! something that was signed about it.

use super::anchors;
use super::context::Context;
use super::error::AppError;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::Contents;
use crate::plan::terms;

impl Context {
    /// Opens the journal. Rehearsals have a store of their own, which never appears in live status or compliance reports.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn store(&self) -> Result<SqliteJournal, AppError> {
        let store = SqliteJournal::open(&self.store_file(), self.world())?;
        store.adopted_by(terms::known(&self.settings.authority));
        self.options.older.add(anchors::hold(&store)?);
        self.options.older.add(anchors::hold_to(&store, &self.options.checkpoint)?);
        Ok(store)
    }

    /// Reads the whole store, and writes nothing.
    ///
    /// # Errors
    /// If it is not there or cannot be read, or a checkpoint that was kept elsewhere does not belong to it.
    pub fn look(&self) -> Result<Contents, AppError> {
        let contents = SqliteJournal::look(&self.store_file(), self.world())?;
        self.options.older.add(anchors::newer(self, &contents));
        self.options.older.add(anchors::kept_newer(self, &contents)?);
        Ok(contents)
    }

    /// The same for an audit, which lists a checkpoint that does not belong to the store with the other findings.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub fn look_for_an_audit(&self) -> Result<Contents, AppError> {
        let contents = SqliteJournal::look(&self.store_file(), self.world())?;
        self.options.older.add(anchors::newer(self, &contents));
        self.options.older.add(anchors::kept_newer(self, &contents).unwrap_or_default());
        Ok(contents)
    }
}
