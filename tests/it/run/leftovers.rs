//! Hand-made runs and direct questions: what they say about servers and stores, and what they leave behind.

use drctl::kinds::shared::database::InstanceSettings;
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::shared::rejoin::{NewReplica, Rejoin};
use drctl::kinds::shared::restore::{
    Backups, Loss, Restore, RestoreJob, RestoreResults, RestoreStep, Source,
};
use drctl::kinds::{Exposure, Fact, Operation};
use drctl::model::again::Again;
use drctl::model::ids::{ComponentName, RunId, SiteName, StepId};
use drctl::model::intent::Intent;
use drctl::model::measure::{Basis, Figure};
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::planner::Wanted;
use drctl::record::action::{Action, Check, Write};
use drctl::record::event::{End, EventKind};
use drctl::record::runbook::{Inherited, Need, OnFailure, Phase, Step};
use drctl::run::continued::{continued, unled};
use drctl::run::outcome::{CallOutcome, after_call};
use drctl::run::state::{Status, Work};
use drctl::run::{Effect, RunState, decide, gate};

use crate::kinds::planned_moves::moving;
use crate::run::hard_cases::{two_stores, waiver};
use crate::run::loss::{
    all_of, at, db, failover, fence_of, find, intended, other, place_of, promoted_by, proven, say, starts,
    up_to,
};
use crate::support::rig::{BEGAN, Rig, plan};
use crate::support::shop::shop;

/// A planned move that was interrupted during its undo can be continued or not, depending on the state of that undo.
#[test]
fn a_run_is_continued_unless_a_fence_may_be_lifted_or_a_call_be_under_way() {
    let state = up_to(&all_of(&moving(Intent::Switchover, "calm", 5)), |w| starts(w, "caught-up.db"));
    let (fence, scale) = (find(&state, "fence.db.sql"), find(&state, "scale.nodes"));
    let now = state.last_at;
    let (done, doubt) = (Status::Done(End::Performed), Status::InDoubt { since: now });
    let awaiting = Status::Awaiting { answered_at: now, token: None };
    for (i, status, attempts, doubted, may) in [
        (fence, Status::Failed, 0, false, true),
        (fence, Status::Failed, 1, false, false),
        (fence, Status::Failed, 2, false, false),
        (fence, done.clone(), 0, false, false),
        (fence, done.clone(), 1, false, false),
        (fence, Status::Started, 0, true, false),
        (scale, done, 1, false, true),
        (scale, Status::Failed, 1, false, true),
        (scale, Status::Failed, 1, true, false),
        (scale, Status::Calling, 1, false, false),
        (scale, doubt, 1, false, false),
        (scale, awaiting, 1, true, false),
    ] {
        let mut state = state.clone();
        let context = format!("{}: {status:?}, {attempts} calls, in doubt {doubted}", state.step(i).id);
        state.steps[i].undo = Some(Work { status, attempts, doubt: doubted.then_some(now), ..Work::new() });
        match continued(&state, 1, &SiteName::new("east")) {
            Ok(kept) => {
                assert!(may, "{context}");
                assert!(kept.fences.iter().any(|f| f.fact.is_some()), "{context}: what was proven stands");
            }
            Err(why) => assert!(!may && why.contains("being undone"), "{context}: {why}"),
        }
    }
}

/// Guards are taken over from whoever held them; and a run with a promotion that may still happen cannot be left.
#[test]
fn guards_are_handed_on_and_a_promotion_that_nobody_saw_the_end_of_is_not_left_behind() {
    let mut state = failover("promote.db");
    let elsewhere = SiteName::new("eu-west-1");
    assert_eq!(continued(&state, 1, &elsewhere).unwrap().holders, Vec::<String>::new());
    let place = state.runbook.recovery_place().unwrap().clone();
    let holder = "run of ann".to_owned();
    state.runbook.steps[0].action =
        Action::Write(Write::Guard { component: db(), place, holder: holder.clone(), instead_of: None });
    assert_eq!(continued(&state, 1, &elsewhere).unwrap().holders, [holder]);

    let step = || StepId::new("promote.db");
    say(&mut state, intended("promote.db"));
    let refused = |state: &RunState| continued(state, 1, &elsewhere).err().unwrap_or_default();
    let unknown = "the outcome of a step in run";
    assert!(refused(&state).contains(unknown), "{}", refused(&state));
    say(&mut state, EventKind::CallInDoubt { step: step(), why: "no answer".to_owned() });
    assert!(refused(&state).contains(unknown), "{}", refused(&state));
    say(&mut state, EventKind::StepFailed { step: step(), reason: "not done within 30m".to_owned() });
    assert!(refused(&state).contains(unknown), "a call that failed late may have been taken");
    let mut disproved = state.clone();
    disproved.steps[find(&state, "promote.db")].work.doubt = None;
    assert_eq!(refused(&disproved), "");
}

