//! Rescues a run whose store was removed: this process can still read the open file, and exports the run from it.

use std::path::PathBuf;

use super::context::Context;
use super::error::AppError;
use super::files::write_new;
use super::{environment, exit};
use crate::executor::DriveError;
use crate::files::{self, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{AppendError, StoreError, written};
use crate::model::ids::RunId;
use crate::model::ledger::StoreWorld;

/// What SQLite says about a file that another program wrote into (`SQLITE_CORRUPT` and `SQLITE_NOTADB`).
const DAMAGED: [&str; 2] = ["database disk image is malformed", "file is not a database"];

/// The error of a process that cannot continue a run because its store is gone. It exports the run, and the message says how to continue
/// elsewhere.
pub fn told(context: &Context, store: &SqliteJournal, run: &RunId, e: DriveError) -> AppError {
    let is_damaged = |why: &str| DAMAGED.iter().any(|words| why.contains(words));
    let gone = match &e {
        DriveError::Append(AppendError::Gone(_)) | DriveError::Store(StoreError::Gone(_)) => true,
        DriveError::Append(AppendError::Unavailable(why) | AppendError::Unknown(why))
        | DriveError::Store(StoreError::Unreadable(why)) => is_damaged(why),
        _ => false,
    };
    let error = AppError::from(e);
    if !gone {
        return error;
    }
    let error = AppError { exit: exit::NOT_RECOVERED, ..error };
    let hint = match write_out(context, store, run) {
        Ok((file, events)) => elsewhere(&file, events, run, store.world()),
        Err(e) => format!(
            "drctl could not export the run from it either ({}). Put the file back, or restore it from a copy and first run drctl observe",
            e.message
        ),
    };
    AppError { message: format!("the run stops: {}", error.message), hint: Some(hint), ..error }
}

fn elsewhere(file: &std::path::Path, events: u64, run: &RunId, world: StoreWorld) -> String {
    let sandbox = if world == StoreWorld::Sandbox { " --sandbox" } else { "" };
    let verb = |words: &str| format!("drctl runs {words} --store NEW.db{sandbox}");
    format!(
        "its {events} events are in {}. Restore the store and run `drctl runs resume {run}{sandbox}`, or continue in another store: `{}`, `{}`, `{}`",
        file.display(),
        verb(&format!("import {}", file.display())),
        verb(&format!("adopt {run} --reason TEXT")),
        verb(&format!("resume {run}")),
    )
}

/// Writes a run's events to the first folder that works. The store's own folder may be gone as well.
fn write_out(context: &Context, store: &SqliteJournal, run: &RunId) -> Result<(PathBuf, u64), AppError> {
    let records = store.rescued(run)?;
    let text = records.iter().map(written::line).fold(String::new(), |text, line| text + &line + "\n");
    let name = format!("{run}-e{}.rescued.jsonl", records.len());
    let folders = [context.base.clone(), environment::temporary()];
    let mut failed = AppError::usage("no folder for the file");
    for file in folders.map(|folder| folder.join(&name)) {
        match write_new(&file, &text, 0o600) {
            Ok(()) => return Ok((file, records.len() as u64)),
            // An earlier attempt wrote the same events there.
            Err(_) if files::read(&file, Use::Export).is_ok_and(|there| there == text.as_bytes()) => {
                return Ok((file, records.len() as u64));
            }
            Err(e) => failed = e,
        }
    }
    Err(failed)
}
