//! The texts of notifications: all expected fields, and when the end is reported.

use drctl::model::duty::{Duties, Duty};
use drctl::model::ids::StepId;
use drctl::model::notice::Notice;
use drctl::model::policy::Policy;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::plan::Settings;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome, Signal, WorldKind};
use drctl::record::runbook::{Phase, Step};
use drctl::report::history::History;
use drctl::report::{duties, notices};
use drctl::run::{RunState, signal};

use crate::run::decisions::{minutes, run, say, scale, step};
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rig, truststream};

/// An incident whose names moved after three minutes, with a watch of two hours from minute four on.
fn served() -> RunState {
    let wait = Action::Wait { duration_ms: Dur::mins(120), until: None };
    let mut state = run(vec![step("grow", scale()), Step { phase: Phase::Watch, ..step("watch", wait) }]);
    state.created.duties = Some(Duties::default());
    state.created.severity = Some("P0".to_owned());
    state.created.incident = Some("INC-7".to_owned());
    state.created.reason = Some("the west is dark".to_owned());
    let probe =
        truststream().probes.iter().find(|p| p.value.name.as_str() == "public").unwrap().value.clone();
    state.runbook.probes = vec![probe];
    say(&mut state, BEGAN, EventKind::EpochTaken { epoch: 1, owner: "test".to_owned() });
    turned(&mut state, 1, false, BEGAN - Dur::mins(1));
    say(&mut state, minutes(1), EventKind::StepStarted { step: StepId::new("grow") });
    state
}

fn turned(state: &mut RunState, at: u64, good: bool, since: Timestamp) {
    let (probe, detail) = ("public".to_owned(), "503".to_owned());
    let last_other = Some(since - Dur::secs(5));
    say(state, minutes(at), EventKind::ProbeTurned { probe, good, since, last_other, detail });
}

fn watched(mut state: RunState) -> RunState {
    let end = drctl::record::event::End::Performed;
    let step = StepId::new("grow");
    say(
        &mut state,
        minutes(3),
        EventKind::CallIntended {
            step: step.clone(),
            direction: Default::default(),
            attempt: 1,
            generation: 0,
            key: "k".to_owned(),
            part: Vec::new(),
            found: None,
        },
    );
    say(&mut state, minutes(3), EventKind::CallAnswered { step: step.clone(), token: None });
    say(&mut state, minutes(3), EventKind::StepFinished { step, end, facts: Vec::new() });
    turned(&mut state, 4, true, minutes(3));
    say(&mut state, minutes(4), EventKind::StepStarted { step: StepId::new("watch") });
    state
}

fn news(state: &RunState, at: Timestamp) -> Vec<Notice> {
    let history = History::default();
    notices::of_run(state, &Policy::default(), (&history, &history.predict(&state.runbook)), at)
}

fn one(state: &RunState, at: Timestamp, key: &str) -> Notice {
    let all = news(state, at);
    let keys: Vec<String> = all.iter().map(|n| n.key.clone()).collect();
    let key = format!("{}/{key}", state.created.run);
    all.into_iter().find(|n| n.key == key).unwrap_or_else(|| panic!("{keys:?}"))
}

/// Each line of a message up to its colon; lines that never change as a whole.
fn told(notice: &Notice) -> Vec<String> {
    let varies =
        ["ETA", "REQUESTED BY", "RTO", "RPO", "RECOVERY TIME SO FAR", "PROGRESS", "CALLED", "ACTIONS TAKEN"];
    let line = |(label, text): &(String, String)| match varies.contains(&label.as_str()) {
        true => label.clone(),
        false => format!("{label}: {text}"),
    };
    std::iter::once(notice.subject.clone()).chain(notice.fields.iter().map(line)).collect()
}

#[test]
fn the_first_message_has_what_people_look_for() {
    let alert = one(&served(), minutes(1), "alert");
    assert_eq!(
        told(&alert),
        [
            "[URGENT] shop Service Incident - P0",
            "STATUS: Mitigating",
            "WHAT: failover from west to east",
            "IMPACT: the west is dark; probes fail: public",
            "ETA",
            "UPDATES: every 15m",
            "NEXT UPDATE: 2026-01-01T03:15:00.000Z",
            "REQUESTED BY",
            "INCIDENT ID: INC-7",
            "RUN: run",
            "FOLLOW IT: drctl runs watch run",
        ]
    );
    let eta = &alert.fields.iter().find(|(label, _)| label == "ETA").unwrap().1;
    assert!(eta.contains("in 19 of 20 cases") && eta.ends_with("estimated"), "{eta}");
}

