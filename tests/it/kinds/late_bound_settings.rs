//! Security groups and sizes that the runbook does not have, or has from an older observation: they are read right before the change, and
//! recorded with it.

use std::collections::BTreeSet;

use drctl::journal::Record;
use drctl::kinds::aws::autoscaling::Scale;
use drctl::kinds::aws::ecs::{ScaleService, ServiceState};
use drctl::kinds::shared::capacity::{Sent, Size};
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::{FoundValues, Operation, Readings, State};
use drctl::model::ids::{Digest, SiteName};
use drctl::model::intent::Intent;
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind, Outcome};
use drctl::run::state::Mode;

use crate::kinds::clusters;
use crate::kinds::ecs;
use crate::run::cancel::stateless;
use crate::run::resume::events;
use crate::support::rig::{Notes, Rehearsed, Rig, Seen, plan};
use crate::support::shop::{shop, until};

const FENCE: &str = "fence.db.security_group";

/// A database of RDS, and a cluster of Aurora, that are fenced by security group.
fn fenced() -> [Rig; 2] {
    let rds = shop("").replace("fence: [sql, security_group]", "fence: [security_group]");
    [&rds, clusters::PLAN].map(|text| Rig::new(plan(text), "region-lost", 1))
}

fn starts(step: &str) -> impl Fn(&Event) -> bool {
    move |e| matches!(&e.what, EventKind::StepStarted { step: of } if of.as_str() == step)
}

fn finishes(step: &str) -> impl Fn(&Event) -> bool {
    move |e| matches!(&e.what, EventKind::StepFinished { step: of, .. } if of.as_str() == step)
}

/// A run up to this event, with another text in its runbook.
fn rewritten(
    done: &Rehearsed,
    was: &str,
    becomes: &str,
    is: impl Fn(&Event) -> bool,
) -> (Vec<Record>, Notes) {
    let (n, notes) = until(done, is);
    let mut all = events(done)[..n].to_vec();
    let EventKind::RunCreated(created) = &mut all[0].what else { panic!("{:?}", all[0]) };
    assert!(created.runbook.contains(was), "{}", created.runbook);
    created.runbook = created.runbook.replace(was, becomes);
    created.runbook_digest = Digest::of_bytes(created.runbook.as_bytes());
    (Rig::journal_of(&all), notes)
}

/// What each forward call of a step has read.
fn read(done: &Rehearsed, of: &str) -> Vec<Option<FoundValues>> {
    let found = |e: Event| match e.what {
        EventKind::CallIntended { step, direction: Direction::Do, found, .. } if step.as_str() == of => {
            Some(found)
        }
        _ => None,
    };
    events(done).into_iter().filter_map(found).collect()
}

fn groups(seen: &Seen) -> BTreeSet<String> {
    let west = seen.iter().find(|(key, _)| key.starts_with("database/") && key.ends_with("/shop-west"));
    let Some((_, State::Database(db))) = west else { panic!("{west:?}") };
    db.security_groups.clone()
}

/// The runbook has no groups, or others than are attached.
#[test]
fn a_fence_reads_the_groups_that_it_replaces_and_a_cancel_attaches_those() {
    for rig in fenced() {
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        assert_eq!(read(&whole, FENCE), [None, None], "the runbook has what is attached");
        let attached = groups(&rig.untouched());
        for old in ["[]", "[\"sg-of-last-year\"]"] {
            let (prefix, notes) = rewritten(
                &whole,
                "\"groups_before\":[\"sg-west\"]",
                &format!("\"groups_before\":{old}"),
                starts(FENCE),
            );
            let carried = rig.carry_on(&prefix, &notes);
            assert_eq!(
                carried.ended.state.mode,
                Mode::Finished(Outcome::Recovered),
                "{:?}",
                carried.ended.stop
            );
            let found = FoundValues::Groups(attached.iter().cloned().collect());
            // The second call restarts the server, when only the fence's group is attached.
            assert_eq!(read(&carried, FENCE), [Some(found), None], "{old}");
            let (n, notes) = until(&carried, finishes(FENCE));
            let (back, seen) = rig.cancel(&carried.records[..n], &notes, None);
            assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
            assert_eq!(groups(&seen), attached, "{old}");
        }
    }
}

fn fence(done: &Rehearsed) -> Fence {
    let step = done.ended.state.runbook.steps.iter().find(|s| s.id.as_str() == FENCE).unwrap();
    let Action::Op(Operation::Fence(fence)) = &step.action else { panic!() };
    fence.clone()
}

#[test]
fn groups_that_somebody_attached_instead_of_the_fence_stay() {
    for rig in fenced() {
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let (n, mut notes) = until(&whole, finishes(FENCE));
        let groups_before = vec!["sg-by-hand".to_owned()];
        let by_hand = Action::Op(Operation::Unfence(Unfence(Fence { groups_before, ..fence(&whole) })));
        notes.push((events(&whole)[n - 1].at, serde_json::to_vec(&by_hand).unwrap()));
        let (back, seen) = rig.cancel(&whole.records[..n], &notes, None);
        assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
        assert_eq!(groups(&seen), ["sg-by-hand".to_owned()].into());
    }
}

/// Only the group of the fence is attached, so the runbook has the groups that an earlier run recorded.
#[test]
fn a_server_that_is_shut_already_gets_its_earlier_groups_back() {
    for rig in fenced() {
        let of = fence(&rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}")));
        let own: Vec<_> = of.db.fence_group.iter().cloned().collect();
        let shut = Action::Op(Operation::Unfence(Unfence(Fence { groups_before: own, ..of.clone() })));
        let known = vec![(of.db.clone(), vec!["sg-west".to_owned()])];
        let from = Some(SiteName::new("west"));
        let rig = Rig { deeds: vec![shut], groups_before: known, from, ..rig };
        match rig.rehearse() {
            Ok(done) => assert_eq!(fence(&done).groups_before, ["sg-west"]),
            Err(refused) => panic!("{refused:#?}"),
        }
    }
}

