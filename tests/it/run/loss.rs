//! Hand-made runs and direct questions: what they say about loss, clocks, doubts and approvals.

use drctl::inventory::Observation;
use drctl::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState};
use drctl::kinds::shared::fence::{Fence, FenceMethod, FenceState};
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::{Fact, Operation, State, Target};
use drctl::model::authority::Operator;
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::intent::Intent;
use drctl::model::measure::{Basis, ClockReading, Figure};
use drctl::model::policy::Override;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::record::action::{Action, Check, Gate};
use drctl::record::event::{Direction, End, Event, EventKind, Outcome, Signal};
use drctl::record::runbook::{Probe, ProbeRole, ProbeVia};
use drctl::record::statement::Statement;
use drctl::run::approval::{lacking, unapproved, who_may};
use drctl::run::exposure::{Replayed, last_commit, may_replay_more, measure, missing};
use drctl::run::gate::{self, Says};
use drctl::run::state::{Mode, Proven, Status, Turn};
use drctl::run::{RunState, StepDecision, StepObservation, judge, signal};

use crate::kinds::planned_moves::moving;
use crate::run::clocks::after;
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rig, truststream};

pub fn all_of(rig: &Rig) -> Vec<Event> {
    events(&rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}")))
}

/// The run up to and including the first event that meets `is`.
pub fn up_to(all: &[Event], is: impl Fn(&EventKind) -> bool) -> RunState {
    RunState::fold(&all[..=all.iter().position(|e| is(&e.what)).unwrap()]).unwrap()
}

pub fn starts(what: &EventKind, id: &str) -> bool {
    matches!(what, EventKind::StepStarted { step } if step.as_str() == id)
}

fn ends(what: &EventKind, id: &str) -> bool {
    matches!(what, EventKind::StepFinished { step, .. } if step.as_str() == id)
}

/// A failover up to the start of a step.
pub fn failover(id: &str) -> RunState {
    up_to(&all_of(&Rig::new(truststream(), "region-lost", 1)), |w| starts(w, id))
}

pub fn say(state: &mut RunState, what: EventKind) {
    let event = Event { at: state.last_at, what };
    state.apply(&event).unwrap_or_else(|why| panic!("{why}: {event:?}"));
}

pub fn find(state: &RunState, id: &str) -> usize {
    state.position(&StepId::new(id)).unwrap_or_else(|| panic!("no {id}"))
}

pub fn place_of(state: &RunState, is: impl Fn(&Action) -> bool) -> usize {
    state.runbook.steps.iter().position(|s| is(&s.action)).unwrap()
}

pub fn db() -> ComponentName {
    ComponentName::new("db")
}

pub fn other() -> ComponentName {
    ComponentName::new("other")
}

pub fn at(s: u64) -> Timestamp {
    BEGAN + Dur::secs(s)
}

fn who(name: &str) -> Person {
    Person::claimed(name)
}

fn cancelled() -> EventKind {
    EventKind::CancelRequested { who: who("alice"), reason: "no".to_owned(), displaced_by: None }
}

fn seen(target: Target, state: State, at: Timestamp) -> StepObservation {
    StepObservation::Things(vec![(
        target,
        Observation::Value { state, observed_at: at, source: "test".to_owned() },
    )])
}

