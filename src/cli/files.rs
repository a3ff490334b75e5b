//! Files that are written for people.

use std::io::Write as _;
use std::path::Path;

use super::error::CliError;

/// Writes a file that is not there yet: what was signed, or signs, is never written over.
///
/// # Errors
/// If it is there, or cannot be written.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
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
