//! Aurora global databases: the service moves the writer; drctl decides when, and reports the loss.

use drctl::kinds::shared::database::{DatabaseRole, DatabaseState, Follows};
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::shared::promotion::{Handover, Promote};
use drctl::kinds::{Operation, State};
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome};
use drctl::report::attainment::attainment;
use drctl::report::summary;
use drctl::run::state::Mode;

use crate::kinds::planned_moves::nothing_lost;
use crate::run::resume::{estates, events};
use crate::support::rig::{Rehearsed, Rig, Seen, plan};
use crate::support::shop::until;

pub const PLAN: &str = r#"plan: shop
objectives: {rto: 20m, rpo: 5m}
sites: {west: {region: us-west-2}, east: {region: us-east-1}}
connections: {dns: {}}
home: west
components:
  db:
    kind: aws.aurora_global
    global_cluster: shop-global
    fence: [security_group]
    at:
      west: {id: shop-west, fence_group: sg-w}
      east: {id: shop-east, fence_group: sg-e}
  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records: [{name: www.shop.example, type: A, ttl: 20s, at: {west: [192.0.2.1], east: [198.51.100.1]}}]
probes: [{name: app, role: public, http: "https://www.shop.example/", every: 5s, timeout: 3s}]
watch: {for: 1m}
"#;

/// A plan whose secondary has no instance.
fn headless() -> String {
    PLAN.replace("{id: shop-east,", "{id: shop-east, instance_class: db.r6g.large,")
}

fn rig(text: &str, intent: Intent, scenario: &str) -> Rig {
    Rig { intent, ..Rig::new(plan(text), scenario, 1) }
}

fn handovers(done: &Rehearsed) -> Vec<Handover> {
    let how = |a: &Action| match a {
        Action::Op(Operation::Promote(Promote { takeover: Some(how), .. })) => Some(how.by),
        _ => None,
    };
    done.ended.state.runbook.steps.iter().filter_map(|s| how(&s.action)).collect()
}

fn cluster<'s>(seen: &'s Seen, id: &str) -> &'s DatabaseState {
    let (_, state) = seen.iter().find(|(k, _)| k.starts_with("database/") && k.ends_with(id)).unwrap();
    let State::Database(db) = state else { panic!("{state:?}") };
    db
}

fn position(done: &Rehearsed, wanted: impl Fn(&EventKind) -> bool) -> usize {
    events(done).iter().position(|e| wanted(&e.what)).unwrap_or_else(|| panic!("{:#?}", done.ended.stop))
}

fn finished(done: &Rehearsed, step: &str) -> usize {
    position(done, |w| matches!(w, EventKind::StepFinished { step: s, .. } if s.as_str() == step))
}

#[test]
fn a_planned_move_is_handed_over_and_what_was_left_follows() {
    for (intent, scenario) in [(Intent::Switchover, "calm"), (Intent::Failback, "away")] {
        for text in [PLAN.to_owned(), headless()] {
            let rig = rig(&text, intent, scenario);
            let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
            let state = &done.ended.state;
            assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{intent}: {:?}", done.ended.stop);
            nothing_lost(&done, scenario);
            assert_eq!(handovers(&done), [Handover::Switchover], "{intent}");
            let fences = |a: &Action| matches!(a, Action::Op(Operation::Fence(_) | Operation::Unfence(_)));
            assert!(!state.runbook.steps.iter().any(|s| fences(&s.action)), "the service ends writes itself");
            // That nothing is lost is the service's claim, not a measurement of drctl.
            let attained = attainment(state, state.last_at);
            assert_eq!((attained.rpo.value_ms, attained.rpo.basis), (Some(Dur::ZERO), Basis::UpperBound));
            assert_eq!(summary::report(state, state.last_at).protection.state, "protected", "{intent}");
            let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
            let (old, new) = if intent == Intent::Switchover { ("west", "east") } else { ("east", "west") };
            let source = DatabaseRole::Replica { source: format!("shop-{new}") };
            assert_eq!(cluster(&seen, &format!("shop-{old}")).role, source, "{intent}");
            assert_eq!(cluster(&seen, &format!("shop-{new}")).role, DatabaseRole::Writer, "{intent}");
        }
    }
}