/// Clients that read a secret and are restarted.
const APP: &str = r#"  app:
    kind: clients
    of: db
    at:
      west: {secret: shop/app, restart: [{name: api, command: [restart, west], idempotent: true}]}
      east: {secret: shop/app, restart: [{name: api, command: [restart, east], idempotent: true}]}
    verify: {sql_write: {table: drctl_canary}}
"#;

/// Only the steps that redirect clients, and that the run waits for, show whether clients were redirected.
#[test]
fn clients_are_left_half_led_by_steps_that_lead_them_and_by_no_others() {
    let all = all_of(&Rig::new(plan(&shop(APP)), "region-lost", 1));
    let whole = RunState::fold(&all).unwrap();
    let take = |id: &str| whole.step(find(&whole, id)).clone();
    let leading = ["point.app.east", "through.app", "restart.app.api"].map(take);
    let [point, _, run] = leading.clone();
    let behind = |mut step: Step| {
        step.background = true;
        step
    };
    let noted = Step { on_failure: OnFailure::Continue, ..point.clone() };
    let hook = Step { id: StepId::new("hook.flush"), ..run.clone() };
    let elsewhere = Step { phase: Phase::Verify, ..run.clone() };
    let hook_elsewhere = Step { phase: Phase::Verify, ..hook.clone() };
    let scale = Step { action: take("promote.db").action, ..point.clone() };
    let others =
        [behind(point), behind(run), noted, hook, elsewhere, hook_elsewhere, scale].map(|step| (step, false));
    for (step, leads) in leading.map(|step| (step, true)).into_iter().chain(others) {
        let mut state = whole.clone();
        state.runbook.steps = vec![step.clone()];
        state.steps.truncate(1);
        state.steps[0].work = Work::new();
        let left = unled(std::slice::from_ref(&state));
        assert_eq!(!left.is_empty(), leads, "{}: {step:#?}", step.id);
        state.steps[0].work.status = Status::Done(End::Performed);
        assert_eq!(unled(&[state]), Vec::new(), "{} is done", step.id);
    }
}

/// A fenced server is kept out until the run admits writes there, or starts to; no other server is.
#[test]
fn who_is_kept_out_and_who_was_let_in_is_told_server_by_server() {
    let mut state = failover("promote.db");
    let fence = fence_of(&state, "fence.db.sql");
    let (west, east) = (fence.db.clone(), promoted_by(&state, "promote.db"));
    let (i, then) = (find(&state, "fence.db.sql"), state.last_at);
    state.steps.iter_mut().for_each(|s| s.facts.clear());
    assert_eq!((state.kept_out(&west), state.proof(&db())), (None, None));
    state.steps[i].work = Work::new();
    say(&mut state, proven("fence.db.sql", &db(), fence.method, then));
    assert_eq!((state.kept_out(&west), state.kept_out(&east)), (Some(then), None));
    assert_eq!(state.proof(&db()), Some("nobody may log in"));
    assert_eq!((state.unfenced_at(&west), state.unfenced_at(&east)), (None, None));

    let mut lifted = state.clone();
    let work = |started, ended| Work { started_at: started, ended_at: ended, ..Work::new() };
    lifted.steps[i].undo = Some(work(Some(at(10)), None));
    assert_eq!((lifted.unfenced_at(&west), lifted.unfenced_at(&east)), (Some(at(10)), None));
    assert_eq!((lifted.kept_out(&west), lifted.proof(&db())), (None, None));
    lifted.steps[i].undo = Some(work(Some(at(10)), Some(at(20))));
    assert_eq!((lifted.unfenced_at(&west), lifted.unfenced_at(&east)), (Some(at(20)), None));
    let mut admitted = state.clone();
    admitted.runbook.steps[0].action = Action::Op(Operation::Unfence(Unfence(fence)));
    admitted.steps[0].work = work(Some(at(30)), Some(at(40)));
    assert_eq!((admitted.unfenced_at(&west), admitted.unfenced_at(&east)), (Some(at(40)), None));

    // A server that follows another one takes no writes either.
    let mut follows = state.clone();
    follows.runbook.steps[0].action = Action::Op(Operation::Rejoin(Rejoin {
        db: east.clone(),
        source: west.clone(),
        replica: None,
        reconcile: Vec::new(),
    }));
    follows.steps[0].facts =
        vec![Fact::Rejoined { component: db(), server: east.id.clone(), diverged: None }];
    follows.steps[0].work.ended_at = Some(at(50));
    assert_eq!((follows.kept_out(&east), follows.kept_out(&west)), (Some(at(50)), Some(then)));

    assert_eq!((state.made_writer(&east), state.made_writer(&west)), (None, None));
    say(&mut state, intended("promote.db"));
    assert_eq!((state.made_writer(&east), state.made_writer(&west)), (Some(then), None));
}

