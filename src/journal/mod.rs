//! The journal: one hash-chained list of events for each run, and the ledger, which chains the heads of runs.
//!
//! Engines store bytes and do not interpret them. Sequence and hash are assigned during the write. A failed append has one of several
//! errors, because each needs a different reaction.

pub mod bundle;
pub mod cef;
pub mod chain;
pub mod contents;
pub mod imported;
pub mod kit;
pub mod lock;
pub mod memory;
pub mod sqlite;
mod statements;
mod terms;
pub mod verify;
pub mod written;

use futures_util::future::LocalBoxFuture;
use thiserror::Error;

pub use chain::Record;

use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::ledger::StoreWorld;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::Signal;
use crate::run::RunState;

/// Why an append failed, or may have failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Another process owns the run now.
    #[error("another process owns run {run} now (epoch {epoch}); this one must stop")]
    Fenced {
        /// The run.
        run: RunId,
        /// The current epoch.
        epoch: u64,
    },
    /// The chain is longer than the caller expected.
    #[error("run {run} has {have} events instead of the expected {expected}")]
    Conflict {
        /// The run.
        run: RunId,
        /// The number of events.
        have: u64,
        /// The expected number.
        expected: u64,
    },
    /// The store cannot be written.
    #[error("drctl cannot write to the store: {0}")]
    Unavailable(String),
    /// The store's file is missing from its path or was replaced. Nobody would find what is written now.
    #[error("{0}; drctl did nothing after the last event in the journal")]
    Gone(String),
    /// The events may have been written. The caller must read the store before it acts.
    #[error("it is unknown whether the write to the store succeeded: {0}")]
    Unknown(String),
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It cannot be opened or read.
    #[error("{0}")]
    Unreadable(String),
    /// Its file is missing from its path or was replaced.
    #[error("{0}")]
    Gone(String),
    /// It belongs to the other world: rehearsals and real runs are never mixed.
    #[error("{path} is a {is} store, but this command needs a store for {}", .asked.words())]
    OtherWorld {
        /// The file.
        path: String,
        /// Its world.
        is: StoreWorld,
        /// The world of the command.
        asked: StoreWorld,
    },
    /// Its contents differ from what was written.
    #[error("run {run}, event {seq}: {why}")]
    Corrupt {
        /// The run.
        run: String,
        /// The event.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// Its ledger differs from what was written.
    #[error("entry {seq} of the ledger: {why}")]
    CorruptLedger {
        /// The entry.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// There is no such run.
    #[error("run `{0}` does not exist")]
    NoRun(String),
    /// A newer signed checkpoint exists outside: the store was restored from an older copy, or truncated.
    #[error("the store is older than its signed checkpoints, so drctl only reads it: {0}")]
    PutBack(String),
    /// Its schema is not the one that drctl creates.
    #[error("somebody changed the schema of the store {path}, so drctl does not use it: {what}")]
    Changed {
        /// The file.
        path: String,
        /// What was changed.
        what: String,
    },
    /// It was imported, and nobody of this store adopted it.
    #[error(
        "run {run} came from a file and is read-only, because nobody adopted it in this store; {}{}",
        named(operators),
        unsound.as_ref().map_or_else(String::new, |why| format!("; an adoption of it is not valid: {why}"))
    )]
    Imported {
        /// The run.
        run: RunId,
        /// The operators that the file names.
        operators: Vec<String>,
        /// Why an existing adoption is invalid.
        unsound: Option<String>,
    },
    /// Another unfinished run holds a component.
    #[error("run {run} holds component `{component}`")]
    Busy {
        /// The component.
        component: ComponentName,
        /// The run.
        run: RunId,
    },
    /// Another process holds the run.
    #[error("another process drives run {0}")]
    Owned(RunId),
    /// The run to continue changed after the plan for continuing it was made.
    #[error("somebody continued or ended run {0} in the meantime")]
    Moved(RunId),
}

/// The operators that a file names.
fn named(operators: &[String]) -> String {
    match operators {
        [] => "its file names no operators".to_owned(),
        all => format!("the operators of its file are {}", all.join(", ")),
    }
}

/// A run as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// How many events it has.
    pub events: u64,
    /// Whether it has released its components.
    pub finished: bool,
}

/// A run that a new owner opened.
#[derive(Debug)]
pub struct Opened {
    /// The epoch of the owner.
    pub epoch: u64,
    /// All events so far.
    pub records: Vec<Record>,
}

/// A signal to the run's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// The hash of its entry in the ledger.
    pub id: Digest,
    /// Who sent it.
    pub who: Person,
    /// The request.
    pub signal: Signal,
}

/// The end of a run that another run replaces.
#[derive(Clone, Debug)]
pub struct Closing {
    /// The run that ends.
    pub run: RunId,
    /// The epoch of the process that ends it.
    pub epoch: u64,
    /// How many events it has.
    pub expect: u64,
    /// Its last events.
    pub events: Vec<Vec<u8>>,
}

/// The journal of runs.
pub trait Journal {
    /// Writes a run's first events, claims its components and ends the run that it replaces, all in one transaction.
    ///
    /// # Errors
    /// `Busy` if another unfinished run holds one of them.
    fn create(
        &self,
        run: &RunId,
        claims: &[ComponentName],
        events: &[Vec<u8>],
        closes: Option<&Closing>,
    ) -> Result<Vec<Record>, StoreError>;

    /// Takes over a run. From now on, appends of earlier owners are refused.
    ///
    /// # Errors
    /// If there is no such run, or its events cannot all be read.
    fn open(&self, run: &RunId) -> Result<Opened, StoreError>;

    /// Appends events if the caller still owns the run and the chain has the expected length.
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        epoch: u64,
        expect: u64,
        events: Vec<Vec<u8>>,
        release: Release,
    ) -> LocalBoxFuture<'a, Result<Vec<Record>, AppendError>>;

    /// The latest real time in the journal. Nothing new is dated earlier.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn known_time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// All events of a run.
    ///
    /// # Errors
    /// If there is no such run, or the chain is invalid.
    fn read(&self, run: &RunId) -> Result<Vec<Record>, StoreError>;

    /// All runs that count, oldest first. Imported runs count only after their adoption.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn runs(&self) -> Result<Vec<RunRow>, StoreError>;

    /// Sends a signal to a run's owner. Returns the hash of its entry in the ledger.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn post(&self, run: &RunId, at: Timestamp, who: &Person, signal: &Signal) -> Result<Digest, StoreError>;

    /// All signals that were sent to a run, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read, or a signal is unknown to this version: it may be a rejection.
    fn letters(&self, run: &RunId) -> Result<Vec<InboxEntry>, StoreError>;

    /// Checks what the ledger says about a run since it began: that nobody changed an entry, that each statement is signed as it stands,
    /// and that each that was read has a result among these events. Nobody continues or answers a run otherwise.
    ///
    /// # Errors
    /// The first entry that is not as it was written.
    fn vouched(&self, run: &RunId, events: &[Record]) -> Result<(), StoreError>;

    /// The signals that the run has not read yet, oldest first. The ledger and the events of the run decide this, because nobody can
    /// change either unnoticed.
    ///
    /// # Errors
    /// As for `letters`.
    fn waiting(&self, state: &RunState) -> Result<Vec<InboxEntry>, StoreError> {
        let mut letters = self.letters(&state.created.run)?;
        letters.retain(|letter| !state.statements_read.contains(&letter.id));
        Ok(letters)
    }
}

/// Whether an append releases the run's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The run continues.
    Keep,
    /// The run is over.
    Free,
}
