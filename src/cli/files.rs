//! Files that are written for people.

use std::io::Write as _;
use std::path::Path;

use super::error::CliError;

/// Writes a file that is not there yet: what was signed, or signs, is never written over.
///
/// # Errors
/// If it is there, or cannot be written.
pub fn write_new(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(content.as_ref())?;
        file.sync_all()
    });
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::usage_fix(
            format!("{} is there already, and is never written over", path.display()),
            "name another file with --out",
        ),
        _ => CliError::file(path, &e),
    })
}

/// Writes a file that nobody else reads, over one that was there.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), CliError> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        // One that was there keeps the rights that it had.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(content.as_ref())?;
        file.sync_all()
    });
    written.map_err(|e| CliError::file(path, &e))
}

/// Writes a file that is not there yet, and the whole file comes into its place at once: who finds it there finds all of it. Answers whether it was this one that came
/// there, and not another that was there before.
///
/// # Errors
/// If it cannot be written.
pub fn place_new(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<bool, CliError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = Path::new(&beside);
    // Of a process of this number that was killed.
    drop(std::fs::remove_file(beside));
    write_new(beside, content, mode)?;
    let placed = std::fs::hard_link(beside, path);
    drop(std::fs::remove_file(beside));
    match placed {
        // That it is there outlives a power cut, too.
        Ok(()) => match path.parent().map(std::fs::File::open) {
            Some(Ok(folder)) => folder.sync_all().map(|()| true).map_err(|e| CliError::file(path, &e)),
            _ => Ok(true),
        },
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(CliError::file(path, &e)),
    }
}

/// Reads a file of at most so many bytes. Never waits for what is no file.
///
/// # Errors
/// If it is none, cannot be read, or is longer.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let failed = |e: std::io::Error| CliError::file(path, &e);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(CliError::usage(format!("{} is no file", path.display())));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > most {
        true => Err(CliError::usage(format!("{} is larger than {} MiB", path.display(), most >> 20))),
        false => Ok(bytes),
    }
}