/// Only a standby that was made after the promotion follows the promoted server.
#[test]
fn a_store_is_protected_again_by_a_standby_of_its_own_that_came_later() {
    let mut state = failover("promote.db");
    say(&mut state, intended("promote.db"));
    let asked = state.promoted_at[&db()];
    let i = find(&state, "verify.db");
    for (component, ended, follows) in [
        (Some(db()), Some(asked + Dur(1)), true),
        (Some(db()), Some(asked), false),
        (Some(db()), Some(asked - Dur(1)), false),
        (Some(db()), None, false),
        (Some(other()), Some(asked + Dur(1)), false),
        (None, Some(asked + Dur(1)), false),
    ] {
        let mut state = state.clone();
        let fact = component.clone().map(|component| Fact::Rejoined {
            component,
            server: "s".to_owned(),
            diverged: None,
        });
        state.steps[i].facts = fact.into_iter().collect();
        state.steps[i].work.ended_at = ended;
        assert_eq!(state.rejoined(&db()), follows, "{component:?} {ended:?}");
    }
}

/// A fence that another run may have set is inherited only if it is the same fence of the same server.
#[test]
fn a_fence_is_inherited_by_its_server_and_its_method() {
    let mut state = failover("promote.db");
    let i = find(&state, "fence.db.sql");
    let (fence, east) = (fence_of(&state, "fence.db.sql"), promoted_by(&state, "promote.db"));
    let (same, method) = (fence.db.clone(), fence.method);
    for (db, method, inherited) in [
        (same.clone(), method, true),
        (same, FenceMethod::SecurityGroup, false),
        (east.clone(), method, false),
        (east, FenceMethod::SecurityGroup, false),
    ] {
        let fence = Fence { db, method, ..fence.clone() };
        state.runbook.inherits = vec![Inherited { run: RunId::new("before"), fence, fact: None }];
        assert_eq!(state.inherited(i), inherited, "{:?}", state.runbook.inherits);
    }
}

/// One of two stores that are promoted together may by now lose more than was accepted.
#[test]
fn a_store_of_a_group_is_asked_about_until_its_promotion_may_come_about() {
    let text = two_stores("after.promote").text + "groups:\n  both: {components: [a, b], gate: together}\n";
    let rig = Rig {
        waivers: vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))],
        ..Rig::new(plan(&text), "region-dark", 1)
    };
    let all = all_of(&rig);
    let before = all
        .iter()
        .position(
            |e| matches!(&e.what, EventKind::StepStarted { step } if step.as_str().starts_with("promote.")),
        )
        .unwrap();
    let mut state = RunState::fold(&all[..before]).unwrap();
    let (a, b) = (ComponentName::new("a"), ComponentName::new("b"));
    let (of_a, of_b) = (find(&state, "promote.a"), find(&state, "promote.b"));
    let much = |exposure: &mut Exposure, ms| {
        (exposure.figure, exposure.grows) = (Figure::new(Dur(ms), Basis::UpperBound), false);
    };
    for fact in state.steps.iter_mut().flat_map(|s| &mut s.facts) {
        if let Fact::Exposure(exposure) = fact {
            let ms = if exposure.component == b { 100 * 60_000 + 1 } else { 60_000 };
            much(exposure, ms);
        }
    }
    let now = state.last_at;
    let awaiting = Status::Awaiting { answered_at: now, token: None };
    for (status, doubt, asked) in [
        (Status::Pending, None, true),
        (Status::Backoff { due: now }, None, true),
        (Status::Started, Some(now), false),
        (Status::Blocked { why: String::new(), rule: None, flag: None }, Some(now), false),
        (Status::Calling, Some(now), false),
        (awaiting.clone(), Some(now), false),
        (awaiting, None, false),
        (Status::Done(End::Performed), Some(now), false),
        // Somebody promoted it by hand.
        (Status::Done(End::Noop), None, false),
    ] {
        let mut state = state.clone();
        (state.steps[of_b].work.status, state.steps[of_b].work.doubt) = (status.clone(), doubt);
        let held = gate::reopened(&state, of_a, &a, now);
        assert_eq!(held.is_some(), asked, "{status:?} {doubt:?}: {held:?}");
        // Its own loss is always checked.
        assert!(gate::reopened(&state, of_b, &b, now).is_some(), "{status:?} {doubt:?}");
        if let Some(EventKind::GateBlocked { flag, .. }) = held {
            let flag = flag.unwrap();
            assert!(flag.contains("--accept-data-loss 1h41m "), "a bound that covers it: {flag}");
        }
    }
}

