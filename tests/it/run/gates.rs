//! Gates of stores and of groups, and steps that cannot observe their target.

use drctl::inventory::Observation;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::unreplicated::{Lost, Unreplicated};
use drctl::kinds::{Called, Fact};
use drctl::model::ids::ComponentName;
use drctl::model::time::Dur;
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{End, EventKind};
use drctl::run::gate::{asked_as_of, reopened};
use drctl::run::state::Status;
use drctl::run::{RunState, StepObservation, judge};

use crate::run::accepted_loss::{asked, measured};
use crate::run::decisions::{DONE, component, db, fence, minutes, say, scale, step, under_way};
use crate::run::judged_steps::word;
use crate::support::rig::BEGAN;

fn ledger() -> ComponentName {
    ComponentName::new("ledger")
}

fn of(name: &ComponentName) -> DatabaseRef {
    DatabaseRef { component: name.clone(), ..db("db-east") }
}

fn measures(name: &ComponentName, unreplicated: Vec<Unreplicated>) -> Action {
    Action::Check(Check::Exposure { db: of(name), ahead_ms: None, unreplicated })
}

fn promotes(name: &ComponentName) -> Action {
    Action::from(Promote { db: of(name), backup_days: None, takeover: None })
}

fn gate(components: &[ComponentName]) -> Action {
    Action::Gate(Gate::Exposure { components: components.to_vec(), objective_ms: Dur::mins(1) })
}

/// Two stores whose gates have passed; the promotion of the first one is in this status. More than the objective may be lost of it.
fn promoting(gates: &[&[ComponentName]], first: Status) -> RunState {
    let mut steps = vec![
        (step("measure.a", measures(&component(), Vec::new())), DONE),
        (step("measure.b", measures(&ledger(), Vec::new())), DONE),
        (step("promote.a", promotes(&component())), first),
        (step("promote.b", promotes(&ledger())), Status::Started),
    ];
    let ids = ["gate.a", "gate.b"];
    steps.extend(ids.into_iter().zip(gates).map(|(id, of)| (step(id, gate(of)), DONE)));
    let mut state = under_way(steps);
    measured(&mut state, 0, &component(), Dur::mins(9), false);
    measured(&mut state, 1, &ledger(), Dur::ZERO, false);
    state
}

#[test]
fn a_promotion_waits_for_the_losses_of_its_own_gate_alone() {
    let (a, b) = (component(), ledger());
    let alone = promoting(&[std::slice::from_ref(&a), std::slice::from_ref(&b)], Status::Started);
    assert_eq!(reopened(&alone, 3, &b, BEGAN), None);
    assert!(reopened(&alone, 2, &a, BEGAN).is_some());
    let together = promoting(&[&[a, b.clone()]], Status::Started);
    assert!(reopened(&together, 3, &b, BEGAN).is_some());
}

/// The question is as old as the stop, and the loss has grown since.
#[test]
fn a_promotion_that_waits_asks_for_the_loss_of_now() {
    let a = component();
    let mut state = promoting(&[std::slice::from_ref(&a)], Status::Started);
    measured(&mut state, 0, &a, Dur::mins(9), true);
    assert_eq!(asked_as_of(&state, 2, BEGAN), None, "it does not wait");
    let Some(EventKind::GateBlocked { rule, why, flag, .. }) = reopened(&state, 2, &a, BEGAN) else {
        panic!("no question")
    };
    state.steps[2].work.status = Status::Blocked { why: why.clone(), rule, flag: flag.clone() };
    assert_eq!(asked_as_of(&state, 2, BEGAN), Some((why, flag)));
    let (_, flag) = asked_as_of(&state, 2, minutes(3)).expect("a question");
    assert!(flag.as_deref().is_some_and(|flag| flag.contains("--accept-data-loss 17m ")), "{flag:?}");
}

