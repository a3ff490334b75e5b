//! What a run makes of one event, one answer or one look, on both sides of each condition.

use drctl::inventory::Observation;
use drctl::kinds::control::GuardState;
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::{State, Target};
use drctl::model::ids::{Digest, StepId};
use drctl::model::measure::Figure;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{EventKind, Outcome};
use drctl::run::approval::{all_given, rejections, standing};
use drctl::run::decide::looks_at;
use drctl::run::exposure::{Replayed, if_promoted_now, missing};
use drctl::run::held::Guard;
use drctl::run::model::tries::PrimaryReading;
use drctl::run::state::{FenceDebt, Mode, Proven, Status};
use drctl::run::{Effect, RunState, StepDecision, StepObservation, decide, judge};

use crate::run::accepted_loss::measured;
use crate::run::beliefs::standby;
use crate::run::decisions::{
    DONE, after, cancelled, component, db, fence, minutes, promote, say, scale, step, told, under_way, words,
};
use crate::run::judged_steps::{At, NOW, db_name, missing as gone, owing, rewritten, writer};
use crate::run::loss::{at, intended};
use crate::support::rig::BEGAN;

fn request() -> Action {
    Action::Gate(Gate::Approval {
        ask: "may we?".to_owned(),
        expires_after_ms: Dur::mins(30),
        by: Vec::new(),
        override_by: None,
    })
}

#[test]
fn only_an_open_request_of_a_run_that_is_not_over_has_a_next_command() {
    let given = |status: Status, over: bool| {
        let mut state = under_way(vec![(step("go", request()), status)]);
        state.steps[0].approved_by = vec![Person::claimed("bob")];
        if over {
            state.mode = Mode::Finished(Outcome::Abandoned);
        }
        all_given(&state, 0).is_some()
    };
    assert!(given(Status::Started, false));
    assert!(!given(Status::Started, true), "the run is over");
    for settled in [DONE, Status::Failed, Status::Skipped] {
        assert!(!given(settled.clone(), false), "{settled:?}");
    }
}

#[test]
fn a_rejection_closes_only_its_own_request_and_only_until_the_run_continues() {
    let started = |id| (step(id, request()), Status::Started);
    let mut state = under_way(vec![started("a"), started("b")]);
    let (who, reason) = (Person::claimed("bob"), "not now".to_owned());
    say(&mut state, minutes(1), EventKind::Rejected { step: StepId::new("a"), who, reason });
    let closed = |state: &RunState| ["a", "b"].map(|id| rejections(state, &StepId::new(id)).count());
    assert_eq!(closed(&state), [1, 0]);
    assert!(standing(&state, 0).is_some());
    assert_eq!(standing(&state, 1), None);
    say(&mut state, minutes(2), EventKind::Resumed { who: Person::claimed("ann") });
    assert_eq!(standing(&state, 0), None, "it is asked again");
    assert_eq!(closed(&state), [1, 0], "it stays on record");
}

#[test]
fn only_fence_calls_after_the_end_count_as_such() {
    let calls = |over: bool| {
        let mut state = under_way(vec![(step("fence", fence(FenceMethod::Sql)), Status::Started)]);
        if over {
            state.mode = Mode::Finished(Outcome::Recovered);
            let debt = FenceDebt { since: BEGAN, pending: true, paid: None, settled: None };
            state.debts.insert(component(), debt);
        }
        say(&mut state, minutes(1), intended("fence"));
        state.after_end.get(&component()).map_or(0, |tries| tries.calls)
    };
    assert_eq!((calls(false), calls(true)), (0, 1));
}

#[test]
fn the_new_primary_is_looked_at_again_when_the_last_look_is_no_longer_valid() {
    let (state, _, check) = owing();
    let seen_at = state.last_at;
    let (looks, waits, neither) = ((true, false), (false, true), (false, false));
    for (writes, later, expected) in [
        (None, NOW, looks),
        (Some(true), NOW, neither),
        (Some(true), Dur(29_999), neither),
        (Some(true), Dur::secs(30), looks),
        // A look that found no writes is repeated sooner.
        (Some(false), NOW, waits),
        (Some(false), Dur(4_999), waits),
        (Some(false), Dur::secs(5), looks),
    ] {
        let mut state = state.clone();
        let look = writes.map(|writes| PrimaryReading { at: seen_at, writes, seen: "x".to_owned() });
        state.after_end.entry(db_name()).or_default().last = look;
        let effects = decide(&state, seen_at + later);
        let wakes = effects.contains(&Effect::WakeAt(seen_at + Dur::secs(5)));
        let next = (effects.contains(&Effect::Look(check)), wakes);
        assert_eq!(next, expected, "{writes:?} {later}: {effects:?}");
    }
}

