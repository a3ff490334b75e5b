//! Planned moves of managed instances: the old primary is set aside under another name, and a new replica takes the declared one.

use drctl::inventory::estate::Remembered;
use drctl::inventory::{Estate, Observation, targets};
use drctl::kinds::aws::autoscaling::GroupState;
use drctl::kinds::aws::rds::Rename;
use drctl::kinds::shared::capacity::{Capacity, Size};
use drctl::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState, InstanceSettings};
use drctl::kinds::shared::fence::FenceState;
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::rejoin::Rejoin;
use drctl::kinds::{Fact, Operation, State, Target};
use drctl::model::ids::{ComponentName, RunId, SiteName};
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::plan::Plan;
use drctl::planner::{self, Input, Refusal, Request};
use drctl::record::action::Action;
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::run::state::Mode;

use crate::kinds::planned_moves::{moves_whole, nothing_lost, two_stores};
use crate::run::resume::{estates, events};
use crate::support::rig::{BEGAN, Rig, Seen, truststream};

pub fn managed() -> Plan {
    two_stores("aws.rds", |name, site| {
        format!("{{id: {name}-{site}, fence_group: sg-fence-{site}, admin: {{secret: \"aws-sm:a\"}}}}")
    })
}

fn moving(intent: Intent, scenario: &str, seed: u64) -> Rig {
    Rig { intent, ..Rig::new(managed(), scenario, seed) }
}

/// Identifiers are unique only within a region, so both instances may have the same.
#[test]
fn instances_of_one_name_in_two_regions_are_told_apart() {
    let plan = two_stores("aws.rds", |name, site| {
        format!("{{id: {name}, fence_group: sg-fence-{site}, admin: {{secret: \"aws-sm:a\"}}}}")
    });
    for (intent, scenario) in [(Intent::Switchover, "calm"), (Intent::Failback, "away")] {
        let rig = Rig { intent, ..Rig::new(plan.clone(), scenario, 1) };
        moves_whole(&rig, &format!("one name, {intent}"));
    }
}

