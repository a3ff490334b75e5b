//! Regression tests: a call that takes effect later than drctl waits, a fence on the only primary, and an undo that loops forever.

use drctl::inventory::Observation;
use drctl::kinds::Operation;
use drctl::kinds::aws::rds::Rename;
use drctl::kinds::shared::database::Promotable;
use drctl::kinds::shared::fence::{FenceMethod, FenceStage};
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::rebuild::JobStage;
use drctl::kinds::shared::restore::RestoreJob;
use drctl::model::ids::StepId;
use drctl::model::time::Dur;
use drctl::record::action::Action;
use drctl::record::event::{End, EventKind};
use drctl::run::StepDecision;
use drctl::run::state::Status;

use crate::run::cancel::until;
use crate::run::decisions::{DONE, cancelled, db, fence, minutes, promote, say, step, told, under_way};
use crate::run::judged_databases::{job, restoring};
use crate::run::judged_steps::{At, NOW, at_stage, doing, missing, owing, refused, server, value};
use crate::run::resume::events;
use crate::support::rig::{Rig, truststream};

/// While the step was in doubt, credentials expired or the target could not be observed; then the run is cancelled.
fn then_cancelled(at: At, seen: Observation) -> At {
    let StepDecision::Record(what) = at.rules(NOW, seen) else { panic!() };
    assert!(matches!(what, EventKind::GateBlocked { .. } | EventKind::StepFailed { .. }));
    at.then(NOW, what).cancelled()
}

/// For minutes a rename in progress shows the old name. The run must not end during that time as if nothing had been requested.
#[test]
fn what_may_still_come_is_waited_for_before_a_step_counts_as_taken_back() {
    let rename = Action::Op(Operation::Rename(Rename { db: server("old"), to: "aside".to_owned() }));
    for seen in [Observation::Unauthenticated { why: "expired".to_owned(), clock: false }, refused()] {
        let at = then_cancelled(doing(rename.clone()).called(&[]).lost(), seen.clone());
        assert_eq!(at.finds(Dur::secs(30), missing()), "waits", "{seen:?}");
        assert_eq!(at.finds(Dur::mins(20), missing()), "undone", "{seen:?}");
        for (part, settle) in [(RestoreJob::CreateCopy, Dur::mins(1)), (RestoreJob::Swap, Dur::mins(20))] {
            let at = then_cancelled(doing(restoring(part).0).called(&[]).lost(), seen.clone());
            assert_eq!(at.sees(Dur::secs(30), job(JobStage::None)), "waits", "{part:?} {seen:?}");
            assert_eq!(at.sees(settle, job(JobStage::None)), "undone", "{part:?} {seen:?}");
        }
    }
}

/// The writes may have moved back by hand, because the new primary is not seen taking any.
#[test]
fn half_a_fence_is_not_set_on_what_may_be_the_only_primary() {
    let (state, rungs, _) = owing();
    for i in rungs {
        let at = At { state: state.clone(), i };
        for stage in [FenceStage::Open, FenceStage::Partial, FenceStage::Half] {
            assert_eq!(at.finds(Dur::secs(30), value(at_stage(stage))), "waits", "{stage:?}");
        }
    }
}

/// The replica was renamed during the run: it reports that, and leaves the fence to a person.
#[test]
fn an_unwinding_whose_replica_is_gone_ends_or_says_what_it_waits_for() {
    let mut rig = Rig::new(truststream(), "region-slow", 1);
    let first =
        until(&rig, |w| matches!(w, EventKind::StepStarted { step } if step.as_str() == "measure.db"));
    let (mut notes, at) = (first.notes.clone(), events(&first).last().unwrap().at);
    let db = first.ended.state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::Promote(Promote { db, .. })) => Some(db.clone()),
        _ => None,
    });
    let gone = Action::Op(Operation::Rename(Rename { db: db.unwrap(), to: "renamed-by-hand".to_owned() }));
    notes.push((at + Dur::secs(5), serde_json::to_vec(&gone).unwrap()));
    rig.later = Some(at + Dur::mins(10));
    rig.cancel(&first.records, &notes, None);
}

/// An observation that fails at once causes a call and two events. The next one comes seconds later, and after a minute a person is
/// alerted.
#[test]
fn a_look_that_fails_is_made_again_every_five_seconds_for_a_minute() {
    let check = Action::Op(Operation::CheckPromotable(Promotable { db: db("db-east") }));
    let mut state = cancelled(under_way(vec![
        (step("fence", fence(FenceMethod::Sql)), DONE),
        (step("check", check), DONE),
        (step("promote", promote()), Status::Pending),
    ]));
    let id = StepId::new("check");
    let started = || EventKind::StepStarted { step: id.clone() };
    let failed = || EventKind::StepFailed { step: id.clone(), reason: "it is gone".to_owned() };
    let at = |s| minutes(1) + Dur::secs(s);
    say(&mut state, at(0), started());
    say(&mut state, at(0), failed());
    assert_eq!(told(&state, at(0)), "wake 1m 5s");
    assert_eq!(told(&state, at(4)), "wake 1m 5s");
    assert_eq!(told(&state, at(5)), "step_started check");
    say(&mut state, at(30), started());
    say(&mut state, at(30), failed());
    assert_eq!(told(&state, at(59)), "step_started check");
    let why =
        "failed: check: it is unknown whether somebody promoted the replica by hand, so the fence stays";
    assert_eq!(told(&state, at(60)), format!("{why}, step_started check"));
    // After one success, it has a full minute again.
    say(&mut state, at(60), started());
    say(
        &mut state,
        at(60),
        EventKind::StepFinished { step: id.clone(), end: End::Performed, facts: Vec::new() },
    );
    say(&mut state, at(90), started());
    say(&mut state, at(90), failed());
    assert_eq!(told(&state, at(91)), "wake 2m 35s");
}
