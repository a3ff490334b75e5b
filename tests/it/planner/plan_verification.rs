//! Whether a plan is verified: by which runs, for how long, and what ends it.

use drctl::executor::create;
use drctl::journal::written::parse_line;
use drctl::kinds::shared::restore::RestoreStep;
use drctl::kinds::{Fact, Operation};
use drctl::model::ids::ComponentName;
use drctl::model::intent::{Drill, Intent};
use drctl::model::time::{Dur, Timestamp};
use drctl::record::action::Action;
use drctl::record::event::{Outcome, WorldKind};
use drctl::record::runbook::Phase;
use drctl::report::verified::{Cadence, Status, Verified, seen_before, verified};
use drctl::run::RunState;
use drctl::run::state::Mode;

use crate::cli::contract::{Folder, json};
use crate::support::rig::{Rig, truststream};

const QUARTERLY: Cadence = Cadence { every: Some(Dur::secs(90 * 86_400)), known: None };
const DAY: Dur = Dur::secs(24 * 60 * 60);

/// A live failover that met its objectives, according to its journal.
fn recovered() -> RunState {
    let rehearsed = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap();
    let mut state = rehearsed.ended.state;
    state.created.world = WorldKind::Live;
    state.created.plan_text = truststream().text;
    state
}

/// A live drill with a good copy, according to its journal.
fn copied() -> RunState {
    let folder = Folder::with_plans();
    folder.ok(&["drill", "truststream", "--mode", "isolated", "--yes", "--sandbox"]);
    let runs = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let run = runs["runs"][0]["run_id"].as_str().unwrap();
    let text = folder.ok(&["runs", "export", run, "--sandbox"]);
    let records: Vec<_> = text.lines().map(|line| parse_line(line).unwrap()).collect();
    let mut state = create::replay(&records[0].run.clone(), &records).unwrap();
    state.created.world = WorldKind::Live;
    state.created.plan_text = truststream().text;
    state
}

fn said(runs: &[RunState], days: u64) -> (Status, String) {
    let last = runs.iter().map(|run| run.last_at).max().unwrap_or(Timestamp::from_millis(0));
    let found = verified(&truststream(), QUARTERLY, runs, last + Dur::secs(days * 86_400));
    (found.status, found.why)
}

#[test]
fn a_recovery_in_time_verifies_a_plan_until_it_is_old_or_the_plan_changes() {
    let run = recovered();
    assert_eq!(said(&[], 0).0, Status::NeedsVerification);
    assert_eq!(said(std::slice::from_ref(&run), 1).0, Status::Verified);
    assert_eq!(said(std::slice::from_ref(&run), 90).0, Status::Verified);
    let (status, why) = said(std::slice::from_ref(&run), 91);
    assert!(status == Status::NeedsVerification && why.contains("one every 90d"), "{why}");
    let mut changed = run.clone();
    changed.created.plan_text.push_str("# changed\n");
    let (status, why) = said(&[changed], 1);
    assert!(status == Status::NeedsVerification && why.contains("the plan changed"), "{why}");
    let mut other = run;
    other.created.plan = drctl::model::ids::PlanName::new("other");
    assert_eq!(said(&[other], 1).0, Status::NeedsVerification);
}

/// A plan that was never tested, was changed, or failed does not become verified later.
#[test]
fn a_plan_is_due_from_when_it_was_last_good_or_known_of() {
    let plan = truststream();
    let known = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let cadence = Cadence { known: Some(known), ..QUARTERLY };
    let days = |n: u64| Dur::secs(n * 86_400);
    let never = |after: u64| verified(&plan, cadence, &[], known + days(after));
    assert_eq!(
        (never(1).until, never(1).remind),
        (Some(known + days(90)), Some(known + days(90) - Dur::mins(32_400)))
    );
    assert!(
        !never(90).why.contains("requires one") && never(91).why.ends_with("its tier requires one every 90d")
    );
    assert_eq!(verified(&plan, QUARTERLY, &[], known).until, None, "nobody knows since when there is one");
    let good = recovered();
    let until = Some(good.last_at + days(90));
    let mut changed = good.clone();
    changed.created.plan_text.push_str("# changed\n");
    let found = verified(&plan, cadence, &[changed], good.last_at + days(100));
    assert_eq!((found.status, found.until), (Status::NeedsVerification, until));
    let mut failed = good.clone();
    failed.created.run = drctl::model::ids::RunId::new("other");
    failed.mode = Mode::Finished(Outcome::Abandoned);
    failed.finished_at = Some(good.last_at + days(30));
    let found = verified(&plan, cadence, &[good, failed], known + days(200));
    assert_eq!((found.status, found.until), (Status::Failed, until), "{found:?}");
}

