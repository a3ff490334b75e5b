//! The only place that turns errors into messages and exit codes.

use thiserror::Error;

use super::exit;
use crate::executor::DriveError;
use crate::files::Unread;
use crate::journal::{AppendError, StoreError};
use crate::kinds::cloud::RENEW;
use crate::model::ledger::StoreWorld;
use crate::planner::assessment;

/// The error of a command.
#[derive(Debug, Error)]
#[error("error: {message}")]
pub struct AppError {
    /// The code for programs.
    pub code: &'static str,
    /// The problem.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: u8,
}

const INTERRUPTED: &str = "interrupted";
const STORE_PUT_BACK: &str = "put_back";

impl AppError {
    /// Usage, configuration or plan error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: "usage", message: message.into(), hint: None, exit: exit::USAGE }
    }

    /// The same with a hint.
    pub fn usage_fix(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::usage(message) }
    }

    /// Only a person can continue: they must renew the credentials, or set the clock of this machine.
    pub fn credentials(place: &str, (why, clock): (&str, bool)) -> Self {
        let (message, hint) = match clock {
            true => {
                (format!("{place}: {why}"), format!("{} and run the command again", assessment::SET_CLOCK))
            }
            false => (
                format!("waiting for credentials for {place}: {why}"),
                format!("{} and run the command again", RENEW),
            ),
        };
        Self { code: "waiting_for_credentials", message, hint: Some(hint), exit: exit::WAITING }
    }

    /// Ctrl-C during an observation.
    pub fn interrupted() -> Self {
        let message = "interrupted during an observation, before anything was changed".to_owned();
        Self {
            code: INTERRUPTED,
            message,
            hint: Some("run the command again".to_owned()),
            exit: exit::WAITING,
        }
    }

    /// Whether it says that the store is older than its signed checkpoints.
    pub fn is_put_back(&self) -> bool {
        self.code == STORE_PUT_BACK
    }

    /// Whether a person interrupted an observation, so that there is nothing to record.
    pub fn is_interrupted(&self) -> bool {
        self.code == INTERRUPTED
    }

    /// A file that cannot be read or written.
    pub fn file(path: &std::path::Path, cause: &std::io::Error) -> Self {
        Self::usage_fix(
            format!("{}: {cause}", path.display()),
            "check that it exists and that you may use it",
        )
    }
}

/// Errors of SQLite and the system about a store, and what to try first.
const CAUSES: &[(&str, &str)] = &[
    ("disk is full", "make room"),
    ("No space left", "make room"),
    ("readonly", "make it writable"),
    ("read-only for this user", "make it writable"),
    ("Permission denied", "make it yours"),
    ("Read-only file system", "make the file system writable"),
    ("unable to open", "check that its folder exists and that you may write to it"),
    ("locked", "wait for the process that holds it to end"),
    ("not a database", "check that --store names a store of drctl"),
    ("malformed", "restore it from a copy"),
    ("I/O error", "check the disk, its room and its limits"),
];

/// The hint if a store's file is gone.
const GONE: &str = "restore the file with its -wal and -shm, and run the command again. If that is impossible, continue in another store: --store FILE";

/// The hint if a store was restored from an older copy.
const PUT_BACK: &str = "restore the newer store, and keep all files unchanged, because they are the evidence (drctl audit verify lists them). If there is no newer store, this store does not know what happened since, so none of its runs may continue. Name a new store, observe the estate (drctl observe --store FILE), and start a new recovery there";

/// The hint if somebody changed the schema of a store.
const CHANGED: &str = "keep the file as it is, because it is evidence (drctl audit verify lists what it shows). Name a new store, observe the estate (drctl observe --store FILE), and start a new recovery there";

/// The hint if a store does not work, by its cause.
fn elsewhere(message: &str) -> String {
    let known = CAUSES.iter().find(|(words, _)| message.contains(words));
    let first = known.map_or_else(String::new, |(_, help)| format!("{help}, or "));
    format!(
        "{first}name another store with --store. To move the run there, use `drctl runs export RUN --store COPY --out FILE` with a copy of this store, then `drctl runs import FILE --store NEW`"
    )
}

