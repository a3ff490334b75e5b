//! Which event is legal in which status of a step, and what a status means for observations, waits and messages.

use drctl::inventory::Observation;
use drctl::kinds::control::GuardState;
use drctl::kinds::shared::command::Command;
use drctl::kinds::shared::database::Promotable;
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::{Operation, State};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::place::Place;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{Direction, End, Event, EventKind};
use drctl::record::runbook::{OnFailure, Step};
use drctl::run::decide::looks_at;
use drctl::run::gate::same_block;
use drctl::run::state::{FenceDebt, Status};
use drctl::run::{RunState, StepDecision, StepObservation, judge};

use crate::run::beliefs::standby;
use crate::run::decisions::{
    DONE, after, cancelled, component, db, fence, minutes, promote, route, say, scale, step, told, under_way,
    words,
};
use crate::run::judged_steps::refused;
use crate::support::rig::BEGAN;

fn awaiting() -> Status {
    Status::Awaiting { answered_at: BEGAN, token: None }
}

fn guard_unread() -> Status {
    let rule = Some(Rule::GuardUnread);
    Status::Blocked { why: "cannot read the guard".to_owned(), rule, flag: None }
}

fn place() -> Place {
    db("db-east").place
}

fn takes(mut state: RunState, what: EventKind) -> bool {
    state.apply(&Event { at: minutes(1), what }).is_ok()
}

/// Each event that ends a step, with a suitable action.
fn endings() -> Vec<(Action, EventKind)> {
    let (id, reason) = (StepId::new("a"), || "r".to_owned());
    let finished = EventKind::StepFinished { step: id.clone(), end: End::Performed, facts: Vec::new() };
    let guard = Check::Guard { component: component(), place: place(), holder: "run".to_owned() };
    vec![
        (scale(), finished),
        (scale(), EventKind::StepFailed { step: id.clone(), reason: reason() }),
        (Action::Check(guard), EventKind::GuardLost { step: id.clone(), reason: reason() }),
        (
            Action::Op(Operation::CheckPromotable(Promotable { db: db("db-east") })),
            EventKind::FoundPromoted { step: id.clone() },
        ),
    ]
}

#[test]
fn while_a_call_is_under_way_and_after_its_end_nothing_ends_a_step() {
    for (action, what) in endings() {
        let at = |status: Status| under_way(vec![(step("a", action.clone()), status)]);
        // `under_way` adds an epoch, which puts an unanswered call in doubt.
        let mut calling = at(Status::Started);
        calling.steps[0].work.status = Status::Calling;
        let name = format!("{what:?}");
        assert!(!takes(calling, what.clone()), "a call is under way: {name}");
        for settled in [DONE, Status::Failed, Status::Skipped] {
            assert!(!takes(at(settled.clone()), what.clone()), "{settled:?}: {name}");
        }
        assert!(takes(at(awaiting()), what.clone()), "it was accepted, and this is what came of it: {name}");
    }
}

#[test]
fn an_answer_of_a_person_ends_an_open_gate_and_no_other() {
    let ask = Gate::Approval {
        ask: "go?".to_owned(),
        expires_after_ms: Dur::mins(30),
        by: Vec::new(),
        override_by: None,
    };
    let rejected = || EventKind::Rejected {
        step: StepId::new("a"),
        who: Person::claimed("bob"),
        reason: "not now".to_owned(),
    };
    let at = |status| under_way(vec![(step("a", Action::Gate(ask.clone())), status)]);
    assert!(takes(at(Status::Started), rejected()));
    for settled in [DONE, Status::Failed, Status::Skipped] {
        assert!(!takes(at(settled.clone()), rejected()), "{settled:?}");
    }
}

#[test]
fn a_step_waits_for_its_guard_to_be_read_however_long_that_takes() {
    let command = Action::Op(Operation::Run(Command {
        argv: vec!["true".to_owned()],
        idempotent: true,
        env: Vec::new(),
        rehearsal: None,
    }));
    for (id, action) in [("promote", promote()), ("run", command), ("scale", scale())] {
        let state = under_way(vec![(step(id, action), guard_unread())]);
        let next = told(&state, minutes(24 * 60));
        assert!(next.starts_with(&format!("look {id}")) && !next.contains("expire"), "{next}");
    }
}

#[test]
fn a_run_ends_well_only_with_steps_that_may_fail() {
    let lenient = |id: &str| Step { on_failure: OnFailure::Continue, ..step(id, scale()) };
    let ends = |state: &RunState| told(state, minutes(1)).contains("run_finished");
    assert!(ends(&under_way(vec![(step("a", scale()), DONE), (lenient("b"), Status::Failed)])));
    assert!(!ends(&under_way(vec![(step("a", scale()), DONE), (step("b", scale()), Status::Failed)])));
    let mut displaced = under_way(vec![(step("a", scale()), DONE), (lenient("b"), Status::Failed)]);
    displaced.steps[1].work.displaced = true;
    assert!(!ends(&displaced), "it found the guard of another run");
}

