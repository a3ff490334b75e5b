//! Statements that people make while no process, or another one, drives their run. The ledger records each when it is made, so nobody can
//! take it out of the inbox unnoticed.

use std::collections::BTreeMap;

use super::chain::Record;
use super::verify::{Contents, Fault, LEDGER, head};
use crate::model::ids::RunId;
use crate::model::ledger::Entry;
use crate::model::waiver::{Person, one_line};
use crate::policy::signed;
use crate::record::event::{Event, EventKind, Signal};
use crate::run::signal::person_of;

/// The statements in the ledger that are neither in their run nor in the inbox. A file without an inbox does not show what waits.
pub(super) fn removed(contents: &Contents, by_run: &BTreeMap<&RunId, Vec<Record>>) -> Vec<Fault> {
    let Some(waiting) = &contents.waiting else { return Vec::new() };
    let (mut faults, mut known) = (Vec::new(), BTreeMap::new());
    for record in &contents.ledger {
        if let Some(head) = head(&record.bytes) {
            known.insert(head.run, head.seq);
            continue;
        }
        let Ok(Entry::Statement { run, who, says, .. }) = Entry::read(&record.bytes) else { continue };
        let mut fault = |why: String| faults.push(Fault { run: LEDGER.to_owned(), seq: record.seq, why });
        let signal: Signal = match serde_json::from_str(&says) {
            Ok(signal) => signal,
            Err(e) => {
                fault(format!("this version cannot read the statement: {e}"));
                continue;
            }
        };
        let before = known.get(&run).copied().unwrap_or(0);
        let later = by_run.get(&run).into_iter().flatten().filter(|event| event.seq > before);
        let heard = |event: &Record| {
            serde_json::from_slice::<Event>(&event.bytes)
                .is_ok_and(|event| answers(&event.what, &who, &signal))
        };
        let letter = (run.clone(), serde_json::to_vec(&(&who, &signal)).unwrap_or_default());
        if waiting.get(&record.seq) != Some(&letter) && !later.into_iter().any(heard) {
            let words = signed::words(Some(&signal));
            fault(format!(
                "{who} made a statement about run {run} ({words}), but neither the run nor the inbox has it: somebody removed or changed it"
            ));
        }
    }
    faults
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
