//! The files of evidence bundles.

use std::path::{Path, PathBuf};

use super::error::AppError;
use super::files::beside;
use crate::model::ids::RunId;

/// The folder of bundles, beside the journal and named after it, so that rehearsals are separate.
pub fn folder(store: &Path) -> PathBuf {
    beside(store, ".evidence")
}

/// The file of the bundle of a run. If a run continues after it was sealed, for example because of a late approval, it gets another bundle.
pub fn name(run: &RunId, events: u64) -> String {
    format!("{run}-e{events}.tar")
}

/// The run in the name of a bundle.
pub fn run_of(file: &Path) -> Option<RunId> {
    let (run, events) = file.file_stem()?.to_str()?.rsplit_once("-e")?;
    events.parse::<u64>().ok().and_then(|_| RunId::parse(run).ok())
}

/// The bundles in a folder, the newest run's last.
///
/// # Errors
/// If the folder cannot be read.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>, AppError> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(AppError::file(folder, &e)),
    };
    files.retain(|file| file.extension().is_some_and(|e| e == "tar"));
    files.sort();
    Ok(files)
}
