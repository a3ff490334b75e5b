//! Imported runs. An imported run is read-only until an operator of this store adopts it.

use std::collections::BTreeMap;

use super::chain::Record;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;
use crate::policy::adopted;

/// The contents of a store, by number.
pub trait Stored {
    /// The hash of an entry of the ledger.
    fn entry(&self, seq: u64) -> Option<Digest>;
    /// The hash of an event of a run.
    fn event(&self, run: &RunId, seq: u64) -> Option<Digest>;
}

/// What the ledger records about imported runs.
#[derive(Debug, Default)]
pub struct Imported {
    /// Runs that nobody adopted.
    pub waiting: BTreeMap<RunId, Waiting>,
    /// Invalid adoptions, with their entry numbers.
    pub unsound: Vec<(u64, RunId, String)>,
}

/// A run that is read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Why the last adoption is invalid, if there is one.
    pub unsound: Option<String>,
}

/// Reads the ledger, oldest first. Other kinds of entries may be left out.
pub fn read<'r>(ledger: impl Iterator<Item = &'r Record>, stored: &dyn Stored) -> Imported {
    let mut found = Imported::default();
    let mut operators = None;
    for record in ledger {
        match serde_json::from_slice::<Entry>(&record.bytes) {
            Ok(Entry::Configuration { operators: now, .. }) => operators = Some(now),
            Ok(Entry::Imported { run, .. }) => drop(found.waiting.insert(run, Waiting::default())),
            Ok(Entry::Adopted { run, who, .. }) => {
                let said = operators
                    .as_ref()
                    .ok_or_else(|| "the ledger does not record the operators".to_owned())
                    .and_then(|operators| adopted::check(operators, &who));
                let holds = said.and_then(|said| {
                    if said.run != run {
                        return Err(format!("it is for run {}, not for {run}", said.run));
                    }
                    if stored.entry(said.ledger.entries) != Some(said.ledger.hash)
                        || said.ledger.entries >= record.seq
                    {
                        return Err("it was made for another store".to_owned());
                    }
                    match stored.event(&run, said.head.entries) == Some(said.head.hash) {
                        true => Ok(()),
                        false => Err("it is for different events than the run has".to_owned()),
                    }
                });
                match holds {
                    Ok(()) => drop(found.waiting.remove(&run)),
                    Err(why) => {
                        if let Some(waiting) = found.waiting.get_mut(&run) {
                            waiting.unsound = Some(why.clone());
                        }
                        found.unsound.push((record.seq, run, why));
                    }
                }
            }
            _ => {}
        }
    }
    found
}
