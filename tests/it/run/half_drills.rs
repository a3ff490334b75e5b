//! Live drills whose return was given up, and fences that an unfinished run leaves.

use drctl::app::{live_drill, pending_fences};
use drctl::kinds::Operation;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::model::ids::RunId;
use drctl::model::time::Dur;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome};
use drctl::record::runbook::Step;
use drctl::run::RunState;
use drctl::run::state::Mode;

use crate::run::clocks::after;
use crate::run::drills::{fails, live, rehearsed};
use crate::run::resume::events;
use crate::support::rig::Rig;
use crate::support::shop::until;

/// The server that a run fences.
fn fenced(state: &RunState) -> DatabaseRef {
    let fence = |step: &Step| match &step.action {
        Action::Op(Operation::Fence(of)) => Some(of.db.clone()),
        _ => None,
    };
    state.runbook.steps.iter().find_map(fence).unwrap()
}

/// A return that was given up while users fail: they are in neither site, and a cancel of a run that is over helps nobody.
#[test]
fn users_whose_return_was_given_up_are_not_said_to_be_served() {
    let mut half = RunState::fold(&events(&rehearsed(&live()))).unwrap();
    half.created.run = RunId::new("half");
    let whole = rehearsed(&Rig { returns: true, ..live() });
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db"),
    );
    let mut back = after(&events(&whole)[..n], vec![(Dur::mins(60), fails(&whole))]);
    back.created.returns = Some(half.created.run.clone());
    let owed = |runs: &[RunState]| live_drill::way_back_is_owed(&runs[0], runs).unwrap();
    let (before, db) = (owed(&[half.clone(), back.clone()]), fenced(&back));
    assert!(before.contains("users are in us-east-1 for a drill"), "{before}");
    let said = pending_fences::to_use_again(&[&back], &db);
    assert!(said.contains("a cancel does not undo that; to continue it, run drctl runs resume "), "{said}");
    back.mode = Mode::Finished(Outcome::Abandoned);
    back.finished_at = Some(back.last_at);
    let run = back.created.run.clone();
    assert_eq!(pending_fences::to_use_again(&[&back], &db), format!("run {run} fenced it and is over"));
    let said = owed(&[half, back]);
    let words = format!("users are NOT served: run {run} was closed before they were served again. To move");
    assert!(said.contains(&words) && !said.contains("users are in"), "{said}");
}

/// The cancel that lifts a fence names the run.
#[test]
fn a_server_that_an_unfinished_run_fenced_is_used_again_after_a_cancel_of_that_run() {
    let whole = rehearsed(&live());
    let (n, _) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str() == "fence.db.sql"),
    );
    let state = RunState::fold(&events(&whole)[..n]).unwrap();
    let cancel = format!("(drctl runs cancel {} --reason TEXT", state.created.run);
    let said = pending_fences::to_use_again(&[&state], &fenced(&state));
    assert!(said.starts_with("to use that server again, cancel ") && said.contains(&cancel), "{said}");
    let unknown = pending_fences::to_use_again(&[], &fenced(&state));
    assert!(unknown.contains("(drctl runs cancel RUN --reason TEXT)"), "{unknown}");
}
