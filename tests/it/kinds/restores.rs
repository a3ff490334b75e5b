//! Restores and drills on the command line, in the sandbox: refusals, predictions, and messages.

use drctl::executor::create;
use drctl::inventory::Observation;
use drctl::kinds::shared::database::DatabaseState;
use drctl::kinds::shared::fence::{FenceMethod, FenceState};
use drctl::kinds::shared::restore::{RestoreJob, RestoreStep};
use drctl::kinds::{Fact, Operation, State, Target};
use drctl::model::ids::{ComponentName, SiteName, StepId};
use drctl::model::intent::Intent;
use drctl::model::measure::{Basis, Figure};
use drctl::model::readiness::{Area, Standing};
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::planner::Wanted;
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind};
use drctl::report::readiness::{ReadinessInput, evaluate};
use drctl::run::continued::{continued, last_turns};
use drctl::run::{Effect, RunState, StepDecision, StepObservation, decide, exposure, judge};

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Rehearsed, Rig, plan, run_id};

const PLAN: &str = r#"plan: orders
objectives: {rto: 5m, rpo: 1m}
sites: {west: {cloud: none}, east: {cloud: none}}
home: west
components:
  db:
    kind: postgres
    fence: [sql]
    at:
      west: {endpoint: "db-west:5432/orders", admin: {secret: "file:a"}, host: {run: [ssh, db-west], data: /data, replication: {secret: "file:r"}, backups: {list: "list", fetch: "fetch", archive_get: "cp /a/%f %p"}}}
      east: {endpoint: "db-east:5432/orders", admin: {secret: "file:a"}, host: {run: [ssh, db-east], data: /data, replication: {secret: "file:r"}}}
    verify:
      sql_write: {table: drctl_canary}
      invariants: [{name: total, sql: "SELECT 1", is: "1"}]
  other: {kind: external, describe: "somebody else's"}
probes:
  - {name: app, role: public, http: "http://127.0.0.1:1/", every: 1s, timeout: 3s}
"#;

/// The same for a managed instance.
const MANAGED: &str = r#"plan: orders
objectives: {rto: 5m, rpo: 1m}
sites: {west: {region: us-west-2}, east: {region: us-east-1}}
home: west
components:
  db:
    kind: aws.rds
    fence: [sql, security_group]
    at:
      west: {id: orders-west, fence_group: sg-w, admin: {secret: "aws-sm:a"}}
      east: {id: orders-east, fence_group: sg-e, admin: {secret: "aws-sm:a"}}
    verify:
      sql_write: {table: drctl_canary}
      invariants: [{name: total, sql: "SELECT 1", is: "1"}]
  other: {kind: external, describe: "somebody else's"}
probes:
  - {name: app, role: public, http: "http://127.0.0.1:1/", every: 1s, timeout: 3s}
"#;

const ACCEPT: &[&str] = &["--waive", "exposure-above-rpo:db", "--accept-data-loss", "60m", "--reason", "x"];

pub fn folder() -> Folder {
    folder_of(PLAN)
}

fn folder_of(plan: &str) -> Folder {
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/orders.yaml"), plan).unwrap();
    folder
}

/// Exit code, document and messages.
fn restore(folder: &Folder, args: &[&str]) -> (i32, serde_json::Value, String) {
    let command = ["restore", "orders", "--output", "json", "--yes"];
    let (code, out, err) = folder.run(&[&command, args].concat());
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

#[test]
fn a_restore_asks_for_the_loss_by_name_and_tells_it_true() {
    // The WAL of a self-managed server shows the last lost write; a service does not.
    for (plan, basis) in [(PLAN, "measured"), (MANAGED, "upper_bound")] {
        tells_it_true(&folder_of(plan), basis);
    }
}

fn tells_it_true(folder: &Folder, basis: &str) {
    let to = ["--component", "db", "--to-time", "15m ago", "--sandbox"];
    let (code, refused, _) = restore(folder, &to);
    assert_eq!((code, &refused["refusals"][0]["rule"]), (3, &"exposure-above-rpo".into()), "{refused:#}");
    assert!(refused["refusals"][0]["flag"].as_str().unwrap().contains("--accept-data-loss"), "{refused:#}");
    // A bound below the loss at that time is not sufficient.
    let little = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "16m", "--reason", "x"];
    assert_eq!(restore(folder, &[&to[..], &little].concat()).0, 3);
    let (code, report, words) = restore(folder, &[&to[..], ACCEPT].concat());
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}\n{words}");
    let lost = report["truth"]["lost_s"]["db"].as_f64().unwrap();
    assert!(report["rpo"]["achieved_s"].as_f64().unwrap() >= lost && lost > 900.0, "{report:#}");
    assert_eq!(report["rpo"]["basis"], basis, "{report:#}");
    assert_eq!(report["truth"]["two_primaries_s"], 0.0);
}