#[test]
fn an_update_says_where_it_stands() {
    let state = served();
    assert_eq!(
        told(&one(&state, minutes(16), "update/1")),
        [
            "[UPDATE 1] shop Service Incident - INC-7",
            "STATUS: Mitigating",
            "PROGRESS",
            "IMPACT: the west is dark; probes fail: public",
            "RECOVERY TIME SO FAR",
            "ETA",
            "NEXT UPDATE: 2026-01-01T03:30:00.000Z",
            "INCIDENT ID: INC-7",
            "RUN: run",
            "FOLLOW IT: drctl runs watch run",
        ]
    );
}

/// The two hours of watching are not part of the recovery: the end is reported when users are served, and duties count from then.
#[test]
fn it_is_resolved_when_users_are_served_and_not_when_nobody_watches_any_more() {
    let state = watched(served());
    let resolved = one(&state, minutes(5), "resolved");
    assert_eq!((resolved.due, resolved.ends), (minutes(4), true));
    assert_eq!(
        told(&resolved),
        [
            "[RESOLVED] shop Service Incident - INC-7",
            "STATUS: Resolved",
            "OUTCOME: users are served, and the run keeps watching",
            "RESOLUTION TIME: 2026-01-01T03:04:00.000Z, 4m after it was declared",
            "RTO",
            "RPO",
            "ROOT CAUSE: a person writes it in the incident report",
            "ACTIONS TAKEN",
            "AFTERWARDS: monitoring for the next 2h; incident report within 1d, post-mortem within 2d",
            "INCIDENT ID: INC-7",
            "RUN: run",
            "FOLLOW IT: drctl runs watch run",
        ]
    );
    assert!(
        !news(&state, minutes(40)).iter().any(|n| n.key.contains("update")),
        "it is over for those who wait"
    );
    let due = |state: &RunState, at| {
        let owed = duties::of_people(state, at);
        owed.into_iter().map(|o| (o.what, o.due_at)).collect::<Vec<_>>()
    };
    let hours = |n: u64| minutes(4 + 60 * n);
    let expected = [("monitoring", 3), ("incident-report", 24), ("post-mortem", 48)];
    let expected: Vec<_> = expected.iter().map(|(what, n)| ((*what).to_owned(), hours(*n))).collect();
    assert_eq!(due(&state, minutes(5)), expected);
    // A report may exist before the run has watched long enough, but nobody can confirm the watch before its end.
    let fulfil = |duty, at| {
        let done = Signal::Fulfil { duty, reference: "wiki/1".to_owned(), sha256: None };
        signal::take(&state, done, Person::claimed("ann"), at)
    };
    assert!(matches!(&fulfil(Duty::IncidentReport, minutes(30))[..], [EventKind::Fulfilled { .. }]));
    assert!(matches!(&fulfil(Duty::Monitoring, minutes(30))[..], [EventKind::SignalRefused { .. }]));
    let mut over = state.clone();
    say(&mut over, minutes(124), EventKind::RunFinished { outcome: Outcome::Recovered });
    assert_eq!(due(&over, minutes(125)), expected, "the end of the run changes nothing of it");
    assert_eq!(one(&over, minutes(125), "closed").due, minutes(124));
}

/// Resolvers are checked before users are known to be served, so that is not an end. Nor is a watch that was skipped in advance.
#[test]
fn nothing_is_resolved_before_users_are_seen_to_be_served() {
    let all = events(&Rig::new(truststream(), "region-lost", 1).rehearse().unwrap());
    let began = |step: &str| {
        all.iter()
            .position(|e| matches!(&e.what, EventKind::StepStarted { step: s } if s.as_str() == step))
            .unwrap()
    };
    let (resolvers, watch) = (began("resolvers.www"), began("watch"));
    assert!(resolvers < watch);
    let up_to = |n: usize| {
        let mut state = RunState::fold(&all[..=n]).unwrap();
        state.created.world = WorldKind::Live;
        state
    };
    assert_eq!(up_to(watch - 1).over_at(), None);
    assert_eq!(up_to(watch).over_at(), Some(all[watch].at));
    let mut early = up_to(resolvers);
    let at = early.last_at;
    let skipped = EventKind::StepSkipped {
        step: StepId::new("watch"),
        reason: "no time".to_owned(),
        who: Some(Person::claimed("ann")),
    };
    say(&mut early, at, skipped);
    assert_eq!(early.over_at(), None);
}

