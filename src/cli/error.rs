//! The only translation from causes to user's words and exit codes.

use thiserror::Error;

use super::exit;
use crate::executor::DriveError;
use crate::files::Unread;
use crate::journal::{AppendError, StoreError};
use crate::model::ledger::StoreWorld;

/// What a command ends with when it cannot do what was asked.
#[derive(Debug, Error)]
#[error("error: {message}")]
pub struct CliError {
    /// A word for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: u8,
}

impl CliError {
    /// Usage, configuration or plan error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: "usage", message: message.into(), hint: None, exit: exit::USAGE }
    }

    /// The same with what to do.
    pub fn usage_fix(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::usage(message) }
    }

    /// Nobody can go on before somebody renews credentials, or sets this machine's clock.
    pub fn credentials(place: &str, (why, clock): (&str, bool)) -> Self {
        let (message, hint) = match clock {
            true => (
                format!("{place}: {why}"),
                "set the clock (systemctl restart chronyd, or timedatectl set-ntp true) and run the command again",
            ),
            false => (
                format!("waiting for credentials for {place}: {why}"),
                "renew them (aws sso login, or new keys) and run the command again",
            ),
        };
        Self { code: "waiting_for_credentials", message, hint: Some(hint.to_owned()), exit: exit::WAITING }
    }

    /// A file that cannot be read or written.
    pub fn file(path: &std::path::Path, cause: &std::io::Error) -> Self {
        Self::usage_fix(
            format!("{}: {cause}", path.display()),
            "check that it is there and that you may use it",
        )
    }
}

/// What SQLite and the system say of a store, and what helps first.
const CAUSES: &[(&str, &str)] = &[
    ("disk is full", "make room"),
    ("No space left", "make room"),
    ("readonly", "make it writable"),
    ("Permission denied", "make it yours"),
    ("Read-only file system", "make the file system writable"),
    ("unable to open", "check that its folder is there and that you may write to it"),
    ("locked", "wait for the process that holds it to end"),
    ("not a database", "check that --store names a store of drctl"),
    ("malformed", "restore it from a copy"),
    ("I/O error", "check the disk, its room and its limits"),
];

/// What helps where a store is not where it was.
const GONE: &str = "put the file back as it was, with its -wal and -shm, and run the command again; if that cannot be, go on in another store: --store FILE";

/// What helps where a store was put back.
const PUT_BACK: &str = "put the newer store back, and keep everything as it lies: it is the evidence (drctl audit verify names all of it). If there is no newer one: what was done since is not known here, so no run of it may be carried on; name a new store (--store FILE), look at what is there (drctl observe), and start the recovery anew";

/// What helps where a store does not work, by its cause.
fn elsewhere(message: &str) -> String {
    let known = CAUSES.iter().find(|(words, _)| message.contains(words));
    let first = known.map_or_else(String::new, |(_, help)| format!("{help}, or "));
    format!(
        "{first}name another store with --store; `drctl runs export RUN` from a copy of this store and `drctl runs import` carry the run there"
    )
}

impl From<Unread> for CliError {
    fn from(e: Unread) -> Self {
        Self::usage_fix(e.to_string(), e.fix())
    }
}

impl From<StoreError> for CliError {
    fn from(e: StoreError) -> Self {
        let (code, hint, exit) = match &e {
            StoreError::Unreadable(why) => ("store", Some(elsewhere(why)), exit::USAGE),
            StoreError::Gone(_) => ("store_gone", Some(GONE.to_owned()), exit::NOT_RECOVERED),
            StoreError::OtherWorld { is: StoreWorld::Live, .. } => ("other_world", Some("leave out --sandbox, or name another store for the rehearsal with --store; rehearsals have one of their own (.drctl/sandbox.db)".to_owned()), exit::USAGE),
            StoreError::OtherWorld { is: StoreWorld::Sandbox, .. } => ("other_world", Some("add --sandbox, or name another store with --store".to_owned()), exit::USAGE),
            StoreError::PutBack(_) => ("put_back", Some(PUT_BACK.to_owned()), exit::REFUSED),
            StoreError::Imported { run, .. } => (
                "imported",
                Some(format!("look at it (drctl runs show {run}); an operator of drctl.yaml takes it over: drctl runs adopt {run} --reason TEXT")),
                exit::REFUSED,
            ),
            StoreError::Corrupt { .. } => {
                ("corrupt", Some("drctl audit verify shows everything that does not hold; restore the store from a copy, or import the run from an export".to_owned()), exit::USAGE)
            }
            StoreError::NoRun(_) => ("no_run", Some("drctl runs list shows what there is; rehearsals are listed with --sandbox".to_owned()), exit::USAGE),
            StoreError::Busy { run, .. } => ("component-busy", Some(format!("drctl runs resume {run}, or drctl runs cancel {run} --reason TEXT")), exit::HELD),
            StoreError::Moved(run) => (
                "continued-run-moved",
                Some(format!("look at it (drctl runs show {run}), and plan again")),
                exit::HELD,
            ),
            StoreError::Owned(run) => ("owned", Some(format!("watch it with drctl runs watch {run}; signals such as approve and pause reach it from here")), exit::HELD),
        };
        Self { code, message: e.to_string(), hint, exit }
    }
}

impl From<DriveError> for CliError {
    fn from(e: DriveError) -> Self {
        let message = e.to_string();
        match e {
            DriveError::Store(store) => store.into(),
            DriveError::Append(AppendError::Fenced { .. } | AppendError::Conflict { .. }) => {
                Self { code: "fenced", message, hint: Some("another process carries the run on; nothing was done after the last event in the journal".to_owned()), exit: exit::HELD }
            }
            DriveError::Append(AppendError::Gone(why)) => StoreError::Gone(why).into(),
            DriveError::Append(_) => Self { code: "journal", hint: Some(elsewhere(&message)), message, exit: exit::NOT_RECOVERED },
            DriveError::Unknown { .. } => {
                Self { code: "unknown_event", message, hint: Some("use the version of drctl that wrote it, or a newer one".to_owned()), exit: exit::USAGE }
            }
            DriveError::Foreign { .. } => {
                let hint = "it was changed, or made up: nothing is done with it. drctl audit verify says the same of the whole store; carry on from a copy that is whole (drctl runs import), or plan again";
                Self { code: "foreign_event", message, hint: Some(hint.to_owned()), exit: exit::USAGE }
            }
            DriveError::Illegal { .. } => {
                Self { code: "illegal_event", message, hint: Some("drctl audit verify; if the chain holds, this is a bug in drctl: please report it with `drctl runs export`".to_owned()), exit: exit::BUG }
            }
        }
    }
}