#[test]
fn nobody_waives_the_fence_of_a_restore() {
    let folder = folder();
    let to = ["--component", "db", "--to-time", "15m ago", "--sandbox", "--waive", "unfenced-promotion:db"];
    let (code, refused, _) = restore(&folder, &[&to[..], ACCEPT].concat());
    let facts = refused["refusals"].to_string();
    assert!(code == 3 && facts.contains("still takes writes"), "{code} {refused:#}");
}

#[test]
fn a_damaged_archive_is_found_before_anybody_is_kept_out() {
    for plan in [PLAN, MANAGED] {
        found_before(&folder_of(plan));
    }
}

fn found_before(folder: &Folder) {
    let to = ["--component", "db", "--to-time", "15m ago", "--sandbox", "archive-corrupt"];
    let (code, report, _) = restore(folder, &[&to[..], ACCEPT].concat());
    assert_eq!(
        (code, &report["outcome"], &report["truth"]["users_failed_s"]),
        (1, &"halted".into(), &serde_json::Value::Null)
    );
    assert!(report["error"]["hint"].as_str().unwrap().contains("unchanged and in use"), "{report:#}");
    let drill = |args: &[&str]| {
        let command = [
            "drill",
            "orders",
            "--mode",
            "isolated",
            "--component",
            "db",
            "--to",
            "west",
            "--output",
            "json",
        ];
        let (code, out, err) = folder.run(&[&command, args].concat());
        (code, serde_json::from_str::<serde_json::Value>(&out).unwrap_or_default(), err)
    };
    let (code, drilled, _) = drill(&["--sandbox", "archive-corrupt"]);
    assert_eq!((code, &drilled["outcome"], &drilled["intent"]), (1, &"failed".into(), &"drill".into()));
    assert_eq!(drill(&["--sandbox"]).0, 0);
}

#[test]
fn what_cannot_be_restored_is_refused_with_the_way_out() {
    let folder = folder();
    for (args, code, words) in [
        (vec!["--component", "db", "--to-time", "2026-01-01T02:00:00"], 2, "zone"),
        (vec!["--component", "db", "--to-time", "2026-01-01T02:00:00.0001Z"], 2, "millisecond"),
        (vec!["--component", "db"], 2, "the point in time is missing"),
        (vec!["--component", "nodb", "--to-time", "5m ago"], 2, "has no component `nodb`"),
        (vec!["--component", "other", "--to-time", "5m ago"], 2, "only databases"),
        (vec!["--component", "db", "--to-time", "2030-01-01T00:00:00Z"], 3, "in the future"),
        (vec!["--component", "db", "--to-time", "90d ago"], 3, "the oldest one ended"),
        (vec!["--component", "db", "--to-time", "5m ago", "--site", "east"], 3, "backups"),
        (vec!["--component", "db", "--snapshot", "s1"], 3, "has no snapshots"),
        (vec!["--component", "db", "--snapshot", "s1", "--to-time", "5m ago"], 2, "cannot be used with"),
    ] {
        let (found, document, err) = restore(&folder, &[&args[..], &["--sandbox"]].concat());
        let said = format!("{document} {err}");
        assert!(found == code && said.contains(words), "{args:?}: {found}, {said}");
    }
}