/// If a resolved incident fails later, a second end is reported under its own name, and ends the alerts in between as well.
#[test]
fn whoever_heard_of_an_end_hears_of_another_one() {
    let keys = |state: &RunState, at| {
        let all = news(state, at).into_iter().filter(|n| n.kind == drctl::model::notice::Kind::Resolved);
        all.map(|n| (n.key.split_once('/').unwrap().1.to_owned(), n.due, n.ends)).collect::<Vec<_>>()
    };
    let key = |name: &str, at, ends| (name.to_owned(), at, ends);
    let mut state = watched(served());
    assert_eq!(keys(&state, minutes(5)), [key("resolved", minutes(4), true)]);
    let mut again = state.clone();
    turned(&mut again, 20, false, minutes(19));
    turned(&mut again, 30, true, minutes(29));
    say(&mut again, minutes(124), EventKind::RunFinished { outcome: Outcome::Recovered });
    assert_eq!(
        keys(&again, minutes(124))[..2],
        [key("resolved", minutes(4), true), key("resolved-again", minutes(124), true)]
    );
    let cancel = EventKind::CancelRequested {
        who: Person::claimed("ann"),
        reason: "x".to_owned(),
        displaced_by: None,
    };
    say(&mut state, minutes(40), cancel);
    assert!(keys(&state, minutes(41)).is_empty(), "while it is taken back nothing is resolved");
    say(&mut state, minutes(50), EventKind::RunFinished { outcome: Outcome::Cancelled });
    assert_eq!(keys(&state, minutes(51)), [key("ended", minutes(50), false)]);
}

#[test]
fn users_that_fail_again_while_it_is_watched_call_people_again() {
    let mut state = watched(served());
    turned(&mut state, 20, false, minutes(19));
    assert_eq!(told(&one(&state, minutes(31), "update/2"))[1], "STATUS: Users fail AGAIN");
    let since = minutes(19);
    let alarm = format!("escalation/again-{since}/2");
    let escalation = one(&state, minutes(25), &alarm);
    assert_eq!(
        told(&escalation),
        [
            "[ESCALATION 2: incident-commander] shop - INC-7",
            "WHY: users fail AGAIN after they were served",
            "SINCE: 2026-01-01T03:19:00.000Z, 6m ago",
            "CALLED",
            "WHAT TO DO: drctl runs show run",
            "ACKNOWLEDGE: drctl ack run --reason \"...\"",
            "INCIDENT ID: INC-7",
            "RUN: run",
            "FOLLOW IT: drctl runs watch run",
        ]
    );
    turned(&mut state, 30, true, minutes(29));
    assert!(!news(&state, minutes(31)).iter().any(|n| n.key.contains("again") || n.key.contains("update")));
}

/// A run that stopped and was left there is an incident too, so a report is due.
#[test]
fn a_run_that_stopped_and_was_left_there_owes_a_report() {
    let mut state = served();
    say(&mut state, minutes(2), EventKind::StepFailed { step: StepId::new("grow"), reason: "no".to_owned() });
    let owed: Vec<_> =
        duties::of_people(&state, minutes(3)).into_iter().map(|o| (o.what, o.due_at)).collect();
    let hours = |n: u64| minutes(2 + 60 * n);
    assert_eq!(owed, [("incident-report".to_owned(), hours(24)), ("post-mortem".to_owned(), hours(48))]);
    let done = Signal::Fulfil { duty: Duty::PostMortem, reference: "wiki/1".to_owned(), sha256: None };
    let taken = signal::take(&state, done, Person::claimed("ann"), minutes(30));
    assert!(matches!(&taken[..], [EventKind::Fulfilled { .. }]), "{taken:?}");
}

