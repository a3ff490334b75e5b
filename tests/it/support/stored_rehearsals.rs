//! Rehearsals that are stored as if they had been live, at another time: the result of a year of live runs, without the year.

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::ids::RunId;
use drctl::model::time::{Dur, Timestamp};
use drctl::record::event::{Event, EventKind, RunCreated, WorldKind};
use serde_json::Value;

/// The events of a run as if it had started at that time. The runbook, which people approved, stays unchanged.
pub fn lived(
    events: &[Event],
    run: &str,
    began: Timestamp,
    change: impl FnOnce(&mut RunCreated),
) -> Vec<Event> {
    let (earlier, later) = (events[0].at.since(began), began.since(events[0].at));
    let mut all: Vec<Event> = events
        .iter()
        .map(|event| {
            let mut value = serde_json::to_value(event).unwrap();
            shift(&mut value, (earlier, later));
            serde_json::from_value(value).unwrap()
        })
        .collect();
    let EventKind::RunCreated(created) = &mut all[0].what else { panic!("no run begins so") };
    created.run = RunId::new(run);
    created.world = WorldKind::Live;
    change(created);
    all
}

fn shift(value: &mut Value, by: (Dur, Dur)) {
    match value {
        Value::String(text) if text.len() == 24 && text.ends_with('Z') => {
            if let Ok(at) = Timestamp::parse(text) {
                *text = (at - by.0 + by.1).to_string();
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| shift(v, by)),
        Value::Object(all) => all.values_mut().for_each(|v| shift(v, by)),
        _ => {}
    }
}

/// Continues a run of a store.
#[cfg(all(feature = "http", feature = "mail"))]
pub fn follow(store: &SqliteJournal, run: &str, events: &[Event]) {
    let run = RunId::new(run);
    let opened = store.open(&run).unwrap();
    // The ledger may have later times than these events, and nothing may be dated before the latest time in the ledger.
    let known = store.known_time().unwrap().unwrap();
    let dated = |e: &Event| Event { at: e.at.max(known), what: e.what.clone() };
    let bytes = events.iter().map(|e| create::encode(&dated(e))).collect();
    let written =
        store.append(&run, opened.epoch, opened.records.len() as u64, bytes, drctl::journal::Release::Free);
    futures_executor::block_on(written).unwrap();
}

/// Writes a run to a store.
pub fn keep(store: &SqliteJournal, run: &str, events: &[Event]) {
    let bytes: Vec<_> = events.iter().map(create::encode).collect();
    store.create(&RunId::new(run), &[], &bytes, None).unwrap();
}
