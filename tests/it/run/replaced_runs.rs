//! A failover that replaces a planned move whose source failed in the middle of it.

use drctl::journal::Record;
use drctl::kinds::Operation;
use drctl::kinds::shared::fence::Unfence;
use drctl::kinds::world::scenario::Scenario;
use drctl::model::ids::{ComponentName, SiteName, StepId};
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::record::event::{Direction, EventKind, Outcome};
use drctl::report::attainment::attainment;
use drctl::run::continued::{continued, seen_before};
use drctl::run::state::{Mode, Status, Turn};

use crate::kinds::planned_moves::{moving, nothing_lost};
use crate::run::cancel::until;
use crate::run::hard_cases::waiver;
use crate::run::resume::{estates, events};
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, cancel};

/// When the source goes dark, after the beginning: later than every prefix of the move.
const DIES: Dur = Dur::mins(30);

/// A switchover whose source fails completely, long after the move was interrupted.
fn dying(seed: u64) -> Rig {
    let mut rig = moving(Intent::Switchover, "calm", seed);
    rig.scenario = Scenario { loses_home: true, control_plane_lost: true, lost_after: DIES, ..rig.scenario };
    rig.later = Some(BEGAN + DIES + Dur::mins(2));
    rig
}

fn loss_is_told(rig: &Rig, done: &Rehearsed, context: &str) {
    let state = &done.ended.state;
    crate::support::oracle::one_primary(rig, &done.watched, &done.journals, context);
    assert!(!done.truth.traffic_before_database, "{context}");
    let stores = attainment(state, done.asked).stores;
    for (component, lost) in &done.truth.lost_ms {
        let Some((figure, _)) = stores.get(component) else { continue };
        let told = figure.value_ms.filter(|_| figure.basis != Basis::Unknown);
        assert!(told.is_none_or(|told| told >= *lost), "{context}: {component} lost {lost}, told {figure}");
    }
}

/// At every moment of the move: what was proven still counts, and nothing else.
#[test]
fn a_source_that_dies_in_a_move_is_failed_over() {
    let whole = dying(5).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let (mut without_a_waiver, mut refused) = (0, 0);
    for n in 2..all.len() {
        for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
            let context = format!("prefix of {n} events, variant {variant}");
            let prefix = &whole.records[..n];
            let state = drctl::executor::create::replay(&crate::support::rig::run_id(), prefix).unwrap();
            if state.finished() {
                continue;
            }
            let fenced = ["db", "billing"].iter().all(|c| state.fenced(&ComponentName::new(*c)).is_some());
            match dying(5).take_over(prefix, &notes, &[]) {
                Ok(done) => {
                    without_a_waiver += 1;
                    let promoted = !state.promoted.is_empty();
                    assert!(fenced || promoted, "{context}: nothing was proven");
                    assert_eq!(
                        done.ended.state.mode,
                        Mode::Finished(Outcome::Recovered),
                        "{context}: {:?}",
                        done.ended.stop
                    );
                    nothing_lost(&done, &context);
                }
                Err(refusals) if refusals.iter().all(|r| r.rule == Rule::HealthySource) => {
                    let switch = state.position(&StepId::new("switch.www")).unwrap();
                    assert!(state.work(switch).attempts > 0, "{context}: users are served, and by whom?");
                }
                Err(refusals) => {
                    refused += 1;
                    assert!(!fenced, "{context}: {refusals:#?}");
                    assert!(
                        refusals.iter().all(|r| r.rule == Rule::UnfencedPromotion),
                        "{context}: {refusals:#?}"
                    );
                    let mut rig = dying(5);
                    rig.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(60))];
                    let done =
                        rig.take_over(prefix, &notes, &[]).unwrap_or_else(|r| panic!("{context}: {r:#?}"));
                    assert_eq!(
                        done.ended.state.mode,
                        Mode::Finished(Outcome::Recovered),
                        "{context}: {:?}",
                        done.ended.stop
                    );
                    loss_is_told(&rig, &done, &context);
                }
            }
        }
    }
    assert!(without_a_waiver > 20 && refused > 20, "{without_a_waiver} {refused}");
}

fn fenced_prefix(rig: &Rig) -> (Vec<Record>, Notes) {
    let proven =
        |w: &EventKind| matches!(w, EventKind::StepStarted { step } if step.as_str() == "caught-up.db");
    let first = until(rig, proven);
    (first.records, first.notes)
}