#[test]
fn a_cluster_without_instances_is_given_one_before_it_takes_over() {
    let done = rig(&headless(), Intent::Failover, "region-lost").rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert_eq!(handovers(&done), [Handover::AllowDataLoss]);
    let asked = |step: &str| {
        position(&done, |w| matches!(w, EventKind::CallIntended { step: s, .. } if s.as_str() == step))
    };
    // In parallel with the fence, and complete before the writer moves.
    assert!(asked("equip.db") < finished(&done, "fence.db.security_group"));
    assert!(finished(&done, "equip.db") < asked("promote.db"));
    assert!(finished(&done, "fenced.db") < asked("promote.db"));
    let state = &done.ended.state;
    let forecast = |note: &String| note.starts_with("shop-east takes over once shop-east-new-");
    assert!(state.runbook.all_notes().any(forecast));
    // A forecast about a step that is done is over.
    let notes = summary::report(state, state.last_at).notes;
    assert!(notes.iter().any(|n| n.contains("costs money")) && !notes.iter().any(forecast), "{notes:?}");
    // A cluster with an instance gets no other.
    let whole = rig(PLAN, Intent::Failover, "region-lost").rehearse().unwrap();
    let equips =
        |s: &drctl::record::runbook::Step| matches!(s.action, Action::Op(Operation::AddClusterInstance(_)));
    assert!(!whole.ended.state.runbook.steps.iter().any(equips));
}

#[test]
fn a_dark_writer_is_left_only_on_a_waiver() {
    let refused = rig(PLAN, Intent::Failover, "region-dark").rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.rule == Rule::UnfencedPromotion), "{refused:#?}");
}

/// Otherwise the security group of the fence would block everybody when it becomes the writer again.
#[test]
fn reprotection_waits_for_the_service_and_gives_groups_back() {
    let failed_over = rig(PLAN, Intent::Failover, "region-lost").rehearse().unwrap();
    let fence = failed_over.ended.state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Op(Operation::Fence(f)) => Some(f.clone()),
        _ => None,
    });
    let fence = fence.unwrap();
    // Somebody left the group of the fence on it.
    let own = fence.db.fence_group.iter().cloned().collect();
    let deeds = vec![Action::Op(Operation::Unfence(Unfence(Fence { groups_before: own, ..fence.clone() })))];
    let mut next = Rig { deeds, ..rig(PLAN, Intent::Reprotect, "away") };
    let notes = next.rehearse().map(|done| done.ended.state.runbook.notes);
    assert!(notes.unwrap().iter().any(|n| n.contains("Attach them by hand")), "nobody knows its groups");
    let known = vec![(fence.db, fence.groups_before)];
    next.groups_before = known.clone();
    let done = next.rehearse().unwrap();
    let state = &done.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let follows = |a: &Action| matches!(a, Action::Op(Operation::CheckFollows(Follows { db, .. })) if db.id == "shop-west");
    let opens = |a: &Action| matches!(a, Action::Op(Operation::Unfence(Unfence(f))) if f.method == FenceMethod::SecurityGroup && f.groups_before == ["sg-west"]);
    assert!(state.runbook.steps.iter().any(|s| follows(&s.action)));
    assert!(state.runbook.steps.iter().any(|s| opens(&s.action)));
    let (_, seen) = next.second(&done.records, &done.notes, &[], None).unwrap();
    assert_eq!(cluster(&seen, "shop-west").security_groups, ["sg-west".to_owned()].into());
    // A move to it restores the groups first. If its previous groups are unknown, the move is refused.
    let mut back = Rig { intent: Intent::Failback, groups_before: Vec::new(), ..next };
    let refused = back.rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.facts.contains("has only its fence's security group")), "{refused:#?}");
    back.groups_before = known;
    let done = back.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert!(
        finished(&done, "open.db.west")
            < position(
                &done,
                |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db")
            )
    );
}

/// A process dies after every event, with and without the effect of its last call.
#[test]
fn a_handover_that_is_carried_on_is_asked_for_once() {
    for (intent, scenario) in [(Intent::Switchover, "calm"), (Intent::Failover, "region-lost")] {
        let rig = rig(&headless(), intent, scenario);
        let whole = rig.rehearse().unwrap();
        let all = events(&whole);
        let calls = all.iter().filter(|e| matches!(e.what, EventKind::CallIntended { .. })).count();
        for n in 2..all.len() {
            for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
                let done = rig.carry_on(&whole.records[..n], &notes);
                let context = format!("{intent}, prefix of {n} events, variant {variant}");
                let (mode, stop) = (&done.ended.state.mode, &done.ended.stop);
                assert_eq!(*mode, Mode::Finished(Outcome::Recovered), "{context}: {stop:?}");
                assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "{context}");
                let again = done.ended.state.steps.iter().map(|s| s.work.attempts).sum::<u32>();
                assert!(again as usize <= calls + 2, "{context}: {again} attempts for {calls} calls");
            }
        }
    }
}

