//! The notifications of a run, their times, and the duties after it, for hand-made runs at any time.

use std::collections::BTreeMap;

use drctl::kinds::shared::fence::FenceMethod;
use drctl::model::duty::{Decision, Duties, Duty, Rung};
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::notice::{Kind, Notice};
use drctl::model::policy::Policy;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::record::action::{Action, Gate};
use drctl::record::event::{Event, EventKind, Outcome, Signal, WorldKind};
use drctl::record::runbook::{OnFailure, Step};
use drctl::report::duties::{self, Standing};
use drctl::report::history::History;
use drctl::report::notices;
use drctl::run::{RunState, signal};

use crate::run::decisions::{fence, minutes, run, say, scale, step};
use crate::support::rig::BEGAN;

fn incident() -> RunState {
    let mut state = run(vec![step("grow", scale())]);
    state.created.duties = Some(Duties::default());
    state.created.severity = Some("P0".to_owned());
    say(&mut state, BEGAN, EventKind::EpochTaken { epoch: 1, owner: "test".to_owned() });
    state
}

fn told(state: &RunState, policy: &Policy, at: Timestamp) -> Vec<Notice> {
    let history = History::default();
    notices::of_run(state, policy, (&history, &history.predict(&state.runbook)), at)
}

fn news(state: &RunState, at: Timestamp) -> Vec<Notice> {
    told(state, &Policy::default(), at)
}

/// Without the run's name, and without messages about acknowledgements.
fn keys(state: &RunState, at: Timestamp) -> Vec<String> {
    let run = format!("{}/", state.created.run);
    let all = news(state, at).into_iter().map(|n| n.key.strip_prefix(&run).unwrap().to_owned());
    all.filter(|key| !key.ends_with("/seen")).collect()
}

/// People who were alerted hear about an acknowledgement; one before the escalation started ends nothing.
#[test]
fn that_somebody_has_seen_it_is_told_to_those_who_were_called() {
    let seen_news = |state: &RunState, at| {
        let all = news(state, at).into_iter().filter(|n| n.key.ends_with("/seen"));
        all.map(|n| (n.due, n.subject, n.acknowledges)).collect::<Vec<_>>()
    };
    let mut state = incident();
    assert!(seen_news(&state, minutes(9)).is_empty());
    seen(&mut state, minutes(10), None);
    let threads = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let subject = || "[ACKNOWLEDGED by ann] shop - run".to_owned();
    let incident_seen = (minutes(10), subject(), threads(&["run/incident", "run"]));
    assert_eq!(seen_news(&state, minutes(11)), std::slice::from_ref(&incident_seen));
    failed(&mut state, minutes(12));
    assert_eq!(seen_news(&state, minutes(13)), [incident_seen], "of the stop nobody has seen anything");
    seen(&mut state, minutes(14), None);
    // A decision is an acknowledgement too.
    let mut decided = state.clone();
    decided.attention.acknowledged.pop();
    decided.attention.stops[0].seen = false;
    seen(&mut decided, minutes(14), Some(Decision::FixForward));
    let stop = (minutes(14), subject(), threads(&["run/stop1"]));
    assert!(seen_news(&decided, minutes(15)).contains(&stop), "{:?}", seen_news(&decided, minutes(15)));
    assert!(seen_news(&state, minutes(15)).contains(&stop), "{:?}", seen_news(&state, minutes(15)));
}

fn ann() -> Person {
    Person::claimed("ann")
}

fn seen(state: &mut RunState, at: Timestamp, decision: Option<Decision>) {
    say(state, at, EventKind::Acknowledged { who: ann(), decision, reason: "on it".to_owned() });
}

fn failed(state: &mut RunState, at: Timestamp) {
    let step = StepId::new("grow");
    say(state, at, EventKind::StepStarted { step: step.clone() });
    say(state, at, EventKind::StepFailed { step, reason: "AccessDenied".to_owned() });
}

#[test]
fn the_ladder_is_climbed_from_detection_until_somebody_has_seen_it() {
    let mut state = incident();
    // Users were affected seven minutes before anybody requested a run.
    state.created.outage_began = Some(BEGAN - Dur::mins(7));
    assert_eq!(keys(&state, BEGAN), ["alert", "escalation/incident/2"]);
    assert_eq!(keys(&state, minutes(8)), ["alert", "escalation/incident/3"]);
    assert_eq!(keys(&state, minutes(16)), ["alert", "update/1", "escalation/incident/3"]);
    assert_eq!(keys(&state, minutes(31)), ["alert", "update/2", "escalation/incident/4"]);
    let told = &news(&state, minutes(31))[2];
    assert_eq!(told.due, minutes(23));
    assert!(
        told.text().contains("CALLED: on-call-engineer; incident-commander; team-lead; engineering-manager"),
        "{}",
        told.text()
    );
    seen(&mut state, minutes(32), None);
    assert_eq!(keys(&state, minutes(46)), ["alert", "update/3"]);
}