/// A DNS name may still point to the previous instance for a while, to which no users are admitted.
#[test]
fn nobody_is_let_into_the_server_from_before() {
    let done = quarter_of_an_hour_back(MANAGED);
    let of_old = events(&done).into_iter().find_map(|e| match e.what {
        EventKind::StepFinished { facts, .. } => facts.into_iter().find_map(|f| match f {
            Fact::Fenced { word: Some(word), .. } => Some(word),
            _ => None,
        }),
        _ => None,
    });
    let starts =
        |e: &Event| matches!(&e.what, EventKind::StepStarted { step } if step.as_str() == "admit.db");
    let n = events(&done).iter().position(starts).unwrap() + 1;
    let state = create::replay(&run_id(), &done.records[..n]).unwrap();
    let i = state.position(&StepId::new("admit.db")).unwrap();
    let judged = |word: Option<String>| {
        let target = Target::fence(&state.restores(&ComponentName::new("db")).unwrap().db, FenceMethod::Sql);
        let seen = FenceState { proven: word.is_some(), word, ..FenceState::default() };
        let observed_at = state.last_at;
        let seen = Observation::Value { state: State::Fence(seen), observed_at, source: "sql".to_owned() };
        judge(&state, i, &StepObservation::Things(vec![(target, seen)]), observed_at)
    };
    let word = of_old.expect("the fence left no word");
    assert!(matches!(judged(Some(word)), StepDecision::Keep(why) if why.contains("old server")));
    assert!(matches!(judged(None), StepDecision::Record(EventKind::StepFinished { .. })));
    assert!(matches!(judged(Some("fence-of-that-time".to_owned())), StepDecision::Perform(_)));
}

fn accepted() -> Waiver {
    Waiver {
        rule: Rule::ExposureAboveRpo,
        component: None,
        accept_loss_ms: Some(Dur::mins(60)),
        reason: "test".to_owned(),
        who: Person::claimed("test"),
    }
}

fn quarter_of_an_hour_back(of: &str) -> Rehearsed {
    let mut rig = Rig::new(plan(of), "calm", 1);
    rig.intent = Intent::Restore;
    rig.restore = Some(Wanted {
        component: ComponentName::new("db"),
        to_time: BEGAN - Dur::mins(15),
        timeline: None,
        snapshot: None,
        rates: None,
    });
    rig.waivers = vec![accepted()];
    rig.rehearse().unwrap()
}

/// A WAL that could be read only in part gives a count of that part, so the time of the fence is the bound.
#[test]
fn only_an_exact_count_of_what_is_lost_is_measured() {
    let mut state = quarter_of_an_hour_back(PLAN).ended.state;
    let (name, now) = (ComponentName::new("db"), state.last_at);
    let mut told = |counted: &str, changed: u64, jumped: bool| {
        state.clock_jumped = jumped;
        for fact in state.steps.iter_mut().flat_map(|s| &mut s.facts) {
            if let Fact::Restore { found, .. } = fact
                && let Some(loss) = &mut found.loss
            {
                (loss.basis, loss.transactions) = (counted.to_owned(), changed);
            }
        }
        exposure::measure(&state, &name, &DatabaseState::default(), now).figure
    };
    assert_eq!(told("exactly", 0, false), Figure::new(Dur::ZERO, Basis::Measured));
    let exact = told("exactly", 9000, false);
    assert!(exact.basis == Basis::Measured && exact.value_ms > Some(Dur::mins(15)), "{exact}");
    for (counted, changed, jumped) in
        [("at_least", 0, false), ("at_most", 0, false), ("at_most", 9000, false), ("exactly", 9000, true)]
    {
        let bound = told(counted, changed, jumped);
        assert!(bound.basis != Basis::Measured, "{counted} {changed}: {bound}");
        assert!(bound.value_ms.is_none_or(|v| Some(v) >= exact.value_ms), "{counted} {changed}: {bound}");
    }
}