fn server<'s>(seen: &'s Seen, id: &str) -> Option<&'s DatabaseState> {
    seen.iter().find(|(k, _)| k.starts_with("database/") && k.ends_with(&format!("/{id}"))).map(|(_, s)| {
        match s {
            State::Database(db) => db,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_move_loses_nothing_and_leaves_a_replica_under_the_declared_name() {
    for (intent, scenario) in
        [(Intent::Switchover, "calm"), (Intent::Failback, "away"), (Intent::Failback, "after-failover")]
    {
        for seed in 1..4 {
            let rig = moving(intent, scenario, seed);
            let context = format!("{intent} {scenario} {seed}");
            let done = moves_whole(&rig, &context);
            let state = &done.ended.state;
            let promotes = |a: &&Action| {
                matches!(a, Action::Op(Operation::Promote(Promote { backup_days: Some(7), .. })))
            };
            let kept = state.runbook.steps.iter().map(|s| &s.action).filter(promotes).count();
            assert_eq!(kept, 2, "{context}: backups would be kept for a day");
            let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
            let (old, new) = if intent == Intent::Switchover { ("west", "east") } else { ("east", "west") };
            for db in ["db", "billing"] {
                let role = &server(&seen, &format!("{db}-{old}")).unwrap().role;
                assert_eq!(*role, DatabaseRole::Replica { source: format!("{db}-{new}") }, "{context}");
                assert_eq!(
                    server(&seen, &format!("{db}-{new}")).unwrap().role,
                    DatabaseRole::Writer,
                    "{context}"
                );
            }
        }
    }
}

/// A process dies after every event, with and without the effect of its last call.
#[test]
fn a_move_that_is_carried_on_ends_as_it_would_have() {
    for (intent, scenario) in [(Intent::Switchover, "calm"), (Intent::Reprotect, "after-failover")] {
        let rig = moving(intent, scenario, 7);
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let all = events(&whole);
        let calls = all.iter().filter(|e| matches!(e.what, EventKind::CallIntended { .. })).count();
        for n in 2..all.len() {
            for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
                let context = format!("{intent}, prefix of {n} events, variant {variant}");
                let done = rig.carry_on(&whole.records[..n], &notes);
                let stop = &done.ended.stop;
                assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{context}: {stop:?}");
                nothing_lost(&done, &context);
                let again = done.ended.state.steps.iter().map(|s| s.work.attempts).sum::<u32>();
                // Two renames may have been in progress when the process died.
                assert!(again as usize <= calls + 2, "{context}: something was called over and over");
            }
        }
    }
}

/// The instance that was set aside gets its name back, unless another server has it by then.
#[test]
fn a_reprotection_that_is_cancelled_leaves_the_plan_true() {
    let rig = moving(Intent::Reprotect, "after-failover", 3);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let (mut renamed_back, mut kept) = (0, 0);
    for n in 2..all.len() {
        for notes in estates(&whole.notes, &all[..n]) {
            let (done, seen) = rig.cancel(&whole.records[..n], &notes, None);
            let context = format!("prefix of {n} events: {:?}", done.ended.stop);
            nothing_lost(&done, &context);
            assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{context}");
            for db in ["db-west", "billing-west"] {
                let there = server(&seen, db).unwrap_or_else(|| panic!("{context}: {db} is gone"));
                if there.is_replica() { kept += 1 } else { renamed_back += 1 }
            }
        }
    }
    assert!(renamed_back > 10 && kept > 2, "{renamed_back} {kept}");
}

/// Cancelled during a move: never two primaries, and before the promotion everything is restored.
#[test]
fn a_move_that_is_cancelled_never_leaves_two_primaries() {
    let rig = moving(Intent::Switchover, "calm", 3);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    for n in 2..all.len() {
        for notes in estates(&whole.notes, &all[..n]) {
            let (done, seen) = rig.cancel(&whole.records[..n], &notes, None);
            let context = format!("prefix of {n} events");
            nothing_lost(&done, &context);
            match (&done.ended.state.mode, &done.ended.stop) {
                (Mode::Finished(Outcome::Cancelled), _) => {
                    assert!(!server(&seen, "db-west").unwrap().is_replica(), "{context}");
                    assert!(server(&seen, "db-east").unwrap().is_replica(), "{context}");
                }
                (Mode::Finished(Outcome::Abandoned), _) => {}
                other => panic!("{context}: {other:?}"),
            }
        }
    }
}

/// All other required observations: groups that can grow, and fences without proof.
fn others(plan: &Plan, estate: &mut Estate) {
    for target in targets::of_plan(plan, None) {
        let state = match &target {
            Target::Group(_) => {
                let size = Size { min: 2, max: 9, desired: 2 };
                State::Group(GroupState {
                    capacity: Capacity { in_service: 2, size, last_failure: None },
                    ..GroupState::default()
                })
            }
            Target::Fence { .. } => {
                State::Fence(FenceState { proof: "open".to_owned(), ..FenceState::default() })
            }
            _ => continue,
        };
        let seen = Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() };
        estate.add(&target, seen, None::<Remembered>);
    }
}

fn instance(db: &DatabaseRef, groups: &[&str], backup_days: u32) -> State {
    let site = &db.place.name;
    State::Database(DatabaseState {
        status: "available".to_owned(),
        security_groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        instance: Some(Box::new(InstanceSettings {
            arn: format!("arn:aws:rds:us-{site}-1:1:db:{}", db.id),
            class: format!("db.{site}"),
            multi_az: true,
            backup_days,
            ..InstanceSettings::default()
        })),
        ..DatabaseState::default()
    })
}

/// West's instances as found when their region is back, with these security groups attached and this backup retention in the east.
fn reprotect(groups: &[&str], before: &[&str], backup_days: u32) -> Result<Vec<Action>, Vec<Refusal>> {
    again(Intent::Reprotect, groups, before, backup_days, false)
}

/// `known`: a run here has proven that west's fence holds.
fn again(
    intent: Intent,
    groups: &[&str],
    before: &[&str],
    backup_days: u32,
    known: bool,
) -> Result<Vec<Action>, Vec<Refusal>> {
    let plan = managed();
    let mut kept_out = Vec::new();
    let (west, east) = (SiteName::new("west"), SiteName::new("east"));
    let mut estate = Estate::default();
    let mut groups_before = Vec::new();
    for (name, component) in &plan.components {
        let drctl::kinds::Role::Store(spec) = component.role() else { continue };
        for site in [&west, &east] {
            let db = spec.server(&plan, name, site).unwrap();
            let state = match *site == west {
                true => instance(&db, groups, 1),
                false => instance(&db, &["sg-east"], backup_days),
            };
            if known && *site == west {
                kept_out.push(db.clone());
            }
            groups_before.push((db.clone(), before.iter().map(|g| (*g).to_owned()).collect()));
            let seen = Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() };
            estate.add(&Target::Database(db), seen, None::<Remembered>);
        }
    }
    others(&plan, &mut estate);
    let (from, to) = if intent == Intent::Reprotect { (east, west) } else { (west, east) };
    let request = Request {
        intent,
        from: Some(from),
        to,
        waivers: Vec::new(),
        outage_declared: true,
        rehearsed: false,
        holder: "run".to_owned(),
        run: RunId::new("20261121083000-orders-reprotect-ab12"),
        restore: None,
        drill: None,
        returns: false,
        hold: None,
        severity: None,
    };
    let input = Input {
        plan: &plan,
        estate: &estate,
        now: BEGAN,
        request: &request,
        busy: &Default::default(),
        debts: &[],
        kept_out: &kept_out,
        continues: None,
        groups_before: &groups_before,
        fenced: &[],
        written: &[],
        leaks: &[],
        unled: &[],
        copies: &[],
        guard: None,
        observation_max_age: Dur::mins(5),
        probe_consecutive: 3,
        policy: None,
        closed: Vec::new(),
    };
    planner::plan_run(&input).map(|book| book.steps.into_iter().map(|s| s.action).collect())
}

