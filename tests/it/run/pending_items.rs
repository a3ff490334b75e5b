//! Pending items of a run, what a person did by hand in the meantime, and what must not follow from either.

use drctl::kinds::aws::rds::Rename;
use drctl::kinds::shared::command::Command;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::shared::fence::Fence;
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::rejoin::Rejoin;
use drctl::kinds::{Operation, State};
use drctl::model::ids::{ComponentName, StepId};
use drctl::model::plain;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::action::Action;
use drctl::record::event::{Direction, End, Event, EventKind, Outcome, Signal};
use drctl::report::{documents, html, markdown, summary};
use drctl::run::state::{Mode, Status};
use drctl::run::{Effect, RunState, Stop, decide};

use crate::run::cancel::until;
use crate::run::loss::intended;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, cancel, truststream};

fn accepts(rule: Rule) -> Waiver {
    Waiver {
        rule,
        component: None,
        accept_loss_ms: Some(Dur::mins(20)),
        reason: "r".to_owned(),
        who: Person::claimed("test"),
    }
}

fn deed(notes: &mut Notes, at: Timestamp, action: &Action) {
    notes.push((at, serde_json::to_vec(action).unwrap()));
}

/// After the end of the run, a person renames an instance and creates a replica with its name.
fn becomes_replica(notes: &mut Notes, db: DatabaseRef, source: DatabaseRef) {
    let to = format!("{}-old", db.id);
    let at = BEGAN + Dur::mins(185);
    deed(notes, at, &Action::Op(Operation::Rename(Rename { db: db.clone(), to })));
    let create = Rejoin { db, source, replica: None, reconcile: Vec::new() };
    deed(notes, at + Dur::mins(15), &Action::Op(Operation::Rejoin(create)));
}

fn fence_calls(events: &[Event]) -> usize {
    let call = |e: &&Event| matches!(&e.what, EventKind::CallIntended { step, direction: Direction::Do, .. } if step.as_str().starts_with("fence."));
    events.iter().filter(call).count()
}

fn promotion(state: &RunState) -> Action {
    state
        .runbook
        .steps
        .iter()
        .map(|s| &s.action)
        .find(|a| matches!(a, Action::Op(Operation::Promote(_))))
        .unwrap()
        .clone()
}

fn servers(state: &RunState) -> (DatabaseRef, DatabaseRef) {
    let old = state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::Fence(Fence { db, .. })) => Some(db.clone()),
        _ => None,
    });
    let Action::Op(Operation::Promote(Promote { db, .. })) = promotion(state) else { unreachable!() };
    (old.unwrap(), db)
}

/// A person promotes the fenced primary's replica while the run waits, and cancels the run afterwards.
#[test]
fn a_fence_stays_where_the_replica_was_promoted_by_hand() {
    let mut rig = Rig::new(truststream(), "region-slow", 1);
    let first =
        until(&rig, |w| matches!(w, EventKind::StepStarted { step } if step.as_str() == "measure.db"));
    let (mut notes, at) = (first.notes.clone(), events(&first).last().unwrap().at);
    deed(&mut notes, at + Dur::secs(5), &promotion(&first.ended.state));
    rig.later = Some(at + Dur::mins(10));
    let (done, seen) = rig.cancel(&first.records, &notes, None);
    assert_eq!(done.ended.stop, Stop::PastReturn, "{:?}", done.ended.state.mode);
    assert!(events(&done).iter().any(|e| matches!(e.what, EventKind::FoundPromoted { .. })));
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
    assert!(matches!(&seen["fence/us-west-2/truststream-db/sql"], State::Fence(f) if f.proven));
    // A second cancel closes the run in its current state.
    let (closed, _) = rig.second(&done.records, &done.notes, &[cancel(None)], None).unwrap();
    assert_eq!(closed.ended.state.mode, Mode::Finished(Outcome::Abandoned));
}

/// The target was promoted by hand before the run, and the old primary cannot be fenced.
fn promoted_before() -> (Rig, Rehearsed) {
    let whole = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap();
    let mut rig = Rig::new(truststream(), "primary-returns", 1);
    rig.deeds = vec![promotion(&whole.ended.state)];
    rig.waivers = vec![accepts(Rule::UnfencedPromotion), accepts(Rule::ActiveSiteUnclear)];
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    (rig, done)
}

