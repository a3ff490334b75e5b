//! What a stopped run still does, when it counts as ended, and what it proves.

use drctl::kinds::Operation;
use drctl::kinds::shared::database::Promotable;
use drctl::kinds::shared::names::SetRoutingControls;
use drctl::model::duty::Decision;
use drctl::model::environment::Environment;
use drctl::model::ids::StepId;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::record::action::{Action, Check};
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::record::runbook::{OnFailure, Phase, Probe, ProbeRole, ProbeVia, Step};
use drctl::run::RunState;
use drctl::run::state::{Mode, Status, Turn};
use drctl::run::ways::CalledOff;

use crate::run::beliefs::standby;
use crate::run::decisions::{
    DONE, after, component, db, minutes, route, say, scale, step, switch, under_way,
};
use crate::support::rig::BEGAN;

fn looks() -> Action {
    Action::Op(Operation::CheckPromotable(Promotable { db: db("db-east") }))
}

#[test]
fn a_stop_holds_what_begins_and_lets_go_on_what_is_owed_recorded_or_under_way() {
    let debt = Step { debt: true, ..step("debt", switch()) };
    let records = Action::Check(Check::Evidence { targets: Vec::new() });
    let records = Step { phase: Phase::Seal, ..step("records", records) };
    let steps = [
        (step("fails", scale()), Status::Started),
        (debt, Status::Pending),
        (records, Status::Pending),
        (step("moves", switch()), Status::Started),
        (step("looks", looks()), Status::Pending),
        (step("looking", looks()), Status::Started),
        (step("scales", scale()), Status::Pending),
    ];
    let mut state = under_way(steps.into());
    let held = |state: &RunState| {
        let held = (1..state.steps.len()).filter(|i| state.held(*i));
        held.map(|i| state.step(i).id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(held(&state), "");
    let (step, reason) = (StepId::new("fails"), "no capacity".to_owned());
    say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
    assert_eq!(held(&state), "moves looks");
}

/// A run whose step `fails` failed, with this decision about it, if any.
fn stopped(decision: Option<Decision>) -> RunState {
    let steps = ["fails", "other"].map(|id| (step(id, scale()), Status::Started));
    let mut state = under_way(steps.into());
    let (step, reason) = (StepId::new("fails"), "no capacity".to_owned());
    say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
    if decision.is_some() {
        let (who, reason) = (Person::claimed("ann"), "as agreed".to_owned());
        say(&mut state, minutes(2), EventKind::Acknowledged { who, decision, reason });
    }
    state
}

#[test]
fn only_who_did_the_failed_step_by_hand_decides_and_only_while_nobody_has() {
    let by_hand = |step: &str, decision: Option<Decision>| {
        let mut state = stopped(decision);
        let (step, who) = (StepId::new(step), Person::claimed("sam"));
        say(&mut state, minutes(3), EventKind::ClaimedDone { step, who });
        let answer = state.attention.stops[0].answer();
        answer.map(|answer| (answer.who.who.clone(), answer.decision))
    };
    assert_eq!(by_hand("fails", None), Some(("sam".to_owned(), Decision::FixForward)));
    assert_eq!(by_hand("other", None), None, "another step had failed");
    assert_eq!(
        by_hand("fails", Some(Decision::TakeBack)),
        Some(("ann".to_owned(), Decision::TakeBack)),
        "an earlier decision stays"
    );
}

#[test]
fn a_decision_by_hand_says_how_it_was_made() {
    let mut state = stopped(None);
    let (step, who) = (StepId::new("fails"), Person::claimed("sam"));
    say(&mut state, minutes(3), EventKind::ClaimedDone { step, who });
    let reason = state.attention.stops[0].answer().and_then(|answer| answer.reason.as_deref());
    assert_eq!(reason, Some("fails was done by hand (drctl runs done)"));
}

#[test]
fn a_decision_not_to_continue_is_open_until_the_run_follows_it_or_is_over() {
    let open = |decision: Decision, change: &dyn Fn(&mut RunState)| {
        let mut state = stopped(Some(decision));
        change(&mut state);
        state.decided_otherwise().map(|answer| answer.decision)
    };
    let back = Decision::TakeBack;
    assert_eq!(open(back, &|_| {}), Some(back));
    assert_eq!(open(Decision::FixForward, &|_| {}), None);
    assert_eq!(open(back, &|state| state.mode = Mode::Finished(Outcome::Abandoned)), None);
    let cancel = |state: &mut RunState| {
        let (who, reason) = (Person::claimed("ann"), "not now".to_owned());
        say(state, minutes(3), EventKind::CancelRequested { who, reason, displaced_by: None });
    };
    assert_eq!(open(back, &cancel), None);
    let paused = |state: &mut RunState| {
        cancel(state);
        say(state, minutes(4), EventKind::Paused { why: "wait".to_owned() });
    };
    assert_eq!(open(back, &paused), None, "the undo is paused");
    let promoted = |state: &mut RunState| {
        cancel(state);
        state.promoted.insert(component());
    };
    assert_eq!(open(back, &promoted), None, "nothing can be undone any more");
}

/// The second step ran because a failure of the first one does not hold it up. It does not run again when the first one does.
#[test]
fn a_step_that_is_done_stays_done_when_what_it_needed_is_tried_again() {
    let goes_on = Step { on_failure: OnFailure::Continue, ..step("first", scale()) };
    let mut state = under_way(vec![
        (goes_on, Status::Failed),
        (after(step("second", looks()), &["first"]), DONE),
        (step("third", scale()), Status::Started),
    ]);
    let third = || StepId::new("third");
    for minute in [1, 4] {
        let reason = "no capacity".to_owned();
        say(&mut state, minutes(minute), EventKind::StepFailed { step: third(), reason });
        say(&mut state, minutes(minute + 1), EventKind::Resumed { who: Person::claimed("ann") });
        let is = |i: usize| state.work(i).status.clone();
        assert_eq!((is(0), is(1), is(2)), (Status::Pending, DONE, Status::Pending));
        say(&mut state, minutes(minute + 2), EventKind::StepStarted { step: third() });
    }
}

/// Somebody decided that the step does not matter, so nothing watches for its late effect. A promotion on a host, whose effect may come at
/// any time, cannot be skipped.
#[test]
fn a_skipped_step_is_not_watched_for_a_late_effect() {
    let asked = |action: Action| {
        let mut state = under_way(vec![(step("a", action), Status::Failed)]);
        state.steps[0].work.asked = [Some(BEGAN), None];
        let (step, reason) = (StepId::new("a"), "not needed".to_owned());
        let skipped = Event { at: minutes(1), what: EventKind::StepSkipped { step, reason, who: None } };
        state.apply(&skipped).map(|()| state.steps[0].work.asked[0])
    };
    assert_eq!(asked(scale()).ok(), Some(None));
    assert!(asked(standby()).is_err());
}

/// A run with these steps and a public probe that turned at these times.
fn watched(steps: Vec<(Step, Status)>, turns: &[(bool, Timestamp)]) -> RunState {
    let mut state = under_way(steps);
    let via = ProbeVia::Tcp { address: "shop:443".to_owned() };
    let probe = Probe {
        name: "shop".into(),
        role: ProbeRole::Public,
        site: None,
        via,
        every_ms: Dur::secs(5),
        timeout_ms: Dur::secs(3),
    };
    let turns = turns.iter().map(|(good, since)| Turn { good: *good, since: *since, last_other: None });
    state.turns.insert(probe.key(), turns.collect());
    state.runbook.probes.push(probe);
    state
}

fn waits(id: &str, phase: Phase) -> Step {
    let wait = Action::Wait { duration_ms: Dur::mins(60), until: None };
    Step { phase, ..step(id, wait) }
}

#[test]
fn a_run_is_over_once_it_only_watches_and_no_other_step_of_that_phase_counts() {
    let over = |step: Step| watched(vec![(step, Status::Started)], &[]).over_at().is_some();
    assert!(over(waits("watch", Phase::Watch)));
    assert!(!over(waits("ttl", Phase::Redirect)), "users are still led elsewhere");
    assert!(!over(Step { background: true, ..waits("watch", Phase::Watch) }));
    assert!(!over(Step { phase: Phase::Watch, ..step("resolvers", looks()) }));
}

#[test]
fn users_fail_again_only_if_they_fail_after_the_run_was_over() {
    let again = |good: bool, since: Timestamp| {
        let mut state = watched(vec![(waits("watch", Phase::Watch), Status::Started)], &[(good, since)]);
        state.steps[0].work.started_at = Some(minutes(10));
        state.fails_again()
    };
    assert_eq!(again(false, minutes(11)), Some(minutes(11)));
    assert_eq!(again(false, minutes(10)), None, "they failed when it began to watch");
    assert_eq!(again(true, minutes(11)), None);
}

#[test]
fn a_run_that_called_elsewhere_proves_nothing_good_and_all_that_is_bad() {
    let evidence = |url: &str, environment: Environment, outcome: Outcome| {
        let Action::Op(Operation::SetRoutingControls(controls)) = route() else { panic!() };
        let mut controls: SetRoutingControls = controls;
        controls.controls.endpoints.insert("us-east-1".to_owned(), url.to_owned());
        let mut state =
            under_way(vec![(step("a", Action::Op(Operation::SetRoutingControls(controls))), DONE)]);
        state.created.terms.environment = environment;
        state.mode = Mode::Finished(outcome);
        state.is_evidence()
    };
    let (own, other) =
        ("https://x.route53-recovery-cluster.us-east-1.amazonaws.com/v1", "http://127.0.0.1:4566");
    let (live, test) = (Environment::Production, Environment::Test);
    assert!(evidence(own, live, Outcome::Recovered) && evidence(own, live, Outcome::Abandoned));
    assert!(!evidence(other, live, Outcome::Recovered), "somebody else may have answered");
    assert!(evidence(other, live, Outcome::Abandoned), "that it failed is true whoever answered");
    assert!(!evidence(own, test, Outcome::Recovered) && !evidence(own, test, Outcome::Abandoned));
}

#[test]
fn steps_that_are_not_named_are_counted() {
    let words = |steps: u32| {
        let undone = (0..steps).map(|n| format!("s{n}")).collect();
        CalledOff { undone, ..CalledOff::default() }.words()
    };
    assert_eq!(words(6), "undoes these steps: s0, s1, s2, s3, s4, s5");
    assert_eq!(words(8), "undoes these steps: s0, s1, s2, s3, s4, s5 and 2 more");
}