/// The source is alive: the failover that replaced the move is cancelled, and users get their primary back.
#[test]
fn a_fence_that_was_taken_over_is_lifted_by_a_cancel() {
    let mut rig = moving(Intent::Switchover, "calm", 5);
    let (records, notes) = fenced_prefix(&rig);
    let done = rig.take_over(&records, &notes, &[cancel(None)]).unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", done.ended.stop);
    let fence = done.ended.state.position(&StepId::new("fence.db.sql")).unwrap();
    let undone = done.ended.state.steps[fence].undo.as_ref().map(|u| &u.status);
    assert!(matches!(undone, Some(Status::Done(_))), "{undone:?}");
    let db = ComponentName::new("db");
    assert!(done.ended.state.fenced(&db).is_none(), "what was lifted is not proven any more");
    nothing_lost(&done, "cancelled");
    assert!(done.truth.outage_ms().is_none_or(|o| o < Dur::mins(10)), "{:?}", done.truth.outage_ms());
}

/// Somebody lifted the fence of the previous run by hand, and the source answers, so that run's proof is worthless.
#[test]
fn a_proof_that_was_seen_to_be_gone_is_not_inherited() {
    let mut rig = moving(Intent::Switchover, "calm", 5);
    let (records, notes) = fenced_prefix(&rig);
    let state = drctl::executor::create::replay(&crate::support::rig::run_id(), &records).unwrap();
    let kept = continued(&state, 1, &SiteName::new("east")).unwrap();
    assert!(kept.fences.iter().any(|f| f.fact.is_some()), "{kept:#?}");
    rig.deeds = kept
        .fences
        .iter()
        .map(|f| drctl::record::action::Action::Op(Operation::Unfence(Unfence(f.fence.clone()))))
        .collect();
    let done = rig.take_over(&records, &notes, &[]).unwrap_or_else(|r| panic!("{r:#?}"));
    assert!(
        done.ended.state.runbook.inherits.iter().all(|i| i.fact.is_none()),
        "{:#?}",
        done.ended.state.runbook.inherits
    );
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    loss_is_told(&rig, &done, "fenced anew");
}

/// Runs that cannot be continued: one that is being undone, and another one of this failover.
#[test]
fn some_runs_have_to_be_seen_to_their_end_first() {
    let rig = moving(Intent::Switchover, "calm", 5);
    let (records, _) = fenced_prefix(&rig);
    let mut state = drctl::executor::create::replay(&crate::support::rig::run_id(), &records).unwrap();
    let east = SiteName::new("east");
    assert!(continued(&state, 1, &east).is_ok());
    assert!(continued(&state, 1, &SiteName::new("west")).unwrap_err().contains("lets users in"));
    // A person cancelled it, but no undo was requested yet, so the proofs still count.
    state.mode = Mode::Cancelling;
    assert!(continued(&state, 1, &east).unwrap().fences.iter().any(|f| f.fact.is_some()));
    // Ctrl-C during the undo: the run is paused, and a call of the undo may still be in progress.
    let rig = moving(Intent::Switchover, "calm", 5);
    let (records, notes) = fenced_prefix(&rig);
    let (back, _) = rig.cancel(&records, &notes, None);
    let undoing = |e: &drctl::record::event::Event| {
        matches!(e.what, EventKind::CallIntended { direction: Direction::Undo, .. })
    };
    let all = events(&back);
    let n = all.iter().position(undoing).unwrap() + 1;
    let mut paused =
        drctl::executor::create::replay(&crate::support::rig::run_id(), &back.records[..n]).unwrap();
    paused.mode = Mode::Paused;
    assert!(continued(&paused, 1, &east).unwrap_err().contains("being undone"));
    // A fence that a call was about to lift is no longer proven, even if the result of that call is unknown.
    let lifting = |e: &drctl::record::event::Event| matches!(&e.what, EventKind::CallIntended { direction: Direction::Undo, step, .. } if step.as_str().starts_with("fence."));
    let n = all.iter().position(lifting).unwrap() + 1;
    let mut lifted = all[..n].to_vec();
    let EventKind::CallIntended { step, .. } = lifted[n - 1].what.clone() else { unreachable!() };
    lifted.push(drctl::record::event::Event {
        at: lifted[n - 1].at,
        what: EventKind::CallRefused {
            step,
            code: "42501".to_owned(),
            why: "denied".to_owned(),
            retry_at: None,
        },
    });
    let lifted = drctl::run::RunState::fold(&lifted).unwrap();
    assert!(continued(&lifted, 1, &east).unwrap_err().contains("being undone"));
    let rig = Rig::new(crate::support::rig::truststream(), "region-lost", 1);
    let answered = |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str().starts_with("promote."));
    let first = until(&rig, answered);
    let state = drctl::executor::create::replay(&crate::support::rig::run_id(), &first.records).unwrap();
    let here = SiteName::new("us-east-1");
    assert!(continued(&state, 1, &here).unwrap_err().contains("is the same failover"));
    let elsewhere = SiteName::new("eu-west-1");
    assert!(continued(&state, 1, &elsewhere).unwrap_err().contains("the outcome of a step in run"));
}