/// Each refusal is followed by a longer wait than the one before, plus up to half of it; the first is a second.
#[test]
fn a_call_that_was_refused_for_now_is_made_again_later_and_later() {
    let mut state = failover("promote.db");
    let (i, now) = (find(&state, "promote.db"), state.last_at);
    for (attempts, least) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (60, 30)] {
        for jitter in [0, 1, 499, 12_345_678_901] {
            state.steps[i].work.attempts = attempts;
            for outcome in [
                CallOutcome::NotSent { why: "no route".to_owned() },
                CallOutcome::Refused {
                    code: "Throttling".to_owned(),
                    why: "no".to_owned(),
                    again: Again::Later,
                },
            ] {
                let answer = after_call(&state, i, outcome, now, jitter);
                let [EventKind::CallRefused { retry_at: Some(due), .. }] = &answer[..] else {
                    panic!("{answer:?}")
                };
                let (least, most) = (now + Dur::secs(least), now + Dur(least * 1_500));
                assert!(least <= *due && *due < most, "{attempts} {jitter}: {due}, not {least} to {most}");
                assert_eq!(*due == least, jitter == 0, "{attempts} {jitter}: all come at once");
            }
        }
    }
}

/// Only a batch of record sets has parts; for any other action nothing remains to be tried.
#[test]
fn what_was_refused_is_taken_apart_only_where_it_has_parts() {
    let state = failover("promote.db");
    for (id, fails) in [("scale.nodes", true), ("promote.db", true), ("switch.www", false)] {
        let (code, why) = ("InvalidInput".to_owned(), "no".to_owned());
        let refused = CallOutcome::Refused { code, why, again: Again::InParts };
        let answer = after_call(&state, find(&state, id), refused, state.last_at, 0);
        let failed = answer.iter().any(|w| matches!(w, EventKind::StepFailed { .. }));
        assert_eq!(failed, fails, "{id}: {answer:?}");
    }
}

/// A failed step is skipped if its runbook says so, unless it protects data.
#[test]
fn what_a_failed_step_holds_back_is_told_by_name() {
    let mut state = failover("fence.db.sql");
    let (i, last) = (find(&state, "promote.db"), find(&state, "check.db"));
    let needs: Vec<_> = state.step(i).needs.iter().map(|n: &Need| n.step.clone()).collect();
    let waits = |state: &RunState| state.waits_for(i).into_iter().cloned().collect::<Vec<_>>();
    assert!(needs.len() > 2 && needs.contains(&state.step(last).id), "{needs:?}");
    for (n, need) in needs.iter().enumerate() {
        let at = find(&state, need.as_str());
        state.steps[at].work.status = Status::Pending;
        assert!(waits(&state).contains(need), "{n}");
    }
    for need in &needs {
        let at = find(&state, need.as_str());
        state.steps[at].work.status = Status::Done(End::Performed);
    }
    assert!(state.needs_met(i) && waits(&state).is_empty());
    state.steps[last].work.status = Status::Failed;
    let safe = state.step(last).action.clone();
    let looks = Action::Check(Check::Evidence { targets: Vec::new() });
    for (on_failure, action, passed) in [
        (OnFailure::Halt, &safe, false),
        (OnFailure::Continue, &safe, false),
        (OnFailure::Halt, &looks, false),
        (OnFailure::Continue, &looks, true),
    ] {
        state.runbook.steps[last].on_failure = on_failure;
        state.runbook.steps[last].action = action.clone();
        assert_eq!(state.needs_met(i), passed, "{on_failure:?} {action}");
        let left = if passed { Vec::new() } else { vec![StepId::new("check.db")] };
        assert_eq!(waits(&state), left, "{on_failure:?} {action}");
    }
}

