//! The decisions of steps for restores, switched names, and servers that are created or promoted: in one word, on both sides of every edge.

use std::sync::LazyLock;

use drctl::inventory::Observation;
use drctl::kinds::aws::aurora::AddClusterInstance;
use drctl::kinds::aws::rds::Rename;
use drctl::kinds::shared::database::{
    ClusterInstance, ClusterState, DatabaseRef, DatabaseState, Engine, Follows, InstanceSettings, NewMember,
};
use drctl::kinds::shared::fence::{FenceMethod, FenceStage, FenceState};
use drctl::kinds::shared::names::{ChangeState, RecordChange, RecordsState, Switch};
use drctl::kinds::shared::promotion::{Handover, Promote, Takeover};
use drctl::kinds::shared::rebuild::{JobStage, RebuildState};
use drctl::kinds::shared::rejoin::{NewReplica, Rejoin};
use drctl::kinds::shared::restore::{Restore, RestoreJob, RestoreResults, RestoreState, RestoreStep};
use drctl::kinds::shared::wal::{Lsn, WalPoint};
use drctl::kinds::{Fact, Operation};
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule};
use drctl::planner::Wanted;
use drctl::record::action::Action;
use drctl::record::estimate::estimate;
use drctl::record::event::{End, EventKind};
use drctl::run::StepDecision;
use drctl::run::state::Status;

use crate::kinds::planned_moves::two_stores;
use crate::run::hard_cases::waiver;
use crate::run::judged_steps::{
    At, NOW, SWITCHING, at_stage, db_name, doing, fence, missing, place, replica, rewritten, server, value,
    word, writer,
};
use crate::support::rig::{BEGAN, Rig, plan};

/// A managed database is restored, and its users are about to be admitted.
static ADMITTING: LazyLock<At> = LazyLock::new(|| {
    let text = "plan: orders\nobjectives: {rto: 5m, rpo: 1m}\nsites: {west: {region: us-west-2}, east: {region: us-east-1}}\nhome: west\ncomponents:\n  db:\n    kind: aws.rds\n    fence: [sql]\n    at:\n      west: {id: orders-west, fence_group: sg-w, admin: {secret: \"aws-sm:a\"}}\n      east: {id: orders-east, fence_group: sg-e, admin: {secret: \"aws-sm:a\"}}\n    verify:\n      sql_write: {table: drctl_canary}\n      invariants: [{name: total, sql: \"SELECT 1\", is: \"1\"}]\nprobes:\n  - {name: app, role: public, http: \"http://127.0.0.1:1/\", every: 1s, timeout: 3s}\n";
    let (component, to_time) = (db_name(), BEGAN - Dur::mins(15));
    let restore = Some(Wanted { component, to_time, timeline: None, snapshot: None, rates: None });
    let waivers = vec![waiver(Rule::ExposureAboveRpo, Dur::mins(60))];
    let rig = Rig { intent: Intent::Restore, restore, waivers, ..Rig::new(plan(text), "calm", 1) };
    At::begun(&rig, |a| matches!(a, Action::Op(Operation::Unfence(_))))
});

/// A copy contains a fence from before the restore. Then the WAL decides whether users would be admitted to the old server.
#[test]
fn users_are_let_into_what_was_restored_and_never_into_what_was_set_aside() {
    let at = |timeline, position| Some(WalPoint { timeline, position: Lsn(position) });
    for (own, wal, ours, expected) in [
        (End::Performed, at(1, 499), true, "waits"),
        (End::Performed, at(1, 499), false, "calls"),
        (End::Noop, at(1, 500), true, "waits"),
        (End::Noop, None, true, "waits"),
        (End::Noop, at(1, 499), true, "calls"),
        (End::Noop, at(2, 900), true, "calls"),
        (End::Noop, at(1, 500), false, "calls"),
    ] {
        let mut admit = ADMITTING.clone();
        let word = admit.state.fence_token(&db_name()).unwrap().to_owned();
        for rung in admit.state.rungs(&db_name()).to_vec() {
            admit.state.steps[rung].work.status = Status::Done(own);
        }
        for fact in admit.state.steps.iter_mut().flat_map(|s| &mut s.facts) {
            if let Fact::Fenced { wal, .. } = fact {
                *wal = at(1, 500);
            }
        }
        let word = Some(if ours { word } else { "fence-of-that-time".to_owned() });
        let seen = FenceState { proven: true, word, wal, ..at_stage(FenceStage::Proven) };
        assert_eq!(admit.sees(NOW, seen), expected, "{own:?} {wal:?} {ours}");
    }
}