#[test]
fn a_stop_calls_for_somebody_again_and_a_decision_ends_that() {
    let mut state = incident();
    seen(&mut state, minutes(1), None);
    failed(&mut state, minutes(2));
    assert_eq!(keys(&state, minutes(2)), ["alert", "escalation/stop1/1"]);
    assert_eq!(keys(&state, minutes(9)), ["alert", "escalation/stop1/2"]);
    let told = news(&state, minutes(9))[1].text();
    assert!(
        told.contains("the run STOPPED: grow failed: AccessDenied")
            && told.contains("drctl ack run --decide"),
        "{told}"
    );
    assert!(told.contains("CALLED: engineering-lead; on-call-engineer; incident-commander\n"), "{told}");
    // An acknowledgement is not a decision: the escalation stops, but the run does not continue.
    seen(&mut state, minutes(9), None);
    assert_eq!(keys(&state, minutes(14)), ["alert"]);
    assert!(state.stopped().is_some());
    seen(&mut state, minutes(10), Some(Decision::FixForward));
    assert!(state.stopped().is_none());
    say(&mut state, minutes(11), EventKind::Resumed { who: ann() });
    failed(&mut state, minutes(12));
    assert_eq!(keys(&state, minutes(12)), ["alert", "escalation/stop2/1"]);
    let stops = duties::stops(&state);
    assert_eq!(stops.iter().map(|s| s.decision).collect::<Vec<_>>(), [Some(Decision::FixForward), None]);
}

#[test]
fn where_operators_are_named_nobody_goes_on_after_a_stop_without_a_decision() {
    let mut state = incident();
    failed(&mut state, minutes(2));
    let resume = |state: &RunState| signal::take(state, Signal::Resume, ann(), minutes(3));
    assert!(matches!(&resume(&state)[..], [EventKind::Resumed { .. }]));
    let operator = drctl::model::authority::Operator { key: String::new(), roles: Default::default() };
    state.created.authority.operators.insert("ann".to_owned(), operator);
    let refused = resume(&state);
    let [EventKind::SignalRefused { reason, .. }] = &refused[..] else { panic!("{refused:?}") };
    assert!(
        reason.contains("the run stopped at grow at")
            && reason.contains("drctl ack run --decide fix-forward"),
        "{reason}"
    );
    seen(&mut state, minutes(4), Some(Decision::FixForward));
    assert!(matches!(&resume(&state)[..], [EventKind::Resumed { .. }]));
    // Ending the run is a decision as well, and needs none before.
    failed_again(&mut state);
    say(
        &mut state,
        minutes(7),
        EventKind::CancelRequested { who: ann(), reason: "enough".to_owned(), displaced_by: None },
    );
    assert_eq!(duties::stops(&state)[1].decision, Some(Decision::TakeBack));
}

/// Continuing without a decision counts as one; after a decision, continuing does not change it.
#[test]
fn who_goes_on_after_a_stop_decided_to() {
    let mut state = incident();
    say(&mut state, minutes(1), EventKind::Resumed { who: ann() });
    assert!(state.may_go_on() && state.stopped().is_none());
    failed(&mut state, minutes(2));
    assert!(!state.may_go_on() && state.stopped().is_some());
    say(&mut state, minutes(3), EventKind::Resumed { who: ann() });
    let answer = state.attention.stops[0].answer().cloned().unwrap();
    assert_eq!((answer.decision, answer.at, answer.reason), (Decision::FixForward, minutes(3), None));
    assert!(state.may_go_on() && state.stopped().is_none());
    say(&mut state, minutes(4), EventKind::Resumed { who: Person::claimed("bob") });
    let kept = state.attention.stops[0].answer().cloned().unwrap();
    assert_eq!((kept.who, kept.at), (ann(), minutes(3)));
}

/// A second failure belongs to the open stop.
#[test]
fn one_stop_stands_at_a_time() {
    let mut state = run(vec![step("grow", scale()), step("other", scale())]);
    say(&mut state, BEGAN, EventKind::EpochTaken { epoch: 1, owner: "test".to_owned() });
    for id in ["grow", "other"] {
        say(&mut state, minutes(1), EventKind::StepStarted { step: StepId::new(id) });
    }
    for (id, at) in [("grow", 2), ("other", 3)] {
        say(&mut state, minutes(at), EventKind::StepFailed { step: StepId::new(id), reason: "x".to_owned() });
    }
    let stops: Vec<_> = state.attention.stops.iter().map(|s| (s.step.as_str(), s.at)).collect();
    assert_eq!(stops, [("grow", minutes(2))]);
}