#[test]
fn a_journal_names_groups_only_where_a_fence_replaces_them() {
    let fence = |method| Fence { method, ..fence(&fenced()[0].rehearse().unwrap()) };
    let found = |group: &str| Some(FoundValues::Groups(vec![group.to_owned()]));
    let allows = |method, found: Option<FoundValues>| Action::from(fence(method)).allows(&[], found.as_ref());
    assert!(allows(FenceMethod::SecurityGroup, found("sg-app")) && allows(FenceMethod::SecurityGroup, None));
    assert!(!allows(FenceMethod::SecurityGroup, found("sg-w")), "an undo would leave the fence");
    assert!(!allows(FenceMethod::Sql, found("sg-app")));
    assert!(!allows(FenceMethod::SecurityGroup, Some(FoundValues::Size(Size::default()))));
}

fn size(seen: &Seen) -> Size {
    let east = seen.iter().find_map(|(key, state)| state.capacity().filter(|_| key.contains("us-east-1")));
    east.unwrap_or_else(|| panic!("{seen:#?}")).size
}

/// A run up to this step, whose target somebody gives these sizes between the observation and the call.
fn set_meanwhile(done: &Rehearsed, of: &str, to: Size) -> (usize, Notes) {
    let (n, mut notes) = until(done, starts(of));
    let step = done.ended.state.runbook.steps.iter().find(|s| s.id.as_str() == of).unwrap();
    // What differs from the old sizes is sent.
    let from = Size { min: 99, desired: 99, max: 99 };
    let by_hand = match step.action.clone() {
        Action::Op(Operation::Scale(scale)) => Operation::Scale(Scale { from, to, ..scale }),
        Action::Op(Operation::ScaleService(scale)) => {
            Operation::ScaleService(ScaleService { from, to, ..scale })
        }
        other => panic!("{other:?}"),
    };
    notes.push((events(done)[n - 1].at, serde_json::to_vec(&Action::Op(by_hand)).unwrap()));
    (n, notes)
}

/// The end of a run in which somebody did that, and what a cancel after the step leaves.
fn ends_and_cancelled(rig: &Rig, step: &str, by_hand: Size) -> (Vec<Option<FoundValues>>, Size, Size) {
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(read(&whole, step), [None], "the runbook has the sizes");
    let (n, notes) = set_meanwhile(&whole, step, by_hand);
    let (carried, seen) = rig.second(&whole.records[..n], &notes, &[], None).unwrap();
    assert_eq!(carried.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", carried.ended.stop);
    let (n, notes) = until(&carried, finishes(step));
    let (back, left) = rig.cancel(&carried.records[..n], &notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    (read(&carried, step), size(&seen), size(&left))
}

#[test]
fn what_somebody_raised_meanwhile_is_not_lowered_and_a_cancel_restores_it() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(stateless(), "calm", 1) };
    let was = size(&rig.untouched());
    for (by_hand, after) in [
        (Size { max: was.max + 7, ..was }, Size { min: 4, desired: 4, max: was.max + 7 }),
        // Above what is planned.
        (Size { desired: 6, ..was }, Size { min: 4, desired: 6, max: was.max }),
        // A maximum below what is planned.
        (Size { max: 3, ..was }, Size { min: 4, desired: 4, max: 4 }),
    ] {
        let ends = ends_and_cancelled(&rig, "scale.nodes", by_hand);
        assert_eq!(ends, (vec![Some(FoundValues::Size(by_hand))], after, by_hand));
    }
}

#[test]
fn the_count_of_a_service_that_somebody_raised_is_not_lowered() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(ecs::PLAN), "calm", 1) };
    let (_, after, left) = ends_and_cancelled(&rig, "scale.web", Size { min: 2, desired: 2, max: 12 });
    assert_eq!((after.desired, left.desired), (4, 2));
}

/// A call that took effect in part shows sizes of its own.
#[test]
fn a_reading_is_what_others_set() {
    let size = |min, desired, max| Size { min, desired, max };
    let scale = ecs::scale(4);
    let sees = |scalable_target, size| {
        let of = ServiceState { scalable_target, ..ecs::state(size, 0) };
        Action::from(scale.clone()).read(&State::Service(of), &[])
    };
    assert_eq!(sees(true, size(0, 0, 12)), None, "the runbook has these");
    assert_eq!(sees(true, size(4, 0, 12)), None, "the limits were set, and the count was not");
    assert_eq!(sees(true, size(4, 0, 20)), Some(FoundValues::Size(size(0, 0, 20))));
    assert_eq!(
        sees(false, size(1, 1, 5_000)),
        Some(FoundValues::Size(size(0, 1, 12))),
        "nobody said the limits"
    );
    let bound = |found: Size| {
        let mut readings = Readings::default();
        readings.take(&FoundValues::Size(found));
        match Action::from(scale.clone()).bound(&readings).into_owned() {
            Action::Op(Operation::ScaleService(bound)) => (bound.from, bound.to, bound.sent()),
            other => panic!("{other:?}"),
        }
    };
    let raised = size(0, 6, 20);
    assert_eq!(bound(raised), (raised, size(4, 6, 20), Sent { min: Some(4), desired: None, max: None }));
    let lowered = size(0, 0, 3);
    let sent = Sent { min: Some(4), desired: Some(4), max: Some(4) };
    assert_eq!(bound(lowered), (lowered, size(4, 4, 4), sent));
}