/// After one method has proven the fence, the next one is skipped, and so is a pending fence of an earlier run on the same server.
#[test]
fn a_server_that_is_fenced_is_not_fenced_again() {
    let mut state = failover("fence.db.sql");
    let rung = find(&state, "fence.db.security_group");
    let mut owed = state.clone();
    (owed.runbook.steps[rung].debt, owed.runbook.steps[rung].unless) = (true, None);
    let skipped = |state: &RunState| {
        let step = |w: &EventKind| matches!(w, EventKind::StepSkipped { step, .. } if step.as_str() == "fence.db.security_group");
        decide(state, state.last_at).iter().any(|e| matches!(e, Effect::Record(all) if all.iter().any(step)))
    };
    for state in [&mut state, &mut owed] {
        state.steps[rung].work.status = Status::Started;
        assert_eq!(state.not_needed(rung), None);
        assert!(!skipped(state));
        let fact = proven("fence.db.sql", &db(), FenceMethod::Sql, state.last_at);
        say(state, fact);
        let why = state.not_needed(rung).unwrap_or_default();
        assert!(why.contains("is already fenced"), "{why}");
    }
    let touch = EventKind::EpochTaken { epoch: 2, owner: "another".to_owned() };
    for mut state in [state, owed] {
        say(&mut state, touch.clone());
        assert!(skipped(&state), "{:?}", decide(&state, state.last_at));
    }
}

#[test]
fn the_step_that_promotes_a_store_is_found_by_its_name() {
    let state = failover("promote.db");
    assert_eq!(state.promotion(&db()), Some(find(&state, "promote.db")));
    assert_eq!(state.promotion(&other()), None);
}

fn restored() -> RunState {
    let rig = Rig {
        intent: Intent::Restore,
        restore: Some(Wanted {
            component: db(),
            to_time: BEGAN - Dur::mins(15),
            timeline: None,
            snapshot: None,
            rates: None,
        }),
        waivers: vec![
            waiver(Rule::ExposureAboveRpo, Dur::mins(60)),
            waiver(Rule::ExposureUnknown, Dur::mins(60)),
        ],
        ..Rig::new(plan(&shop("")), "calm", 1)
    };
    RunState::fold(&all_of(&rig)).unwrap()
}

fn part(state: &RunState, of: RestoreJob) -> usize {
    place_of(state, |a| matches!(a, Action::Op(Operation::Restore(RestoreStep { part, .. })) if *part == of))
}

/// The loss is the one counted for this store after its writes had ended, and only this store is restored.
#[test]
fn a_restore_is_of_one_store() {
    let mut state = restored();
    assert!(state.restores(&db()).is_some() && state.restores(&other()).is_none());
    let i = part(&state, RestoreJob::Loss);
    let loss = Loss { basis: "exactly".to_owned(), transactions: 7, first: None, last: None };
    let counted = |component| Fact::Restore {
        component,
        part: RestoreJob::Loss,
        found: Box::new(RestoreResults { loss: Some(loss.clone()), ..RestoreResults::default() }),
    };
    state.steps.iter_mut().for_each(|s| s.facts.retain(|f| !matches!(f, Fact::Restore { .. })));
    let (_, fenced_at) = state.fenced(&db()).unwrap();
    for (component, began, told) in [
        (db(), fenced_at, true),
        (db(), fenced_at + Dur::secs(1), true),
        (db(), fenced_at - Dur(1), false),
        (other(), fenced_at, false),
    ] {
        state.steps[i].facts = vec![counted(component.clone())];
        state.steps[i].work.started_at = Some(began);
        assert_eq!(state.lost_for_good(&db()), told.then_some(&loss), "{component} {began}");
    }
}

/// A host can tell by its rows whether its copy must stay; a service is trusted only if it says that the copy has the name.
#[test]
fn a_copy_that_could_not_be_taken_back_stays_if_somebody_who_knows_says_so() {
    let mut managed = restored();
    let i = part(&managed, RestoreJob::Swap);
    managed.steps[i].undo = None;
    let mut own = managed.clone();
    let backups = Backups {
        list: "list".to_owned(),
        fetch: "fetch".to_owned(),
        archive_get: "get".to_owned(),
        reserve_bytes: 0,
        preload: None,
    };
    if let Action::Op(Operation::Restore(RestoreStep { of, .. })) = &mut own.runbook.steps[i].action {
        **of = Restore { source: Source::Own(backups), ..(**of).clone() };
    }
    let undone = |state: &RunState, status: Status, reason: &str| {
        let mut state = state.clone();
        state.steps[i].undo = Some(Work { status, reason: Some(reason.to_owned()), ..Work::new() });
        state.stays()
    };
    let words = |reason: &str| Some(format!("{}: {reason}", managed.step(i).id));
    let taken = "InPlace: it has the name";
    assert_eq!((managed.stays(), own.stays()), (None, None));
    assert_eq!(undone(&managed, Status::Failed, taken), words(taken));
    assert_eq!(undone(&managed, Status::Failed, "AccessDenied: no"), None);
    assert_eq!(undone(&own, Status::Failed, "somebody wrote"), words("somebody wrote"));
    for state in [&managed, &own] {
        assert_eq!(undone(state, Status::Done(End::Performed), taken), None);
        assert_eq!(undone(state, Status::Started, taken), None);
    }
}

