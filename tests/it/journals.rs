//! One conformance suite for every journal engine.

use drctl::journal::memory::MemoryJournal;
use drctl::journal::sqlite::{Durability, SqliteJournal};
use drctl::journal::{AppendError, Journal, Release, StoreError, chain};
use drctl::model::event::Signal;
use drctl::model::ids::{ComponentName, RunId};
use drctl::model::time::Timestamp;
use drctl::model::waiver::Person;

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

fn conforms(journal: &dyn Journal) {
    let (run, db) = (RunId::new("one"), ComponentName::new("app/db"));
    let first = journal.create(&run, std::slice::from_ref(&db), &[b"{}".to_vec()]).unwrap();
    assert_eq!((first[0].seq, first[0].previous.clone()), (1, chain::genesis()));
    assert!(
        matches!(journal.create(&RunId::new("two"), &[db], &[b"{}".to_vec()]), Err(StoreError::Busy { run, .. }) if run.as_str() == "one")
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
        journal.letters(&run).unwrap().iter().map(|l| (l.id, l.signal.clone())).collect::<Vec<_>>(),
        [(id, Signal::Pause)]
    );
    journal.taken(id).unwrap();
    assert!(journal.letters(&run).unwrap().is_empty());

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
}

#[test]
fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&SqliteJournal::open(&folder.path().join("s/drctl.db"), Durability::Full).unwrap());
}

#[test]
fn sqlite_keeps_what_it_has_and_keeps_it_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".drctl/drctl.db");
    conforms(&SqliteJournal::open(&path, Durability::Full).unwrap());
    let again = SqliteJournal::open(&path, Durability::Full).unwrap();
    assert_eq!(again.read(&RunId::new("one")).unwrap().len(), 6);
    let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}
