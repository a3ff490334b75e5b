//! Stops: after a failed step nothing continues until a named person decides, and the state at that time is recorded.

use drctl::kinds::Operation;
use drctl::model::duty::Decision;
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind, Outcome, Signal};
use drctl::report::duties;
use drctl::run::state::Mode;
use drctl::run::{RunState, Stop};

use crate::cli::contract::{Folder, json};
use crate::run::cancel::until;
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, truststream};

/// The first call after an undecided stop, except for calls that need no decision.
pub fn called_in_spite_of_a_stop(all: &[Event]) -> Option<String> {
    let mut state = RunState::fold(&all[..1]).ok()?;
    for event in &all[1..] {
        // A decision to undo, or any other decision, is not one to continue.
        let stopped = !state.may_go_on() && state.mode == Mode::Running;
        if let EventKind::CallIntended { step, direction: Direction::Do, .. } = &event.what
            && stopped
            && state.runbook.intent != Intent::Drill
        {
            let of = state.step(state.position(step)?);
            let free = of.debt
                || (state.runbook.intent == Intent::Failover
                    && matches!(of.action, Action::Op(Operation::Fence(_) | Operation::Scale(_))));
            if !free {
                return Some(format!("{step} was called at {} although the run was stopped", event.at));
            }
        }
        state.apply(event).ok()?;
    }
    None
}

fn failed(step: &str, reason: &str) -> EventKind {
    EventKind::StepFailed { step: StepId::new(step), reason: reason.to_owned() }
}

/// A run whose groups could not be enlarged, the answer to that, and the result.
fn not_larger(rig: &Rig, said: Option<EventKind>) -> Rehearsed {
    let calls =
        |w: &EventKind| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "scale.nodes");
    let first = until(rig, calls);
    let mut all = events(&first);
    let last = all.last().unwrap().clone();
    let after = std::iter::once(failed("scale.nodes", "AccessDenied")).chain(said);
    all.extend(after.map(|what| Event { what, ..last.clone() }));
    rig.second(&Rig::journal_of(&all), &first.notes, &[], None).unwrap().0
}

/// A failover that stopped.
pub fn stopped() -> (Rig, Rehearsed) {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let done = not_larger(&rig, None);
    (rig, done)
}

#[test]
fn a_step_that_failed_keeps_the_replica_from_being_promoted_and_not_the_fence_from_being_set() {
    let (rig, done) = stopped();
    let state = &done.ended.state;
    assert!(matches!(&done.ended.stop, Stop::Failed(why) if why.starts_with("scale.nodes: AccessDenied")));
    let db = &state.runbook.stores[0];
    assert!(state.fenced(db).is_some(), "{:?}", done.ended.stop);
    assert!(state.promoted.is_empty() && state.stopped().is_some());
    assert_eq!(called_in_spite_of_a_stop(&events(&done)), None);
    let i = state.position(&StepId::new("evidence.after")).unwrap();
    assert!(!state.steps[i].facts.is_empty(), "how things stood is kept: {:?}", state.work(i));
    // A person who continues says so, and the recorded state is observed again at the end.
    let (done, _) = rig.second(&done.records, &done.notes, &[Signal::Resume], None).unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let looked = |what: &EventKind| matches!(what, EventKind::StepFinished { step, .. } if step.as_str() == "evidence.after");
    let all = events(&done);
    let at: Vec<usize> = (0..all.len()).filter(|i| looked(&all[*i].what)).collect();
    let promoted = all.iter().position(
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db"),
    );
    assert!(at.len() == 2 && at[0] < promoted.unwrap() && at[1] > promoted.unwrap(), "{at:?}");
    let facts = &done.ended.state.steps[i].facts;
    assert_eq!(facts.len(), 4, "what was seen before is not told as how things stand now: {facts:#?}");
}