/// A promoted replica has the word of its source's fence, and a restored run's fence is lifted on that very server.
#[test]
fn only_a_restore_may_find_the_old_server_under_its_name() {
    let text = two_stores("postgres", |name, site| {
        format!("{{endpoint: \"{name}-{site}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}")
    })
    .text;
    let moves = Rig { intent: Intent::Switchover, ..Rig::new(plan(&text), "calm", 1) };
    let admit = At::begun(&moves, |a| matches!(a, Action::Op(Operation::Unfence(_))));
    let rung = ADMITTING.state.rungs(&db_name())[0];
    let back = At { i: rung, ..ADMITTING.clone() }.cancelled();
    for (at, expected) in [(admit, "calls"), (back, "takes back")] {
        let component = at.state.step(at.i).component.clone().unwrap();
        let word = at.state.fence_token(&component).map(str::to_owned);
        assert!(word.is_some());
        let wal = at.state.fenced_end(&component);
        let seen = FenceState { proven: true, word, wal, ..at_stage(FenceStage::Proven) };
        assert_eq!(at.sees(NOW, seen), expected);
    }
}

pub fn restoring(part: RestoreJob) -> (Action, Restore) {
    let of = ADMITTING.state.restores(&db_name()).unwrap().clone();
    (Action::Op(Operation::Restore(RestoreStep { part, of: Box::new(of.clone()) })), of)
}

pub fn job(stage: JobStage) -> Box<RestoreState> {
    Box::new(RestoreState { stage, tail: "tail".to_owned(), found: RestoreResults::default() })
}

#[test]
fn a_job_that_runs_while_the_run_is_taken_back_is_called_off_unless_it_puts_a_copy_in_place() {
    for (part, under_way, ended) in
        [(RestoreJob::CreateCopy, "failed", "takes back"), (RestoreJob::Swap, "waits", "waits")]
    {
        let at = doing(restoring(part).0).called(&[]).accepted();
        assert_eq!(at.sees(NOW, job(JobStage::Running)), "waits", "{part:?}");
        assert_eq!(at.clone().cancelled().sees(NOW, job(JobStage::Running)), under_way, "{part:?}");
        let at = at.done(End::Performed).cancelled();
        assert_eq!(at.sees(NOW, job(JobStage::Running)), ended, "{part:?}");
    }
}

#[test]
fn a_restore_tells_what_it_began_with_what_is_kept_and_what_is_lost_so_far() {
    let ended = || job(JobStage::Ended { exit: 0 });
    let told = |part| doing(restoring(part).0).facts(ended());
    let found = |facts: &[Fact]| match facts.first() {
        Some(Fact::Restore { found, .. }) => found.clone(),
        other => panic!("{other:?}"),
    };
    let of = restoring(RestoreJob::Swap).1;
    let kept = found(&told(RestoreJob::Swap)).kept.unwrap();
    assert!(kept.contains(&of.instance().unwrap().aside), "{kept}");
    assert!(found(&told(RestoreJob::CreateCopy)).backup.unwrap().contains(&of.db.id));
    // The loss grows until writes have ended; no other part of a restore measures it.
    let grows = |facts: &[Fact]| facts.iter().any(|f| matches!(f, Fact::Exposure(e) if e.grows));
    assert!(
        grows(&told(RestoreJob::Loss))
            && !grows(&told(RestoreJob::CreateCopy))
            && !grows(&told(RestoreJob::Swap))
    );
    let mut fenced = ADMITTING.clone();
    fenced.state.runbook.steps[fenced.i].action = restoring(RestoreJob::Loss).0;
    assert!(!grows(&fenced.facts(ended())));
}

