//! Which process drives a run on this machine: an OS lock, which ends with its process however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::model::ids::RunId;

/// Held as long as a process drives a run. Its file is removed with it, unless the process is killed. A file that is left holds no lock.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While this process holds the lock, no other one does. A process that opened the file in the meantime finds that it is gone.
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether an open file is still the one at its path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Opens a lock file without waiting: a FIFO in its place would block until somebody opens its other end.
fn open(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    let file = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is not a regular file, so it cannot be a lock")),
    }
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
        loop {
            let mut options = OpenOptions::new();
            options.mode(0o600).create(true).truncate(false).write(true);
            let file = open(&mut options, &path).map_err(|e| unreadable(&e))?;
            match file.try_lock() {
                // The previous holder may have removed the file between the two calls. A lock on a removed file excludes nobody.
                Ok(()) if is_at(&file, &path) => return Ok(Self { file, path }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StoreError::Owned(run.clone())),
                Err(TryLockError::Error(e)) => return Err(unreadable(&e)),
            }
        }
    }

    /// Whether a process holds the lock of a run. This writes nothing: without a file, nobody holds it.
    pub fn is_held(folder: &Path, run: &RunId) -> bool {
        let file = open(OpenOptions::new().read(true), &folder.join(format!("{run}.lock")));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_leaves_no_file_and_a_file_that_is_left_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new("r");
        let file = folder.path().join("r.lock");
        let lock = RunLock::take(folder.path(), &run).unwrap();
        assert!(file.exists() && RunLock::is_held(folder.path(), &run));
        assert!(matches!(RunLock::take(folder.path(), &run), Err(StoreError::Owned(_))));
        drop(lock);
        assert!(!file.exists() && !RunLock::is_held(folder.path(), &run));
        std::fs::write(&file, "").unwrap();
        drop(RunLock::take(folder.path(), &run).unwrap());
        assert!(!file.exists());
    }

    #[test]
    fn a_fifo_or_a_link_in_the_place_of_a_lock_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.lock");
        let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink("r.lock", folder.path().join("link.lock")).unwrap();
        for run in ["r", "link"] {
            let run = RunId::new(run);
            assert!(!RunLock::is_held(folder.path(), &run));
            assert!(matches!(RunLock::take(folder.path(), &run), Err(StoreError::Unreadable(_))));
        }
    }

    #[test]
    fn two_never_hold_it_while_it_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (run, holders) = (RunId::new("r"), std::sync::atomic::AtomicU32::new(0));
        let taken = std::thread::scope(|scope| {
            let one = || {
                let take = |_| {
                    RunLock::take(folder.path(), &run).ok().map(|lock| {
                        let before = holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::yield_now();
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                        assert_eq!(before, 0, "two hold it");
                    })
                };
                (0..2_000).filter_map(take).count()
            };
            let all: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
        });
        assert!(taken > 100, "{taken}");
    }
}
