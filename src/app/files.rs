//! Files that are written for people.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::error::AppError;

/// The path of something that belongs to a store and is beside it. It has the whole name of the store's file, so that two stores in one
/// folder share nothing.
pub fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The last checkpoint of a store, beside it.
pub fn checkpoint_of(store: &Path) -> PathBuf {
    beside(store, ".checkpoint")
}

/// The store of the rehearsals that a live command with this store holds.
pub fn rehearsed(store: &Path) -> PathBuf {
    beside(store, ".sandbox.db")
}

/// Whether two paths name one file, which need not exist yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = || {
            Some(folder.canonicalize().or_else(|_| std::path::absolute(folder)).ok()?.join(path.file_name()?))
        };
        path.canonicalize().ok().or_else(named)
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// Refuses to rehearse in the store of the real environment, which stays one even before it exists.
///
/// # Errors
/// If both paths name one file.
pub fn apart(rehearsed: &Path, live: &Path) -> Result<(), AppError> {
    match is_same(rehearsed, live) {
        false => Ok(()),
        true => Err(AppError::usage_fix(
            format!("{} is the store of the real environment, so it takes no rehearsal", rehearsed.display()),
            "name another file with --store, or remove --store",
        )),
    }
}

/// Creates a file. Never overwrites one, because signed files and keys must stay.
///
/// # Errors
/// If it exists, or cannot be written.
pub fn write_new(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), AppError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(content.as_ref())?;
        file.sync_all()
    });
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => AppError::usage_fix(
            format!("{} already exists, and drctl never overwrites it", path.display()),
            "name another file with --out",
        ),
        _ => AppError::file(path, &e),
    })
}

/// Writes a file that only its owner can read. Overwrites an existing one.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), AppError> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        // An existing file keeps its old mode otherwise.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(content.as_ref())?;
        file.sync_all()
    });
    written.map_err(|e| AppError::file(path, &e))
}

/// Creates a folder that only its owner can access, or checks that an existing one is: not created by somebody else, not a link, and not
/// readable by others.
///
/// # Errors
/// If it cannot be created, or is anything else.
pub fn own_folder(path: &Path) -> Result<(), AppError> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(AppError::file(path, &e)),
        _ => {}
    }
    let found = std::fs::symlink_metadata(path).map_err(|e| AppError::file(path, &e))?;
    let why = match found {
        found if !found.is_dir() => "is not a folder",
        found if found.uid() != rustix::process::geteuid().as_raw() => "belongs to somebody else",
        found if found.mode() & 0o077 != 0 => "is open to others",
        _ => return Ok(()),
    };
    Err(AppError::usage_fix(
        format!("{} {why}, so drctl does not trust its contents", path.display()),
        format!("move {} away", path.display()),
    ))
}

/// Checks that a file with a secret belongs to the current user and that only the owner can read it (0600 or 0400).
///
/// # Errors
/// If it does not exist, belongs to somebody else, or is open to others.
pub fn own_file(path: &Path) -> Result<(), AppError> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).map_err(|e| AppError::file(path, &e))?;
    let why = match found {
        found if found.uid() != rustix::process::geteuid().as_raw() => "belongs to somebody else",
        found if found.mode() & 0o177 != 0 => "is open to others or executable",
        _ => return Ok(()),
    };
    Err(AppError::usage_fix(
        format!("{} {why}, so its contents are not secret", path.display()),
        format!(
            "run chmod 600 {0} and make the user of drctl its owner. If somebody may have read it, change the passphrase",
            path.display()
        ),
    ))
}

/// Creates a file atomically: whoever finds it finds all of it. Returns whether this call created it; an existing one is kept.
///
/// # Errors
/// If it cannot be written.
pub fn place_new(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<bool, AppError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    // Left by a killed process with the same ID.
    drop(std::fs::remove_file(beside));
    write_new(beside, content, mode)?;
    let placed = std::fs::hard_link(beside, path);
    drop(std::fs::remove_file(beside));
    match placed {
        // Makes the new name survive a power failure.
        Ok(()) => match path.parent().map(std::fs::File::open) {
            Some(Ok(folder)) => folder.sync_all().map(|()| true).map_err(|e| AppError::file(path, &e)),
            _ => Ok(true),
        },
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(AppError::file(path, &e)),
    }
}

/// Writes a file that only its owner can read, and replaces an existing one atomically: readers find either all of the old or all of the
/// new content. `number` must differ between threads of this process that write at the same time.
///
/// # Errors
/// If it cannot be written.
pub fn place_over(path: &Path, content: impl AsRef<[u8]>, number: u64) -> Result<(), AppError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}-{number}", std::process::id()));
    let beside = Path::new(&beside);
    // Left by a killed process with the same ID.
    drop(std::fs::remove_file(beside));
    write_new(beside, content, 0o600)?;
    std::fs::rename(beside, path).map_err(|e| AppError::file(path, &e))
}