/// Failures of background steps, of steps that may fail, and of requests that are repeated do not stop a run. Nor does a failed fence
/// method: the next one may succeed, and if none does, a gate asks.
#[test]
fn only_what_the_rest_waits_for_is_a_stop() {
    let failure = |of: Step, finished: bool| {
        let id = of.id.clone();
        let mut state = run(vec![of]);
        say(&mut state, BEGAN, EventKind::EpochTaken { epoch: 1, owner: "test".to_owned() });
        say(&mut state, minutes(1), EventKind::StepStarted { step: id.clone() });
        if finished {
            say(&mut state, minutes(1), EventKind::RunFinished { outcome: Outcome::Recovered });
        }
        say(&mut state, minutes(2), EventKind::StepFailed { step: id, reason: "x".to_owned() });
        state.attention.stops.len()
    };
    let passed_over = |of: Step| Step { on_failure: OnFailure::Continue, ..of };
    let held = fence(FenceMethod::Sql);
    let (ask, expires_after_ms) = ("go on?".to_owned(), Dur::mins(5));
    let gate = Gate::Approval { ask, expires_after_ms, by: Vec::new(), override_by: None };
    assert_eq!(failure(step("grow", scale()), false), 1);
    assert_eq!(failure(passed_over(step("grow", scale())), false), 0);
    assert_eq!(failure(passed_over(step("fence", held.clone())), false), 0);
    assert_eq!(failure(step("fence", held.clone()), false), 1);
    assert_eq!(failure(Step { background: true, ..step("fence", held) }, false), 0);
    assert_eq!(failure(step("ask", Action::Gate(gate)), false), 0);
    assert_eq!(failure(step("grow", scale()), true), 0);
}

fn failed_again(state: &mut RunState) {
    say(state, minutes(5), EventKind::Resumed { who: ann() });
    failed(state, minutes(6));
}

#[test]
fn what_was_decided_holds_until_somebody_decides_otherwise() {
    let mut state = incident();
    failed(&mut state, minutes(2));
    let operator = drctl::model::authority::Operator { key: String::new(), roles: Default::default() };
    state.created.authority.operators.insert("ann".to_owned(), operator);
    seen(&mut state, minutes(3), Some(Decision::TakeBack));
    let refused = signal::take(&state, Signal::Resume, Person::claimed("mallory"), minutes(4));
    let [EventKind::SignalRefused { reason, .. }] = &refused[..] else { panic!("{refused:?}") };
    assert!(
        reason.contains("ann (unsigned) decided at 2026-01-01T03:03:00.000Z: take-back, not to continue"),
        "{reason}"
    );
    seen(&mut state, minutes(5), Some(Decision::FixForward));
    assert!(matches!(
        &signal::take(&state, Signal::Resume, ann(), minutes(6))[..],
        [EventKind::Resumed { .. }]
    ));
    assert_eq!(duties::stops(&state)[0].decision, Some(Decision::FixForward));
}

#[test]
fn a_question_calls_for_somebody_from_when_it_is_asked_and_each_time_that_it_is() {
    let mut state = incident();
    let step = || StepId::new("grow");
    let asks = |state: &mut RunState, at| {
        let why = "credentials expired".to_owned();
        say(state, at, EventKind::GateBlocked { step: step(), rule: None, why, flag: None });
    };
    say(&mut state, minutes(1), EventKind::StepStarted { step: step() });
    // An acknowledgement at that time came before the request.
    seen(&mut state, minutes(2), None);
    asks(&mut state, minutes(30));
    assert_eq!(keys(&state, minutes(31)), ["alert", "update/2", "escalation/question1-grow/1"]);
    // The request stays open whatever else happens, and a process that resumes the run asks the same.
    say(&mut state, minutes(32), EventKind::EpochTaken { epoch: 2, owner: "other".to_owned() });
    asks(&mut state, minutes(33));
    assert_eq!(keys(&state, minutes(36)), ["alert", "update/2", "escalation/question1-grow/2"]);
    seen(&mut state, minutes(37), None);
    assert_eq!(keys(&state, minutes(38)), ["alert", "update/2"]);
    say(&mut state, minutes(40), EventKind::Resumed { who: ann() });
    asks(&mut state, minutes(50));
    assert_eq!(keys(&state, minutes(50)), ["alert", "update/3", "escalation/question2-grow/1"]);
}

