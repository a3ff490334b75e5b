//! Imported runs. An imported run is read-only until an operator of this store adopts it.

use std::collections::BTreeMap;

use super::chain::{self, Record};
use super::contents::{self, LEDGER};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::{Adopted, Checkpoint, Entry, RecordedOperator};
use crate::model::waiver::Person;
use crate::policy::adopted;

/// The contents of a store, by number.
pub trait Stored {
    /// The hash of an entry of the ledger.
    fn entry(&self, seq: u64) -> Option<Digest>;
    /// The hash of an event of a run.
    fn event(&self, run: &RunId, seq: u64) -> Option<Digest>;
    /// Whether an entry with these bytes comes after this one.
    fn follows(&self, seq: u64, bytes: &[u8]) -> bool;
    /// Whether the store had the run before this entry.
    fn is_named_before(&self, seq: u64, run: &RunId) -> bool;
}

/// The run that the store has by this entry: the entry is a head of the run, its terms, or a checkpoint for it.
pub(super) fn names(bytes: &[u8]) -> Option<RunId> {
    if let Some(head) = contents::head(bytes) {
        return Some(head.run);
    }
    match Entry::read(bytes).ok()? {
        Entry::Terms { run, .. } => Some(run),
        Entry::Checkpoint(signed) => serde_json::from_str::<Checkpoint>(&signed.statement).ok()?.run,
        _ => None,
    }
}

/// What the ledger records about imported runs.
#[derive(Debug, Default)]
pub struct Imported {
    /// Runs that nobody adopted.
    pub waiting: BTreeMap<RunId, Waiting>,
    /// The last valid adoption of each run.
    pub adopted: BTreeMap<RunId, Adopted>,
    /// Invalid imports and adoptions, with their entry numbers.
    pub unsound: Vec<(u64, String)>,
}

/// A run that is read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Why the last adoption is invalid, if there is one.
    pub unsound: Option<String>,
}

/// Reads the ledger, oldest first. Other kinds of entries may be left out. `now` has the operators in `drctl.yaml`: whoever can write to the
/// store can add operators to the ledger, or remove them.
pub fn read<'r>(
    ledger: impl Iterator<Item = &'r Record>,
    stored: &dyn Stored,
    now: &BTreeMap<String, RecordedOperator>,
) -> Imported {
    let (mut found, mut operators) = (Imported::default(), None);
    // What the ledger alone would allow. The next adoption of the run replaces it.
    let mut lapsed: BTreeMap<RunId, (u64, String)> = BTreeMap::new();
    for record in ledger {
        match Entry::read(&record.bytes) {
            Ok(Entry::Configuration { operators: known, .. }) => operators = Some(known),
            Ok(Entry::Imported { run, events, head, .. }) => {
                match was_imported(record, (&run, events, &head), stored) {
                    Ok(()) => drop(found.waiting.insert(run, Waiting::default())),
                    Err(why) => found.unsound.push((record.seq, why)),
                }
            }
            Ok(Entry::Adopted { run, who, .. }) => {
                let nobody = BTreeMap::new();
                let holds = |now| holds((operators.as_ref(), now), (&run, record.seq, &who), stored);
                match holds(now) {
                    Ok(()) => {
                        let adopted = Adopted { entry: Digest::of_bytes(&record.bytes), by: who.who.clone() };
                        found.adopted.insert(run.clone(), adopted);
                        found.waiting.remove(&run);
                        lapsed.remove(&run);
                    }
                    Err(why) => {
                        if let Some(waiting) = found.waiting.get_mut(&run) {
                            waiting.unsound = Some(why.clone());
                        }
                        match holds(&nobody) {
                            Ok(()) => drop(lapsed.insert(run, (record.seq, why))),
                            Err(_) => {
                                let why = format!("the adoption of run {run} is not valid: {why}");
                                found.unsound.push((record.seq, why));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    found.unsound.extend(
        lapsed
            .into_iter()
            .map(|(run, (seq, why))| (seq, format!("the adoption of run {run} is not valid: {why}"))),
    );
    found
}

/// Whether drctl wrote this entry when it imported a run. It imports no run that the store has already, and writes the head of the run next.
fn was_imported(
    entry: &Record,
    (run, events, head): (&RunId, u64, &Digest),
    stored: &dyn Stored,
) -> Result<(), String> {
    if stored.is_named_before(entry.seq, run) {
        return Err(format!(
            "it says that run {run} came from a file, but the store had the run before: somebody added this entry, and it has no effect"
        ));
    }
    let next = serde_json::to_vec(&(run, events, head)).unwrap_or_default();
    let next = chain::link(&RunId::new(LEDGER), Some((entry.seq, &entry.hash)), 0, next);
    match stored.entry(next.seq) == Some(next.hash) {
        true => Ok(()),
        false => Err(format!(
            "it says that run {run} came from a file, but the next entry is not the head of the run: somebody added this entry, and it has no effect"
        )),
    }
}

/// Whether an adoption is valid with the operators in the ledger and those `now`.
fn holds(
    (known, now): (Option<&BTreeMap<String, RecordedOperator>>, &BTreeMap<String, RecordedOperator>),
    (run, seq, who): (&RunId, u64, &Person),
    stored: &dyn Stored,
) -> Result<(), String> {
    let known = known.ok_or("the ledger does not record the operators")?;
    let said = adopted::check(known, now, who)?;
    if said.run != *run {
        return Err(format!("it is for run {}, not for {run}", said.run));
    }
    if stored.entry(said.ledger.entries) != Some(said.ledger.hash) || said.ledger.entries >= seq {
        return Err("it was made for another store".to_owned());
    }
    match stored.event(run, said.head.entries) == Some(said.head.hash) {
        true => Ok(()),
        false => Err("it is for different events than the run has".to_owned()),
    }
}
