//! A read-only store: another user's, or on a read-only medium.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access};

use super::place;

/// Why this process cannot write to a store, if it cannot. SQLite also writes files beside it.
pub(super) fn refuses_writes(path: &Path) -> Option<String> {
    let there = path.try_exists().ok()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let above = folder.ancestors().map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    });
    let nearest = above.into_iter().find(|folder| folder.exists())?;
    let refused = |what: &Path| access(what, Access::WRITE_OK).is_err();
    match (there && refused(path), refused(nearest)) {
        (true, _) => Some(format!("{} is read-only for this user", path.display())),
        (false, true) => Some(format!("the folder {} is read-only for this user", nearest.display())),
        (false, false) => None,
    }
}

/// A connection that writes nothing, not even beside the file.
pub(super) fn connection(path: &Path) -> rusqlite::Result<Connection> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A store with a writer has a log beside it. Without a log there is no writer, and no log is created, because the medium may be
    // read-only.
    if place::beside(path, "-wal").exists() {
        return Connection::open_with_flags(path, read_only);
    }
    let plain = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Connection::open_with_flags(format!("file:{plain}?immutable=1"), read_only | OpenFlags::SQLITE_OPEN_URI)
}
