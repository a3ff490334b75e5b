//! Statements that wait for a process: they are in the ledger, and the run reads each once.

use drctl::journal::contents::LEDGER;
use drctl::journal::{Journal as _, Release, chain};
use drctl::model::ids::{RunId, StepId};
use drctl::model::waiver::Person;
use drctl::record::event::{Event, EventKind, Signal};
use drctl::record::statement::Statement;
use drctl::run::RunState;
use drctl::run::state::Status;

use crate::cli::contract::Folder;
use crate::evidence::signatures::{as_operator, folder, signed, state_of, store, waiting, yes};
use crate::run::decisions::{minutes, say, scale, step, under_way};

/// A statement waits in the ledger. Whoever may write to the store takes it from there only by breaking the ledger, and cannot have the run
/// continue as if nobody had made it.
#[test]
fn a_statement_that_waits_is_in_the_ledger() {
    let folder = folder();
    let run = waiting(&folder);
    let no = Signal::Reject { step: StepId::new("approve.go"), reason: "not now".to_owned() };
    let state = state_of(&folder, &run);
    let statement = Statement { signal: Some(no.clone()), ..yes(&state, "bob") };
    let who = signed(&folder, "bob.key", &statement);
    let posted = store(&folder).post(&state.created.run, state.last_at, &who, &no).unwrap();
    let audit = || folder.run(&["audit", "verify", "--sandbox"]);
    assert_eq!(audit().0, 0, "it waits: {}", audit().1);
    let sql = |text: &str| {
        let path = store(&folder).path().to_owned();
        rusqlite::Connection::open(path).unwrap().execute(text, [])
    };
    assert!(sql("DELETE FROM ledger WHERE instr(bytes, 'not now')").is_err(), "a trigger protects it");
    // An approval after it is judged in the order of the ledger.
    let (code, _, err) =
        as_operator(&folder, "eve.key", &["approve", "--yes", &run, "approve.go", "--sandbox"]);
    assert!(code == 3 && err.contains("bob rejected it at "), "{code} {err}");
    // The run reads it once.
    let read = || {
        let records = store(&folder).read(&state.created.run).unwrap();
        let events = records.iter().map(|r| serde_json::from_slice::<Event>(&r.bytes).unwrap().what);
        events.filter(|e| matches!(e, EventKind::StatementRead { statement } if *statement == posted)).count()
    };
    for _ in 0..2 {
        assert_eq!(as_operator(&folder, "ann.key", &["runs", "resume", &run, "--sandbox"]).0, 4);
        assert_eq!(read(), 1);
    }
    assert_eq!(audit().0, 0, "{}", audit().1);
}

/// Adds events to a run, as somebody without a key can.
fn append(folder: &Folder, state: &RunState, events: Vec<EventKind>) {
    let (store, run) = (store(folder), &state.created.run);
    let opened = store.open(run).unwrap();
    let bytes = |what| serde_json::to_vec(&Event { at: state.last_at, what }).unwrap();
    let (count, bytes) = (opened.records.len() as u64, events.into_iter().map(bytes).collect());
    futures_executor::block_on(store.append(run, opened.epoch, count, bytes, Release::Keep)).unwrap();
}

/// Marking a rejection as read takes an event in the journal, and the audit looks for its result.
#[test]
fn a_statement_that_was_read_has_a_result() {
    let folder = folder();
    let run = waiting(&folder);
    let state = state_of(&folder, &run);
    let no = Signal::Reject { step: StepId::new("approve.go"), reason: "not now".to_owned() };
    let who = signed(&folder, "bob.key", &Statement { signal: Some(no.clone()), ..yes(&state, "bob") });
    let statement = store(&folder).post(&state.created.run, state.last_at, &who, &no).unwrap();
    append(&folder, &state, vec![EventKind::StatementRead { statement }]);
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    let words = "the statement of bob (the rejection of approve.go): it is marked as read, but no event is its result";
    assert!(code == 1 && out.contains(words), "{code} {out}{err}");
    nobody_goes_on(&folder, &run, "is marked as read");
}

/// An event that refuses a statement has no signature. Whoever may write to the store silences nobody with one that the run would not write.
#[test]
fn a_rejection_that_the_run_accepts_is_not_refused_by_an_event() {
    for signed_too in [true, false] {
        let folder = folder();
        let run = waiting(&folder);
        let state = state_of(&folder, &run);
        let no = Signal::Reject { step: StepId::new("approve.go"), reason: "not now".to_owned() };
        let who = signed(&folder, "bob.key", &Statement { signal: Some(no.clone()), ..yes(&state, "bob") });
        let statement = store(&folder).post(&state.created.run, state.last_at, &who, &no).unwrap();
        let who = if signed_too { who } else { Person::claimed("bob") };
        let refused = EventKind::SignalRefused { signal: no, who, reason: "too late".to_owned() };
        append(&folder, &state, vec![EventKind::StatementRead { statement }, refused]);
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        let words = "it is marked as refused, but its run accepts it: somebody added that event";
        assert!(code == 1 && out.contains(words), "{code} {out}{err}");
        nobody_goes_on(&folder, &run, "is marked as refused");
    }
}

