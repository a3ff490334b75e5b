//! How each target is observed, as its kind says it.

use drctl::inventory::targets;
use drctl::kinds::shared::database::{DatabaseRef, Sign};
use drctl::kinds::shared::fence::FenceMethod;
use drctl::kinds::{AnsweredBy, Target};
use drctl::model::time::Dur;

use crate::support::rig::plan;

fn all() -> Vec<Target> {
    let plan = plan(include_str!("../../fixtures/everything.yaml"));
    let mut all = targets::of_plan(&plan, None);
    let database = |target: &Target| if let Target::Database(db) = target { Some(db.clone()) } else { None };
    let databases: Vec<DatabaseRef> = all.iter().filter_map(database).collect();
    let task = |target: &Target| {
        if let Target::Service(of) = target { Some(Target::Task(of.clone())) } else { None }
    };
    let tasks: Vec<Target> = all.iter().filter_map(task).collect();
    all.extend(tasks);
    all.extend(databases.iter().flat_map(Target::signs_of));
    all.extend(databases.iter().map(|db| Target::fence(db, FenceMethod::Sql)));
    all
}

fn kind(target: &Target) -> String {
    target.key().split('/').next().unwrap().to_owned()
}

#[test]
fn evidence_and_the_start_of_a_rehearsal_are_what_a_recovery_changes() {
    let evidence = ["database", "group", "service"];
    let start = ["database", "fence", "group", "records", "service"];
    for target in all() {
        let of = kind(&target);
        assert_eq!(target.is_evidence(), evidence.contains(&of.as_str()), "{target}");
        assert_eq!(target.seeds_rehearsal(), start.contains(&of.as_str()), "{target}");
    }
}

#[test]
fn what_may_take_long_or_be_silent_is_observed_alone() {
    let mut tried = 0;
    for target in all() {
        let group = target.poll_group();
        let own = match &target {
            Target::Alive { sign: Sign::Service, .. } => {
                assert!(group.starts_with("alive/-/us-"), "{group}");
                false
            }
            Target::Alive { sign: Sign::Server, .. } | Target::Task(_) => true,
            _ => false,
        };
        assert_eq!(group == target.key(), own, "{target} {group}");
        let seconds = if matches!(target, Target::Alive { .. }) { 1 } else { 10 };
        assert_eq!(target.answers_within(), Dur::secs(seconds), "{target}");
        tried += usize::from(own);
    }
    assert!(tried > 2, "{tried}");
}

/// `drctl assess` tells by it whether the control plane of a lost site answers.
#[test]
fn a_server_answers_for_itself_and_a_service_for_everything_else() {
    let mut tried = [0, 0];
    for target in all() {
        let itself = ["command", "dns", "sql"].contains(&target.service());
        let expected = if itself { AnsweredBy::Itself } else { AnsweredBy::ControlPlane };
        assert_eq!(target.answered_by(), expected, "{target}");
        tried[usize::from(itself)] += 1;
    }
    assert!(tried.iter().all(|count| *count > 2), "{tried:?}");
}

#[test]
fn a_server_group_or_service_is_the_same_whatever_a_plan_calls_its_site() {
    let all = all();
    let named = |key: &str| all.iter().find(|t| t.key() == key).unwrap_or_else(|| panic!("no {key}"));
    let identity = |key: &str| named(key).identity();
    assert_eq!(identity("database/west/rds-w").as_deref(), Some("rds rds-w in us-west-2 None"));
    assert_eq!(identity("group/east/nodes-e").as_deref(), Some("autoscaling nodes-e in us-east-1 None"));
    assert_eq!(identity("service/west/c/web-w").as_deref(), Some("c/web-w in us-west-2 None"));
    assert_eq!(identity("task/west/c/web-w"), None);
    assert_eq!(identity("database/west/global-w").as_deref(), Some("rds global g of None"));
    assert_eq!(named("database/east/global-e").member_of(), Some("g"));
    let own: Vec<_> = all.iter().filter_map(Target::identity).filter(|of| of.starts_with("own-")).collect();
    assert_eq!(own, ["own-e:5432", "own-w:5432"]);
}
