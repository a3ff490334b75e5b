//! A journal in memory, for tests and as the simplest specification of an engine.

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures_util::future::{LocalBoxFuture, ready};

use super::chain::{self, Record};
use super::{AppendError, Closing, InboxEntry, Journal, Opened, Release, RunRow, StoreError};
use crate::model::ids::{ComponentName, Digest, RunId};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::record::event::Signal;

/// A journal that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    runs: BTreeMap<RunId, Run>,
    order: Vec<RunId>,
    letters: Vec<(RunId, InboxEntry)>,
}

#[derive(Debug, Default)]
struct Run {
    epoch: u64,
    records: Vec<Record>,
    claims: Vec<ComponentName>,
}

impl Run {
    fn extend(&mut self, run: &RunId, events: &[Vec<u8>]) -> Vec<Record> {
        let mut new = Vec::new();
        for bytes in events {
            let last = new.last().or(self.records.last()).map(|r: &Record| (r.seq, r.hash.clone()));
            new.push(chain::link(run, last.as_ref().map(|(s, h)| (*s, h)), self.epoch, bytes.clone()));
        }
        self.records.extend(new.iter().cloned());
        new
    }
}

impl MemoryJournal {
    /// A journal with one unfinished run, as after a crash.
    pub fn from_records(records: &[Record]) -> Self {
        let journal = Self::default();
        if let Some(last) = records.last() {
            let run = Run {
                epoch: last.epoch,
                records: records.to_vec(),
                claims: vec![ComponentName::new("held")],
            };
            let mut inner = journal.inner.borrow_mut();
            inner.order.push(last.run.clone());
            inner.runs.insert(last.run.clone(), run);
            drop(inner);
        }
        journal
    }
}

impl Journal for MemoryJournal {
    fn create(
        &self,
        run: &RunId,
        claims: &[ComponentName],
        events: &[Vec<u8>],
        closes: Option<&Closing>,
    ) -> Result<Vec<Record>, StoreError> {
        let mut inner = self.inner.borrow_mut();
        let closing = |id: &RunId| closes.is_some_and(|c| c.run == *id);
        for component in claims {
            let holds = |(id, r): &(&RunId, &Run)| !closing(id) && r.claims.contains(component);
            if let Some((other, _)) = inner.runs.iter().find(holds) {
                return Err(StoreError::Busy { component: component.clone(), run: other.clone() });
            }
        }
        if let Some(closing) = closes {
            let old = inner
                .runs
                .get_mut(&closing.run)
                .filter(|r| r.epoch == closing.epoch && r.records.len() as u64 == closing.expect)
                .ok_or_else(|| StoreError::Owned(closing.run.clone()))?;
            old.claims.clear();
            old.extend(&closing.run, &closing.events);
        }
        let mut new = Run { epoch: 1, records: Vec::new(), claims: claims.to_vec() };
        let records = new.extend(run, events);
        inner.runs.insert(run.clone(), new);
        inner.order.push(run.clone());
        Ok(records)
    }

    fn open(&self, run: &RunId) -> Result<Opened, StoreError> {
        let mut inner = self.inner.borrow_mut();
        let found = inner.runs.get_mut(run).ok_or_else(|| StoreError::NoRun(run.to_string()))?;
        found.epoch += 1;
        Ok(Opened { epoch: found.epoch, records: found.records.clone() })
    }

    fn append<'a>(
        &'a self,
        run: &'a RunId,
        epoch: u64,
        expect: u64,
        events: Vec<Vec<u8>>,
        release: Release,
    ) -> LocalBoxFuture<'a, Result<Vec<Record>, AppendError>> {
        let mut inner = self.inner.borrow_mut();
        let result = match inner.runs.get_mut(run) {
            None => Err(AppendError::Unavailable(format!("run {run} does not exist"))),
            Some(r) if r.epoch != epoch => Err(AppendError::Fenced { run: run.clone(), epoch: r.epoch }),
            Some(r) if r.records.len() as u64 != expect => Err(AppendError::Conflict {
                run: run.clone(),
                have: r.records.len() as u64,
                expected: expect,
            }),
            Some(r) => {
                if release == Release::Free {
                    r.claims.clear();
                }
                Ok(r.extend(run, &events))
            }
        };
        Box::pin(ready(result))
    }

    fn read(&self, run: &RunId) -> Result<Vec<Record>, StoreError> {
        let inner = self.inner.borrow();
        inner.runs.get(run).map(|r| r.records.clone()).ok_or_else(|| StoreError::NoRun(run.to_string()))
    }

    fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let inner = self.inner.borrow();
        let row = |run: &RunId| {
            let r = &inner.runs[run];
            RunRow { run: run.clone(), events: r.records.len() as u64, finished: r.claims.is_empty() }
        };
        Ok(inner.order.iter().map(row).collect())
    }

    fn post(&self, run: &RunId, _at: Timestamp, who: &Person, signal: &Signal) -> Result<Digest, StoreError> {
        let mut inner = self.inner.borrow_mut();
        // A journal that was made from the events of another one must not repeat the hashes in them.
        let events = inner.runs.get(run).map_or(0, |r| r.records.len());
        let fields = [events, inner.letters.len()].map(usize::to_be_bytes);
        let id = Digest::of_fields(&[run.as_str().as_bytes(), &fields[0], &fields[1]]);
        inner
            .letters
            .push((run.clone(), InboxEntry { id: id.clone(), who: who.clone(), signal: signal.clone() }));
        Ok(id)
    }

    fn letters(&self, run: &RunId) -> Result<Vec<InboxEntry>, StoreError> {
        let inner = self.inner.borrow();
        Ok(inner.letters.iter().filter(|(of, _)| of == run).map(|(_, letter)| letter.clone()).collect())
    }

    fn vouched(&self, _run: &RunId, _events: &[Record]) -> Result<(), StoreError> {
        // Nobody else can change it.
        Ok(())
    }
}