/// A step that waits for others to be undone first has its full timeout from its turn on, so a fence is lifted however long they took.
#[test]
fn a_fence_has_its_time_when_its_turn_comes() {
    let done = quarter_of_an_hour_back(PLAN);
    let fence = |e: &Event| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str() == "fence.db.sql");
    let n = events(&done).iter().position(fence).unwrap() + 1;
    let mut state = create::replay(&run_id(), &done.records[..n]).unwrap();
    let (fence, copy) = (StepId::new("fence.db.sql"), StepId::new("beside.db"));
    let cancelled = state.last_at;
    let who = Person::claimed("test");
    let mut apply =
        |after: Dur, what: EventKind| state.apply(&Event { at: cancelled + after, what }).unwrap();
    apply(Dur::ZERO, EventKind::CancelRequested { who, reason: "x".to_owned(), displaced_by: None });
    // Something before it takes ten minutes.
    let key = "k".to_owned();
    let direction = Direction::Undo;
    apply(
        Dur::secs(1),
        EventKind::CallIntended {
            step: copy.clone(),
            direction,
            attempt: 1,
            generation: 1,
            key,
            part: Vec::new(),
            found: None,
        },
    );
    apply(Dur::secs(2), EventKind::CallAnswered { step: copy.clone(), token: None });
    apply(Dur::mins(10), EventKind::StepUndone { step: copy });
    let i = state.position(&fence).unwrap();
    let effects = decide(&state, cancelled + Dur::mins(10) + Dur::secs(1));
    assert!(effects.contains(&Effect::Look(i)) && !effects.contains(&Effect::Expire(i)), "{effects:?}");
    let late = decide(&state, cancelled + Dur::mins(20));
    assert!(late.contains(&Effect::Expire(i)), "{late:?}");
}

/// Users and their writes do not reach a copy, so a cancel needs no confirmation before the fence.
#[test]
fn a_cancel_of_a_restore_that_only_made_a_copy_is_not_grave() {
    let done = quarter_of_an_hour_back(PLAN);
    let off = |step: &str| {
        let ends =
            |e: &Event| matches!(&e.what, EventKind::StepFinished { step: s, .. } if s.as_str() == step);
        let n = events(&done).iter().position(ends).unwrap() + 1;
        create::replay(&run_id(), &done.records[..n]).unwrap().called_off()
    };
    let copied = off("beside.db");
    assert!(!copied.grave && copied.undone.contains(&"beside.db".to_owned()), "{copied:?}");
    assert!(off("fence.db.sql").grave);
}

/// Wherever a restore is interrupted, the run that replaces it gets the existing copies, what was being put in place, what was set aside
/// without a replacement, and which fences still count.
#[test]
fn what_a_restore_leaves_behind_is_handed_on() {
    let mut seen = std::collections::BTreeSet::new();
    for of in [PLAN, MANAGED] {
        let done = quarter_of_an_hour_back(of);
        let all = events(&done);
        for n in 1..=all.len() {
            let state = RunState::fold(&all[..n]).unwrap();
            let is = |step: &StepId, action: fn(&Action) -> bool| {
                state.position(step).is_some_and(|i| action(&state.step(i).action))
            };
            let asked = |action| {
                let calls = all[..n].iter().filter_map(|e| match &e.what {
                    EventKind::CallIntended { step, .. } => Some(step),
                    _ => None,
                });
                calls.clone().any(|step| is(step, action))
            };
            let ended = |action| {
                all[..n]
                    .iter()
                    .any(|e| matches!(&e.what, EventKind::StepFinished { step, .. } if is(step, action)))
            };
            let swap = |a: &Action| {
                matches!(a, Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, .. })))
            };
            let beside = |a: &Action| {
                matches!(a, Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::CreateCopy, .. })))
            };
            let rename = |a: &Action| matches!(a, Action::Op(Operation::Rename(_)));
            let fence = |a: &Action| matches!(a, Action::Op(Operation::Fence(_)));
            let kept = continued(&state, n as u64, &SiteName::new("east")).unwrap();
            let (put, copied) = (asked(swap), asked(beside));
            assert_eq!(kept.putting.is_some(), put && !ended(swap), "{n}: {kept:#?}");
            assert_eq!(!kept.copies.is_empty(), copied, "{n}: {kept:#?}");
            assert_eq!(!kept.aside.is_empty(), asked(rename) && !ended(swap), "{n}: {kept:#?}");
            assert_eq!(!kept.fences.is_empty(), asked(fence), "{n}: {kept:#?}");
            let proves = kept.fences.iter().any(|f| f.fact.is_some());
            assert_eq!(
                proves,
                ended(fence) && !put,
                "what lets people in again proves nothing: {n}: {kept:#?}"
            );
            seen.insert((kept.putting.is_some(), copied, kept.aside.is_empty(), proves));
            let turned = all[..n].iter().any(|e| matches!(e.what, EventKind::ProbeTurned { .. }));
            assert_eq!(!last_turns(&state).is_empty(), turned, "{n}");
        }
    }
    let all = [
        (false, false, true, false),
        (false, true, true, true),
        (true, true, true, false),
        (true, true, false, false),
    ];
    assert!(all.iter().all(|one| seen.contains(one)), "{seen:?}");
}