/// The clock of an acknowledgement does not matter: whatever comes later in the journal was not seen yet.
#[test]
fn an_acknowledgement_by_a_clock_that_is_ahead_silences_nothing_that_comes_later() {
    let mut state = incident();
    seen(&mut state, minutes(600), None);
    let step = StepId::new("grow");
    say(&mut state, minutes(600), EventKind::StepStarted { step: step.clone() });
    say(&mut state, minutes(600), EventKind::StepFailed { step, reason: "x".to_owned() });
    assert!(keys(&state, minutes(600)).contains(&"escalation/stop1/1".to_owned()));
}

#[test]
fn nothing_that_a_provider_says_becomes_a_field_of_its_own() {
    let mut state = incident();
    let step = StepId::new("grow");
    say(&mut state, minutes(1), EventKind::StepStarted { step: step.clone() });
    let reason = "boom\n*STATUS*: Resolved\u{202e}\u{1b}[2J".to_owned();
    say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
    let text = news(&state, minutes(1)).into_iter().map(|n| n.text()).collect::<String>();
    assert!(text.contains("boom *STATUS*: Resolved") && !text.contains(['\u{202e}', '\u{1b}']), "{text}");
}

#[test]
fn a_run_that_owes_nothing_is_told_of_nothing_done() {
    let mut state = incident();
    state.created.duties = None;
    say(&mut state, minutes(10), EventKind::RunFinished { outcome: Outcome::Recovered });
    let done = Signal::Fulfil { duty: Duty::PostMortem, reference: "x".to_owned(), sha256: None };
    let refused = signal::take(&state, done, ann(), minutes(500));
    assert!(
        matches!(&refused[..], [EventKind::SignalRefused { reason, .. }] if reason.contains("does not have this duty")),
        "{refused:?}"
    );
}

#[test]
fn rungs_reach_the_channels_that_they_name() {
    let state = incident();
    let rung = |after, role: &str, tell: &[&str]| Rung {
        after: Dur::mins(after),
        role: role.to_owned(),
        tell: tell.iter().map(|t| (*t).to_owned()).collect(),
    };
    let policy = Policy {
        escalation: vec![rung(0, "sre", &["chat"]), rung(5, "lead", &["pager", "chat"]), rung(9, "cto", &[])],
        ..Policy::default()
    };
    let tell = |at| {
        let all = told(&state, &policy, at);
        all.into_iter().find(|n| n.kind == Kind::Escalation).map(|n| n.tell)
    };
    assert_eq!(tell(minutes(4)), Some(vec!["chat".to_owned()]));
    assert_eq!(tell(minutes(6)), Some(vec!["chat".to_owned(), "pager".to_owned()]));
    // People without a channel of their own are reached by all channels that get escalations.
    assert_eq!(tell(minutes(9)), Some(Vec::new()));
}

#[test]
fn what_is_owed_is_remembered_reminded_of_and_called_late_for_ever() {
    let mut state = incident();
    say(&mut state, minutes(10), EventKind::RunFinished { outcome: Outcome::Recovered });
    let hours = |n: u64| minutes(10 + 60 * n);
    assert_eq!(keys(&state, minutes(10)), ["alert", "resolved"]);
    assert_eq!(keys(&state, hours(1)), ["alert", "resolved"]);
    let some = |at, kind| keys(&state, at).iter().filter(|k| k.ends_with(kind)).cloned().collect::<Vec<_>>();
    assert_eq!(some(minutes(10 + 60 * 2 + 45), "reminder"), ["duty/monitoring/reminder"]);
    assert_eq!(some(hours(4), "overdue"), ["duty/monitoring/overdue"]);
    assert_eq!(some(hours(18), "reminder"), ["duty/incident-report/reminder"]);
    assert_eq!(some(hours(25), "overdue"), ["duty/monitoring/overdue", "duty/incident-report/overdue"]);
    assert_eq!(some(hours(2), "closed"), ["closed"]);
    assert!(news(&state, hours(2))[2].ends && news(&state, hours(2))[1].ends);
    // Nobody can confirm the watch before its end.
    let say_so = |duty| Signal::Fulfil { duty, reference: "wiki/412".to_owned(), sha256: None };
    let early = signal::take(&state, say_so(Duty::Monitoring), ann(), hours(1));
    assert!(
        matches!(&early[..], [EventKind::SignalRefused { reason, .. }] if reason.contains("monitoring lasts until")),
        "{early:?}"
    );
    for (duty, at) in [(Duty::Monitoring, hours(2)), (Duty::IncidentReport, hours(25))] {
        let [done] = signal::take(&state, say_so(duty), ann(), at).try_into().unwrap();
        say(&mut state, at, done);
    }
    let twice = signal::take(&state, say_so(Duty::Monitoring), ann(), hours(26));
    assert!(
        matches!(&twice[..], [EventKind::SignalRefused { reason, .. }] if reason.contains("already confirmed it at")),
        "{twice:?}"
    );
    let standing = |at| {
        let owed = duties::of_people(&state, at);
        owed.into_iter().map(|o| (o.what, o.standing, o.late_by_s)).collect::<Vec<_>>()
    };
    let expected = |last, late| {
        vec![
            ("monitoring".to_owned(), Standing::Done, None),
            ("incident-report".to_owned(), Standing::DoneLate, Some(3_600.0)),
            ("post-mortem".to_owned(), last, late),
        ]
    };
    assert_eq!(standing(hours(26)), expected(Standing::Open, None));
    assert_eq!(standing(hours(50)), expected(Standing::Overdue, Some(7_200.0)));
}