/// A decision other than to continue keeps the run stopped, also while it is driven; and a skipped step alone does not explain a halt.
#[test]
fn who_decides_otherwise_has_nothing_promoted() {
    for decision in [Decision::TakeBack, Decision::Restore, Decision::Failover] {
        let rig = Rig::new(truststream(), "region-lost", 1);
        let who = drctl::model::waiver::Person::claimed("eve");
        let said = EventKind::Acknowledged { who, decision: Some(decision), reason: "no".to_owned() };
        let done = not_larger(&rig, Some(said));
        let state = &done.ended.state;
        assert!(state.promoted.is_empty() && !state.may_go_on(), "{decision}: {:?}", done.ended.stop);
        let i = state.position(&StepId::new("evidence.after")).unwrap();
        assert!(!state.steps[i].facts.is_empty(), "{decision}");
        let skip = Signal::Skip { step: StepId::new("scale.nodes"), reason: "enough".to_owned() };
        let (done, _) = rig.second(&done.records, &done.notes, &[skip], None).unwrap();
        let Stop::Failed(why) = &done.ended.stop else { panic!("{:?}", done.ended.stop) };
        assert!(why.starts_with("the run stopped at scale.nodes at ") && why.contains(": AccessDenied. eve"));
        assert!(why.contains(&format!(": {decision}, not to continue. To decide otherwise, run drctl ack")));
        assert!(done.ended.state.promoted.is_empty());
    }
}

/// The state at the stop is not reported as the state after the undo.
#[test]
fn a_cancel_forgets_how_things_stood() {
    let (rig, done) = stopped();
    let (back, _) = rig.cancel(&done.records, &done.notes, None);
    let state = &back.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    let i = state.position(&StepId::new("evidence.after")).unwrap();
    assert!(state.steps[i].facts.is_empty());
}

#[test]
fn a_planned_move_that_stopped_keeps_nobody_out() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(truststream(), "calm", 1) };
    let done = not_larger(&rig, None);
    let fences = |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("fence."));
    assert!(!events(&done).iter().any(fences), "users would have been kept out of what still serves them");
    assert_eq!(done.truth.outage_ms(), None);
}

/// Ending the run is a decision, and earlier decisions of others are kept. A run that another one replaces was decided for that one.
/// for that one.
#[test]
fn every_decision_is_kept() {
    let (_, done) = stopped();
    let mut state = done.ended.state.clone();
    let at = state.last_at + Dur::mins(1);
    let mut say = |what: EventKind| {
        state.apply(&Event { at, what }).unwrap();
        duties::stops(&state).pop().unwrap()
    };
    let who = drctl::model::waiver::Person::claimed("eve");
    let decision = Some(Decision::Restore);
    say(EventKind::Acknowledged { who: who.clone(), decision, reason: "data are damaged".to_owned() });
    let displaced_by = Some("run other".to_owned());
    let told =
        say(EventKind::CancelRequested { who, reason: "run other takes its place".to_owned(), displaced_by });
    assert_eq!(told.decision, Some(Decision::Failover));
    let earlier: Vec<_> = told.earlier.iter().map(|e| (e.decision, e.by.who.as_str())).collect();
    assert_eq!(earlier, [(Decision::Restore, "eve")]);
    let text = drctl::report::markdown::render(&drctl::report::summary::report(&state, at)).unwrap();
    assert!(
        text.contains("eve (unsigned) decided at") && text.contains("restore: data are damaged; then eve"),
        "{text}"
    );
}

/// The state at the stop is in its bundle.
#[test]
fn the_bundle_of_a_stop_has_how_things_stood() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("timeout: 10m", "timeout: 1s")).unwrap();
    let args = [
        "failover",
        "truststream",
        "--sandbox",
        "region-lost",
        "--to",
        "us-east-1",
        "--yes",
        "--output",
        "json",
    ];
    let (code, out, err) = folder.run(&args);
    let report = json(&out);
    assert_eq!(code, 1, "{report:#}\n{err}");
    let run = report["run_id"].as_str().unwrap();
    let sealed = std::fs::read_dir(folder.path().join(".drctl/sandbox.db.evidence")).unwrap().flatten();
    let bundle = sealed
        .map(|e| e.path())
        .find(|p| p.to_str().unwrap().contains(run) && p.extension().is_some_and(|e| e == "tar"));
    let mut archive = tar::Archive::new(std::fs::File::open(bundle.unwrap()).unwrap());
    let after =
        archive.entries().unwrap().flatten().find(|e| e.path().unwrap().ends_with("observations/after.json"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut after.unwrap(), &mut text).unwrap();
    assert!(
        text.contains("evidence.after") && text.contains("database/us-east-1/truststream-replica-1"),
        "{text}"
    );
}
