//! The audit of a whole store: every chain, and the ledger that knows how long each should be.

use std::collections::BTreeMap;

use super::chain::{self, Record};
use crate::model::event::Event;
use crate::model::ids::{Digest, RunId};
use crate::policy::signed;
use crate::run::RunState;

/// What stands in the store, unchecked.
#[derive(Debug, Default)]
pub struct Contents {
    /// Every event, in any order.
    pub events: Vec<Record>,
    /// What the ledger says of the heads of runs, oldest first.
    pub heads: Vec<Head>,
    /// The ledger's own links.
    pub ledger: Vec<Record>,
}

/// A run's head as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: RunId,
    /// How many events it had.
    pub seq: u64,
    /// The hash of the last.
    pub hash: Digest,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The run, or `ledger`.
    pub run: String,
    /// The event.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

/// The outcome of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Runs read.
    pub runs: usize,
    /// Events read.
    pub events: usize,
    /// The first fault of every chain that has one.
    pub faults: Vec<Fault>,
}

/// Checks everything.
pub fn audit(contents: &Contents) -> Audit {
    let mut by_run: BTreeMap<&RunId, Vec<Record>> = BTreeMap::new();
    for record in &contents.events {
        by_run.entry(&record.run).or_default().push(record.clone());
    }
    let mut faults = Vec::new();
    let ledger = RunId::new("ledger");
    if let Some((seq, why)) = chain::broken(&ledger, &contents.ledger) {
        faults.push(Fault { run: "ledger".to_owned(), seq, why });
    }
    for (run, records) in &mut by_run {
        records.sort_by_key(|r| r.seq);
        if let Some((seq, why)) = chain::broken(run, records).or_else(|| meaningless(records)) {
            faults.push(Fault { run: run.to_string(), seq, why });
        }
    }
    for head in &contents.heads {
        let at = |records: &Vec<Record>| records.binary_search_by_key(&head.seq, |r| r.seq).ok();
        let found = by_run.get(&head.run).and_then(|records| records.get(at(records)?));
        let why = match found {
            None => "the ledger knows this event, and it is missing: the end of the run was cut off",
            Some(record) if record.hash != head.hash => "the ledger has another hash for it",
            Some(_) => continue,
        };
        if !faults.iter().any(|f| f.run == head.run.as_str()) {
            faults.push(Fault { run: head.run.to_string(), seq: head.seq, why: why.to_owned() });
        }
    }
    let known: std::collections::BTreeSet<_> = contents.heads.iter().map(|h| &h.run).collect();
    for run in by_run.keys().filter(|run| !known.contains(**run)) {
        if !faults.iter().any(|f| f.run == run.as_str()) {
            faults.push(Fault {
                run: run.to_string(),
                seq: 1,
                why: "the ledger does not know this run".to_owned(),
            });
        }
    }
    Audit { runs: by_run.len(), events: contents.events.len(), faults }
}

/// A chain can hold and still say something that no run can say.
fn meaningless(records: &[Record]) -> Option<(u64, String)> {
    let mut events = Vec::new();
    for record in records {
        match serde_json::from_slice::<Event>(&record.bytes) {
            Ok(event) => events.push(event),
            Err(e) => return Some((record.seq, format!("it cannot be read by this version: {e}"))),
        }
    }
    let illegal = RunState::fold(&events).err().map(|(i, illegal)| (i as u64 + 1, illegal.to_string()));
    [illegal, signed::first_unsound(&events)].into_iter().flatten().min_by_key(|(seq, _)| *seq)
}
