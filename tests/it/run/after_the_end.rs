//! A finished run starts no step of its recovery and makes no call of it, whoever adds such an event to its journal. Pending items are
//! still recorded.

use drctl::kinds::Operation;
use drctl::model::duty::{Decision, Duty};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::time::Dur;
use drctl::model::waiver::Person;
use drctl::record::action::Action;
use drctl::record::event::{Direction, End, Event, EventKind, Outcome};
use drctl::run::RunState;
use drctl::run::illegal::Illegal;
use drctl::run::state::{Status, Work};

use crate::run::judged_steps::{db_name, owing};

fn offered(state: &RunState, what: EventKind) -> Result<RunState, Illegal> {
    let mut next = state.clone();
    next.apply(&Event { at: state.last_at, what })?;
    Ok(next)
}

fn started(step: &StepId) -> EventKind {
    EventKind::StepStarted { step: step.clone() }
}

/// The next call of the step.
fn call(state: &RunState, i: usize, direction: Direction) -> EventKind {
    let (work, step) = (state.work(i), state.step(i).id.clone());
    let (attempt, generation) = (work.attempts + 1, work.generation + 1);
    EventKind::CallIntended {
        step,
        direction,
        attempt,
        generation,
        key: "k".to_owned(),
        part: Vec::new(),
        found: None,
    }
}

/// The pending fences.
fn of_the_debt(state: &RunState, i: usize) -> bool {
    matches!(&state.step(i).action, Action::Op(Operation::Fence(fence)) if fence.db.component == db_name())
}

fn looked(component: ComponentName) -> EventKind {
    EventKind::NewPrimaryChecked { component, writes: true, seen: "it takes writes".to_owned() }
}

fn refused(state: &RunState, what: EventKind) -> bool {
    match offered(state, what) {
        Err(Illegal::Impossible(_, why)) => why.starts_with("the run is over"),
        other => panic!("not refused for the end of the run: {other:?}"),
    }
}

#[test]
fn no_step_of_the_recovery_begins_or_calls() {
    let (state, rungs, _) = owing();
    let all: Vec<usize> = (0..state.steps.len()).collect();
    let (debt, recovery): (Vec<_>, Vec<_>) = all.into_iter().partition(|&i| of_the_debt(&state, i));
    assert_eq!(debt.len(), rungs.len(), "the check of the new primary is a step of the recovery");
    assert!(recovery.len() > 10 && recovery.iter().any(|&i| state.step(i).action.mutates()));
    for i in recovery {
        // Whatever status the step had at the end.
        for status in [Status::Pending, Status::Started, Status::InDoubt { since: state.last_at }] {
            let mut found = state.clone();
            found.steps[i].work = Work { status, ..Work::new() };
            assert!(refused(&found, started(&found.step(i).id)));
            if found.step(i).action.mutates() {
                assert!(refused(&found, call(&found, i, Direction::Do)));
                assert!(refused(&found, call(&found, i, Direction::Undo)));
            }
        }
    }
    let over = [
        EventKind::Paused { why: "x".to_owned() },
        EventKind::Resumed { who: Person::claimed("x") },
        EventKind::CancelRequested { who: Person::claimed("x"), reason: "x".to_owned(), displaced_by: None },
        EventKind::RunFinished { outcome: Outcome::Recovered },
    ];
    for what in over {
        let said = offered(&state, what.clone());
        assert!(matches!(said, Err(Illegal::Finished(_))), "{what:?}: {said:?}");
    }
    // Pending items continue.
    assert!(offered(&state, looked(db_name())).is_ok());
    for rung in rungs {
        let mut pending = state.clone();
        pending.steps[rung].work = Work::new();
        let begun = offered(&pending, started(&state.step(rung).id)).unwrap();
        assert!(offered(&begun, call(&begun, rung, Direction::Do)).is_ok());
    }
}

/// Once it is settled nothing is pending, and its fence does not start any more either.
#[test]
fn a_debt_that_is_settled_begins_nothing() {
    let (state, [rung, _], _) = owing();
    let settled = EventKind::DebtSettled { component: db_name(), why: "shredded".to_owned(), who: None };
    let mut settled = offered(&state, settled).unwrap();
    for (of, component) in [(&state, ComponentName::new("other")), (&settled, db_name())] {
        let said = offered(of, looked(component));
        assert!(matches!(said, Err(Illegal::Impossible(..))), "{said:?}");
    }
    assert!(refused(&settled, call(&settled, rung, Direction::Do)));
    settled.steps[rung].work = Work::new();
    assert!(refused(&settled, started(&settled.step(rung).id)));
}

/// Effects in doubt are resolved, places answer, and people record what they did.
#[test]
fn what_is_owed_after_the_end_is_taken() {
    let (state, [rung, _], _) = owing();
    let who = || Person::claimed("sam");
    let taken = [
        EventKind::EpochTaken { epoch: state.epoch + 1, owner: "another".to_owned() },
        EventKind::PlaceAnswered { place: "us-west-2".to_owned(), who: "its server".to_owned() },
        EventKind::DebtSettled { component: db_name(), why: "shredded".to_owned(), who: Some(who()) },
        EventKind::Acknowledged { who: who(), decision: None, reason: "seen".to_owned() },
        EventKind::Acknowledged {
            who: who(),
            decision: Some(Decision::FixForward),
            reason: "seen".to_owned(),
        },
    ];
    let duties = Duty::ALL.map(|duty| EventKind::Fulfilled {
        duty,
        who: who(),
        reference: "https://wiki.example/1".to_owned(),
        sha256: None,
    });
    for what in taken.into_iter().chain(duties) {
        assert!(offered(&state, what.clone()).is_ok(), "{what:?}");
    }
    let promotion = state
        .runbook
        .steps
        .iter()
        .position(|s| matches!(s.action, Action::Op(Operation::Promote(_))))
        .unwrap();
    for i in [promotion, rung] {
        let step = || state.step(i).id.clone();
        let mut doubtful = state.clone();
        let since = state.last_at - Dur::secs(30);
        let work = Work { status: Status::InDoubt { since }, doubt: Some(since), ..Work::new() };
        doubtful.steps[i].work = work;
        let seen = EventKind::StepFinished { step: step(), end: End::Performed, facts: Vec::new() };
        assert_eq!(offered(&doubtful, seen).unwrap().work(i).status, Status::Done(End::Performed));
        let disproved = EventKind::EffectDisproved { step: step(), seen: "the old state".to_owned() };
        let next = offered(&doubtful, disproved).unwrap();
        assert_eq!(next.work(i).doubt, None);
        // The fate of the promotion is known now, and its call is not repeated.
        assert!(i == rung || refused(&next, call(&next, i, Direction::Do)));
    }
}
