//! Clocks that jump, and observations that are older than they seem.

use drctl::app::inbox::at_present;
use drctl::kinds::Operation;
use drctl::kinds::world::scenario::ClockStep;
use drctl::model::ids::{ComponentName, RunId};
use drctl::model::intent::{Drill, Intent};
use drctl::model::measure::{Basis, Figure, Verdict};
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::plan::Plan;
use drctl::record::action::Action;
use drctl::record::event::{Event, EventKind, Outcome, WorldKind};
use drctl::report::attainment::attainment;
use drctl::report::summary;
use drctl::run::drill::{self, Abort};
use drctl::run::{Effect, RunState, decide};

use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::oracle::safe_and_told;
use crate::support::rig::{Rig, plan, truststream};
use crate::support::shop::until;

/// The state after these events and more, each with the time that passed before it.
pub fn after(prefix: &[Event], more: Vec<(Dur, EventKind)>) -> RunState {
    let mut all = prefix.to_vec();
    for (by, what) in more {
        all.push(Event { at: all.last().unwrap().at + by, what });
    }
    RunState::fold(&all).unwrap_or_else(|(i, why)| panic!("event {i}: {why}"))
}

fn taken_over() -> EventKind {
    EventKind::EpochTaken { epoch: 2, owner: "test again".to_owned() }
}

/// Nobody knows for how long the old primary kept writing, so a loss that grew has no upper bound any more; nor is it a lower bound, because
/// the old primary may have been idle.
#[test]
fn what_grew_while_nobody_knows_how_much_time_went_by_is_no_bound() {
    let waived = waiver(Rule::UnfencedPromotion, Dur::mins(120));
    let rig = Rig { waivers: vec![waived], ..Rig::new(truststream(), "region-dark", 1) };
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str() == "measure.db"),
    );
    let prefix = &events(&whole)[..n];
    let basis = |state: &RunState| {
        let taken = state.exposure(&"db".into()).unwrap();
        assert!(taken.grows);
        taken.at(state.last_at + Dur::mins(1)).basis
    };
    let jumped = EventKind::ClockJumped { forward_ms: Dur::ZERO, backward_ms: Dur::mins(60) };
    assert_eq!(basis(&after(prefix, vec![(Dur::mins(1), taken_over())])), Basis::UpperBound);
    let set_back = vec![(Dur::ZERO, taken_over()), (Dur::ZERO, jumped.clone())];
    assert_eq!(basis(&after(prefix, set_back)), Basis::Unknown);
    // Within one process, the monotonic clock tells.
    assert_eq!(basis(&after(prefix, vec![(Dur::secs(1), jumped)])), Basis::UpperBound);
}

/// A managed database. Its fence by SQL reads its clock, the one by security group does not.
fn fenced_by(method: &str) -> Plan {
    let text = "plan: fenced\nobjectives: {rto: 60m, rpo: 20m}\nsites:\n  west: {region: us-west-2}\n  east: {region: us-east-1}\nhome: west\ncomponents:\n  db:\n    kind: aws.rds\n    fence: [METHOD]\n    at:\n      west: {id: db-w, fence_group: sg-w, admin: {secret: \"file:y\"}}\n      east: {id: db-e, fence_group: sg-e, admin: {secret: \"file:y\"}}\nprobes:\n  - {name: public, role: public, http: \"https://a.example\", every: 5s, timeout: 3s}\n";
    plan(&text.replace("METHOD", method))
}

/// A store was promoted without a fence. Hours later, a process whose clock was set back fences the old primary. The last commit that the
/// replica had replayed has a time of the earlier clock.
#[test]
fn a_fence_that_is_proven_after_the_clock_was_set_back_bounds_no_loss() {
    let waived = waiver(Rule::UnfencedPromotion, Dur::mins(240));
    // The last time, the clock of the old primary is set back as well, so what it shows says nothing about earlier commits.
    for (method, by_ms) in [("security_group", 0), ("sql", 0), ("sql", -540_000)] {
        let mut rig =
            Rig { waivers: vec![waived.clone()], ..Rig::new(fenced_by(method), "primary-returns", 1) };
        rig.scenario.clock_step = Some(ClockStep { at_home: true, after: Dur::mins(60), by_ms });
        let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        assert_eq!(done.ended.state.owed().count(), 1);
        rig.idle = Some((Dur::mins(200), Dur::mins(5)));
        let next = rig.carry_on(&done.records, &done.notes);
        let debt = &next.ended.state.debts[&ComponentName::from("db")];
        assert!(debt.paid.is_some(), "{debt:?}");
        safe_and_told(&rig, &next, &format!("fenced by {method} hours later"));
        let figure = attainment(&next.ended.state, next.asked).stores[&ComponentName::from("db")].0;
        assert_eq!(figure.basis, Basis::Unknown, "{method}: {figure}");
    }
}