#[test]
fn a_look_at_the_new_primary_that_only_repeats_a_failure_is_not_recorded_again() {
    let (mut state, _, i) = owing();
    let found = At { state: state.clone(), i }.rules(NOW, gone());
    let StepDecision::Record(EventKind::NewPrimaryChecked { writes: false, seen, .. }) = found else {
        panic!("{found:?}")
    };
    let at = state.last_at;
    let mut after = |writes: bool, seen: &str| {
        let look = PrimaryReading { at, writes, seen: seen.to_owned() };
        state.after_end.entry(db_name()).or_default().last = Some(look);
        At { state: state.clone(), i }
    };
    assert_eq!(after(false, &seen).finds(NOW, gone()), "waits");
    assert_eq!(after(false, "no answer").finds(NOW, gone()), "takes no writes");
    assert_eq!(after(true, "it takes writes").sees(NOW, writer("available")), "takes writes");
}

/// A guard that the run took under the name `run`, and the check that it still holds it.
fn guard() -> [Action; 2] {
    let (place, holder) = (db("db-east").place, "run".to_owned());
    let held = Check::Guard { component: component(), place: place.clone(), holder: holder.clone() };
    let take = Write::Guard { component: component(), place, holder, instead_of: None };
    [Action::Write(take), Action::Check(held)]
}

fn held_by(holder: &str, observed_at: Timestamp) -> Observation {
    let state = State::Guard(GuardState { holder: Some(holder.to_owned()) });
    Observation::Value { state, observed_at, source: "test".to_owned() }
}

/// The promotion was requested, and then its guard could not be read. Once it can be read, the run goes on with the promotion.
#[test]
fn a_promotion_that_waited_only_for_its_guard_is_not_withdrawn() {
    let unread = || Status::Blocked { why: "unread".to_owned(), rule: Some(Rule::GuardUnread), flag: None };
    let [take, _] = guard();
    let promotes = after(step("promote", standby()), &["guard"]);
    let mut state = under_way(vec![(step("guard", take), DONE), (promotes, unread())]);
    state.steps[1].work.asked[0] = Some(BEGAN);
    state.steps[1].work.doubt = Some(BEGAN);
    let now = minutes(1);
    assert!(state.to_withdraw(1) && looks_at(&state, 1, now));
    let target = state.guard_to_read(1).expect("the guard is read first");
    let seen = StepObservation::Things(vec![(target, held_by("run", now))]);
    let next = judge(&state, 1, &seen, now);
    assert!(!matches!(next, StepDecision::Perform(EventKind::WithdrawIntended { .. })), "{next:?}");
}

#[test]
fn a_guard_is_looked_at_again_before_an_undo_unless_that_just_happened() {
    let next = |looked: Timestamp, now: Timestamp| {
        let [take, held] = guard();
        let all = [("hold", take), ("held", held), ("scale", scale())];
        let mut state = under_way(all.map(|(id, action)| (step(id, action), DONE)).into());
        state.steps[1].work.ended_at = Some(looked);
        told(&cancelled(state), now)
    };
    let cancel = minutes(1);
    for (looked, now, expected) in [
        (cancel, cancel, "look scale, wake 6m"),
        (cancel, cancel + Dur(29_999), "look scale, wake 6m"),
        (cancel, cancel + Dur::secs(30), "step_started held"),
        // Before the cancel.
        (cancel - Dur(1), cancel, "step_started held"),
    ] {
        assert_eq!(next(looked, now), expected, "{looked} {now}");
    }
}

