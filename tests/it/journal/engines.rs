//! One conformance suite for every journal engine.

use drctl::journal::memory::MemoryJournal;
use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{AppendError, Closing, Journal, Release, StoreError, chain};
use drctl::model::ids::{ComponentName, RunId};
use drctl::model::ledger::StoreWorld;
use drctl::model::time::Timestamp;
use drctl::model::waiver::Person;
use drctl::record::event::Signal;

fn append(
    journal: &dyn Journal,
    run: &RunId,
    epoch: u64,
    expect: u64,
    n: usize,
) -> Result<usize, AppendError> {
    let events = (0..n).map(|i| format!("{{\"n\":{i}}}").into_bytes()).collect();
    futures_executor::block_on(journal.append(run, epoch, expect, events, Release::Keep)).map(|r| r.len())
}

/// A run ends in the same transaction in which the run that replaces it starts, or neither happens.
fn takes_the_place(journal: &dyn Journal) {
    let (old, new, db) = (RunId::new("old"), RunId::new("new"), ComponentName::new("app/other"));
    let (claims, event) = (std::slice::from_ref(&db), [b"{}".to_vec()]);
    journal.create(&old, claims, &event, None).unwrap();
    let epoch = journal.open(&old).unwrap().epoch;
    let closing = |epoch, expect| Closing { run: old.clone(), epoch, expect, events: event.to_vec() };
    for stale in [closing(epoch - 1, 1), closing(epoch, 0)] {
        let refused = journal.create(&new, claims, &event, Some(&stale));
        assert!(matches!(refused, Err(StoreError::Owned(run)) if run == old), "somebody went on with it");
        assert!(matches!(journal.read(&new), Err(StoreError::NoRun(_))));
        assert_eq!(journal.read(&old).unwrap().len(), 1, "and it is as it was");
    }
    // A component of a third run, for which the old one is not closed.
    let third = RunId::new("third");
    let more = ComponentName::new("app/third");
    journal.create(&third, std::slice::from_ref(&more), &event, None).unwrap();
    let busy = journal.create(&new, &[db.clone(), more], &event, Some(&closing(epoch, 1)));
    assert!(matches!(busy, Err(StoreError::Busy { run, .. }) if run == third));
    assert_eq!(journal.read(&old).unwrap().len(), 1);
    journal.create(&new, claims, &event, Some(&closing(epoch, 1))).unwrap();
    assert_eq!((journal.read(&old).unwrap().len(), journal.read(&new).unwrap().len()), (2, 1));
    assert_eq!(chain::broken(&old, &journal.read(&old).unwrap()), None);
    assert!(append(journal, &old, epoch - 1, 2, 1).is_err(), "its last owner writes no more");
}

fn conforms(journal: &dyn Journal) {
    let (run, db) = (RunId::new("one"), ComponentName::new("app/db"));
    let first = journal.create(&run, std::slice::from_ref(&db), &[b"{}".to_vec()], None).unwrap();
    assert_eq!((first[0].seq, first[0].previous.clone()), (1, chain::genesis()));
    assert!(
        matches!(journal.create(&RunId::new("two"), &[db], &[b"{}".to_vec()], None), Err(StoreError::Busy { run, .. }) if run.as_str() == "one")
    );
    assert!(
        matches!(journal.read(&RunId::new("two")), Err(StoreError::NoRun(_))),
        "a refused run leaves nothing behind"
    );

    assert_eq!(append(journal, &run, 1, 1, 3), Ok(3));
    assert!(matches!(
        append(journal, &run, 1, 1, 1),
        Err(AppendError::Conflict { have: 4, expected: 1, .. })
    ));
    let opened = journal.open(&run).unwrap();
    assert_eq!((opened.epoch, opened.records.len()), (2, 4));
    assert!(
        matches!(append(journal, &run, 1, 4, 1), Err(AppendError::Fenced { epoch: 2, .. })),
        "a stale owner cannot write"
    );
    assert_eq!(append(journal, &run, 2, 4, 1), Ok(1));
    assert_eq!(chain::broken(&run, &journal.read(&run).unwrap()), None);

    let who = Person::claimed("somebody");
    let id = journal.post(&run, Timestamp::from_millis(1), &who, &Signal::Pause).unwrap();
    assert_eq!(
        journal.letters(&run).unwrap().iter().map(|l| (l.id.clone(), l.signal.clone())).collect::<Vec<_>>(),
        [(id, Signal::Pause)]
    );
    assert!(journal.letters(&RunId::new("two")).unwrap().is_empty());

    let rows = journal.runs().unwrap();
    assert_eq!((rows.len(), rows[0].events, rows[0].finished), (1, 5, false));
    let last =
        futures_executor::block_on(journal.append(&run, 2, 5, vec![b"{}".to_vec()], Release::Free)).unwrap();
    assert_eq!(last[0].seq, 6);
    assert!(journal.runs().unwrap()[0].finished, "a run that is over holds nothing");
}

#[test]
fn memory() {
    conforms(&MemoryJournal::default());
    takes_the_place(&MemoryJournal::default());
}

#[test]
fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&SqliteJournal::open(&folder.path().join("s/drctl.db"), StoreWorld::Live).unwrap());
    takes_the_place(&SqliteJournal::open(&folder.path().join("s/drctl.db"), StoreWorld::Live).unwrap());
}

#[test]
fn sqlite_keeps_what_it_has_and_keeps_it_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".drctl/drctl.db");
    conforms(&SqliteJournal::open(&path, StoreWorld::Live).unwrap());
    takes_the_place(&SqliteJournal::open(&path, StoreWorld::Live).unwrap());
    let again = SqliteJournal::open(&path, StoreWorld::Live).unwrap();
    assert_eq!(again.read(&RunId::new("one")).unwrap().len(), 6);
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}
