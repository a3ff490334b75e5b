//! Who drives a run on this machine: an OS lock, which goes with its process however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;
use crate::model::ids::RunId;

/// Held for as long as a process drives a run.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run in `folder`.
    ///
    /// # Errors
    /// `Owned` if another process holds it.
    pub fn take(folder: &Path, run: &RunId) -> Result<Self, StoreError> {
        let path = folder.join(format!("{run}.lock"));
        let unreadable =
            |e: &dyn std::fmt::Display| StoreError::Unreadable(format!("{}: {e}", path.display()));
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = OpenOptions::new()
            .mode(0o600)
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| unreadable(&e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Owned(run.clone())),
            Err(TryLockError::Error(e)) => Err(unreadable(&e)),
        }
    }

    /// Whether some process holds the lock of a run. Nothing is written for that: where there is no lock, nobody holds it.
    pub fn is_held(folder: &Path, run: &RunId) -> bool {
        let file = File::open(folder.join(format!("{run}.lock")));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