/// The move requested the promotion, and its result is unknown. The run that replaces it never lifts a fence.
#[test]
fn a_promotion_that_was_asked_for_before_counts_as_made() {
    let rig = moving(Intent::Switchover, "calm", 5);
    let asked =
        |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str() == "promote.db");
    let first = until(&rig, asked);
    let mut next = moving(Intent::Switchover, "calm", 5);
    let done =
        next.take_over(&first.records, &first.notes, &[cancel(None)]).unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Abandoned));
    assert!(done.ended.state.steps.iter().all(|s| s.undo.is_none()), "something was taken back");
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}

/// After the proof, an observation saw the server take writes, so the dark server was not fenced.
#[test]
fn a_proof_older_than_a_look_that_saw_it_lifted_is_not_inherited() {
    let whole = dying(5).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let at = |w: &EventKind| matches!(w, EventKind::StepStarted { step } if step.as_str() == "promote.db");
    let n = events(&whole).iter().position(|e| at(&e.what)).unwrap();
    let notes = estates(&whole.notes, &events(&whole)[..n]).remove(0);
    let prefix = &whole.records[..n];
    assert!(dying(5).take_over(prefix, &notes, &[]).is_ok(), "nobody looked since");
    let mut looked = dying(5);
    looked.last_looked = BEGAN + DIES;
    let refused = looked.take_over(prefix, &notes, &[]).err().unwrap();
    assert!(refused.iter().all(|r| r.rule == Rule::UnfencedPromotion) && refused.len() == 2, "{refused:#?}");
}

/// Between the two runs nobody sampled: an outage that the first run saw last continues until the second run saw users served.
#[test]
fn the_outage_begins_where_the_run_before_saw_it_begin() {
    let at = |s: u64| BEGAN + Dur::secs(s);
    let turn = |good, since, last_other| Turn { good, since, last_other };
    let before = [("public".to_owned(), turn(false, at(10), Some(at(9))))].into();
    let turned = |good, since, last_other| EventKind::ProbeTurned {
        probe: "public".to_owned(),
        good,
        since,
        last_other,
        detail: String::new(),
    };
    // The first sample was good, and the next were not.
    let all = seen_before(&before, vec![turned(false, at(60), Some(at(59)))]);
    let times: Vec<_> = all
        .iter()
        .map(|w| match w {
            EventKind::ProbeTurned { good, since, last_other, .. } => (*good, *since, *last_other),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times[0], (false, at(10), Some(at(9))), "{all:?}");
    let all = seen_before(&before, vec![turned(true, at(60), None)]);
    let EventKind::ProbeTurned { good: true, last_other, .. } = &all[1] else { panic!("{all:?}") };
    assert_eq!(
        *last_other,
        Some(at(10)),
        "served again at some time since then, and not exactly when somebody looked"
    );
    assert_eq!(seen_before(&Default::default(), vec![turned(true, at(1), None)]).len(), 1);
}

/// Somebody continued the old run while the new runbook was being read, so the new run does not start.
#[test]
fn a_run_that_moved_on_is_not_continued_as_it_was() {
    let rig = moving(Intent::Switchover, "calm", 5);
    let (records, notes) = fenced_prefix(&rig);
    let mut next = moving(Intent::Switchover, "calm", 5);
    let shorter = &records[..records.len() - 1];
    let created = next.begins_over(shorter, &records, &notes).err().unwrap().to_string();
    assert!(created.contains("somebody continued or ended run run in the meantime"), "{created}");
}

/// The source is dark when the failover starts, and returns while it is cancelled: the fence is lifted, and its proof ends.
#[test]
fn a_proof_goes_with_the_fence_that_is_lifted() {
    let whole = dying(5).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let at = |w: &EventKind| matches!(w, EventKind::StepStarted { step } if step.as_str() == "check.db");
    let fenced =
        |w: &EventKind| matches!(w, EventKind::StepStarted { step } if step.as_str() == "caught-up.db");
    let all = events(&whole);
    let n = all.iter().position(|e| fenced(&e.what)).unwrap();
    assert!(all[..n].iter().any(|e| at(&e.what)), "the target was looked at first");
    let notes = estates(&whole.notes, &all[..n]).remove(0);
    let mut rig = dying(5);
    rig.scenario.returns_after = Some(Dur::mins(3));
    let done =
        rig.take_over(&whole.records[..n], &notes, &[cancel(None)]).unwrap_or_else(|r| panic!("{r:#?}"));
    let state = &done.ended.state;
    assert!(
        state.runbook.inherits.iter().any(|i| i.fact.is_some()),
        "it was dark: {:#?}",
        state.runbook.inherits
    );
    assert_eq!(state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", done.ended.stop);
    for component in ["db", "billing"] {
        assert!(state.fenced(&ComponentName::new(component)).is_none(), "{component} takes writes again");
    }
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}