/// A step that takes much longer than ever alerts somebody, once, until it is acknowledged.
#[test]
fn a_stalled_step_climbs_the_ladder() {
    let rehearsed = |seed| Rig::new(truststream(), "region-lost", seed).rehearse().unwrap();
    let seen: Vec<RunState> = (1..8).map(|seed| rehearsed(seed).ended.state).collect();
    let history = History::from_runs(&seen);
    let all = events(&rehearsed(1));
    let step = StepId::new("promote.db");
    let begins = |what: &EventKind| matches!(what, EventKind::StepStarted { step: s } if *s == step);
    let at = all.iter().position(|e| begins(&e.what)).unwrap();
    let mut state = RunState::fold(&all[..=at]).unwrap();
    state.created.world = WorldKind::Live;
    // Somebody acknowledged the incident, but not this alarm.
    let on_it = |state: &mut RunState, at| {
        let (who, reason) = (Person::claimed("ann"), "on it".to_owned());
        say(state, at, EventKind::Acknowledged { who, decision: None, reason });
    };
    let now = state.last_at;
    on_it(&mut state, now);
    let expected = history.predict(&state.runbook);
    let called = |state: &RunState, after: u64| {
        let all = notices::of_run(state, &Policy::default(), (&history, &expected), now + Dur::mins(after));
        let all = all.into_iter().filter(|n| n.key.contains("stall") && !n.key.ends_with("/seen"));
        all.map(|n| (n.key.split_once('/').unwrap().1.to_owned(), n.fields[0].1.clone())).collect::<Vec<_>>()
    };
    assert!(called(&state, 1).is_empty());
    let (key, why) = called(&state, 60).into_iter().find(|(key, _)| key.contains("promote")).unwrap();
    assert_eq!(key, "escalation/stall0-promote.db/4");
    assert!(why.starts_with("promote.db takes more than twice as long as the longest of 7 runs ("), "{why}");
    on_it(&mut state, now + Dur::mins(61));
    assert!(called(&state, 62).is_empty());
}

#[test]
fn whoever_is_to_be_there_is_invited_before() {
    let text = "schedules:\n  quarterly: {plan: shop, drill: live, at: \"0 6 1 1,4,7,10 *\", zone: Europe/Prague, late: 12h, hold: 30m}\n";
    let settings =
        Settings::load(Some(("drctl.yaml", text.as_bytes())), std::collections::BTreeMap::new(), &[])
            .unwrap();
    let invited = |at: &str| {
        notices::invitation(&settings.schedules[0], Dur::mins(24 * 60), Timestamp::parse(at).unwrap())
    };
    assert!(invited("2026-03-31T03:59:59Z").is_none(), "not earlier than was asked for");
    let invitation = invited("2026-03-31T04:00:00Z").unwrap();
    assert_eq!(
        told(&invitation),
        [
            "[DRILL INVITATION] shop: drctl moves users for practice at 2026-04-01T04:00:00.000Z",
            "WHAT: a live drill: drctl moves users of shop to its other site for 30m, and back",
            "WHEN: 2026-04-01T04:00:00.000Z (Wed 2026-04-01 06:00 Europe/Prague)",
            "LATEST START: 2026-04-01T16:00:00.000Z",
            "TO PREVENT IT: set policy.freeze or policy.blackouts in drctl.yaml; after the start, run drctl runs cancel RUN --reason \"...\"",
            "SCHEDULE: quarterly",
        ]
    );
}

#[test]
fn what_nobody_did_is_told_with_what_to_do() {
    let at = Timestamp::parse("2026-03-01T00:00:00Z").unwrap();
    let until = Timestamp::parse("2026-04-01T00:00:00Z").unwrap();
    let plan = drctl::model::ids::PlanName::new("shop");
    let untried = notices::untried("shop", until, "never tried");
    let soon = notices::untried_soon("shop", (at, until), "never tried");
    assert_eq!((untried.due, soon.due), (until, at));
    assert_eq!(
        [
            untried,
            soon,
            notices::missed("weekly", at, "nobody served"),
            notices::unready(&plan, at, "db: no backups"),
            notices::ready_again(&plan, at)
        ]
        .map(|n| (n.kind.id(), n.subject, n.ends)),
        [
            ("overdue", "[OVERDUE] drill of shop".to_owned(), false),
            ("reminder", "[DUE SOON] drill of shop, by 2026-04-01T00:00:00.000Z".to_owned(), false),
            (
                "overdue",
                "[MISSED] the drill of schedule weekly, due 2026-03-01T00:00:00.000Z".to_owned(),
                false
            ),
            ("overdue", "[NOT READY] shop: a recovery would fail or miss its objectives".to_owned(), false),
            ("resolved", "[READY AGAIN] shop: a recovery would work again".to_owned(), true),
        ]
    );
}