fn records(made: &[u32], gone: &[u32]) -> RecordsState {
    let Action::Op(Operation::Switch(Switch { changes, .. })) = &SWITCHING.state.step(SWITCHING.i).action
    else {
        panic!()
    };
    let there = changes.iter().zip(0..).filter(|(_, i)| !gone.contains(i));
    let set = |(c, i): (&RecordChange, u32)| if made.contains(&i) { &c.after } else { &c.before }.clone();
    RecordsState { sets: there.filter_map(set).collect() }
}

const WWW: &[u32] = &[0];
const API: &[u32] = &[1, 2];

#[test]
fn names_are_switched_when_all_that_were_called_are() {
    let called = SWITCHING.clone().called(&[]);
    for at in [called.clone().accepted(), called.clone().lost()] {
        assert_eq!(at.sees(Dur(4_999), records(&[], &[])), "waits");
        assert_eq!(at.sees(Dur::secs(5), records(&[], &[])), "disproved");
        // A batch is applied as a whole, so an observation of half of it is outdated.
        assert_eq!(at.sees(Dur::secs(1), records(API, &[])), "waits");
        assert_eq!(at.sees(NOW, records(&[0, 1, 2], &[])), "done");
    }
    let until = (called.state.last_at + Dur::secs(5)).to_string();
    let waits = called.clone().lost().rules(Dur::secs(1), value(records(&[], &[])));
    assert!(matches!(&waits, StepDecision::Keep(why) if why.contains(&until)), "{waits:?}");
    let part = SWITCHING.clone().called(API);
    assert_eq!(part.clone().accepted().sees(Dur::secs(1), records(API, &[])), "a part is done");
    assert_eq!(
        part.clone().accepted().sees(Dur::secs(1), records(&[], API)),
        "waits",
        "somebody removed them"
    );
    // The provider reports that the change is complete: for a part, or for everything.
    let answered = |at: At| {
        let (step, token) = (at.id(), Some("C1".to_owned()));
        at.then(NOW, EventKind::CallAnswered { step, token })
    };
    assert_eq!(answered(part.clone()).sees(NOW, ChangeState::Pending), "waits");
    assert_eq!(answered(part).sees(NOW, ChangeState::Insync), "a part is done");
    let facts = answered(called).facts(ChangeState::Insync);
    assert!(matches!(&facts[..], [Fact::Switched { change: Some(id), .. }] if id == "C1"), "{facts:?}");
}

#[test]
fn of_all_names_it_is_told_how_many_were_not_switched() {
    let refused = SWITCHING.clone().called(WWW).refused(None);
    for (seen, words) in [(records(&[], API), "2 of 2 names"), (records(API, &[]), "1 of 2 names")] {
        let ruling = refused.rules(NOW, value(seen));
        assert!(
            matches!(&ruling, StepDecision::Record(EventKind::StepFailed { reason, .. }) if reason.starts_with(words)),
            "{ruling:?}"
        );
    }
}

fn rejoin(replica: Option<Box<NewReplica>>) -> At {
    let (db, source) = (server("db-west"), server("db-east"));
    doing(Action::Op(Operation::Rejoin(Rejoin { db, source, replica, reconcile: Vec::new() })))
}