fn owes(state: &mut RunState) {
    let debt = FenceDebt { since: BEGAN, pending: true, paid: None, settled: None };
    state.debts.insert(component(), debt);
}

#[test]
fn a_fence_is_tried_for_as_long_as_it_is_owed_or_nothing_waits_for_it() {
    let of = |background: bool, status: Status| {
        let fence = Step { background, ..step("fence", fence(FenceMethod::Sql)) };
        under_way(vec![(fence, status), (step("scale", scale()), Status::Started)])
    };
    assert!(!of(false, Status::Started).waits_for_life(0), "its step waits for it, and it has a timeout");
    assert!(of(true, Status::Started).waits_for_life(0));
    assert!(!of(true, Status::Started).waits_for_life(1), "it is no fence");
    for over in [DONE, Status::Skipped] {
        assert!(!of(true, over.clone()).waits_for_life(0), "{over:?}");
    }
    let mut owed = of(false, Status::Failed);
    owes(&mut owed);
    assert!(owed.waits_for_life(0), "a pending fence is tried again");
}

#[test]
fn a_place_that_answers_has_its_fences_tried_at_once() {
    let answered = |owed: bool, status: Status, place: &str| {
        let sql = Step { background: true, ..step("fence", fence(FenceMethod::Sql)) };
        let mut state = under_way(vec![(sql, status)]);
        if owed {
            owes(&mut state);
        }
        say(
            &mut state,
            minutes(2),
            EventKind::PlaceAnswered { place: place.to_owned(), who: "x".to_owned() },
        );
        state.steps[0].work.status.clone()
    };
    let backoff = || Status::Backoff { due: minutes(9) };
    assert_eq!(answered(false, backoff(), "east"), Status::Started);
    assert_eq!(answered(false, backoff(), "west"), backoff(), "it is another place");
    assert_eq!(answered(true, Status::Failed, "east"), Status::Started);
    assert_eq!(
        answered(true, Status::Pending, "east"),
        Status::Started,
        "no rung waits for the one before it"
    );
    assert_eq!(
        answered(false, Status::Pending, "east"),
        Status::Pending,
        "its turn comes when the rung before fails"
    );
}

/// A run that holds a guard, with its release in this status.
fn holds(release: Status) -> RunState {
    let (place, holder) = (place(), "run".to_owned());
    let take = Write::Guard {
        component: component(),
        place: place.clone(),
        holder: holder.clone(),
        instead_of: None,
    };
    let give = Write::ReleaseGuard { component: component(), place, holder };
    under_way(vec![
        (step("guard", Action::Write(take)), DONE),
        (after(step("scale", scale()), &["guard"]), Status::Started),
        (after(step("fence", fence(FenceMethod::Sql)), &["guard"]), Status::Started),
        (after(step("release", Action::Write(give)), &["scale"]), release),
    ])
}

#[test]
fn a_guard_is_the_runs_until_it_begins_to_give_it_back() {
    let components = |state: &RunState| state.guards().into_iter().map(|g| g.component).collect::<Vec<_>>();
    assert_eq!(components(&holds(Status::Pending)), [component()]);
    for given in [Status::Started, awaiting(), DONE] {
        assert_eq!(components(&holds(given.clone())), Vec::<ComponentName>::new(), "{given:?}");
    }
}

#[test]
fn a_guard_is_read_wherever_a_call_may_follow() {
    let reads = |i: usize, status: Status| {
        let mut state = holds(Status::Pending);
        state.steps[i].work.status = status;
        state.guard_to_read(i).is_some()
    };
    for i in [1, 2] {
        assert!(reads(i, Status::Started) && reads(i, Status::InDoubt { since: BEGAN }), "{i}");
        assert!(!reads(i, Status::Calling), "{i}: the call was made");
    }
    assert!(!reads(1, awaiting()), "an accepted call is not made again");
    assert!(reads(2, awaiting()), "a fence may have a second call");
}

/// What follows when a run that holds its guard must withdraw a promotion and sees this guard.
fn withdraws(status: Status, guard: Option<Observation>, at: Timestamp) -> StepDecision {
    let (place, holder) = (place(), "run".to_owned());
    let take = Write::Guard { component: component(), place, holder, instead_of: None };
    let mut state = under_way(vec![
        (step("guard", Action::Write(take)), DONE),
        (after(step("promote", standby()), &["guard"]), Status::Started),
    ]);
    state.steps[1].work.status = status;
    state.steps[1].work.asked[0] = Some(BEGAN);
    state.steps[1].work.doubt = Some(BEGAN);
    let state = cancelled(state);
    assert_eq!(told(&state, at), "withdraw promote");
    assert!(looks_at(&state, 1, at), "what is seen of the guard counts");
    let target = state.guard_to_read(1).expect("the guard is read first");
    let things = guard.map(|seen| vec![(target, seen)]);
    judge(&state, 1, &things.map_or(StepObservation::Nothing, StepObservation::Things), at)
}