pub fn fence_of(state: &RunState, id: &str) -> Fence {
    match &state.step(find(state, id)).action {
        Action::Op(Operation::Fence(fence)) => fence.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn promoted_by(state: &RunState, id: &str) -> DatabaseRef {
    match &state.step(find(state, id)).action {
        Action::Op(Operation::Promote(Promote { db, .. })) => db.clone(),
        other => panic!("{other:?}"),
    }
}

fn fenced_by(component: &ComponentName, method: FenceMethod, at: Timestamp) -> Fact {
    Fact::Fenced {
        component: component.clone(),
        method,
        at,
        last_commit: None,
        last_commit_there: None,
        clock: None,
        wal: None,
        word: None,
        proof: "nobody may log in".to_owned(),
        unexplained: None,
        unreplicated: Vec::new(),
    }
}

pub fn proven(id: &str, component: &ComponentName, method: FenceMethod, at: Timestamp) -> EventKind {
    let facts = vec![fenced_by(component, method, at)];
    EventKind::StepFinished { step: StepId::new(id), end: End::Performed, facts }
}

/// Two readings of the clock that stamps commits, and the times of the last commit and of the last replayed one.
#[test]
fn a_loss_is_measured_where_one_clock_stamped_both_ends_and_nobody_set_it() {
    let state = failover("measure.db");
    let reading = |ahead_ms| ClockReading { ahead_ms, within_ms: Dur::ZERO, at: BEGAN };
    let ahead = |state: &mut RunState, of: Option<i64>| {
        for step in &mut state.runbook.steps {
            if let Action::Check(Check::Exposure { ahead_ms, .. }) = &mut step.action {
                *ahead_ms = of;
            }
        }
    };
    let told = |state: &RunState, now: Option<i64>, last: u64, replayed: u64| {
        let (at_last, there) = (Some(at(100)), Some(at(last)));
        let proof = Proven { at: at(200), last_commit: at_last, there, clock: now.map(reading) };
        let replayed =
            Replayed { here: Some(at(90)), there: Some(at(replayed)), clock_read: false, read_at: at(200) };
        missing((state, &db()), Some(&proof), at(100), replayed)
    };
    let bound = |ms| Figure::new(Dur(ms), Basis::UpperBound);
    let exact = |ms| Figure::new(Dur(ms), Basis::Measured);
    for (jumped, before, now, (last, replayed), figure) in [
        (false, Some(0), Some(0), (100, 90), exact(10_000)),
        (false, None, None, (100, 90), exact(10_000)),
        (false, None, Some(70_000), (100, 90), exact(10_000)),
        (false, Some(70_000), Some(70_000), (170, 160), exact(10_000)),
        (false, Some(0), Some(0), (90, 90), exact(0)),
        // As far apart as two readings of one clock may be, and slightly more.
        (false, Some(0), Some(2_000), (100, 90), exact(10_000)),
        (false, Some(0), Some(2_001), (100, 90), bound(12_001)),
        (false, Some(0), Some(-2_001), (100, 90), bound(10_000)),
        (false, Some(60_000), Some(0), (100, 100), bound(60_000)),
        (true, Some(0), Some(0), (100, 90), bound(10_000)),
        (true, None, None, (100, 99), bound(10_000)),
        (true, Some(0), Some(60_000), (100, 90), bound(70_000)),
        // The last commit is older than one that was replayed after it, so the clock was set back.
        (false, Some(0), Some(0), (80, 90), bound(10_000)),
        (true, Some(0), Some(0), (80, 90), bound(10_000)),
    ] {
        let mut state = state.clone();
        state.clock_jumped = jumped;
        ahead(&mut state, before);
        assert_eq!(
            told(&state, now, last, replayed),
            figure,
            "{jumped} {before:?} {now:?} {last} {replayed}"
        );
    }
    // The server of another store has its own clock.
    let mut two = state;
    ahead(&mut two, Some(0));
    let mut step = two.step(find(&two, "measure.db")).clone();
    if let Action::Check(Check::Exposure { db, ahead_ms, .. }) = &mut step.action {
        (db.component, *ahead_ms) = (other(), Some(600_000));
    }
    two.runbook.steps.push(step);
    assert_eq!(told(&two, Some(0), 100, 90), exact(10_000));
    assert_eq!(told(&two, Some(3_000), 100, 90), bound(13_000));
}

/// Two readings of the clock that dated the last commit, and the times of that commit and of the last replayed one by this machine's clock.
#[test]
fn a_commit_that_a_clock_dated_wrongly_does_not_hide_a_loss() {
    let reading = |ahead_ms| ClockReading { ahead_ms, within_ms: Dur::ZERO, at: BEGAN };
    let told = |mut state: RunState, before: Option<i64>, now: Option<i64>, replayed: (u64, Option<u64>)| {
        for step in &mut state.runbook.steps {
            if let Action::Check(Check::Exposure { ahead_ms, .. }) = &mut step.action {
                *ahead_ms = before;
            }
        }
        let (last, there) = (Some(at(100)), Some(at(100)));
        let proof = Proven { at: at(300), last_commit: last, there, clock: now.map(reading) };
        let (here, there) = (Some(at(replayed.0)), replayed.1.map(at));
        let replayed = Replayed { here, there, clock_read: false, read_at: at(310) };
        last_commit(&state, &db(), &proof, replayed).is_some()
    };
    let state = failover("measure.db");
    for (before, now, replayed, compares) in [
        (Some(0), Some(0), (90, None), true),
        (None, Some(480_000), (90, None), true),
        (None, None, (90, None), true),
        // Somebody set the clock between two readings, and the provider states only how old the replayed commit is.
        (Some(0), Some(480_000), (90, None), false),
        (Some(0), Some(480_000), (90, Some(90)), true),
        // The target cannot have a later commit than the old primary.
        (None, Some(0), (101, None), true),
        (None, Some(0), (102, None), false),
        (None, Some(0), (102, Some(102)), false),
        (None, Some(480_000), (102, Some(102)), true),
    ] {
        let said = told(state.clone(), before, now, replayed);
        assert_eq!(said, compares, "{before:?} {now:?} {replayed:?}");
    }
    // Two readings cannot be compared if this machine's clock jumped between them.
    let mut back = state.clone();
    back.set_back_at = Some(at(150));
    assert!(!told(back.clone(), Some(0), Some(0), (90, None)));
    assert!(told(back, Some(0), Some(0), (90, Some(90))));
    let mut ahead = state;
    let jump = EventKind::ClockJumped { forward_ms: Dur::secs(30), backward_ms: Dur::ZERO };
    ahead.apply(&Event { at: ahead.last_at + Dur::secs(30), what: jump }).unwrap();
    assert!(!told(ahead, Some(0), Some(0), (90, None)));
}

fn write_probe(name: &str) -> Probe {
    Probe {
        name: name.into(),
        role: ProbeRole::Write,
        site: None,
        via: ProbeVia::Tcp { address: "x:1".to_owned() },
        every_ms: Dur::secs(5),
        timeout_ms: Dur::secs(3),
    }
}

/// Failed write probes say nothing about clients beside the old primary, so the figure grows until the fence is proven.
#[test]
fn a_write_probe_that_fails_ends_no_loss() {
    let mut state = failover("fence.db.sql");
    state.runbook.probes = vec![write_probe("orders")];
    let bad = Turn { good: false, since: at(100), last_other: Some(at(95)) };
    state.turns = [("orders".to_owned(), vec![bad])].into();
    let replica = DatabaseState { last_commit: Some(at(90)), ..DatabaseState::default() };
    let told = measure(&state, &db(), &replica, at(900));
    assert!(told.grows && told.last_instant == Some(at(900)), "{told:?}");
    assert_eq!(told.figure, Figure::new(Dur::secs(810), Basis::UpperBound));
    assert_eq!(told.at(at(1_000)).value_ms, Some(Dur::secs(910)));
}

/// A clock that was set ahead between the proof of a fence and the observation of a replica does not make the loss smaller, if the old
/// primary's own clock is unknown.
#[test]
fn a_clock_that_jumps_between_a_fence_and_a_look_hides_no_loss() {
    let mut state = failover("measure.db");
    let proof = state.fence_proof(&db()).unwrap();
    assert_eq!(proof.last_commit, None, "a fence by group sees none");
    let held = proof.at - Dur::secs(60);
    let told = |state: &RunState, last_commit| {
        let replica = DatabaseState { last_commit: Some(last_commit), ..DatabaseState::default() };
        measure(state, &db(), &replica, state.last_at).figure
    };
    let bound = Figure::new(Dur::secs(60), Basis::UpperBound);
    assert_eq!(told(&state, held), bound);
    let jump = Dur::mins(30);
    let what = EventKind::ClockJumped { forward_ms: jump, backward_ms: Dur::ZERO };
    state.apply(&Event { at: state.last_at + jump, what }).unwrap();
    assert_eq!(told(&state, held + jump), bound);
}

/// A replica may have more at the promotion than when it was observed, so only a loss of nothing is measured.
#[test]
fn a_loss_that_may_shrink_until_the_promotion_is_a_bound() {
    let exact = |ms| Figure::new(Dur(ms), Basis::Measured);
    assert_eq!(may_replay_more(exact(0)), exact(0));
    assert_eq!(may_replay_more(exact(10)), Figure::new(Dur(10), Basis::UpperBound));
    let bound = Figure::new(Dur(10), Basis::LowerBound);
    assert_eq!(may_replay_more(bound), bound);
}

/// Only a clock that was set back between two processes hides for how long the old primary kept writing.
#[test]
fn a_bound_that_grows_stays_one_where_the_time_that_went_by_is_known() {
    let rig = Rig {
        waivers: vec![waiver(Rule::UnfencedPromotion, Dur::mins(120))],
        ..Rig::new(truststream(), "region-dark", 1)
    };
    let all = all_of(&rig);
    let prefix = &all[..=all.iter().position(|e| ends(&e.what, "measure.db")).unwrap()];
    let taken = || EventKind::EpochTaken { epoch: 2, owner: "another".to_owned() };
    let jumped = |forward_ms, backward_ms| EventKind::ClockJumped { forward_ms, backward_ms };
    let (ahead, back) = (|| jumped(Dur::mins(20), Dur::ZERO), || jumped(Dur::ZERO, Dur::mins(20)));
    for (more, basis) in [
        (vec![(Dur::mins(1), taken()), (Dur::ZERO, back())], Basis::Unknown),
        (vec![(Dur::mins(1), taken()), (Dur::secs(1), back())], Basis::UpperBound),
        (vec![(Dur::mins(1), taken()), (Dur::mins(20), ahead())], Basis::UpperBound),
        (vec![(Dur::mins(20), ahead())], Basis::UpperBound),
        // Set ahead and corrected: in between, events have the later time.
        (vec![(Dur::mins(20), ahead()), (Dur::ZERO, back())], Basis::UpperBound),
    ] {
        let state = after(prefix, more.clone());
        let taken = state.exposure(&db()).unwrap();
        assert!(taken.grows);
        assert_eq!(taken.at(state.last_at).basis, basis, "{more:?}");
    }
}

pub fn intended(id: &str) -> EventKind {
    EventKind::CallIntended {
        step: StepId::new(id),
        direction: Direction::Do,
        attempt: 1,
        generation: 1,
        key: "k".to_owned(),
        part: Vec::new(),
        found: None,
    }
}

/// Whether this much time really passed is unknown: a call whose answer was lost may take effect as late as before, repeated or not.
#[test]
fn a_clock_that_jumps_ahead_makes_no_effect_come_sooner() {
    let mut state = failover("promote.db");
    let (i, step) = (find(&state, "promote.db"), || StepId::new("promote.db"));
    say(&mut state, intended("promote.db"));
    let asked = state.last_at;
    say(&mut state, EventKind::CallInDoubt { step: step(), why: "no answer".to_owned() });
    say(&mut state, EventKind::StepFailed { step: step(), reason: "not done within 30m".to_owned() });
    say(&mut state, EventKind::Resumed { who: who("alice") });
    say(&mut state, EventKind::StepStarted { step: step() });
    assert_eq!((state.work(i).doubt, state.work(i).lost_at), (Some(asked), Some(asked)));
    let jump = Dur::mins(20);
    let now = asked + jump;
    state
        .apply(&Event { at: now, what: EventKind::ClockJumped { forward_ms: jump, backward_ms: Dur::ZERO } })
        .unwrap();
    assert_eq!((state.work(i).doubt, state.work(i).lost_at), (Some(now), Some(now)));
    let old = DatabaseState {
        role: DatabaseRole::Replica { source: "x".to_owned() },
        status: "available".to_owned(),
        ..DatabaseState::default()
    };
    let target = || Target::Database(promoted_by(&state, "promote.db"));
    let look =
        |after| judge(&state, i, &seen(target(), State::Database(old.clone()), now + after), now + after);
    assert!(matches!(look(Dur::secs(59)), StepDecision::Keep(_)), "{:?}", look(Dur::secs(59)));
    assert!(matches!(look(Dur::secs(60)), StepDecision::Record(EventKind::EffectDisproved { .. })));
}

fn key(ruling: &StepDecision) -> String {
    match ruling {
        StepDecision::Perform(EventKind::CallIntended { key, .. }) => key.clone(),
        other => panic!("no call: {other:?}"),
    }
}

/// Services and hosts perform a job with a given key only once, so a job without effect is requested again with another key.
#[test]
fn what_is_known_to_have_had_no_effect_is_asked_for_as_another_job() {
    let mut state = failover("promote.db");
    let (i, step) = (find(&state, "promote.db"), || StepId::new("promote.db"));
    let target = Target::Database(promoted_by(&state, "promote.db"));
    let old = DatabaseState {
        role: DatabaseRole::Replica { source: "x".to_owned() },
        status: "available".to_owned(),
        ..DatabaseState::default()
    };
    let mut keys = std::collections::BTreeSet::new();
    for n in 1..4 {
        let call = judge(
            &state,
            i,
            &seen(target.clone(), State::Database(old.clone()), state.last_at),
            state.last_at,
        );
        assert!(keys.insert(key(&call)), "asked for again under the same key");
        let StepDecision::Perform(what) = call else { unreachable!() };
        say(&mut state, what);
        assert_eq!((state.work(i).attempts, state.work(i).generation), (n, n));
        say(&mut state, EventKind::CallInDoubt { step: step(), why: "no answer".to_owned() });
        say(&mut state, EventKind::EffectDisproved { step: step(), seen: "still a replica".to_owned() });
    }

    let all = all_of(&moving(Intent::Switchover, "calm", 1));
    let mut state = up_to(&all, |w| ends(w, "fence.db.sql"));
    let (i, step) = (find(&state, "fence.db.sql"), || StepId::new("fence.db.sql"));
    let fence = fence_of(&state, "fence.db.sql");
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..3 {
        say(&mut state, cancelled());
        let shut = State::Fence(FenceState { proven: true, ..FenceState::default() });
        let call = judge(
            &state,
            i,
            &seen(Target::fence(&fence.db, fence.method), shut, state.last_at),
            state.last_at,
        );
        assert!(
            matches!(
                &call,
                StepDecision::Perform(EventKind::CallIntended { direction: Direction::Undo, .. })
            ),
            "{call:?}"
        );
        assert!(keys.insert(key(&call)), "taken back again under the same key");
        let StepDecision::Perform(what) = call else { unreachable!() };
        say(&mut state, what);
        let (code, why) = ("42501".to_owned(), "denied".to_owned());
        say(&mut state, EventKind::CallRefused { step: step(), code, why, retry_at: None });
        say(&mut state, EventKind::UndoFailed { step: step(), reason: "denied".to_owned() });
    }
}

/// An observation from before an event of a step is not used after it.
#[test]
fn every_event_about_a_step_makes_older_looks_worthless() {
    let mut state = failover("promote.db");
    let i = find(&state, "promote.db");
    let step = || StepId::new("promote.db");
    let mut last = state.steps[i].revision;
    for what in [
        intended("promote.db"),
        EventKind::CallAnswered { step: step(), token: None },
        EventKind::EpochTaken { epoch: 2, owner: "another".to_owned() },
        EventKind::StepFailed { step: step(), reason: "no".to_owned() },
        EventKind::Resumed { who: who("alice") },
        EventKind::StepStarted { step: step() },
    ] {
        say(&mut state, what.clone());
        assert!(state.steps[i].revision > last, "{what:?}");
        last = state.steps[i].revision;
    }
    assert!(state.steps.iter().all(|s| s.revision > 0), "another owner looks at everything anew");
}

/// The run's first step without any action asks for approval: of these roles, or of a cto and a dba who ratifies.
fn asking(by: &[&str], operators: &[(&str, &str)]) -> (RunState, usize) {
    let mut state = failover("measure.db");
    let i = (0..state.steps.len()).find(|&i| state.steps[i].work.status == Status::Pending).unwrap();
    let words = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let over = Override { by: words(&["cto"]), also: words(&["dba"]), within_ms: Dur::mins(60) };
    state.runbook.steps[i].action = Action::Gate(Gate::Approval {
        ask: "may we?".to_owned(),
        expires_after_ms: Dur::mins(30),
        by: words(by),
        override_by: Some(over),
    });
    let operator = |role: &str| Operator { key: String::new(), roles: [role.to_owned()].into() };
    state.created.authority.operators =
        operators.iter().map(|(name, role)| ((*name).to_owned(), operator(role))).collect();
    let step = state.step(i).id.clone();
    say(&mut state, EventKind::StepStarted { step });
    (state, i)
}

/// A statement that is valid until then.
fn until(state: &RunState, name: &str, until: Timestamp) -> Person {
    let said = Statement {
        by: name.to_owned(),
        at: state.last_at,
        until,
        nonce: format!("{name}-1"),
        ..Statement::about(&state.created, state.runbook.to.as_str(), None)
    };
    let statement = Some(serde_json::to_string(&said).unwrap());
    Person { who: name.to_owned(), claimed: false, signature: Some("s".to_owned()), statement }
}

const PEOPLE: &[(&str, &str)] =
    &[("ann", "on-call"), ("bob", "dba"), ("eve", "engineering-lead"), ("kim", "cto"), ("ivy", "cto")];

/// An approval counts only while its statement is valid, and so does an override. After that it is as if it had never been given.
#[test]
fn words_that_expired_open_no_gate() {
    let (mut state, i) = asking(&["dba", "engineering-lead"], PEOPLE);
    let (step, ends) = (state.step(i).id.clone(), state.last_at + Dur::mins(10));
    let just_before = ends - Dur(1);
    let bob = until(&state, "bob", ends);
    assert_eq!(lacking(&state, i, std::slice::from_ref(&bob), just_before), ["engineering-lead"]);
    assert_eq!(lacking(&state, i, &[bob], ends), ["dba", "engineering-lead"]);

    let kim = until(&state, "kim", ends);
    let over = |who: Person| EventKind::Overridden { step: step.clone(), who, reason: "now".to_owned() };
    let second = over(until(&state, "ivy", ends + Dur::mins(10)));
    say(&mut state, over(kim));
    assert_eq!(lacking(&state, i, &[], just_before), ["dba"]);
    assert_eq!(lacking(&state, i, &[who("bob")], just_before), Vec::<String>::new());
    assert_eq!(
        lacking(&state, i, &[who("bob")], ends),
        ["engineering-lead"],
        "who overrode it means it no more"
    );
    let (_, why) = unapproved(&state, &second, just_before).unwrap();
    assert!(why.contains("kim already overrode it"), "{why}");
    assert_eq!(unapproved(&state, &second, ends), None);
}

/// Without operators nobody has a role, and as many people as there are seats must approve; with operators, people with these roles must.
#[test]
fn an_approval_takes_people_whether_or_not_roles_are_known() {
    let (anybody, i) = asking(&[], PEOPLE);
    assert_eq!(lacking(&anybody, i, &[], anybody.last_at), ["somebody"]);
    assert_eq!(lacking(&anybody, i, &[who("eve")], anybody.last_at), Vec::<String>::new());
    let (nobodys, i) = asking(&["dba", "engineering-lead"], &[]);
    for (said, left) in [(vec![], 2), (vec!["bob"], 1), (vec!["bob", "bob"], 1), (vec!["bob", "eve"], 0)] {
        let people: Vec<_> = said.iter().map(|name| who(name)).collect();
        assert_eq!(lacking(&nobodys, i, &people, nobodys.last_at).len(), left, "{said:?}");
    }
}

/// The people who may still approve: neither the requester nor anybody who already has.
#[test]
fn an_approval_names_only_people_who_can_still_give_it() {
    let (mut state, i) =
        asking(&["dba", "engineering-lead"], &[("ann", "dba"), ("bob", "dba"), ("eve", "dba")]);
    for operator in state.created.authority.operators.values_mut() {
        operator.roles.insert("engineering-lead".to_owned());
    }
    state.created.requester = who("ann");
    let step = state.step(i).id.clone();
    let may =
        |said: &[Person]| who_may(&state, &step, said).into_iter().map(|(_, may)| may).collect::<Vec<_>>();
    assert_eq!(may(&[]), ["bob, eve", "bob, eve"]);
    assert_eq!(may(&[who("bob")]), ["eve"]);
}

/// A person with two roles who answers first takes neither away: whoever has either one may still answer.
#[test]
fn an_approval_of_two_roles_leaves_a_choice() {
    let (mut state, i) =
        asking(&["dba", "engineering-lead"], &[("ann", "on-call"), ("bob", "dba"), ("eve", "dba")]);
    let eve = state.created.authority.operators.get_mut("eve").unwrap();
    eve.roles.insert("engineering-lead".to_owned());
    state.created.requester = who("ann");
    let (step, said) = (state.step(i).id.clone(), [who("eve")]);
    let missing = "dba or engineering-lead".to_owned();
    assert_eq!(lacking(&state, i, &said, state.last_at), std::slice::from_ref(&missing));
    assert_eq!(who_may(&state, &step, &said), [(missing, "bob".to_owned())]);
    assert_eq!(lacking(&state, i, &[who("eve"), who("bob")], state.last_at), Vec::<String>::new());
}

/// A rejection that is copied within a journal is not accepted a second time.
#[test]
fn a_no_is_taken_once() {
    let (mut state, i) = asking(&["dba"], PEOPLE);
    let step = || state.step(i).id.clone();
    let eve = until(&state, "eve", state.last_at + Dur::mins(10));
    let no = EventKind::Rejected { step: step(), who: eve, reason: "not now".to_owned() };
    let again = EventKind::StepStarted { step: step() };
    say(&mut state, no.clone());
    say(&mut state, EventKind::Resumed { who: who("ann") });
    say(&mut state, again);
    let refused = state.apply(&Event { at: state.last_at, what: no }).unwrap_err().to_string();
    assert!(refused.contains("was already used"), "{refused}");
}

/// An approval after the request expired makes the run ask again. An approval of an open request only approves, and one of a rejected
/// request is no answer.
#[test]
fn only_a_question_that_expired_is_asked_again_by_a_yes() {
    let (state, i) = asking(&[], &[]);
    let step = || state.step(i).id.clone();
    let yes = |state: &RunState| {
        let runbook = state.created.runbook_digest.clone();
        signal::take(state, Signal::Approve { step: step(), runbook }, who("eve"), state.last_at)
    };
    let approved = EventKind::Approved { step: step(), who: who("eve") };
    let Action::Gate(gate) = &state.step(i).action else { unreachable!() };
    let Says::Blocked(asks) = gate::ask(&state, i, gate, state.last_at) else { panic!("nobody is asked") };
    let late = state.last_at + Dur::mins(30);
    let Says::Failed(nobody) = gate::ask(&state, i, gate, late) else { panic!("it never expires") };
    assert_eq!(yes(&state), std::slice::from_ref(&approved));
    let mut blocked = state.clone();
    say(&mut blocked, asks);
    assert_eq!(yes(&blocked), std::slice::from_ref(&approved));

    let mut expired = blocked.clone();
    say(&mut expired, nobody);
    assert_eq!(yes(&expired), [EventKind::Resumed { who: who("eve") }, approved]);
    let refusal = |state: &RunState| match &yes(state)[..] {
        [EventKind::SignalRefused { reason, .. }] => reason.clone(),
        other => panic!("{other:?}"),
    };
    expired.mode = Mode::Finished(Outcome::Abandoned);
    assert_eq!(refusal(&expired), "the run is over");
    let mut rejected = blocked;
    say(&mut rejected, EventKind::Rejected { step: step(), who: who("bob"), reason: "no".to_owned() });
    assert!(refusal(&rejected).contains("is failed"), "{}", refusal(&rejected));
}
