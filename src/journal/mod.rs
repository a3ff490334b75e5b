//! The journal: one hash-chained list of events a run, and the ledger that chains the heads of runs.
//!
//! Engines store bytes; what the bytes mean is not their business. Sequence and hash are assigned inside the write. An append
//! answers with one of four kinds of no, because they ask for different things.

pub mod bundle;
pub mod cef;
pub mod chain;
pub mod imported;
pub mod kit;
pub mod lock;
pub mod memory;
pub mod sqlite;
mod terms;
pub mod verify;
pub mod written;

use futures_util::future::LocalBoxFuture;
use thiserror::Error;

pub use chain::Record;

use crate::model::ids::{ComponentName, RunId};
use crate::model::ledger::StoreWorld;
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::Signal;

/// Why an append did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Another process owns the run now.
    #[error("another process owns run {run} now (epoch {epoch}); this one must stop")]
    Fenced {
        /// The run.
        run: RunId,
        /// The epoch that holds.
        epoch: u64,
    },
    /// The chain is longer than was thought.
    #[error("run {run} has {have} events instead of the expected {expected}")]
    Conflict {
        /// The run.
        run: RunId,
        /// How many there are.
        have: u64,
        /// How many were expected.
        expected: u64,
    },
    /// The store cannot be written.
    #[error("drctl cannot write to the store: {0}")]
    Unavailable(String),
    /// The store's file is gone from its path, or another one is there: what is written now is found by nobody.
    #[error("{0}; drctl did nothing after the last event in the journal")]
    Gone(String),
    /// It may have been written; read again before acting.
    #[error("it is unknown whether the write to the store succeeded: {0}")]
    Unknown(String),
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It cannot be opened or read.
    #[error("{0}")]
    Unreadable(String),
    /// Its file is gone from its path, or another one is there.
    #[error("{0}")]
    Gone(String),
    /// It is of the other world: rehearsals never stand among what was real.
    #[error("{path} is a {is} store, but this command needs a store for {}", .asked.words())]
    OtherWorld {
        /// The file.
        path: String,
        /// Its world.
        is: StoreWorld,
        /// The world of the command.
        asked: StoreWorld,
    },
    /// What it holds is not what was written.
    #[error("run {run}, event {seq}: {why}")]
    Corrupt {
        /// The run.
        run: String,
        /// The event.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// There is no such run.
    #[error("run `{0}` does not exist")]
    NoRun(String),
    /// What was signed and lies elsewhere is newer: the store was put back to an older copy, or cut.
    #[error("the store is older than its signed checkpoints, so drctl only reads it: {0}")]
    PutBack(String),
    /// It came from a file, and nobody of this store adopted it.
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
        /// Why an adoption that somebody wrote does not hold.
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
    /// The run that was to be continued is not as it was when it was planned for.
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

/// A run that was opened by a new owner.
#[derive(Debug)]
pub struct Opened {
    /// The owner's number.
    pub epoch: u64,
    /// Everything so far.
    pub records: Vec<Record>,
}

/// A signal that waits for the run's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its number in the inbox.
    pub id: u64,
    /// Who sent it.
    pub who: Person,
    /// What is asked.
    pub signal: Signal,
}

/// The end of a run that another one takes the place of.
#[derive(Clone, Debug)]
pub struct Closing {
    /// The run that ends.
    pub run: RunId,
    /// The owner's number of whoever ends it.
    pub epoch: u64,
    /// How many events it has.
    pub expect: u64,
    /// Its last ones.
    pub events: Vec<Vec<u8>>,
}

/// The truth about runs.
pub trait Journal {
    /// Writes a run's first events and claims its components, and ends the run whose place it takes, all or nothing.
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

    /// Takes a run over: everything an earlier owner tries to append from here on is fenced.
    ///
    /// # Errors
    /// If there is no such run or it cannot be read whole.
    fn open(&self, run: &RunId) -> Result<Opened, StoreError>;

    /// Appends events if the caller still owns the run and the chain is as long as it thinks.
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        epoch: u64,
        expect: u64,
        events: Vec<Vec<u8>>,
        release: Release,
    ) -> LocalBoxFuture<'a, Result<Vec<Record>, AppendError>>;

    /// The latest instant that the journal knows of real time: nothing new is dated earlier.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn known_time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// All events of a run.
    ///
    /// # Errors
    /// If there is no such run, or the chain does not hold.
    fn read(&self, run: &RunId) -> Result<Vec<Record>, StoreError>;

    /// All runs that count, oldest first: those from files only once somebody adopted them.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn runs(&self) -> Result<Vec<RunRow>, StoreError>;

    /// Leaves a signal for a run's owner.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn post(&self, run: &RunId, at: Timestamp, who: &Person, signal: &Signal) -> Result<u64, StoreError>;

    /// Signals that were not taken yet, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn letters(&self, run: &RunId) -> Result<Vec<InboxEntry>, StoreError>;

    /// Marks a signal as taken: its event is in the journal.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn taken(&self, letter: u64) -> Result<(), StoreError>;
}

/// Whether an append ends the run's hold on its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The run continues.
    Keep,
    /// The run is over.
    Free,
}
