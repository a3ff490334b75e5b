//! Whether the files at the path of a store are the open ones. SQLite continues to write to files that were deleted or moved, and a later
//! process would not find those writes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// Device and inode: the identity of a file, whatever its name (POSIX.1-2017, `<sys/stat.h>`).
type Identity = (u64, u64);

/// Length, and seconds and nanoseconds of the last change: what a write changes at least.
pub(super) type Stamp = (u64, i64, i64);

/// The files of an open store: the database, its log, and the index of the log.
#[derive(Clone, Debug)]
pub(super) struct StoreFiles {
    files: Vec<(PathBuf, Identity)>,
}

/// The identity of the file at a path.
pub(super) fn identity(path: &Path) -> std::io::Result<Identity> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// A file that SQLite keeps beside the database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl StoreFiles {
    /// For a store that is never written.
    pub(super) const fn nowhere() -> Self {
        Self { files: Vec::new() }
    }

    /// The current files. Only the database itself has to be the one that was `opened`; SQLite creates the others.
    ///
    /// # Errors
    /// If one is missing, or the database was replaced while it was opened.
    pub(super) fn from_path(path: &Path, opened: Option<Identity>) -> Result<Self, String> {
        let mut files = Vec::new();
        for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
            let is = identity(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            files.push((file, is));
        }
        match opened {
            Some(opened) if files[0].1 != opened => Err(replaced(path)),
            _ => Ok(Self { files }),
        }
    }

    /// Length and time of the last change of the database's file.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let found = std::fs::metadata(&self.files.first()?.0).ok()?;
        Some((found.len(), found.mtime(), found.mtime_nsec()))
    }

    /// What is wrong with the file if another program wrote into it: a new connection finds it damaged, or misses the last entry.
    pub(super) fn damaged(&self, last: Option<&(i64, String)>) -> Option<String> {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        let (file, _) = self.files.first()?;
        let entry = "SELECT hash FROM ledger WHERE seq = ?1";
        let look = || -> rusqlite::Result<bool> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let fresh = Connection::open_with_flags(file, flags)?;
            fresh.busy_timeout(std::time::Duration::from_secs(5))?;
            let sound = fresh.query_row("PRAGMA quick_check(1)", [], |r| r.get::<_, String>(0))?;
            let Some(last) = last else { return Ok(sound == "ok") };
            let hash = fresh.query_row(entry, [last.0], |r| r.get::<_, String>(0))?;
            Ok(sound == "ok" && hash == last.1)
        };
        let whole = match look() {
            Ok(whole) => whole,
            Err(e) => matches!(e.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked)),
        };
        (!whole).then(|| format!("{} was overwritten by another program while it was in use", file.display()))
    }

    /// What happened to the first file that is missing or was replaced, if any.
    pub(super) fn lost(&self) -> Option<String> {
        self.files.iter().find_map(|(file, was)| match identity(file) {
            Ok(is) if is == *was => None,
            Ok(_) => Some(replaced(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Some(format!("{} was deleted or moved away while it was in use", file.display()))
            }
            Err(e) => Some(format!("{} no longer exists: {e}", file.display())),
        })
    }
}

fn replaced(file: &Path) -> String {
    format!("{} was replaced by another file while it was in use", file.display())
}