/// The writer's region is lost during the switchover, before anything moved. A failover replaces the move.
#[test]
fn a_handover_that_dies_with_its_source_is_followed_by_a_failover() {
    // The fence comes minutes after the loss, and bounds the loss of writes.
    let text = PLAN.replace("rpo: 5m", "rpo: 10m");
    let rig = rig(&text, Intent::Switchover, "calm");
    let whole = rig.rehearse().unwrap();
    let (n, notes) = until(
        &whole,
        |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db"),
    );
    let lost = drctl::kinds::world::scenario::Scenario {
        loses_home: true,
        lost_after: whole.ended.state.last_at.since(crate::support::rig::BEGAN).plus(Dur::mins(5)),
        ..rig.scenario.clone()
    };
    let later = Some(crate::support::rig::BEGAN + lost.lost_after + Dur::mins(3));
    let mut next = Rig { scenario: lost, later, ..Rig::new(plan(&text), "calm", 1) };
    let done = next.take_over(&whole.records[..n], &notes, &[]).unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    assert_eq!(handovers(&done), [Handover::AllowDataLoss]);
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}

/// Nothing has changed. The switchover is not repeated automatically, because users cannot write during each attempt.
#[test]
fn a_handover_that_the_service_takes_back_is_not_repeated() {
    let calm = rig(PLAN, Intent::Switchover, "calm");
    let whole = calm.rehearse().unwrap();
    let asked_at = |e: &drctl::record::event::Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
    let at = events(&whole).iter().find(|e| asked_at(e)).unwrap().at;
    let lost_after = at.since(crate::support::rig::BEGAN).plus(Dur::secs(1));
    let scenario =
        drctl::kinds::world::scenario::Scenario { loses_home: true, lost_after, ..calm.scenario.clone() };
    let done = Rig { scenario, ..calm }.rehearse().unwrap();
    let asked = events(&done).iter().filter(|e| asked_at(e)).count();
    assert_eq!(asked, 1);
    assert!(format!("{:?}", done.ended.stop).contains("reverted the switchover"), "{:?}", done.ended.stop);
}

/// The service's claim is about its own switchover.
#[test]
fn what_somebody_else_moved_meanwhile_is_not_called_lossless() {
    let calm = rig(PLAN, Intent::Switchover, "calm");
    let whole = calm.rehearse().unwrap();
    let (n, mut notes) = until(
        &whole,
        |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "promote.db"),
    );
    let moved = whole.ended.state.runbook.steps.iter().find_map(|s| match s.action.clone() {
        Action::Op(Operation::Promote(Promote { db, backup_days, takeover: Some(how) })) => {
            let how = drctl::kinds::shared::promotion::Takeover { by: Handover::AllowDataLoss, ..*how };
            Some(Action::Op(Operation::Promote(Promote { db, backup_days, takeover: Some(Box::new(how)) })))
        }
        _ => None,
    });
    notes.push((events(&whole)[n - 1].at, serde_json::to_vec(&moved.unwrap()).unwrap()));
    let later = Some(events(&whole)[n - 1].at + Dur::mins(5));
    let done = Rig { later, ..calm }.carry_on(&whole.records[..n], &notes);
    let attained = attainment(&done.ended.state, done.ended.state.last_at);
    assert_eq!(attained.rpo.basis, Basis::Unknown, "{:?}", attained.stores);
}

/// One finding names all of them, whether or not they name the same clusters.
#[test]
fn one_global_database_is_one_component() {
    let member = |name: &str, west: &str, east: &str| {
        format!(
            "  {name}:\n    kind: aws.aurora_global\n    global_cluster: Shop-Global\n    at:\n      west: {{id: {west}}}\n      east: {{id: {east}}}\n"
        )
    };
    let other = member("again", "a", "b");
    for (more, names) in [
        (other.clone(), "`again` and `db` name"),
        (member("again", "shop-west", "shop-east"), "`again` and `db` name"),
        (other.clone() + &member("more", "c", "d"), "`again`, `db` and `more` name"),
    ] {
        let twice = PLAN.replace("  www:\n", &format!("{more}  www:\n"));
        let settings = drctl::plan::Settings::default();
        let found = drctl::plan::check("test.yaml", twice.as_bytes(), &settings).findings;
        let about: Vec<_> = found.iter().filter(|f| f.id.ends_with("-twice")).collect();
        assert!(about.len() == 1 && about[0].message.contains(names), "{names}: {found:#?}");
        assert_eq!(about[0].id, "global-database-twice");
    }
}

/// The guards of two plans do not exclude each other.
#[test]
fn one_global_database_is_in_one_plan() {
    let other = PLAN.replace("plan: shop", "plan: stock").replace("shop-west", "a").replace("shop-east", "b");
    let found = drctl::plan::lint::plans::among(&[&plan(PLAN), &plan(&other)], true);
    let about: Vec<_> = found.iter().filter(|f| f.message.contains("`db` is the same as `db`")).collect();
    assert!(about.len() == 1 && about[0].id == "component-twice", "{found:#?}");
}