/// When the fence was proven and when the replica was read, in seconds; and the clock was set back after 150 s.
#[test]
fn a_clock_that_was_set_back_hides_a_loss_unless_both_readings_can_be_compared() {
    let mut state = under_way(vec![(step("a", scale()), DONE)]);
    state.set_back_at = Some(at(150));
    for (fenced, read, there, clock_read, hidden) in [
        (200, 310, false, false, false),
        (200, 150, false, false, false),
        (200, 149, false, false, true),
        (200, 310, true, false, true),
        (200, 310, true, true, false),
        (200, 149, true, true, true),
        (150, 310, true, false, true),
        // The clock was set back after both.
        (149, 310, true, false, false),
        (100, 140, false, false, false),
    ] {
        let proof = Proven { at: at(fenced), last_commit: None, there: None, clock: None };
        let there = there.then(|| at(90));
        let replayed = Replayed { here: Some(at(90)), there, clock_read, read_at: at(read) };
        let figure = missing((&state, &component()), Some(&proof), at(100), replayed);
        assert_eq!(figure == Figure::UNKNOWN, hidden, "{fenced} {read} {there:?} {clock_read}: {figure:?}");
    }
}

#[test]
fn the_loss_of_a_promotion_now_is_told_while_the_run_may_still_promote() {
    let told = |change: &dyn Fn(&mut RunState)| {
        let measures =
            Action::Check(Check::Exposure { db: db("db-east"), ahead_ms: None, unreplicated: Vec::new() });
        let mut state =
            under_way(vec![(step("measure", measures), DONE), (step("promote", promote()), Status::Pending)]);
        measured(&mut state, 0, &component(), Dur::mins(9), false);
        state.runbook.stores = vec![component()];
        change(&mut state);
        if_promoted_now(&state, state.last_at).len()
    };
    assert_eq!(told(&|_| {}), 1);
    assert_eq!(told(&|state| state.promoted = [component()].into()), 0, "it was requested");
    let unpromoted = |state: &mut RunState| *state = rewritten(state, |book| book.steps[1].action = scale());
    assert_eq!(told(&unpromoted), 0, "nothing promotes it");
    assert_eq!(told(&|state| state.mode = Mode::Finished(Outcome::Abandoned)), 0, "the run is over");
    assert_eq!(told(&|state| state.cancelled_at = Some(minutes(1))), 0, "the run is being undone");
}

#[test]
fn a_guard_is_the_runs_under_its_name_before_and_after_an_adoption() {
    let target = Target::Guard { component: component(), place: db("db-east").place };
    let (holder, former) = ("new".to_owned(), Some("old".to_owned()));
    let guard = Guard { component: component(), target, holder, former };
    let never = Guard { former: None, ..guard.clone() };
    let held = |guard: &Guard| {
        [Some("new"), Some("old"), Some("another"), None].map(|holder| guard.is_held_by(holder))
    };
    assert_eq!(held(&guard), [true, true, false, false]);
    assert_eq!(held(&never), [true, false, false, false]);
}

fn adopt(state: &mut RunState) {
    let (holder, entry) = ("new".to_owned(), Digest::of_bytes(b"entry"));
    say(state, minutes(1), EventKind::Adopted { holder, entry });
}

#[test]
fn an_adopted_run_replaces_its_old_name_only_in_guards_that_it_may_have_taken() {
    let [take, _] = guard();
    let mut state =
        under_way(vec![(step("taken", take.clone()), DONE), (step("later", take), Status::Pending)]);
    adopt(&mut state);
    let names = |i: usize| match &state.step(i).action {
        Action::Write(Write::Guard { holder, instead_of, .. }) => (holder.as_str(), instead_of.as_deref()),
        other => panic!("{other:?}"),
    };
    assert_eq!(names(0), ("new", Some("run")));
    assert_eq!(names(1), ("new", None), "it did not take this one yet");
}

/// A guard with the old name is neither lost nor the run's own: it is taken over first.
#[test]
fn a_guard_with_the_name_before_an_adoption_is_not_lost() {
    let [take, held] = guard();
    let mut state = under_way(vec![(step("hold", take), DONE), (step("held", held), Status::Started)]);
    adopt(&mut state);
    let target = || Target::Guard { component: component(), place: db("db-east").place };
    let finds = |holder: &str| {
        let seen = StepObservation::Things(vec![(target(), held_by(holder, minutes(2)))]);
        match judge(&state, 1, &seen, minutes(2)) {
            StepDecision::Record(what) => words(&[what]),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(finds("new"), "step_finished held");
    assert_eq!(finds("run"), "gate_blocked held");
    assert_eq!(finds("another"), "guard_lost held");
}