/// Nobody continues the run or answers it, and the error names the fix.
fn nobody_goes_on(folder: &Folder, run: &str, why: &str) {
    let before = store(folder).read(&RunId::new(run)).unwrap().len();
    for (key, args) in [
        ("ann.key", &["runs", "resume", run, "--sandbox"][..]),
        ("eve.key", &["approve", "--yes", run, "approve.go", "--sandbox"]),
        ("ann.key", &["runs", "cancel", run, "--yes", "--reason", "x", "--sandbox"]),
    ] {
        let (code, out, err) = as_operator(folder, key, args);
        assert!(
            code == 2 && err.contains(why) && err.contains("audit verify"),
            "{args:?}: {code} {out}{err}"
        );
    }
    assert_eq!(store(folder).read(&RunId::new(run)).unwrap().len(), before, "nothing was written");
}

/// Changes the last statement in the ledger, and with `chained` every hash after it, as somebody without a key can.
fn alter(folder: &Folder, (from, to): (&str, &str), chained: bool) {
    let store = store(folder);
    let ledger = store.contents().unwrap().ledger;
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    connection.execute_batch("DROP TRIGGER ledger_stays").unwrap();
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(from);
    let first = ledger.iter().rposition(|entry| says(&entry.bytes)).unwrap();
    let mut previous = ledger[first].previous.clone();
    for entry in &ledger[first..] {
        let bytes = String::from_utf8(entry.bytes.clone()).unwrap();
        let bytes = if entry.seq == ledger[first].seq { bytes.replace(from, to) } else { bytes };
        let hash = chain::hash(&RunId::new(LEDGER), entry.seq, entry.epoch, &previous, bytes.as_bytes());
        let kept = (&entry.previous, &entry.hash);
        let (before, own) = if chained { (&previous, &hash) } else { kept };
        let seq = i64::try_from(entry.seq).unwrap();
        let set = "UPDATE ledger SET bytes = ?1, previous = ?2, hash = ?3 WHERE seq = ?4";
        let values = rusqlite::params![bytes.as_bytes(), before.as_str(), own.as_str(), seq];
        connection.execute(set, values).unwrap();
        previous = hash;
    }
}

/// Whoever may write to the store turns a no into something else. With all hashes recomputed only the signature shows it.
#[test]
fn a_statement_that_was_altered_stops_the_run() {
    for (chained, why) in [(true, "it is for this:"), (false, "its hash does not match its content")] {
        let folder = folder();
        let run = waiting(&folder);
        let state = state_of(&folder, &run);
        let no = Signal::Reject { step: StepId::new("approve.go"), reason: "not now".to_owned() };
        let who = signed(&folder, "bob.key", &Statement { signal: Some(no.clone()), ..yes(&state, "bob") });
        store(&folder).post(&state.created.run, state.last_at, &who, &no).unwrap();
        // The request, and not the signed text beside it.
        alter(&folder, (r#"not now\"}"}"#, r#"not yet\"}"}"#), chained);
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains(why), "{code} {out}{err}");
        nobody_goes_on(&folder, &run, why);
    }
}

/// A statement is in a checkpoint as soon as it is made, so that one that is kept elsewhere shows its removal.
#[test]
fn a_statement_that_waits_is_in_a_checkpoint() {
    let folder = folder();
    let run = waiting(&folder);
    let (code, out, err) = as_operator(&folder, "ann.key", &["runs", "pause", &run, "--sandbox"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 0 && out.contains("covers everything"), "{code} {out}{err}");
}

/// A pause changes nothing in a run that stands still, so an answer after it does not wait, and keeps its time when the run continues.
#[test]
fn a_rejection_after_a_pause_has_one_time() {
    let folder = folder();
    let run = waiting(&folder);
    let rejected_at = || {
        let people = state_of(&folder, &run).people;
        people.iter().find(|event| matches!(event.what, EventKind::Rejected { .. })).map(|event| event.at)
    };
    for (key, args) in [
        ("ann.key", &["runs", "pause", &run, "--sandbox"][..]),
        ("bob.key", &["reject", &run, "approve.go", "--reason", "check first", "--sandbox"]),
    ] {
        let (code, out, err) = as_operator(&folder, key, args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
    }
    let before = rejected_at();
    assert!(before.is_some(), "it is in the journal at once");
    assert_eq!(as_operator(&folder, "ann.key", &["runs", "resume", &run, "--sandbox"]).0, 4);
    assert_eq!(rejected_at(), before);
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    assert_eq!(code, 0, "{out}{err}");
}

/// The same person may have said something that was read, and somebody else something at the same time.
#[test]
fn only_a_statement_that_no_process_has_read_is_told_to_wait() {
    let mut state = under_way(vec![(step("a", scale()), Status::Started)]);
    for (who, minute) in [("ann", 1), ("bob", 2)] {
        let (who, reason) = (Person::claimed(who), "seen".to_owned());
        say(&mut state, minutes(minute), EventKind::Acknowledged { who, decision: None, reason });
    }
    state.unread = 1;
    let waits = |who: &str, minute: u64| state.is_unread(&Person::claimed(who), minutes(minute));
    assert!(waits("bob", 2));
    assert!(!waits("ann", 1), "the run has read it");
    assert!(!waits("bob", 1) && !waits("ann", 2), "nobody said that");
}
