//! Statements that wait for a process: they are in the ledger, and the run reads each once.

use drctl::journal::{Journal as _, Release};
use drctl::model::ids::StepId;
use drctl::record::event::{Event, EventKind, Signal};
use drctl::record::statement::Statement;

use crate::signed::{as_operator, folder, signed, state_of, store, waiting, yes};

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

/// Marking a rejection as read takes an event in the journal, and the audit looks for its result.
#[test]
fn a_statement_that_was_read_has_a_result() {
    let folder = folder();
    let run = waiting(&folder);
    let state = state_of(&folder, &run);
    let no = Signal::Reject { step: StepId::new("approve.go"), reason: "not now".to_owned() };
    let who = signed(&folder, "bob.key", &Statement { signal: Some(no.clone()), ..yes(&state, "bob") });
    let store = store(&folder);
    let statement = store.post(&state.created.run, state.last_at, &who, &no).unwrap();
    let opened = store.open(&state.created.run).unwrap();
    let event = Event { at: state.last_at, what: EventKind::StatementRead { statement } };
    let (count, bytes) = (opened.records.len() as u64, serde_json::to_vec(&event).unwrap());
    let append = store.append(&state.created.run, opened.epoch, count, vec![bytes], Release::Keep);
    futures_executor::block_on(append).unwrap();
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    let words =
        "a statement of bob (the rejection of approve.go) is marked as read, but no event is its result";
    assert!(code == 1 && out.contains(words), "{code} {out}{err}");
}
