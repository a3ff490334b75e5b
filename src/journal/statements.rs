//! Statements that people make while no process, or another one, drives their run. The ledger records each when it is made, and the run
//! reads it from there.

use std::collections::BTreeMap;

use super::chain::Record;
use crate::model::ids::{Digest, RunId};
use crate::model::ledger::Entry;
use crate::model::waiver::{Person, one_line};
use crate::policy::signed;
use crate::record::event::{Event, EventKind, Signal};
use crate::run::RunState;
use crate::run::signal::{self, person_of};

/// What is wrong with the statements in these entries of the ledger: the run, the entry, and why. Each is signed as it stands, and each
/// that its run has read has a result there.
pub(super) fn unsound(
    ledger: &[Record],
    by_run: &BTreeMap<&RunId, Vec<Record>>,
) -> Vec<(RunId, u64, String)> {
    let mut wrong = Vec::new();
    for record in ledger {
        let Ok(Entry::Statement { run, who, says, .. }) = Entry::read(&record.bytes) else { continue };
        let Some(events) = by_run.get(&run) else { continue };
        let signal = match serde_json::from_str::<Signal>(&says) {
            Ok(signal) => signal,
            Err(e) => {
                wrong.push((
                    run,
                    record.seq,
                    format!("this version cannot read the statement of {}: {e}", who.who),
                ));
                continue;
            }
        };
        let result = result(events, &record.hash);
        let why = match forged(events, &run, &who, &signal) {
            Some(why) => why,
            None if result.is_empty() => continue,
            None if result.iter().any(|what| answers(what, &who, &signal)) => {
                let refused = result.iter().any(|what| matches!(what, EventKind::SignalRefused { .. }));
                if !refused || is_refused(events, &record.hash, (&who, &signal)) {
                    continue;
                }
                "it is marked as refused, but its run accepts it: somebody added that event".to_owned()
            }
            None => "it is marked as read, but no event is its result: somebody removed or added an event"
                .to_owned(),
        };
        let words = signed::words(Some(&signal));
        wrong.push((run, record.seq, format!("the statement of {} ({words}): {why}", one_line(&who.who))));
    }
    wrong
}

/// Why a statement is not what an operator signed. Anybody may stop or continue a run without a signature.
fn forged(events: &[Record], run: &RunId, who: &Person, signal: &Signal) -> Option<String> {
    let created = match serde_json::from_slice::<Event>(&events.first()?.bytes).ok()?.what {
        EventKind::RunCreated(created) => created,
        _ => return None,
    };
    let free = matches!(signal, Signal::Pause | Signal::Resume) && who.signature.is_none();
    if created.authority.is_empty() || free {
        return None;
    }
    signed::authentic_for(&created.authority, run, who, signal).err().map(|why| why.to_string())
}

/// The first event that says that a statement was read and that nothing follows from.
pub(super) fn without_result(events: &[Event]) -> Option<(u64, String)> {
    let result = |what: &EventKind| {
        person_of(what).is_some()
            || matches!(
                what,
                EventKind::SignalRefused { .. }
                    | EventKind::Paused { .. }
                    | EventKind::Resumed { .. }
                    | EventKind::RunFinished { .. }
            )
    };
    let read = |(i, event): (usize, &Event)| {
        let read = matches!(event.what, EventKind::StatementRead { .. });
        let empty = read && !events.get(i + 1).is_some_and(|next| result(&next.what));
        empty.then(|| (i as u64 + 1, "a statement is marked as read, but no event is its result".to_owned()))
    };
    events.iter().enumerate().find_map(read)
}

/// The event that a statement was read, and those up to the next one.
fn result(events: &[Record], statement: &Digest) -> Vec<EventKind> {
    let read = |record: &Record| serde_json::from_slice::<Event>(&record.bytes).ok().map(|event| event.what);
    let is_read = |what: &EventKind| matches!(what, EventKind::StatementRead { .. });
    let of_this =
        |what: &EventKind| matches!(what, EventKind::StatementRead { statement: of } if of == statement);
    let mut later = events.iter().filter_map(read).skip_while(|what| !of_this(what));
    let first = later.next();
    first.into_iter().chain(later.take_while(|what| !is_read(what))).collect()
}

/// Whether the run refuses a statement where its events say so. An event that refuses has no signature, so anybody who can write to the store
/// could add one and silence a person with it.
fn is_refused(events: &[Record], statement: &Digest, (who, signal): (&Person, &Signal)) -> bool {
    let mut state: Option<RunState> = None;
    let mut read = false;
    for record in events {
        let Ok(event) = serde_json::from_slice::<Event>(&record.bytes) else { return false };
        if read {
            let Some(state) = &state else { return false };
            let led = signal::take(state, signal.clone(), who.clone(), event.at);
            let mut trial = state.clone();
            let refuses = |what: EventKind| {
                let refused = matches!(what, EventKind::SignalRefused { .. });
                refused || trial.apply(&Event { at: event.at, what }).is_err()
            };
            return led.into_iter().any(refuses);
        }
        read = matches!(&event.what, EventKind::StatementRead { statement: of } if of == statement);
        match &mut state {
            None => state = RunState::begin(&event).ok(),
            Some(state) => {
                if state.apply(&event).is_err() {
                    return false;
                }
            }
        }
    }
    false
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