/// The new replica has the settings of the instance that it replaces, and admits the same clients.
#[test]
fn a_new_replica_is_like_the_one_before_it() {
    let actions =
        reprotect(&["sg-fence-west"], &["sg-app", "sg-jobs"], 7).unwrap_or_else(|r| panic!("{r:#?}"));
    let of = |name: &str| {
        let find = |a: &&Action| matches!(a, Action::Op(Operation::Rejoin(Rejoin { db, .. })) if db.component == ComponentName::new(name));
        let Some(Action::Op(Operation::Rejoin(Rejoin { db, replica: Some(replica), .. }))) =
            actions.iter().find(find)
        else {
            panic!()
        };
        (db.clone(), replica.clone())
    };
    let (db, replica) = of("db");
    assert_eq!(
        (db.id.as_str(), replica.source_arn.as_str()),
        ("db-west", "arn:aws:rds:us-east-1:1:db:db-east")
    );
    assert_eq!((replica.like.class.as_str(), replica.like.multi_az), ("db.west", true));
    assert_eq!(replica.security_groups, ["sg-app", "sg-jobs"], "not the fence's, which lets nobody in");
    let names: Vec<_> = actions
        .iter()
        .filter_map(|a| match a {
            Action::Op(Operation::Rename(Rename { to, .. })) => Some(to.as_str()),
            _ => None,
        })
        .collect();
    for (name, id) in names.iter().zip(["billing-west", "db-west"]) {
        let end = name.strip_prefix(&format!("{id}-20261121083000-")).unwrap_or_else(|| panic!("{name}"));
        assert!(end.len() == 6 && end.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    }
    assert_eq!(names.len(), 2);
    let again = reprotect(&["sg-own"], &["sg-app"], 7).unwrap();
    let groups = again.iter().find_map(|a| match a {
        Action::Op(Operation::Rejoin(Rejoin { replica: Some(replica), .. })) => {
            Some(replica.security_groups.clone())
        }
        _ => None,
    });
    assert_eq!(groups.unwrap(), ["sg-own"], "what is attached now comes before what was");
}

/// A fence's security group keeps new sessions out but ends none: if a run died before the restart, the old primary still takes writes.
#[test]
fn a_group_without_a_restart_that_a_run_here_knows_of_is_fenced_again() {
    let fences =
        |actions: &[Action]| actions.iter().filter(|a| matches!(a, Action::Op(Operation::Fence(_)))).count();
    for intent in [Intent::Reprotect, Intent::Failover] {
        let run = |known| {
            again(intent, &["sg-fence-west"], &["sg-app"], 7, known).unwrap_or_else(|r| panic!("{r:#?}"))
        };
        let (unknown, known) = (run(false), run(true));
        assert!(fences(&unknown) >= 2 && fences(&known) == 0, "{intent}: {unknown:#?}");
        let at = |test: &dyn Fn(&Action) -> bool| unknown.iter().position(test);
        let gate = at(&|a| matches!(a, Action::Gate(_))).unwrap();
        let next = at(&|a| matches!(a, Action::Op(Operation::Rename(_) | Operation::Rejoin(_))));
        assert!(next.is_none_or(|next| gate < next), "{unknown:#?}");
    }
    // As far as known, both take writes, so nothing is moved between them.
    let refused = again(Intent::Switchover, &["sg-fence-west"], &["sg-app"], 7, false).unwrap_err();
    assert!(refused.iter().any(|r| r.facts.contains("both take writes")), "{refused:#?}");
}

#[test]
fn a_replica_that_could_not_be_made_is_refused_before_anything_is_renamed() {
    let facts = |refused: Vec<Refusal>| refused.into_iter().map(|r| r.facts).collect::<Vec<_>>().join("\n");
    let unknown = facts(reprotect(&["sg-fence-west"], &["sg-fence-west"], 7).unwrap_err());
    assert!(unknown.contains("no run in this store recorded its earlier groups"), "{unknown}");
    let no_backups = facts(reprotect(&["sg-own"], &[], 0).unwrap_err());
    assert!(no_backups.contains("db-east has no automated backups"), "{no_backups}");
}

/// Only the fence by SQL shows the end of the WAL, so in a planned move no other method comes before it.
#[test]
fn a_move_takes_the_rung_that_tells_the_end_of_the_log() {
    let text = managed().text.replace("fence: [sql]", "fence: [security_group, sql]");
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(crate::support::rig::plan(&text), "calm", 1) };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    nothing_lost(&done, "security group first");
}

