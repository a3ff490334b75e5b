//! Statements that people make while no process, or another one, drives their run. The ledger records each when it is made, and the run
//! reads it from there.

use std::collections::BTreeMap;

use super::chain::Record;
use super::verify::{Contents, Fault};
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;
use crate::model::waiver::{Person, one_line};
use crate::policy::signed;
use crate::record::event::{Event, EventKind, Signal};
use crate::run::signal::person_of;

/// The statements that a run is said to have read, but that changed nothing in it. Somebody marked them as read.
pub(super) fn unanswered(contents: &Contents, by_run: &BTreeMap<&RunId, Vec<Record>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for record in &contents.ledger {
        let Ok(Entry::Statement { run, who, says, .. }) = Entry::read(&record.bytes) else { continue };
        let events = by_run.get(&run).map_or_else(Vec::new, |events| result(events, &record.hash));
        let Some(read) = events.first().map(|(seq, _)| *seq) else { continue };
        let Ok(signal) = serde_json::from_str::<Signal>(&says) else { continue };
        if !events.iter().any(|(_, what)| answers(what, &who, &signal)) {
            let words = signed::words(Some(&signal));
            let why = format!(
                "a statement of {who} ({words}) is marked as read, but no event is its result: somebody removed or added an event"
            );
            faults.push(Fault { run: run.to_string(), seq: read, why });
        }
    }
    faults
}

/// The event that a statement was read, and those up to the next one.
fn result(events: &[Record], statement: &Digest) -> Vec<(u64, EventKind)> {
    let read = |record: &Record| {
        serde_json::from_slice::<Event>(&record.bytes).ok().map(|event| (record.seq, event.what))
    };
    let is_read = |what: &EventKind| matches!(what, EventKind::StatementRead { .. });
    let mut later = events.iter().filter_map(read).skip_while(
        |(_, what)| !matches!(what, EventKind::StatementRead { statement: of } if of == statement),
    );
    let first = later.next();
    first.into_iter().chain(later.take_while(|(_, what)| !is_read(what))).collect()
}

/// Whether an event is what the run made of a statement.
fn answers(what: &EventKind, who: &Person, signal: &Signal) -> bool {
    let named = |of: &Person| of.who == one_line(&who.who);
    let of = match (signal, what) {
        (_, EventKind::SignalRefused { signal: refused, who, .. }) => return refused == signal && named(who),
        // These events name nobody.
        (Signal::Pause, EventKind::Paused { .. })
        | (Signal::Cancel { .. }, EventKind::RunFinished { .. }) => {
            return true;
        }
        (Signal::Resume, EventKind::Resumed { who }) => return named(who),
        (Signal::Approve { .. }, EventKind::Approved { .. } | EventKind::Ratified { .. })
        | (Signal::Reject { .. }, EventKind::Rejected { .. } | EventKind::RatificationRefused { .. })
        | (Signal::Override { .. }, EventKind::Overridden { .. })
        | (Signal::Acknowledge { .. }, EventKind::Acknowledged { .. })
        | (Signal::Fulfil { .. }, EventKind::Fulfilled { .. })
        | (Signal::Cancel { .. }, EventKind::CancelRequested { .. })
        | (Signal::Skip { .. }, EventKind::StepSkipped { .. } | EventKind::DebtSettled { .. })
        | (Signal::Done { .. }, EventKind::ClaimedDone { .. })
        | (Signal::Waive { .. }, EventKind::Waived { .. }) => person_of(what),
        _ => None,
    };
    of.is_some_and(|of| named(of) && of.statement == who.statement)
}
