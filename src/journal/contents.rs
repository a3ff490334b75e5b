//! The contents of a store as they were read, and one fault in them.

use std::collections::{BTreeMap, BTreeSet};

use ssh_key::PublicKey;

use super::chain::Record;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;

/// The contents of a store, unchecked.
#[derive(Debug, Default)]
pub struct Contents {
    /// Every event, run by run.
    pub events: Vec<Record>,
    /// The ledger, oldest first.
    pub ledger: Vec<Record>,
    /// The runs that the store lists, if it is a store. Commands do not find a run that is not listed.
    pub listed: Option<BTreeSet<RunId>>,
    /// Triggers that protected it from changes and are missing.
    pub dropped: Vec<String>,
    /// How its schema differs otherwise from what drctl creates, in words.
    pub changed: Vec<String>,
    /// The world that it was made for, if it is a store.
    pub world: Option<String>,
}

/// The head of a run in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// How many events it had.
    pub seq: u64,
    /// The hash of the last.
    pub hash: Digest,
}

/// The head of a run, if a ledger entry contains one.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let (run, seq, hash): (RunId, u64, Digest) = serde_json::from_slice(bytes).ok()?;
    let same = serde_json::to_vec(&(&run, seq, &hash)).is_ok_and(|written| written == bytes);
    same.then_some(Head { run, seq, hash })
}

impl Contents {
    /// The keys that the ledger announced.
    pub fn announced(&self) -> Vec<PublicKey> {
        let key = |record: &Record| match Entry::read(&record.bytes) {
            Ok(Entry::Key { public, .. }) => PublicKey::from_openssh(&public).ok(),
            _ => None,
        };
        self.ledger.iter().filter_map(key).collect()
    }

    /// The heads of runs in the ledger, oldest first.
    pub fn heads(&self) -> impl Iterator<Item = Head> {
        self.ledger.iter().filter_map(|record| head(&record.bytes))
    }

    /// The ledger up to an entry, and the events of runs that it covers by then.
    #[must_use]
    pub fn up_to(mut self, entry: u64) -> Self {
        self.ledger.retain(|record| record.seq <= entry);
        let mut known: BTreeMap<RunId, u64> = BTreeMap::new();
        for head in self.ledger.iter().filter_map(|record| head(&record.bytes)) {
            known.insert(head.run, head.seq);
        }
        self.events.retain(|event| known.get(&event.run).is_some_and(|last| event.seq <= *last));
        self
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The run, `ledger`, or the file of a checkpoint.
    pub run: String,
    /// The event, or the entry.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Fault {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        match (self.run.as_str(), self.seq) {
            (LEDGER, entry) => format!("ledger, entry {entry}"),
            (place, 0) => place.to_owned(),
            (run, event) => format!("run {run}, event {event}"),
        }
    }

    /// The line with which commands report it.
    pub fn alarm(&self) -> String {
        let (at, why) = (self.place(), &self.why);
        format!("JOURNAL BROKEN  {at}: {why}; for details, run drctl audit verify")
    }
}

/// The name of the ledger in faults and in its own chain.
pub const LEDGER: &str = "ledger";