#[test]
fn a_waived_fence_is_owed_though_the_promotion_was_made_by_hand() {
    let (mut rig, done) = promoted_before();
    let state = &done.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert_eq!(state.owed().count(), 1, "the old primary is forgotten");
    assert_eq!(summary::report(state, state.last_at).fence.state, "pending");
    rig.later = Some(BEGAN + Dur::mins(200));
    let (paid, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    assert_eq!(paid.ended.state.owed().count(), 0);
    assert!(matches!(&seen["fence/us-west-2/truststream-db/sql"], State::Fence(f) if f.proven));
}

/// A run that promoted on a waiver, with its old primary back.
fn owing() -> (Rig, Rehearsed) {
    let mut rig = Rig::new(truststream(), "primary-returns", 1);
    rig.waivers = vec![accepts(Rule::UnfencedPromotion)];
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.owed().count(), 1);
    rig.later = Some(BEGAN + Dur::mins(240));
    (rig, done)
}

#[test]
fn an_old_primary_that_was_rebuilt_is_no_debt_and_is_not_fenced() {
    let (rig, done) = owing();
    let (old, new) = servers(&done.ended.state);
    let mut notes = done.notes.clone();
    becomes_replica(&mut notes, old, new);
    let (later, _) = rig.second(&done.records, &notes, &[], None).unwrap();
    let all = events(&later);
    let settled = |e: &&Event| matches!(&e.what, EventKind::DebtSettled { why, who: None, .. } if why.contains("is now a replica"));
    assert_eq!(all.iter().filter(settled).count(), 1);
    assert_eq!(fence_calls(&all), fence_calls(&events(&done)), "a replica was fenced");
    assert_eq!(summary::report(&later.ended.state, later.ended.state.last_at).fence.state, "settled");
}

/// A look after the end is no step of the recovery. The report has the number of tries, and the last look with its result.
#[test]
fn a_look_after_the_end_is_an_event_of_its_own() {
    let (rig, done) = owing();
    let (paid, _) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    let all = events(&paid);
    let end = all.iter().position(|e| matches!(e.what, EventKind::RunFinished { .. })).unwrap();
    let of_check = |e: &&Event| {
        serde_json::to_value(&e.what).unwrap()["step"].as_str().is_some_and(|step| step.starts_with("check."))
    };
    assert_eq!(all[end..].iter().find(of_check), None);
    let looks = all[end..].iter().filter(|e| matches!(e.what, EventKind::NewPrimaryChecked { .. })).count();
    let calls = fence_calls(&all[end..]);
    assert!(looks > 0 && calls > 0, "{looks} looks, {calls} calls");
    let state = &paid.ended.state;
    let report = summary::report(state, state.last_at);
    let debt = &report.debts[0];
    assert_eq!(debt.tries.map(|n| n as usize), Some(looks + calls), "{debt:#?}");
    let tried = format!("since the end of the run: {} at the new primary", plain::count(looks, "look"));
    assert!(debt.text.contains(&tried), "{debt:#?}");
    assert!(debt.looks[0].ends_with("look at the new primary: it takes writes"), "{debt:#?}");
    // The check before the promotion keeps its own times.
    let check = report.steps.iter().find(|s| s.id == "check.db").unwrap();
    assert!(check.ended_at < report.ended_at, "{check:#?}");
}

/// The writes moved back by hand, so the old primary is the only one now.
#[test]
fn the_only_primary_is_never_fenced_for_an_old_debt() {
    let (rig, done) = owing();
    let (old, new) = servers(&done.ended.state);
    let mut notes = done.notes.clone();
    becomes_replica(&mut notes, new, old);
    let (later, seen) = rig.second(&done.records, &notes, &[], None).unwrap();
    assert_eq!(fence_calls(&events(&later)), fence_calls(&events(&done)));
    assert!(matches!(&seen["fence/us-west-2/truststream-db/sql"], State::Fence(f) if !f.proven));
    assert_eq!(later.ended.state.owed().count(), 0, "it is not the second primary any more");
}

#[test]
fn a_person_may_say_that_a_debt_was_settled_by_hand_and_is_named() {
    let (mut rig, done) = owing();
    rig.later = None;
    let skip =
        |step: &str| Signal::Skip { step: StepId::new(step), reason: "its disks are shredded".to_owned() };
    let (said, _) =
        rig.second(&done.records, &done.notes, &[skip("verify.db"), skip("fence.db.sql")], None).unwrap();
    let state = &said.ended.state;
    assert_eq!(state.owed().count(), 0);
    let report = summary::report(state, state.last_at);
    let words = &report.fence.components[&ComponentName::new("db")];
    assert!(words.contains("test (unsigned) confirmed: its disks are shredded"), "{words}");
    assert_eq!(report.fence.state, "settled");
    let refused = events(&said).iter().filter(|e| matches!(e.what, EventKind::SignalRefused { .. })).count();
    assert_eq!(refused, 1, "nothing else is said of a run that is over");
}