#[test]
fn silence_that_was_too_long_is_found() {
    let mut state = incident();
    say(&mut state, minutes(40), EventKind::RunFinished { outcome: Outcome::Recovered });
    let updates = |told: &[u64]| {
        let told = BTreeMap::from([(state.created.run.clone(), told.iter().map(|n| minutes(*n)).collect())]);
        let owed = duties::of_run(&state, &told, minutes(50)).remove(0);
        (owed.what.clone(), owed.standing, owed.late_by_s)
    };
    assert_eq!(updates(&[0, 15, 30, 40]), ("updates".to_owned(), Standing::Done, None));
    assert_eq!(updates(&[0, 15, 40]), ("updates".to_owned(), Standing::DoneLate, Some(600.0)));
    let nobody = duties::of_run(&state, &BTreeMap::new(), minutes(50)).remove(0);
    assert_eq!(nobody.standing, Standing::Unknown);
    state.created.duties = None;
    assert!(duties::of_run(&state, &BTreeMap::new(), minutes(50)).is_empty());
}

#[test]
fn the_public_reads_no_word_that_a_person_or_a_provider_wrote() {
    let mut state = incident();
    state.created.reason = Some("the intern dropped prod".to_owned());
    failed(&mut state, minutes(2));
    for at in [minutes(2), minutes(15)] {
        for notice in news(&state, at) {
            let public = serde_json::to_string(&notice.public).unwrap();
            assert!(!public.contains("intern") && !public.contains("AccessDenied"), "{public}");
            assert_eq!(
                notice.public.is_some(),
                matches!(notice.kind, Kind::Alert | Kind::Update),
                "{notice:?}"
            );
        }
    }
}

#[test]
fn planned_work_and_drills_are_told_as_such_and_rehearsals_not_at_all() {
    let told = |intent, drill, world: WorldKind| {
        let mut state = incident();
        (state.created.duties, state.created.world) = (None, world);
        (state.runbook.intent, state.runbook.drill) = (intent, drill);
        let all = news(&state, minutes(40));
        assert!(all.iter().all(|n| n.public.is_none()), "{all:?}");
        all.into_iter().map(|n| (n.kind, n.subject)).collect::<Vec<_>>()
    };
    use drctl::model::intent::Drill;
    assert_eq!(
        told(Intent::Switchover, None, WorldKind::Live),
        [(Kind::Alert, "[PLANNED] shop: switchover from west to east".to_owned())]
    );
    let live = told(Intent::Switchover, Some(Drill::Live), WorldKind::Live);
    assert_eq!(
        live,
        [(Kind::Drill, "[DRILL] shop: live drill, switchover from west to east, starts".to_owned())]
    );
    let sandbox = WorldKind::Sandbox { scenario: "region-lost".to_owned(), seed: 1, began: BEGAN };
    assert!(told(Intent::Failover, None, sandbox).is_empty());
    assert!(told(Intent::Failover, Some(Drill::Tabletop), WorldKind::Live).is_empty());
}

/// Everybody who reads the journal sees the same decisions.
#[test]
fn journals_hold_what_was_decided() {
    let decided =
        EventKind::Acknowledged { who: ann(), decision: Some(Decision::Restore), reason: "x".to_owned() };
    let text = serde_json::to_string(&Event { at: BEGAN, what: decided.clone() }).unwrap();
    assert!(text.contains(r#""kind":"acknowledged""#) && text.contains(r#""decision":"restore""#), "{text}");
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap().what, decided);
}