/// A swap that failed, or was undone, left the live data in place; one that may still happen did not. One that could not be undone stays,
/// if the host says so about its own data, or the provider says that the copy has the name.
#[test]
fn what_is_in_place_is_known_by_what_became_of_the_swap() {
    for (of, in_place) in [(PLAN, "somebody wrote"), (MANAGED, "InPlace: it has the name")] {
        let done = quarter_of_an_hour_back(of);
        let db = ComponentName::new("db");
        let swap = |state: &RunState| {
            let is = |a: &Action| {
                matches!(a, Action::Op(Operation::Restore(RestoreStep { part: RestoreJob::Swap, .. })))
            };
            state.runbook.steps.iter().position(|s| is(&s.action)).unwrap()
        };
        let state = &done.ended.state;
        let step = || state.step(swap(state)).id.clone();
        let called = |e: &Event| matches!(&e.what, EventKind::CallIntended { step: id, .. } if *id == step());
        let all = events(&done);
        let n = all.iter().position(called).unwrap() + 1;
        let asked = RunState::fold(&all[..n]).unwrap();
        assert!(asked.promoted_at.contains_key(&db) && !asked.promoted.contains(&db));
        let answered = EventKind::CallAnswered { step: step(), token: None };
        let after = |more: &[EventKind]| {
            let mut state = asked.clone();
            // Only a cancelled run undoes anything.
            state.cancelled_at = Some(state.last_at);
            for what in [std::slice::from_ref(&answered), more].concat() {
                state.apply(&Event { at: state.last_at, what }).unwrap();
            }
            (state.promoted_at.contains_key(&db), state.promoted.contains(&db))
        };
        let failed = |reason: &str| EventKind::StepFailed { step: step(), reason: reason.to_owned() };
        let kept = |reason: &str| EventKind::UndoFailed { step: step(), reason: reason.to_owned() };
        assert_eq!(after(&[failed("no room")]), (false, false), "{of}");
        assert_eq!(after(&[failed("not done within 10m")]), (true, false), "{of}");
        assert_eq!(after(&[EventKind::StepUndone { step: step() }]), (false, false), "{of}");
        assert_eq!(after(&[kept(in_place)]), (true, true), "{of}");
        // Without access or an answer, nothing is known about a managed one.
        assert_eq!(after(&[kept("AccessDenied")]), (true, of == PLAN), "{of}");
    }
}

/// What `ready` says of backups is what a restore says of them.
#[test]
fn readiness_advises_no_restore_that_would_be_refused() {
    let backups = |text: &str| {
        let plan = plan(text);
        let estate = Rig::new(plan.clone(), "calm", 1).observed();
        let seen = ReadinessInput { estate: &estate, now: BEGAN, guard: None, proven: None };
        let all = evaluate(&plan, &seen);
        let found = all.iter().find(|check| check.area == Area::Backups);
        found.unwrap_or_else(|| panic!("{all:#?}")).clone()
    };
    let lists = ", backups: {list: \"list\", fetch: \"fetch\", archive_get: \"cp /a/%f %p\"}";
    let bare = PLAN.replace(lists, "");
    assert_ne!(bare, PLAN);
    let admin = MANAGED.replacen(", admin: {secret: \"aws-sm:a\"}", "", 1);
    let admin = admin.replace("fence: [sql, security_group]", "fence: [security_group]");
    for (text, standing, facts, fix) in [
        (
            PLAN,
            Standing::Unknown,
            "does not read the backups of self-managed servers",
            "run drctl drill orders --mode isolated --component db --to west",
        ),
        (&bare, Standing::Unknown, "the plan does not say how to read the backups", "add `backups:` under"),
        (MANAGED, Standing::Ready, "it can be restored to 5m ago; the RPO is 1m", ""),
        (
            &admin,
            Standing::Degraded,
            "drctl would refuse to restore it: the plan gives no `admin`",
            "add `admin:",
        ),
    ] {
        let check = backups(text);
        assert!(check.standing == standing && check.facts.contains(facts), "{check:#?}");
        assert!(check.fix.as_deref().unwrap_or_default().contains(fix), "{check:#?}");
    }
}