#[test]
fn a_promotion_is_withdrawn_only_right_after_its_guard_was_read() {
    let held = |holder: Option<&str>, observed_at| {
        let state = State::Guard(GuardState { holder: holder.map(str::to_owned) });
        Some(Observation::Value { state, observed_at, source: "test".to_owned() })
    };
    let silent = || Some(Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() });
    let loss =
        || Status::Blocked { why: "too much".to_owned(), rule: Some(Rule::ExposureAboveRpo), flag: None };
    let word = |what: StepDecision| match what {
        StepDecision::Perform(intent) => format!("calls {}", words(&[intent])),
        StepDecision::Record(what) => words(&[what]),
        StepDecision::Keep(_) => "waits".to_owned(),
    };
    let (soon, later) = (minutes(1) + Dur::secs(2), minutes(2));
    for status in [loss(), Status::Failed, Status::Started, guard_unread()] {
        let says = |guard, at| word(withdraws(status.clone(), guard, at));
        assert_eq!(says(None, later), "waits", "{status:?}: nothing was read");
        assert_eq!(says(held(Some("run"), later), later), "calls withdraw_intended promote", "{status:?}");
        assert_eq!(says(held(Some("run"), soon), later), "waits", "{status:?}: the answer is old");
        let lost = if status == Status::Failed { "withdraw_failed promote" } else { "guard_lost promote" };
        assert_eq!(says(held(Some("run of bob"), later), later), lost, "{status:?}");
        assert_eq!(says(held(None, later), later), lost, "{status:?}: somebody removed it");
        assert_eq!(says(silent(), soon), "waits", "{status:?}: it may answer in a moment");
        assert_eq!(says(silent(), later), "withdraw_failed promote", "{status:?}");
        assert_eq!(says(Some(refused()), soon), "withdraw_failed promote", "{status:?}: it stays so");
    }
}

#[test]
fn an_instant_is_moved_by_the_jumps_after_it_alone() {
    let mut state = under_way(vec![(step("a", scale()), Status::Started)]);
    assert_eq!(state.clock_is_steady_since(), None);
    say(
        &mut state,
        minutes(30),
        EventKind::ClockJumped { forward_ms: Dur::mins(20), backward_ms: Dur::ZERO },
    );
    assert_eq!(state.clock_is_steady_since(), Some(minutes(30)));
    assert_eq!(state.by_this_clock(minutes(5)), minutes(25));
    assert_eq!(state.by_this_clock(minutes(30)), minutes(30), "the clock showed that when it had jumped");
    assert_eq!(state.by_this_clock(minutes(31)), minutes(31));
}

#[test]
fn no_journal_has_more_calls_than_were_made() {
    let intended = |attempt: u32, generation: u32| EventKind::CallIntended {
        step: StepId::new("a"),
        direction: Direction::Do,
        attempt,
        generation,
        key: "k".to_owned(),
        part: Vec::new(),
        found: None,
    };
    let state = || under_way(vec![(step("a", route()), Status::Started)]);
    assert!(takes(state(), intended(1, 0)) && takes(state(), intended(3, 1)));
    for (attempt, generation) in [(4, 0), (1, 4), (u32::MAX, 0)] {
        assert!(!takes(state(), intended(attempt, generation)), "{attempt} {generation}");
    }
}

#[test]
fn a_gate_asks_anew_when_it_is_another_component_that_stops_it() {
    let flag =
        |of: &str| Some(format!("--waive exposure-above-rpo:{of} --accept-data-loss 6m --reason TEXT"));
    let rule = Some(Rule::ExposureAboveRpo);
    let status = Status::Blocked { why: "db0 may lose 5m 45s".to_owned(), rule, flag: flag("db0") };
    let asks = |why: &str, flag| EventKind::GateBlocked {
        step: StepId::new("exposure.both"),
        rule,
        why: why.to_owned(),
        flag,
    };
    let grown = flag("db0").map(|of| of.replace("6m", "7m"));
    assert!(
        same_block(&status, &asks("db0 may lose 6m 45s", grown)),
        "a figure that grows is no new question"
    );
    assert!(
        !same_block(&status, &asks("db1 may lose 6m 39s", flag("db1"))),
        "db0 was answered, and db1 was not"
    );
}
