//! The terms of runs in the store: each run's own in its first event, and their digests in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Record;
use super::contents::{self, Contents, Fault, LEDGER};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Checkpoint, Entry, Why};
use crate::model::time::Timestamp;
use crate::record::event::{Event, EventKind, RunCreated};

/// The start time and first event of each run.
pub(super) type Begun = BTreeMap<RunId, (Timestamp, Box<RunCreated>)>;

/// The first events of runs.
pub(super) fn begun(by_run: &BTreeMap<&RunId, Vec<Record>>) -> Begun {
    let first =
        by_run.iter().filter_map(|(run, records)| match Event::read(&records.first()?.bytes).ok()? {
            Event { at, what: EventKind::RunCreated(created) } => Some(((*run).clone(), (at, created))),
            _ => None,
        });
    first.collect()
}

/// The first events of the runs that count, in the order of the ledger. An imported run does not count before its adoption, and counts
/// from there.
pub(super) fn counted<'a>(
    contents: &Contents,
    begun: &'a Begun,
    waiting: &[RunId],
) -> Vec<(&'a RunCreated, Timestamp)> {
    let mut since: BTreeMap<RunId, u64> = BTreeMap::new();
    for record in &contents.ledger {
        if let Some(head) = contents::head(&record.bytes) {
            since.entry(head.run).or_insert(record.seq);
        } else if let Ok(Entry::Adopted { run, .. }) = Entry::read(&record.bytes) {
            since.insert(run, record.seq);
        }
    }
    let mut order: Vec<(u64, RunId)> = since.into_iter().map(|(run, seq)| (seq, run)).collect();
    order.retain(|(_, run)| !waiting.contains(run));
    order.sort_unstable();
    let counted = order.iter().filter_map(|(_, run)| begun.get(run));
    counted.map(|(at, created)| (created.as_ref(), *at)).collect()
}

/// Ledger entries that contradict the terms in the first event of a run, or a signed start without recorded terms.
pub(super) fn faults(ledger: &[Record], begun: &Begun) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut known: BTreeMap<RunId, Digest> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for record in ledger {
        match Entry::read(&record.bytes) {
            Ok(Entry::Terms { run, terms, .. }) => {
                let is = begun.get(&run).map(|(_, created)| &created.terms_digest);
                let why = match (is, known.get(&run)) {
                    (_, Some(before)) if *before != terms => {
                        Some(format!("it records different terms for run {run} than before"))
                    }
                    (Some(is), _) if *is != terms => Some(format!(
                        "its terms for run {run} ({}) differ from those in the first event of the run ({})",
                        terms.short(),
                        is.short()
                    )),
                    _ => None,
                };
                faults.extend(why.map(|why| Fault { run: LEDGER.to_owned(), seq: record.seq, why }));
                known.entry(run).or_insert(terms);
            }
            Ok(Entry::Checkpoint(signed)) => {
                let Ok(Checkpoint { why: Why::Start, run: Some(run), .. }) =
                    serde_json::from_str(&signed.statement)
                else {
                    continue;
                };
                if !known.contains_key(&run) && told.insert(run.clone()) {
                    let why = format!("the terms of run {run} are not recorded");
                    faults.push(Fault { run: LEDGER.to_owned(), seq: record.seq, why });
                }
            }
            _ => {}
        }
    }
    faults
}