#[test]
fn what_touched_nothing_real_verifies_nothing() {
    for change in [
        |run: &mut RunState| {
            run.created.world =
                Rig::new(truststream(), "region-lost", 1).rehearse().unwrap().ended.state.created.world
        },
        |run: &mut RunState| run.runbook.drill = Some(Drill::Tabletop),
        |run: &mut RunState| run.runbook.intent = Intent::Reprotect,
        |run: &mut RunState| run.mode = Mode::Paused,
        |run: &mut RunState| run.mode = Mode::Finished(Outcome::Read),
        // Undone: it proves neither.
        |run: &mut RunState| run.mode = Mode::Finished(Outcome::Cancelled),
    ] {
        let mut run = recovered();
        change(&mut run);
        assert_eq!(said(&[run], 1).0, Status::NeedsVerification);
    }
}

#[test]
fn a_failure_stands_until_the_same_kind_of_thing_went_well() {
    let good = recovered();
    let mut failed = recovered();
    failed.mode = Mode::Finished(Outcome::Abandoned);
    failed.last_at = failed.last_at + DAY;
    assert_eq!(said(&[good.clone(), failed.clone()], 0).0, Status::Failed);
    // A later good copy does not compensate for it; a good move does.
    let mut copy = copied();
    copy.last_at = failed.last_at + DAY;
    assert_eq!(said(&[good.clone(), failed.clone(), copy.clone()], 0).0, Status::Failed);
    let mut later = good.clone();
    later.last_at = copy.last_at + DAY;
    assert_eq!(said(&[good, failed.clone(), copy.clone(), later], 0).0, Status::Verified);
    assert_eq!(said(std::slice::from_ref(&copy), 0).0, Status::Verified);
    // A copy that failed its checks, and a live drill that had to be undone.
    copy.mode = Mode::Finished(Outcome::Failed);
    assert_eq!(said(&[copy], 0).0, Status::Failed);
    failed.mode = Mode::Finished(Outcome::Cancelled);
    failed.runbook.drill = Some(Drill::Live);
    assert_eq!(said(&[failed], 0).0, Status::Failed);
    // Meeting the objectives is part of it.
    let mut slow = recovered();
    slow.runbook.objectives.rto_ms = Dur::secs(1);
    let (status, why) = said(&[slow], 0);
    assert!(status == Status::Failed && why.contains("the RTO was missed"), "{why}");
}

/// A good copy of one database says nothing about another.
#[test]
fn copies_verify_a_plan_when_every_database_was_copied() {
    let text = truststream().text;
    let second = "  zdb:\n    kind: aws.rds\n    fence: [security_group]\n    at:\n      us-west-2: {id: z, fence_group: sg-1}\n      us-east-1: {id: y, fence_group: sg-2}\n  db:\n";
    let two = crate::support::rig::plan(&text.replace("  db:\n", second));
    let (mut db, mut zdb) = (copied(), copied());
    for run in [&mut db, &mut zdb] {
        run.created.plan_text.clone_from(&two.text);
    }
    for step in &mut zdb.runbook.steps {
        if let Action::Op(Operation::Restore(RestoreStep { of, .. })) = &mut step.action {
            of.db.component = ComponentName::new("zdb");
        }
    }
    let said = |runs: &[RunState]| verified(&two, QUARTERLY, runs, db.last_at + DAY);
    let found = said(std::slice::from_ref(&db));
    assert!(
        found.status == Status::NeedsVerification && found.why.contains("no drill has ever copied zdb"),
        "{found:?}"
    );
    assert_eq!(said(&[db.clone(), zdb.clone()]).status, Status::Verified);
    // The other one failed, and the good one came later.
    zdb.mode = Mode::Finished(Outcome::Failed);
    let mut later = db.clone();
    later.last_at = db.last_at + Dur::mins(10);
    assert_eq!(said(&[zdb, later]).status, Status::Failed);
}

/// A change may be harmless, but that is untested. It improves neither a failed plan nor an untested one.
#[test]
fn an_estate_that_changed_needs_verification_and_mends_nothing() {
    let of = |status| Verified {
        status,
        why: "the live drill".to_owned(),
        run: None,
        at: None,
        until: None,
        remind: None,
    };
    let found = of(Status::Verified).unless(Some("class of db"));
    assert_eq!(found.status, Status::NeedsVerification);
    assert!(found.why.contains("the live drill, but the estate changed: class of db"), "{}", found.why);
    assert_eq!(of(Status::Verified).unless(None), of(Status::Verified));
    for status in [Status::Failed, Status::NeedsVerification] {
        assert_eq!(of(status).unless(Some("class of db")), of(status));
    }
}

/// The run's own changes do not count as changes after it.
#[test]
fn changes_are_counted_from_what_was_there_before_the_recovery() {
    let run = recovered();
    let seen = |phase: Phase| -> Vec<_> {
        let steps = run.runbook.steps.iter().zip(&run.steps);
        steps.filter(|(step, _)| step.phase == phase).flat_map(|(_, at)| at.facts.clone()).collect()
    };
    let (before, after) = (seen(Phase::Evidence), seen(Phase::Seal));
    assert!(!before.is_empty() && before.len() == after.len() && before != after, "{before:?}\n{after:?}");
    let (_, baseline) = seen_before(&run.created.plan, std::slice::from_ref(&run)).unwrap();
    let facts = baseline.into_iter().map(|(target, state)| Fact::Seen { target, state });
    assert_eq!(facts.collect::<Vec<_>>(), before);
}