#[test]
fn while_a_fence_is_owed_the_loss_grows_and_proves_nothing() {
    let (_, done) = owing();
    let state = &done.ended.state;
    let at = |mins| summary::report(state, state.last_at + Dur::mins(mins)).rpo;
    assert!(at(60).achieved_s.unwrap() - at(0).achieved_s.unwrap() > 3_599.0);
    assert!(!at(0).holds() && !at(60).holds());
}

/// A state after the prefix that meets `test`, with these additional events.
fn after(rig: &Rig, test: impl Fn(&EventKind) -> bool, more: &[EventKind]) -> RunState {
    let first = until(rig, test);
    let mut state = RunState::fold(&events(&first)).unwrap();
    for what in more {
        let at = state.last_at + Dur::secs(1);
        state.apply(&Event { at, what: what.clone() }).unwrap();
    }
    state
}

/// The promotion was refused once. By the next attempt the loss may exceed the accepted one.
#[test]
fn the_loss_is_held_against_what_was_accepted_before_every_call() {
    let mut rig = Rig::new(truststream(), "region-dark", 1);
    rig.waivers = vec![accepts(Rule::UnfencedPromotion)];
    for retry in [true, false] {
        let starts = |w: &EventKind| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
        let retry_at = retry.then_some(BEGAN + Dur::mins(5));
        let refused = EventKind::CallRefused {
            step: StepId::new("promote.db"),
            code: "42501".to_owned(),
            why: "no".to_owned(),
            retry_at,
        };
        let state = after(&rig, starts, &[intended("promote.db"), refused]);
        let asks = |at: Timestamp| {
            decide(&state, at).into_iter().any(|e| matches!(e, Effect::Record(events) if events.iter().any(
                |w| matches!(w, EventKind::GateBlocked { step, rule: Some(Rule::ExposureAboveRpo), .. } if step.as_str() == "promote.db"))))
        };
        assert!(!asks(state.last_at) && asks(state.last_at + Dur::mins(30)), "retry {retry}");
    }
}

/// A fence counts as pending after the promotion: not when the gate opens, nor when the promotion was refused.
#[test]
fn a_fence_is_called_pending_once_the_promotion_took_place() {
    let mut rig = Rig::new(truststream(), "region-dark", 1);
    rig.waivers = vec![accepts(Rule::UnfencedPromotion)];
    let all = events(&rig.rehearse().unwrap());
    let is_promotion = |step: &StepId| step.as_str() == "promote.db";
    let first = |test: &dyn Fn(&EventKind) -> bool| all.iter().position(|e| test(&e.what)).unwrap();
    let order = [
        first(&|w| matches!(w, EventKind::FenceWaived { .. })),
        first(&|w| matches!(w, EventKind::CallIntended { step, .. } if is_promotion(step))),
        first(&|w| matches!(w, EventKind::StepFinished { step, .. } if is_promotion(step))),
        first(&|w| matches!(w, EventKind::FencePending { .. })),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(all.iter().filter(|e| matches!(e.what, EventKind::FencePending { .. })).count(), 1);
    // Since the request, because the old primary may be a second one from then on.
    for n in [order[1], order[2], order[3], all.len() - 1] {
        let state = RunState::fold(&all[..=n]).unwrap();
        assert_eq!(state.debts[&ComponentName::new("db")].since, all[order[1]].at, "event {n}");
    }
    let refused = EventKind::CallRefused {
        step: StepId::new("promote.db"),
        code: "42501".to_owned(),
        why: "no".to_owned(),
        retry_at: None,
    };
    let starts = |w: &EventKind| matches!(w, EventKind::CallIntended { step, .. } if is_promotion(step));
    let state = after(&rig, starts, &[intended("promote.db"), refused]);
    assert_eq!(state.owed().count(), 1, "what was asked may be there all the same");
    assert_eq!(state.newly_pending(), None);
}

fn fences_called(all: &[Event]) -> Vec<String> {
    let called = |e: &'_ Event| match &e.what {
        EventKind::CallIntended { step, .. } => {
            Some(step.clone()).filter(|step| step.as_str().starts_with("fence."))
        }
        _ => None,
    };
    all.iter().filter_map(called).map(|step| step.to_string()).collect()
}

fn proven_at(all: &[Event]) -> usize {
    let proves = |e: &Event| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str().starts_with("fence."));
    all.iter().position(proves).unwrap()
}