#[test]
fn a_rebuild_that_failed_is_tried_again_when_somebody_says_so_and_not_before() {
    let rebuild =
        |stage, server| Box::new(RebuildState { server, stage, tail: "no room".to_owned(), diverged: None });
    let failed = || rebuild(JobStage::Ended { exit: 1 }, None);
    let at = rejoin(None).called(&[]).accepted();
    assert_eq!(at.sees(NOW, failed()), "failed");
    let (step, reason, who) = (at.id(), "no room".to_owned(), Person::claimed("alice"));
    let at = at.then(NOW, EventKind::StepFailed { step: step.clone(), reason });
    let at = at.then(NOW, EventKind::Resumed { who }).then(NOW, EventKind::StepStarted { step });
    // The end of the old job is observed; then a new one is requested.
    assert_eq!(at.sees(NOW, failed()), "disproved");
    assert_eq!(at.disproved(NOW).sees(NOW, failed()), "calls");
    // Whatever the job reports, the server must stream from the right source.
    let streams = |streaming, follows: Option<&str>| DatabaseState {
        streaming,
        follows: follows.map(str::to_owned),
        ..replica("any", "available")
    };
    let yes = Some(true);
    for (seen, expected) in [
        (streams(yes, Some("db-east:5432")), "done"),
        (streams(yes, None), "done"),
        (streams(yes, Some("db-north:5432")), "waits"),
        (streams(None, Some("db-east:5432")), "waits"),
        (streams(Some(false), None), "waits"),
        (DatabaseState { streaming: yes, ..writer("available") }, "waits"),
    ] {
        let at = rejoin(None).called(&[]).accepted();
        let ended = rebuild(JobStage::Ended { exit: 0 }, Some(seen.clone()));
        assert_eq!(at.sees(NOW, ended), expected, "{seen:?}");
    }
}

fn new_replica() -> At {
    let source_arn = "arn:aws:rds:us-east-1:1:db:db-east".to_owned();
    let (like, security_groups) = (InstanceSettings::default(), Vec::new());
    rejoin(Some(Box::new(NewReplica { source_arn, like, security_groups })))
}

#[test]
fn the_new_replica_is_no_other_instance_of_its_name() {
    let at = new_replica();
    for (seen, early, late) in [
        (replica("db-east", "available"), "done", "done"),
        (replica("arn:aws:rds:us-east-1:1:db:db-east", "available"), "done", "done"),
        (replica("db-east", "creating"), "waits", "waits"),
        (writer("creating"), "waits", "waits"),
        // For a while, the renamed instance may still be visible under its old name.
        (writer("available"), "waits", "failed"),
        (replica("db-north", "available"), "waits", "failed"),
    ] {
        assert_eq!(at.sees(Dur(119_999), seen.clone()), early, "{seen:?}");
        assert_eq!(at.sees(Dur::mins(2), seen.clone()), late, "{seen:?}");
    }
}

/// A server that was set aside may have unique writes, unless this run promoted the other one without any loss.
#[test]
fn where_the_old_data_are_kept_is_told_of_the_right_server() {
    let kept = |at: &At, seen: DatabaseState| match at.facts(seen).as_slice() {
        [Fact::Rejoined { diverged, .. }] => diverged.as_ref().map(|d| d.kept.clone()),
        other => panic!("{other:?}"),
    };
    let stands = || replica("db-east", "available");
    let mut at = new_replica();
    assert_eq!(kept(&at, stands()), None, "nothing was set aside");
    at.state = rewritten(&at.state, |book| {
        for (step, of) in ["billing-west", "db-west"].iter().enumerate() {
            let rename = Rename { db: server(of), to: format!("{of}-aside") };
            book.steps[step].action = Action::Op(Operation::Rename(rename));
        }
    });
    assert!(kept(&at, stands()).unwrap().contains("db-west-aside"));
    let mut follower = doing(Action::Op(Operation::CheckFollows(Follows {
        db: DatabaseRef { engine: Engine::Aurora, ..server("db-west") },
        source: server("db-east"),
    })));
    let follows = |source, streaming| DatabaseState { streaming, ..replica(source, "available") };
    assert_eq!(follower.sees(NOW, follows("db-east", None)), "waits");
    assert_eq!(follower.sees(NOW, follows("db-north", Some(true))), "waits");
    assert!(kept(&follower, follows("db-east", Some(true))).unwrap().contains("db-west"));
    for at in [&mut at, &mut follower] {
        at.state.promoted.insert(db_name());
        assert_eq!(kept(at, follows("db-east", Some(true))), None);
    }
}