#[test]
fn no_store_of_a_group_is_promoted_once_another_one_could_not_be() {
    let both = [component(), ledger()];
    let why = |first: Status, of: &ComponentName| match reopened(&promoting(&[&both], first), 3, of, BEGAN) {
        Some(EventKind::GateBlocked { why, .. }) => why,
        other => format!("{other:?}"),
    };
    assert!(why(Status::Failed, &ledger()).contains("could not promote db"));
    assert!(!why(Status::Failed, &component()).contains("could not promote"), "its own failure stops it");
    assert!(!why(Status::Started, &ledger()).contains("could not promote"));
}

#[test]
fn a_loss_that_does_not_grow_needs_no_time_for_the_answer() {
    let steps = vec![
        (step("measure", measures(&component(), Vec::new())), DONE),
        (step("gate", gate(&[component()])), Status::Started),
    ];
    for (grows, says) in [(false, false), (true, true)] {
        let mut state = under_way(steps.clone());
        measured(&mut state, 0, &component(), Dur::mins(9), grows);
        let (_, why) = asked(&state, BEGAN);
        assert_eq!(why.contains("to answer"), says, "{why}");
    }
}

#[test]
fn what_is_not_replicated_is_that_of_the_store_itself() {
    let table =
        |name: &str| vec![Unreplicated { what: Lost::Rows, name: name.to_owned(), detail: String::new() }];
    let state = under_way(vec![
        (step("measure.a", measures(&component(), table("a"))), DONE),
        (step("measure.b", measures(&ledger(), table("b"))), DONE),
    ]);
    assert_eq!(state.unreplicated(&component()), table("a"));
    assert_eq!(state.unreplicated(&ledger()), table("b"));
}

/// Only a method that reads the server after writes have ended can tell what its standbys lack.
#[test]
fn what_is_not_replicated_is_read_only_from_the_proof_of_a_method_that_reads_the_server() {
    let table =
        |name: &str| vec![Unreplicated { what: Lost::Rows, name: name.to_owned(), detail: String::new() }];
    let known = |method: FenceMethod| {
        let mut state = under_way(vec![
            (step("fence", fence(method)), Status::Started),
            (step("measure", measures(&component(), table("planned"))), Status::Pending),
        ]);
        let proven = Fact::Fenced {
            component: component(),
            method,
            at: BEGAN,
            last_commit: None,
            last_commit_there: None,
            clock: None,
            wal: None,
            word: Some("w".to_owned()),
            proof: "p".to_owned(),
            unexplained: None,
            unreplicated: table("read"),
        };
        let (step, facts) = (state.step(0).id.clone(), vec![proven]);
        say(&mut state, BEGAN, EventKind::StepFinished { step, end: End::Performed, facts });
        state.unreplicated(&component())
    };
    assert_eq!(known(FenceMethod::Sql), table("read"));
    assert_eq!(known(FenceMethod::SecurityGroup), table("planned"));
}

fn looks(state: &RunState, seen: Observation) -> &'static str {
    let target = state.step(0).action.watch(&Called::NOT_YET).expect("a target");
    word(&judge(state, 0, &StepObservation::Things(vec![(target, seen)]), minutes(2)))
}

#[test]
fn who_was_told_that_credentials_are_missing_is_not_told_again() {
    let expired = || Observation::Unauthenticated { why: "the token expired".to_owned(), clock: false };
    let mut state = under_way(vec![(step("a", scale()), Status::Started)]);
    state.steps[0].work.doubt = Some(BEGAN);
    assert_eq!(looks(&state, expired()), "blocked");
    state.steps[0].work.status = Status::Blocked { why: "credentials".to_owned(), rule: None, flag: None };
    assert_eq!(looks(&state, expired()), "waits");
}

#[test]
fn what_is_missing_is_written_by_a_write_and_fails_a_check() {
    let missing = || Observation::NotFound { observed_at: BEGAN };
    let (place, holder) = (db("db-east").place, "run".to_owned());
    let guard = Write::Guard { component: component(), place: place.clone(), holder, instead_of: None };
    let of = |action: Action| looks(&under_way(vec![(step("a", action), Status::Started)]), missing());
    assert_eq!(of(Action::Write(guard)), "calls");
    assert_eq!(of(Action::Check(Check::Identity { place })), "failed");
}