/// The dark primary returns during the watch: at its first answer every fence method is tried, until one is proven.
#[test]
fn a_primary_that_comes_back_during_the_watch_is_fenced_at_its_first_sign_of_life() {
    let mut rig = Rig::new(truststream(), "primary-returns", 1);
    rig.scenario.returns_after = Some(Dur::mins(40));
    rig.waivers = vec![accepts(Rule::UnfencedPromotion)];
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.owed().count(), 0, "nobody fenced it");
    let all = events(&done);
    let back = BEGAN + rig.scenario.lost_after + Dur::mins(40);
    let answers = |e: &Event| matches!(e.what, EventKind::PlaceAnswered { .. });
    let first = all.iter().position(answers).expect("a sign of life");
    let (alive, proven) = (&all[first], &all[proven_at(&all)]);
    // Virtual time: a check starts every second.
    let late = alive.at.since(back.max(all[0].at));
    assert!(proven.at.since(alive.at) < Dur::secs(2), "{} after it answered", proven.at.since(alive.at));
    assert!(
        late < Dur::secs(22),
        "it was seen {late} after it was back at the earliest, which is up to 20s before it was"
    );
    let mut between = fences_called(&all[first..proven_at(&all)]);
    between.sort();
    assert_eq!(between, ["fence.db.security_group", "fence.db.sql"], "not at once");
    let again = all.iter().filter(|e| answers(e)).count();
    assert!(again <= 2, "a place that goes on answering is told once for each of its signs: {again}");
}

/// The same for a process that takes over the pending fence after the run: no method waits for its turn while the old primary may take
/// writes.
#[test]
fn after_the_end_every_rung_of_a_place_that_answers_is_tried_at_once() {
    let (rig, done) = owing();
    let before = done.records.len();
    let (later, _) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    assert_eq!(later.ended.state.owed().count(), 0);
    let all = events(&later);
    let new = &all[before..];
    let mut called = fences_called(&new[..proven_at(new)]);
    called.sort();
    assert_eq!(called, ["fence.db.security_group", "fence.db.sql"]);
}

/// A command that may not run twice is in doubt, and a person confirms that it ran.
#[test]
fn a_command_that_a_person_says_ran_is_done() {
    let text = format!(
        "{}\nhooks:\n  - {{at: before.promote, name: migrate, step: {{command: [migrate]}}}}\n",
        truststream().text
    );
    let rig = Rig::new(crate::support::rig::plan(&text), "region-lost", 1);
    let starts =
        |w: &EventKind| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "hook.migrate");
    let taken = EventKind::EpochTaken { epoch: 2, owner: "x".to_owned() };
    let mut state = after(&rig, starts, &[intended("hook.migrate"), taken]);
    let position = state.position(&StepId::new("hook.migrate")).unwrap();
    assert!(matches!(
        &state.step(position).action,
        Action::Op(Operation::Run(Command { idempotent: false, .. }))
    ));
    let blocked = decide(&state, state.last_at).into_iter().find_map(|e| match e {
        Effect::Record(events) => events.into_iter().find(|w| matches!(w, EventKind::GateBlocked { .. })),
        _ => None,
    });
    let said = EventKind::ClaimedDone { step: StepId::new("hook.migrate"), who: Person::claimed("sam") };
    for what in [blocked.unwrap(), said] {
        let at = state.last_at;
        state.apply(&Event { at, what }).unwrap();
    }
    let ends = |w: &EventKind| matches!(w, EventKind::StepFinished { step, end: End::ByHand, .. } if step.as_str() == "hook.migrate");
    let effects = decide(&state, state.last_at);
    let by_hand = effects.iter().find_map(|e| match e {
        Effect::Record(events) if events.iter().any(ends) => Some(events.clone()),
        _ => None,
    });
    for what in by_hand.unwrap_or_else(|| panic!("{effects:?}")) {
        let at = state.last_at;
        state.apply(&Event { at, what }).unwrap();
    }
    // Every report names the step, and the person whose statement it is.
    let report = summary::report(&state, state.last_at);
    let [said] = report.by_people.as_slice() else { panic!("{:?}", report.by_people) };
    assert_eq!(
        (said.step.as_str(), said.what.as_str(), said.who.who.as_str()),
        ("hook.migrate", "done by hand", "sam")
    );
    let words = "hook.migrate done by hand by sam (unsigned) at ";
    let incident = documents::document(documents::Kind::PostIncident, &report, &state, None);
    for (name, text) in [
        ("markdown", markdown::render(&report).unwrap()),
        ("html", html::render(&report, &state).unwrap()),
        ("post-incident", documents::markdown(&incident)),
        ("json", serde_json::to_string(&report).unwrap()),
    ] {
        assert!(text.contains(words), "{name}: {text}");
    }
}