/// A new name takes about ten minutes (Amazon RDS User Guide, «Renaming a DB instance»), and until then nothing is visible.
#[test]
fn a_renaming_has_the_time_that_its_service_says_it_takes() {
    let rename = Action::Op(Operation::Rename(Rename { db: server("old"), to: "old-aside".to_owned() }));
    let estimate = estimate(&rename);
    assert!(estimate.expected_ms >= Dur::mins(10), "{estimate:?}");
    let asked = doing(rename).called(&[]);
    for at in [asked.clone().accepted(), asked.lost()] {
        let missing = || Observation::NotFound { observed_at: at.state.last_at };
        assert_eq!(at.finds(Dur::mins(15), missing()), "waits");
        assert_eq!(at.finds(Dur::mins(20), missing()), "disproved");
        assert!(estimate.timeout_ms >= Dur::mins(20).plus(estimate.expected_ms), "{estimate:?}");
    }
}

#[test]
fn a_server_serves_when_its_provider_says_so() {
    let promote =
        |takeover| Action::Op(Operation::Promote(Promote { db: server("new"), backup_days: None, takeover }));
    let at = doing(promote(None));
    for (seen, expected) in [
        (writer("available"), "done"),
        (writer("modifying"), "waits"),
        (replica("old", "available"), "calls"),
        (replica("old", "modifying"), "waits"),
    ] {
        assert_eq!(at.sees(NOW, seen.clone()), expected, "{seen:?}");
    }
    let (class, engine) = ("db.r6g.large".to_owned(), "aurora-postgresql".to_owned());
    let instance = NewMember { id: "new-1".to_owned(), class, engine };
    let at = doing(Action::Op(Operation::AddClusterInstance(AddClusterInstance {
        db: server("new"),
        instance: Box::new(instance),
    })));
    for (id, status, expected) in
        [("new-1", "available", "done"), ("new-1", "creating", "waits"), ("other", "available", "calls")]
    {
        let of = |text: &str| text.to_owned();
        let instances = vec![ClusterInstance { id: of(id), status: of(status), ..Default::default() }];
        let cluster = Some(Box::new(ClusterState { instances, ..Default::default() }));
        assert_eq!(at.sees(NOW, DatabaseState { cluster, ..writer("available") }), expected, "{id} {status}");
    }
    // A switchover that the service reverts looks as if none was requested, which is unclear for a minute.
    for (by, expected) in [(Handover::Switchover, "failed"), (Handover::AllowDataLoss, "disproved")] {
        let (global, target_arn) = ("g".to_owned(), "arn".to_owned());
        let takeover = Takeover { global, target_arn, by, at: place() };
        let at = doing(promote(Some(Box::new(takeover)))).called(&[]).accepted();
        assert_eq!(at.sees(Dur(59_999), replica("old", "available")), "waits");
        assert_eq!(at.sees(Dur::mins(1), replica("old", "available")), expected);
    }
}

#[test]
fn a_fence_in_a_run_that_goes_on_is_what_was_seen_of_it() {
    let begun = doing(fence(FenceMethod::Sql));
    assert_eq!(begun.finds(NOW, missing()), "failed", "what is not there yet is no debt that was paid");
    for (stage, expected) in [
        (FenceStage::Open, "calls"),
        (FenceStage::Partial, "calls"),
        (FenceStage::UnderWay, "waits"),
        (FenceStage::Ineffective, "failed"),
    ] {
        assert_eq!(begun.sees(NOW, at_stage(stage)), expected, "{stage:?}");
    }
    // A pending fence of an earlier run is tried again in the background.
    let mut owed = begun.clone();
    owed.state.runbook.steps[begun.i].debt = true;
    assert_eq!(owed.sees(NOW, at_stage(FenceStage::Ineffective)), "waits");
    // The message says what prevents its proof.
    let seen = value(at_stage(FenceStage::Partial));
    let decision = begun.called(&[]).accepted().rules(Dur::secs(20), seen);
    assert_eq!(word(&decision), "disproved");
    assert!(format!("{decision:?}").contains("session"), "{decision:?}");
}
