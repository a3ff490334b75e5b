//! Irreversible steps that take longer than their timeout: drctl keeps waiting for a call that a provider accepted.

use drctl::cli::formats::Format;
use drctl::cli::printer::Printer;
use drctl::cli::progress;
use drctl::kinds::Operation;
use drctl::model::duty::Rung;
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::policy::Policy;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::record::action::{Action, Undo};
use drctl::record::event::{Event, EventKind, Outcome, Signal, WorldKind};
use drctl::report::history::History;
use drctl::report::{notices, summary};
use drctl::run::decide::expired;
use drctl::run::state::{Mode, Status};
use drctl::run::{Effect, RunState, decide, signal};

use crate::evidence::signatures;
use crate::run::clocks::after;
use crate::run::late_effects::own;
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, cancel, truststream};

fn promotes(what: &EventKind) -> bool {
    matches!(what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db")
}

fn overdue(what: &EventKind) -> bool {
    matches!(what, EventKind::Overdue { step, .. } if step.as_str() == "promote.db")
}

fn count(all: &[Event], which: fn(&EventKind) -> bool) -> usize {
    all.iter().filter(|e| which(&e.what)).count()
}

fn recovered(rig: &Rig) -> Rehearsed {
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let mode = &done.ended.state.mode;
    assert_eq!(*mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    done
}

#[test]
fn a_promotion_that_takes_forty_minutes_is_waited_for() {
    let done = recovered(&Rig::new(truststream(), "promotion-slow", 1));
    let all = events(&done);
    assert_eq!((count(&all, promotes), count(&all, overdue)), (1, 1), "called once, said once");
    let (called, said) = (all.iter().find(|e| promotes(&e.what)), all.iter().find(|e| overdue(&e.what)));
    let (called, said) = (called.unwrap().at, said.unwrap());
    let timeout = done.ended.state.runbook.step(&StepId::new("promote.db")).unwrap().estimate.timeout_ms;
    assert!(said.at.since(called) >= Dur::mins(9) && said.at.since(called) <= timeout, "{}", said.at);
    let printer = Printer::new(Format::Human);
    let n = all.iter().position(|e| overdue(&e.what)).unwrap();
    let state = RunState::fold(&all[..=n]).unwrap();
    let line = progress::words(&printer, said, &state).unwrap();
    let shown = summary::report(&state, state.last_at);
    let shown = shown.steps.iter().find(|s| s.id == "promote.db").unwrap().reason.clone().unwrap();
    // Since when, the last observation, and what a person can do.
    for words in [&called.to_string(), "`modifying`", "drctl keeps waiting", "runs cancel run"] {
        assert!(line.contains(words) && shown.contains(words), "{words}: {line}\n{shown}");
    }
}

/// A standby that starts when its WAL receiver lets it. If it shows no effect, the promotion is requested again, which changes nothing.
#[test]
fn a_standby_that_begins_its_promotion_after_forty_minutes_is_waited_for() {
    let mut rig = Rig::new(own(""), "region-slow", 1);
    rig.scenario.promotion_waits = Dur::mins(40);
    let all = events(&recovered(&rig));
    assert_eq!(count(&all, overdue), 1);
}

/// People who do not watch a terminal are notified.
#[test]
fn somebody_is_called_when_a_promotion_takes_longer_than_it_may() {
    let mut state = waiting();
    state.created.world = WorldKind::Live;
    let history = History::default();
    let policy = Policy {
        escalation: vec![Rung { after: Dur::ZERO, role: "on-call".to_owned(), tell: Vec::new() }],
        ..Policy::default()
    };
    let news = notices::of_run(&state, &policy, (&history, &history.predict(&state.runbook)), state.last_at);
    let keys: Vec<_> = news.iter().map(|notice| notice.key.as_str()).collect();
    assert!(keys.iter().any(|key| key.contains("overdue-promote.db")), "{keys:?}");
}

/// The state in which it was reported.
fn waiting() -> RunState {
    let done = recovered(&Rig::new(truststream(), "promotion-slow", 1));
    let all = events(&done);
    let n = all.iter().position(|e| overdue(&e.what)).unwrap();
    RunState::fold(&all[..=n]).unwrap()
}

#[test]
fn a_person_ends_the_wait_and_is_told_what_may_still_come() {
    let mut state = waiting();
    let i = state.position(&StepId::new("promote.db")).unwrap();
    let (who, later) = (Person::claimed("alice"), state.last_at + Dur::mins(25));
    let say = |state: &mut RunState, what: EventKind| state.apply(&Event { at: later, what }).unwrap();
    let refused = signal::take(&state, skip(), who.clone(), later);
    assert!(matches!(refused[..], [EventKind::SignalRefused { .. }]), "{refused:?}");
    for asked in 1..=2 {
        let looks = decide(&state, later);
        assert!(looks.contains(&Effect::Look(i)), "asked {asked} times to cancel: {looks:?}");
        for what in signal::take(&state, cancel(None), who.clone(), later) {
            say(&mut state, what);
        }
    }
    assert_eq!(state.mode, Mode::Finished(Outcome::Abandoned));
    let left = summary::report(&state, later).in_doubt;
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!((left[0].step.as_str(), left[0].until), ("promote.db", None));
}

fn skip() -> Signal {
    Signal::Skip { step: StepId::new("promote.db"), reason: "no".to_owned() }
}

/// What the timeout alone does to a step.
fn by_the_clock(state: &RunState, i: usize, at: Timestamp) -> Option<EventKind> {
    decide(state, at).contains(&Effect::Expire(i)).then(|| expired(state, i, None))
}

#[test]
fn only_a_promotion_that_was_never_accepted_times_out() {
    let done = recovered(&Rig::new(truststream(), "promotion-slow", 1));
    let all = events(&done);
    let n = all.iter().position(|e| promotes(&e.what)).unwrap();
    let step = || StepId::new("promote.db");
    let retry_at = Some(all[n].at + Dur::secs(1));
    let refused = EventKind::CallRefused {
        step: step(),
        code: "Throttling".to_owned(),
        why: "no".to_owned(),
        retry_at,
    };
    let doubted = EventKind::CallInDoubt { step: step(), why: "no answer".to_owned() };
    let answered = EventKind::CallAnswered { step: step(), token: None };
    for (what, fails) in [(refused, true), (doubted, false), (answered, false)] {
        let state = after(&all[..=n], vec![(Dur::secs(1), what.clone())]);
        let i = state.position(&step()).unwrap();
        assert_eq!(by_the_clock(&state, i, state.last_at + Dur::mins(5)), None, "{what:?}");
        let late = by_the_clock(&state, i, state.last_at + Dur::mins(11));
        let failed = matches!(late, Some(EventKind::StepFailed { .. }));
        let waits = matches!(late, Some(EventKind::Overdue { .. }));
        assert_eq!((failed, waits), (fails, !fails), "{what:?}: {late:?}");
    }
    // Before the call it is a step like any other.
    let state = RunState::fold(&all[..n]).unwrap();
    let i = state.position(&step()).unwrap();
    assert_eq!(state.work(i).status, Status::Started);
    let late = by_the_clock(&state, i, state.last_at + Dur::mins(11));
    assert!(matches!(late, Some(EventKind::StepFailed { .. })), "{late:?}");
}

/// This holds for every operation that declares itself irreversible, also for a server that is rebuilt as a standby.
#[test]
fn no_clock_ends_what_cannot_be_taken_back() {
    let rig = Rig {
        intent: Intent::Reprotect,
        ..Rig::new(own(crate::run::late_effects::HOST), "after-failover", 1)
    };
    let done = recovered(&rig);
    let all = events(&done);
    let runbook = &done.ended.state.runbook;
    let last = |s: &&drctl::record::runbook::Step| {
        s.action.is_final() && matches!(s.action.undo(), Undo::PointOfNoReturn { .. })
    };
    let step = runbook.steps.iter().find(last).unwrap();
    assert!(matches!(step.action, Action::Op(Operation::Rejoin(_))), "{}", step.action);
    let answered = |e: &Event| matches!(&e.what, EventKind::CallAnswered { step: of, .. } if *of == step.id);
    let n = all.iter().position(answered).unwrap();
    let state = RunState::fold(&all[..=n]).unwrap();
    let i = state.position(&step.id).unwrap();
    let timeout = step.estimate.timeout_ms;
    let late = by_the_clock(&state, i, state.last_at + timeout.plus(timeout));
    assert!(matches!(late, Some(EventKind::Overdue { .. })), "{late:?}");
}

/// The wait for the next process may be longer than the step usually takes.
#[test]
fn a_slow_step_is_said_to_last_since_its_start_and_not_since_the_run_was_resumed() {
    let folder = signatures::folder();
    let start = "failover truststream --to us-east-1 --sandbox=region-dark --yes --waive unfenced-promotion:db \
                 --accept-data-loss 9m --reason dark";
    let told = |key: &str, command: &str| {
        signatures::as_operator(&folder, key, &command.split_whitespace().collect::<Vec<_>>()).2
    };
    let first = told("ann.key", start);
    for key in ["bob.key", "eve.key"] {
        told(key, "approve sandbox-truststream-failover-s1-1 --yes --sandbox");
    }
    let second = told("ann.key", "runs resume sandbox-truststream-failover-s1-1 --sandbox");
    let find = |text: &str, words: &str| {
        let line = text.lines().find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("{words}: {text}")).to_owned()
    };
    let clock = |line: &str| {
        let parts = line.split('Z').next().unwrap().split(':').map(|part| part.parse::<u64>().unwrap());
        parts.fold(0, |sum, part| sum * 60 + part)
    };
    let began = find(&first, "fence.db.security_group started");
    let said = find(&second, "fence.db.security_group is not done after ");
    let lasted = said.split(" is not done after ").nth(1).unwrap().split(": ").next().unwrap();
    let lasted = Dur::parse(&lasted.replace(' ', "")).unwrap().millis() / 1000;
    assert!(lasted.abs_diff(clock(&said) - clock(&began)) <= 1, "{began}\n{said}");
    assert!(lasted > 200, "it began in the first process: {said}");
}