fn new_replica() -> Box<NewReplica> {
    Box::new(NewReplica {
        source_arn: "arn".to_owned(),
        like: InstanceSettings::default(),
        security_groups: Vec::new(),
    })
}

/// A rebuild on a host continues for hours whatever happens to the run, and a fence remains in doubt while its site is dark. Any other call
/// keeps a run from stopping.
#[test]
fn a_run_stops_while_only_a_rebuild_or_a_doubted_fence_is_left() {
    let mut base = RunState::fold(&all_of(&moving(Intent::Switchover, "calm", 1))).unwrap();
    base.steps.iter_mut().for_each(|s| (s.work.status, s.undo) = (Status::Done(End::Performed), None));
    base.runbook.steps.iter_mut().for_each(|s| s.background = false);
    assert!(!base.in_flight());
    let rebuild = place_of(&base, |a| matches!(a, Action::Op(Operation::Rejoin(_))));
    let (fence, promote) = (find(&base, "fence.db.sql"), find(&base, "promote.db"));
    let now = base.last_at;
    let (doubt, calling) = (Status::InDoubt { since: now }, Status::Calling);
    let awaiting = Status::Awaiting { answered_at: now, token: None };
    for (i, status, managed, alone, busy) in [
        (rebuild, doubt.clone(), false, true, false),
        (rebuild, doubt.clone(), true, false, true),
        (rebuild, awaiting.clone(), false, true, false),
        (rebuild, awaiting.clone(), true, true, false),
        (rebuild, calling.clone(), false, false, true),
        (fence, doubt.clone(), false, false, false),
        (fence, awaiting.clone(), false, false, true),
        (fence, calling.clone(), false, false, true),
        (promote, doubt, false, false, true),
        (promote, awaiting, false, false, true),
        (promote, calling, false, false, true),
        (promote, Status::Started, false, false, false),
    ] {
        let mut state = base.clone();
        let context = format!("{}: {status:?}, managed {managed}", state.step(i).id);
        state.steps[i].work.status = status;
        if let Action::Op(Operation::Rejoin(Rejoin { replica, .. })) = &mut state.runbook.steps[i].action {
            *replica = managed.then(new_replica);
        }
        assert_eq!(state.goes_on_alone(i), alone, "{context}");
        assert_eq!(state.in_flight(), busy, "{context}");
        state.runbook.steps[i].background = true;
        assert!(!state.in_flight(), "{context}: nobody waits for what is behind");
    }
}

/// The name of a server that was set aside counts as taken once another server may have been requested under it.
#[test]
fn a_server_is_replaced_once_another_may_have_its_name() {
    let base = RunState::fold(&all_of(&moving(Intent::Switchover, "calm", 1))).unwrap();
    let i = place_of(&base, |a| matches!(a, Action::Op(Operation::Rejoin(_))));
    let Action::Op(Operation::Rejoin(Rejoin { db: west, source: east, .. })) = base.step(i).action.clone()
    else {
        unreachable!()
    };
    let now = base.last_at;
    for (status, doubt, replaced) in [
        (Status::Pending, None, false),
        (Status::Started, None, false),
        (Status::Failed, None, false),
        (Status::Failed, Some(now), true),
        (Status::Backoff { due: now }, Some(now), true),
        (Status::Calling, Some(now), true),
        (Status::InDoubt { since: now }, None, true),
        (Status::Done(End::Noop), None, true),
        (Status::Done(End::Performed), Some(now), true),
    ] {
        let mut state = base.clone();
        (state.steps[i].work.status, state.steps[i].work.doubt) = (status.clone(), doubt);
        assert_eq!(state.replaced(&west), replaced, "{status:?} {doubt:?}");
        assert!(!state.replaced(&east), "{status:?}: it is the source");
    }
}