/// The clock of the old primary is set ahead once the run has begun. Its fence by security group reads no clock, but its replica does.
#[test]
fn a_commit_is_not_later_because_the_clock_that_dates_it_was_set_ahead() {
    for by in [Dur::ZERO, Dur::mins(9)] {
        let mut rig = Rig::new(fenced_by("security_group"), "region-slow", 1);
        let by_ms = by.millis().cast_signed();
        rig.scenario.clock_step = Some(ClockStep { at_home: true, after: Dur::secs(125), by_ms });
        let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let exposure = done.ended.state.exposure(&"db".into()).unwrap();
        let (here, there) = (exposure.last_replayed.unwrap(), exposure.last_replayed_there.unwrap());
        assert!(there.since(here) >= by, "the step is not in time for the last commit: {here}, {there}");
        safe_and_told(&rig, &done, &format!("set ahead by {by}"));
    }
}

/// A machine that slept, or a clock that was corrected: the step did not use up that time.
#[test]
fn a_clock_that_jumps_ahead_ends_no_deadline() {
    let whole = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db"),
    );
    let prefix = &events(&whole)[..n];
    let late = Dur::mins(20);
    let fails = |state: &RunState| {
        let failed = |e: &Effect| matches!(e, Effect::Expire(_));
        decide(state, state.last_at).iter().any(failed)
    };
    let probe =
        events(&whole).iter().find(|e| matches!(e.what, EventKind::ProbeTurned { .. })).unwrap().what.clone();
    assert!(fails(&after(prefix, vec![(late, probe)])), "so much time really went by");
    let jumped = EventKind::ClockJumped { forward_ms: late, backward_ms: Dur::ZERO };
    assert!(!fails(&after(prefix, vec![(late, jumped)])));
}

/// All runs of a process share its clock, but the one that detects a jump reports it only for itself.
#[test]
fn every_run_of_a_process_hears_that_its_clock_jumped() {
    let by = Dur::mins(40);
    let rig = Rig { jumps: Some((Dur::mins(4), by)), ..Rig::new(truststream(), "region-lost", 1) };
    let other = Rig { run: RunId::new("other"), ..rig.clone() };
    let (_, left) = rig.rivals(&other, Dur::ZERO);
    for journal in &left.journals {
        let jumped = |e: &&Event| matches!(e.what, EventKind::ClockJumped { .. });
        let jumps: Vec<_> = journal.iter().filter(jumped).map(|e| &e.what).collect();
        assert_eq!(jumps, [&EventKind::ClockJumped { forward_ms: by, backward_ms: Dur::ZERO }]);
        // No earlier event has a time of that clock.
        let at = journal.iter().position(|e| jumped(&e)).unwrap();
        assert!(journal[at].at.since(journal[at - 1].at) >= by, "{:#?}", &journal[at - 1..=at]);
        let last = journal.last().map(|e| &e.what);
        assert!(matches!(last, Some(EventKind::RunFinished { outcome: Outcome::Recovered })), "{last:?}");
    }
}

/// A live drill is called off if users are affected for longer than promised, but not because of a clock that jumped.
#[test]
fn a_clock_that_jumps_ahead_calls_no_drill_off() {
    let rig =
        Rig { intent: Intent::Switchover, drill: Some(Drill::Live), ..Rig::new(truststream(), "calm", 1) };
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("fence.")),
    );
    let prefix = &events(&whole)[..n];
    let since = prefix.last().unwrap().at;
    let fails = EventKind::ProbeTurned {
        probe: "public".to_owned(),
        good: false,
        since,
        last_other: None,
        detail: "503".to_owned(),
    };
    let rto = whole.ended.state.runbook.objectives.rto_ms;
    let jumped = EventKind::ClockJumped { forward_ms: rto, backward_ms: Dur::ZERO };
    let failing = after(prefix, vec![(Dur::secs(5), fails.clone())]);
    let by_time = drill::abort(&failing, failing.last_at + rto);
    assert!(matches!(by_time, Some(Abort::Now(_))), "{by_time:?}");
    let state = after(prefix, vec![(Dur::secs(5), fails), (rto.plus(Dur::secs(1)), jumped)]);
    assert_eq!(drill::abort(&state, state.last_at), Some(Abort::At(since + rto.plus(rto))));
}

/// A clock that jumps ahead makes an outage look longer than it was, so the figure is not a lower bound. If no process drove the run during
/// the jump, the figure is no bound at all.
#[test]
fn an_outage_across_a_clock_that_jumped_is_never_told_as_at_least_so_long() {
    let whole = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let told = |jumped, epoch, over: bool| {
        let mut state = whole.ended.state.clone();
        (state.clock_jumped, state.epoch) = (jumped, epoch);
        if !over {
            state.turns.get_mut("public").unwrap().retain(|t| !t.good || t.last_other.is_none());
        }
        attainment(&state, state.last_at).rto.basis
    };
    for (jumped, epoch, over, basis) in [
        (false, 1, true, Basis::Measured),
        (false, 1, false, Basis::LowerBound),
        (true, 1, true, Basis::UpperBound),
        (true, 1, false, Basis::Unknown),
        (true, 2, true, Basis::Unknown),
        (true, 2, false, Basis::Unknown),
    ] {
        assert_eq!(told(jumped, epoch, over), basis, "{jumped} {epoch} {over}");
    }
}