/// The guard cannot be read during the undo: it waits for credentials and writes nothing in that time.
#[test]
fn an_unwinding_without_credentials_waits() {
    let mut rig = Rig::new(truststream(), "region-slow", 1);
    let mut place = truststream().sites.values().next().unwrap().place.clone();
    "guard".clone_into(&mut place.name);
    rig.guard = Some(place);
    let starts =
        |w: &EventKind| matches!(w, EventKind::StepStarted { step } if step.as_str() == "measure.db");
    let hold = StepId::new("hold.db");
    let why = "waiting for credentials: ExpiredToken".to_owned();
    let mut state = after(
        &rig,
        starts,
        &[EventKind::CancelRequested {
            who: Person::claimed("t"),
            reason: "r".to_owned(),
            displaced_by: None,
        }],
    );
    for _ in 0..200 {
        let at = state.last_at + Dur::secs(2);
        let effects = decide(&state, at);
        let position = state.position(&hold).unwrap();
        if matches!(state.work(position).status, Status::Started) {
            let what =
                EventKind::GateBlocked { step: hold.clone(), rule: None, why: why.clone(), flag: None };
            state.apply(&Event { at, what }).unwrap();
            let then = decide(&state, at);
            assert!(then.contains(&Effect::Look(position)), "{then:?}");
            assert!(
                then.iter()
                    .any(|e| matches!(e, Effect::Stop(Stop::Approval(w)) if w.contains("ExpiredToken")))
            );
            assert!(!then.iter().any(|e| matches!(e, Effect::Record(_))), "it floods the journal: {then:?}");
            return;
        }
        for effect in effects {
            if let Effect::Record(events) = effect {
                for what in events {
                    state.apply(&Event { at, what }).unwrap();
                }
            }
        }
        // Everything that comes earlier in the undo is done.
        let open: Vec<_> = (0..state.steps.len())
            .filter(|&i| state.work(i).status.in_flight() || matches!(state.work(i).status, Status::Started))
            .filter(|&i| state.step(i).id != hold)
            .collect();
        for i in open {
            let step = state.step(i).id.clone();
            let what = EventKind::StepFailed { step, reason: "r".to_owned() };
            let _ = state.apply(&Event { at, what });
        }
    }
    panic!("the guard is never looked at");
}

/// The region goes dark during a call of a fence: a pause still takes effect.
#[test]
fn a_fence_in_doubt_keeps_no_run_from_pausing() {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str().starts_with("fence.")),
    );
    let mut dark = Rig::new(truststream(), "region-dark", 1);
    dark.waivers = vec![accepts(Rule::UnfencedPromotion)];
    let (done, _) = dark.second(&first.records, &[].to_vec(), &[Signal::Pause], None).unwrap();
    assert_eq!(done.ended.stop, Stop::Paused);
}

/// A new owner tries failed fences again, but only those that nobody waits for. The one that stopped the run waits for a person, unless the
/// run has ended with it pending.
#[test]
fn a_new_owner_tries_the_fences_again_that_are_owed() {
    let mut rig = Rig::new(truststream(), "region-dark", 1);
    rig.waivers = vec![accepts(Rule::UnfencedPromotion)];
    let done = rig.rehearse().unwrap();
    let mut state = RunState::begin(&events(&done)[0]).unwrap();
    let fence = |state: &RunState, i: usize| matches!(state.step(i).action, Action::Op(Operation::Fence(_)));
    let n = state.steps.len();
    // Two similar fences, one of which the run waits for.
    let (first, last) = {
        let mut fences = (0..n).filter(|&i| fence(&state, i));
        (fences.next().unwrap(), fences.next_back().unwrap())
    };
    assert!(first != last, "one fence");
    for (i, behind) in [(first, false), (last, true)] {
        state.runbook.steps[i].background = behind;
    }
    let other = (0..n).find(|&i| !fence(&state, i)).unwrap();
    state.runbook.steps[other].background = true;
    for i in 0..n {
        state.steps[i].work.status = Status::Failed;
    }
    for over in [false, true] {
        let mut state = state.clone();
        state.mode = if over { Mode::Finished(Outcome::Recovered) } else { Mode::Running };
        let what = EventKind::EpochTaken { epoch: 2, owner: "another".to_owned() };
        state.apply(&Event { at: state.last_at, what }).unwrap();
        for i in 0..n {
            let again = fence(&state, i) && (over || state.step(i).background);
            let status = &state.work(i).status;
            assert_eq!(*status == Status::Pending, again, "over {over}, {}: {status:?}", state.step(i).id);
        }
    }
}