impl From<Unread> for AppError {
    fn from(e: Unread) -> Self {
        Self::usage_fix(e.to_string(), e.fix())
    }
}

impl From<StoreError> for AppError {
    fn from(e: StoreError) -> Self {
        let (code, hint, exit) = match &e {
            StoreError::Unreadable(why) => ("store", Some(elsewhere(why)), exit::USAGE),
            StoreError::Gone(_) => ("store_gone", Some(GONE.to_owned()), exit::NOT_RECOVERED),
            StoreError::OtherWorld { is: StoreWorld::Live, .. } => ("other_world", Some("remove --sandbox, or name another store for the rehearsal with --store; rehearsals have their own store (.drctl/sandbox.db)".to_owned()), exit::USAGE),
            StoreError::OtherWorld { is: StoreWorld::Sandbox, .. } => ("other_world", Some("add --sandbox, or name another store with --store".to_owned()), exit::USAGE),
            StoreError::Changed { .. } => ("store_changed", Some(CHANGED.to_owned()), exit::REFUSED),
            StoreError::PutBack(_) => (STORE_PUT_BACK, Some(PUT_BACK.to_owned()), exit::REFUSED),
            StoreError::Imported { run, .. } => (
                "imported",
                Some(format!("review the run (drctl runs show {run}). To take it over, an operator in drctl.yaml runs drctl runs adopt {run} --reason TEXT")),
                exit::REFUSED,
            ),
            StoreError::Corrupt { .. } | StoreError::CorruptLedger { .. } => {
                ("corrupt", Some("run drctl audit verify to see all faults; restore the store from a copy, or import the run from an export".to_owned()), exit::USAGE)
            }
            StoreError::NoRun(_) => ("no_run", Some("run drctl runs list for the list of runs; live runs and rehearsals (--sandbox) have separate lists".to_owned()), exit::USAGE),
            StoreError::Busy { run, .. } => ("component-busy", Some(format!("run drctl runs resume {run}, or drctl runs cancel {run} --reason TEXT")), exit::HELD),
            StoreError::Moved(run) => (
                "continued-run-moved",
                Some(format!("review the run (drctl runs show {run}), then plan again")),
                exit::HELD,
            ),
            StoreError::Owned(run) => ("owned", Some(format!("watch it with drctl runs watch {run}; you can send signals such as approve and pause from here")), exit::HELD),
        };
        Self { code, message: e.to_string(), hint, exit }
    }
}

impl From<DriveError> for AppError {
    fn from(e: DriveError) -> Self {
        let message = e.to_string();
        match e {
            DriveError::Store(store) => store.into(),
            DriveError::Append(AppendError::Fenced { .. } | AppendError::Conflict { .. }) => {
                Self { code: "fenced", message, hint: Some("another process continues the run; this process did nothing after the last event in the journal".to_owned()), exit: exit::HELD }
            }
            DriveError::Append(AppendError::Gone(why)) => StoreError::Gone(why).into(),
            DriveError::Append(_) => Self { code: "journal", hint: Some(elsewhere(&message)), message, exit: exit::NOT_RECOVERED },
            DriveError::Unknown { .. } => {
                Self { code: "unknown_event", message, hint: Some("use the version of drctl that wrote it, or a newer one".to_owned()), exit: exit::USAGE }
            }
            DriveError::Foreign { .. } => {
                let hint = "the run was changed or forged, so drctl does nothing with it. To check the whole store, run drctl audit verify. Continue from an intact copy (drctl runs import FILE), or plan again";
                Self { code: "foreign_event", message, hint: Some(hint.to_owned()), exit: exit::USAGE }
            }
            DriveError::Illegal { .. } => {
                Self { code: "illegal_event", message, hint: Some("run drctl audit verify. If the chain is intact, this is a bug in drctl; please report it with the output of `drctl runs export RUN`".to_owned()), exit: exit::BUG }
            }
        }
    }
}