/// With a third site: its replica finally follows the new primary, not the instance that was set aside.
#[test]
fn every_replica_follows_the_new_primary() {
    let third = managed()
        .text
        .replace("  east: {region: us-east-1}", "  east: {region: us-east-1}\n  north: {region: eu-north-1}")
        .replace(
            "      east: {id: db-east,",
            "      north: {id: db-north, fence_group: sg-n, admin: {secret: \"aws-sm:a\"}}\n      east: {id: db-east,",
        );
    let plan = crate::support::rig::plan(&third);
    let to = Some(SiteName::new("east"));
    let rig = Rig { intent: Intent::Switchover, to, ..Rig::new(plan, "calm", 2) };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
    for replica in ["db-west", "db-north"] {
        let role = &server(&seen, replica).unwrap().role;
        assert_eq!(*role, DatabaseRole::Replica { source: "db-east".to_owned() }, "{replica}");
    }
}

/// Two instances whose names start alike get different new names.
#[test]
fn what_is_set_aside_has_a_name_that_nothing_else_has() {
    let begin = "a-name-that-is-as-long-as-names-of-instances-may-be-and-some";
    let text = managed()
        .text
        .replace("id: db-west", &format!("id: {begin}-1"))
        .replace("id: billing-west", &format!("id: {begin}-2"));
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(crate::support::rig::plan(&text), "calm", 1) };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let names: std::collections::BTreeSet<_> = done
        .ended
        .state
        .runbook
        .steps
        .iter()
        .filter_map(|s| match &s.action {
            Action::Op(Operation::Rename(Rename { to, .. })) => Some(to.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|n| n.len() <= 63 && !n.contains("--") && !n.ends_with('-')), "{names:?}");
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
}

/// An apply worker on the old primary fetches its writes through such a rule.
#[test]
fn a_group_with_an_outbound_rule_proves_no_fence() {
    let mut rig = Rig::new(truststream(), "region-lost", 1);
    rig.scenario.groups_pass = true;
    let done = rig.rehearse().unwrap_or_else(|refused| panic!("{refused:#?}"));
    let all = events(&done);
    let proven = |e: &Event| matches!(&e.what, EventKind::StepFinished { facts, .. } if facts.iter().any(|f| matches!(f, Fact::Fenced { .. })));
    assert!(!all.iter().any(proven), "{:?}", done.ended.state.mode);
    let promotes = |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote."));
    assert!(!all.iter().any(promotes));
    let why = done.ended.state.halted.as_deref().unwrap_or_default();
    assert!(why.contains("outbound: all traffic to 0.0.0.0/0"), "{why}");
}