/// A cancelled run observes the replica before the fence is lifted, however recently another process did so.
#[test]
fn a_look_of_another_process_lifts_no_fence() {
    let rig = Rig { intent: Intent::Failover, ..Rig::new(truststream(), "region-lost", 1) };
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (n, notes) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str() == "fenced.db"),
    );
    let checks = |a: &Action| matches!(a, Action::Op(Operation::CheckPromotable(_)));
    let step = whole.ended.state.runbook.steps.iter().find(|s| checks(&s.action)).unwrap().id.clone();
    let looked = |e: &Event| matches!(&e.what, EventKind::StepStarted { step: s } if *s == step);
    let seen = |e: &Event| matches!(&e.what, EventKind::StepFinished { step: s, .. } if *s == step);
    assert!(events(&whole)[..n].iter().any(seen), "the other process looked");
    let (done, _) = rig.cancel(&whole.records[..n], &notes, None);
    let since = &events(&done)[n..];
    let lifted =
        |e: &Event| matches!(&e.what, EventKind::StepUndone { step } if step.as_str().starts_with("fence."));
    let (look, lift) = (since.iter().position(looked), since.iter().position(lifted));
    assert!(look.is_some() && look < lift, "looked at {look:?}, lifted at {lift:?}");
}

/// Another terminal reads the journal, which gets no event while a step takes long.
#[test]
fn an_outage_goes_on_between_two_events_for_whoever_looks_at_a_live_run() {
    let done = Rig::new(truststream(), "capacity-short", 1).rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let all = events(&done);
    let promotes =
        |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "promote.db");
    let rehearsed = after(&all[..=all.iter().position(promotes).unwrap()], Vec::new());
    let mut live = rehearsed.clone();
    live.created.world = WorldKind::Live;
    let later = live.last_at + Dur::mins(20);
    let verdict = |state: &RunState| summary::report(state, state.last_at).rto.verdict;
    let seen = at_present(live.clone(), true, later);
    let told = attainment(&seen, seen.last_at);
    assert!(told.out_for(later).unwrap() > Dur::mins(20));
    // The live line counts from the first failed sample, until probes show that users are served.
    assert_eq!(told.seen_out_for(later), told.detected.map(|from| later.since(from)));
    assert!(told.seen_out_for(later) > told.out_for(later));
    assert_eq!((verdict(&live), verdict(&seen)), (Verdict::NotProven, Verdict::Missed));
    // Changes are still to be made, so nothing says when the last one is complete.
    assert_eq!((told.executed, attainment(&done.ended.state, later).executed), (None, None));
    // Nobody sampled since, or the time of the rehearsal is not that of the clock.
    assert_eq!(at_present(live.clone(), false, later).last_at, live.last_at);
    assert_eq!(at_present(rehearsed.clone(), true, later).last_at, live.last_at);
}

/// A process stopped while users were out, and the next one saw them served at its first sample. The outage ended in between: after the last
/// time at which the first process saw them fail, which a run that stood showed as `at least`, and not after that sample.
#[test]
fn an_outage_that_ended_between_two_processes_is_no_longer_than_what_both_saw() {
    let whole = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db"),
    );
    let prefix = &events(&whole)[..n];
    let before = RunState::fold(prefix).unwrap();
    let bad = before.turns["public"].last().cloned().unwrap();
    assert!(!bad.good, "{bad:?}");
    let stopped = prefix.last().unwrap().at + Dur::mins(2);
    let turned = |good, since, last_other| EventKind::ProbeTurned {
        probe: "public".to_owned(),
        good,
        since,
        last_other,
        detail: String::new(),
    };
    let still = turned(false, bad.since, bad.last_other);
    let shown = attainment(&after(prefix, vec![(Dur::mins(2), still.clone())]), stopped).rto;
    assert_eq!(shown.basis, Basis::LowerBound);
    let probe = before.runbook.probes.iter().find(|p| p.key() == "public").unwrap();
    let start = bad.last_other.map_or(probe.every_ms, |last| probe.every_ms.max(bad.since.since(last)));
    let served = stopped + Dur::mins(1);
    let most = served.since(bad.since).plus(start);
    let again = turned(true, served, Some(bad.since));
    let more = vec![(Dur::mins(2), still), (Dur::secs(55), taken_over()), (Dur::secs(20), again.clone())];
    let state = after(prefix, more);
    let told = attainment(&state, state.last_at).rto;
    assert_eq!(told, Figure::between(shown.value_ms.unwrap(), most));
    // If only the first failed sample is known, there is no least.
    let unseen = vec![(Dur::ZERO, taken_over()), (Dur::mins(3), again)];
    let mut state = after(prefix, unseen);
    state.failed_until.clear();
    assert_eq!(attainment(&state, state.last_at).rto, Figure::new(most, Basis::UpperBound));
}
