//! Runs of a few steps in various states: the next decision, and what is undone in which order.

use std::collections::BTreeMap;

use drctl::kinds::Fact;
use drctl::kinds::aws::autoscaling::{GroupRef, Scale};
use drctl::kinds::shared::capacity::Size;
use drctl::kinds::shared::command::Command;
use drctl::kinds::shared::database::{DatabaseRef, Engine, InstanceSettings, Promotable};
use drctl::kinds::shared::fence::{Fence, FenceMethod};
use drctl::kinds::shared::names::{
    ControlsRef, ObjectRef, RecordAnswer, RecordChange, RecordPolicy, RecordSet, SetHealthObject,
    SetRoutingControls, Switch, ZoneRef,
};
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::restore::{NewInstance, Restore, RestoreJob, RestoreStep, Source};
use drctl::kinds::shared::secret::{ClientSecret, UpdateClientSecret};
use drctl::model::authority::Authority;
use drctl::model::estimate::Estimate;
use drctl::model::ids::{ComponentName, Digest, StepId};
use drctl::model::intent::{Drill, Intent};
use drctl::model::objectives::Objectives;
use drctl::model::place::{CloudProvider, Place};
use drctl::model::terms::Terms;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::planner::form;
use drctl::record::action::{Action, Check, Gate, Write};
use drctl::record::event::{End, Event, EventKind, Outcome, RunCreated, WorldKind};
use drctl::record::runbook::{Need, Phase, Probe, ProbeRole, ProbeVia, Runbook, Step, Unless};
use drctl::run::decide::{expired, looks_at};
use drctl::run::state::{FenceDebt, Status, Turn, Work};
use drctl::run::{Effect, RunState, Stop, decide, drill};

use crate::support::rig::{BEGAN, run_id};

pub const DONE: Status = Status::Done(End::Performed);

pub fn component() -> ComponentName {
    ComponentName::new("db")
}

fn place() -> Place {
    let (name, cloud, region) = ("east".to_owned(), CloudProvider::Aws, "us-east-1".to_owned());
    Place { name, cloud, region, account: None, role: None, external_id: None }
}

pub fn db(id: &str) -> DatabaseRef {
    DatabaseRef {
        component: component(),
        place: place(),
        id: id.to_owned(),
        engine: Engine::Rds,
        endpoint: None,
        fence_group: None,
        admin_secret: None,
        host: None,
        global: None,
        harmless: Vec::new(),
        expendable: Vec::new(),
        clients: Vec::new(),
    }
}

pub fn scale() -> Action {
    let size = |desired| Size { min: 0, desired, max: 9 };
    Action::from(Scale {
        group: GroupRef { component: component(), place: place(), group: "g".to_owned() },
        from: size(0),
        to: size(2),
        proceed_at: 2,
        resume: Default::default(),
        suspend: Default::default(),
    })
}

pub fn fence(method: FenceMethod) -> Action {
    Action::from(Fence { db: db("db-west"), method, groups_before: Vec::new() })
}

pub fn promote() -> Action {
    Action::from(Promote { db: db("db-east"), backup_days: None, takeover: None })
}

pub fn command(idempotent: bool) -> Action {
    Action::from(Command { argv: vec!["true".to_owned()], idempotent, env: Vec::new(), rehearsal: None })
}

pub fn set(name: &str, rtype: &str, id: Option<&str>, ttl_s: u64, value: &str) -> RecordSet {
    RecordSet {
        name: name.to_owned(),
        rtype: rtype.to_owned(),
        set_identifier: id.map(str::to_owned),
        policy: RecordPolicy::Simple,
        answer: RecordAnswer::Values { ttl_s, values: vec![value.to_owned()] },
        health_check: None,
    }
}

pub fn change(name: &str, from: (u64, &str), to: (u64, &str)) -> RecordChange {
    let at = |(ttl_s, value)| Some(set(name, "A", None, ttl_s, value));
    RecordChange::seen(at(from), at(to))
}

pub fn records(changes: Vec<RecordChange>) -> Switch {
    Switch { zone: ZoneRef { component: component(), place: place(), zone: "Z1".to_owned() }, changes }
}

pub fn switch() -> Action {
    Action::from(records(vec![change("www", (60, "192.0.2.1"), (60, "198.51.100.1"))]))
}

fn lowered_ttl() -> Action {
    Action::from(records(vec![change("www", (600, "192.0.2.1"), (60, "192.0.2.1"))]))
}

pub fn object() -> Action {
    let object = ObjectRef { component: component(), place: place(), url: "s3://b/k".to_owned() };
    Action::from(SetHealthObject { object, present: true, holder: "run".to_owned() })
}

pub fn route() -> Action {
    let (component, endpoints) = (component(), BTreeMap::new());
    let controls = [("east".into(), "arn:1".to_owned()), ("west".into(), "arn:2".to_owned())].into();
    let controls = ControlsRef { component, place: place(), endpoints, controls };
    Action::from(SetRoutingControls {
        controls,
        to: "east".into(),
        from: BTreeMap::new(),
        back: Some("west".into()),
    })
}

pub fn point() -> Action {
    let (id, host) = ("clients".to_owned(), "host".to_owned());
    let secret = ClientSecret { component: component(), place: place(), id, host, port: None };
    let to = |server: &str| [("host".to_owned(), server.to_owned())].into();
    Action::from(UpdateClientSecret { secret, to: to("db-east"), from: to("db-west") })
}

pub fn restore(part: RestoreJob) -> Action {
    let new = NewInstance {
        id: "copy".to_owned(),
        aside: "aside".to_owned(),
        like: InstanceSettings::default(),
        security_groups: Vec::new(),
    };
    let of = Restore {
        db: db("db-west"),
        name: "1f".to_owned(),
        to_time: BEGAN,
        backup: None,
        timeline: None,
        replay_bytes: None,
        rates: None,
        snapshot: None,
        source: Source::Managed(Some(Box::new(new))),
        invariants: Vec::new(),
        rows: Vec::new(),
        canary: None,
    };
    Action::from(RestoreStep { part, of: Box::new(of) })
}

fn guard() -> [Action; 2] {
    let (place, holder) = (place(), "run".to_owned());
    let held = Check::Guard { component: component(), place: place.clone(), holder: holder.clone() };
    let hold = Write::Guard { component: component(), place, holder, instead_of: None };
    [Action::Write(hold), Action::Check(held)]
}

pub fn step(id: &str, action: Action) -> Step {
    let estimate = Estimate { expected_ms: Dur::secs(10), timeout_ms: Dur::mins(5) };
    Step { estimate, ..form::step(id, Phase::Redirect, Some(&component()), action) }
}

pub fn after(step: Step, needed: &[&str]) -> Step {
    let need = |id: &&str| Need { step: StepId::new(*id), settled: false };
    Step { needs: needed.iter().map(need).collect(), ..step }
}

pub fn run(steps: Vec<Step>) -> RunState {
    let runbook = Runbook {
        schema_version: 1,
        plan: "shop".into(),
        plan_digest: Digest::of_bytes(b""),
        intent: Intent::Failover,
        drill: None,
        from: Some("west".into()),
        to: "east".into(),
        objectives: Objectives { rto_ms: Dur::mins(15), rpo_ms: Dur::mins(1) },
        component_objectives: BTreeMap::new(),
        stores: Vec::new(),
        waivers: Vec::new(),
        probes: Vec::new(),
        probe_consecutive: 3,
        steps,
        notes: Vec::new(),
        notes_after_move: Vec::new(),
        inherits: Vec::new(),
        asked: Vec::new(),
    };
    let created = RunCreated {
        run: run_id(),
        plan: runbook.plan.clone(),
        runbook: String::new(),
        runbook_digest: runbook.digest(),
        plan_text: String::new(),
        inventory_digest: Digest::of_bytes(b""),
        world: WorldKind::Live,
        tool: "test".to_owned(),
        schema_version: 1,
        requester: Person::claimed("ann"),
        reason: None,
        severity: None,
        severity_given: None,
        incident: None,
        outage_began: None,
        continues: None,
        returns: None,
        authority: Authority::default(),
        terms_digest: Terms::default().digest(),
        terms: Terms::default(),
        duties: None,
    };
    RunState::new(created, runbook, BEGAN)
}

/// A run that was just taken over, with its steps in these states. Finished steps were called and accepted completely.
pub fn under_way(steps: Vec<(Step, Status)>) -> RunState {
    let (steps, statuses): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let mut state = run(steps);
    for (at, status) in state.steps.iter_mut().zip(statuses) {
        at.work.started_at = (status != Status::Pending).then_some(BEGAN);
        at.work.ended_at = status.settled().then_some(BEGAN);
        if status == DONE {
            at.work.attempts = 1;
            at.work.parts.accepted = vec![Vec::new()];
        }
        at.work.status = status;
    }
    say(&mut state, BEGAN, EventKind::EpochTaken { epoch: 1, owner: "test".to_owned() });
    state
}

pub fn say(state: &mut RunState, at: Timestamp, what: EventKind) {
    state.apply(&Event { at, what }).unwrap_or_else(|why| panic!("{why}"));
}

pub fn minutes(n: u64) -> Timestamp {
    BEGAN + Dur::mins(n)
}

/// Cancelled a minute after its start.
pub fn cancelled(mut state: RunState) -> RunState {
    let who = Person::claimed("ann");
    let what = EventKind::CancelRequested { who, reason: "not now".to_owned(), displaced_by: None };
    say(&mut state, minutes(1), what);
    state
}

fn blocked() -> Status {
    Status::Blocked { why: "credentials".to_owned(), rule: None, flag: None }
}

pub fn words(events: &[EventKind]) -> String {
    let word = |what: &EventKind| {
        let json = serde_json::to_value(what).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("kind"), text("step")).trim().to_owned()
    };
    events.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// The decisions at a time, in words. Times are relative to the start.
pub fn told(state: &RunState, now: Timestamp) -> String {
    let id = |i: &usize| state.step(*i).id.clone();
    let effect = |effect: &Effect| match effect {
        Effect::Record(events) => words(events),
        Effect::Look(i) => format!("look {}", id(i)),
        Effect::Withdraw(i) => format!("withdraw {}", state.step(*i).id),
        Effect::Expire(i) => format!("expire {}", id(i)),
        Effect::WakeAt(at) => format!("wake {}", at.since(BEGAN)),
        Effect::Stop(Stop::Failed(why)) => format!("failed: {why}"),
        Effect::Stop(Stop::Approval(_)) => "approval".to_owned(),
        Effect::Stop(stop) => format!("{stop:?}").to_lowercase(),
    };
    decide(state, now).iter().map(effect).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_paused_run_starts_nothing_and_goes_on_with_nothing() {
    let backoff = Status::Backoff { due: BEGAN };
    let steps = [("a", Status::Pending), ("b", Status::Started), ("c", backoff), ("d", blocked())];
    let mut state = under_way(steps.map(|(id, status)| (step(id, scale()), status)).into());
    let asked = |state: &RunState| [0, 1, 2, 3].map(|i| looks_at(state, i, minutes(1)));
    assert_eq!(told(&state, minutes(1)), "step_started a, look b, wake 5m, look c, wake 5m, look d");
    assert_eq!(asked(&state), [false, true, true, true]);
    say(&mut state, minutes(1), EventKind::Paused { why: "wait".to_owned() });
    assert_eq!(told(&state, minutes(1)), "paused");
    assert_eq!(asked(&state), [false; 4], "what is seen now is not acted upon");
}

#[test]
fn the_next_rung_is_left_out_once_another_one_holds() {
    let mut state = under_way(vec![
        (step("fence.sql", fence(FenceMethod::Sql)), Status::Started),
        (
            Step {
                unless: Some(Unless::Fenced(component())),
                ..step("fence.group", fence(FenceMethod::SecurityGroup))
            },
            Status::Started,
        ),
    ]);
    assert_eq!(told(&state, BEGAN), "look fence.sql, wake 5m, look fence.group, wake 5m");
    let proven = Fact::Fenced {
        component: component(),
        method: FenceMethod::Sql,
        at: BEGAN,
        last_commit: None,
        last_commit_there: None,
        clock: None,
        wal: None,
        word: None,
        proof: "p".to_owned(),
        unexplained: None,
        unreplicated: Vec::new(),
    };
    let facts = vec![proven];
    let what = EventKind::StepFinished { step: StepId::new("fence.sql"), end: End::Performed, facts };
    say(&mut state, BEGAN, what);
    assert_eq!(told(&state, BEGAN), "step_skipped fence.group");
    state.steps[1].work.status = Status::Backoff { due: BEGAN };
    assert_eq!(told(&state, BEGAN), "step_skipped fence.group");
}

#[test]
fn what_was_refused_for_now_waits_its_time_in_both_directions() {
    let backoff = Status::Backoff { due: minutes(2) };
    let state = under_way(vec![(step("a", scale()), backoff.clone())]);
    assert_eq!(told(&state, minutes(1)), "wake 2m, wake 5m");
    assert_eq!(told(&state, minutes(2)), "look a, wake 5m");
    let mut state = under_way(vec![(step("a", scale()), DONE)]);
    state.steps[0].undo = Some(Work { status: backoff, ..Work::new() });
    let state = cancelled(state);
    assert_eq!(told(&state, minutes(1)), "wake 2m");
    assert_eq!(told(&state, minutes(2)), "look a, wake 6m");
    assert_eq!(told(&state, minutes(3)), "look a, wake 6m");
}

#[test]
fn a_command_that_may_have_run_is_run_again_on_a_persons_word_only() {
    for (idempotent, claimed, calls, status, follows) in [
        (false, false, 0, Status::Started, "look a, wake 5m"),
        (false, false, 1, Status::Started, "gate_blocked a"),
        (true, false, 1, Status::Started, "look a, wake 5m"),
        // It was requested already and is not requested again.
        (false, false, 1, blocked(), "approval"),
        (true, false, 1, blocked(), "approval"),
        (false, true, 1, blocked(), "step_finished a"),
        (true, true, 1, Status::Started, "step_finished a"),
        // A person ran it before drctl did.
        (false, true, 0, Status::Started, "step_finished a"),
        (true, true, 0, blocked(), "step_finished a"),
    ] {
        let context = format!("idempotent {idempotent}, claimed {claimed}, {calls} calls, {status:?}");
        let mut state = under_way(vec![(step("a", command(idempotent)), status)]);
        state.steps[0].work.attempts = calls;
        state.steps[0].claimed_by = claimed.then(|| Person::claimed("sam"));
        assert_eq!(told(&state, minutes(1)), follows, "{context}");
    }
}

#[test]
fn only_what_has_a_deadline_and_waits_for_nobody_expires() {
    let mut endless = step("b", scale());
    endless.estimate.timeout_ms = Dur::ZERO;
    let state = under_way(vec![
        (Step { background: true, ..step("a", scale()) }, Status::Started),
        (endless, Status::Started),
        (step("c", scale()), blocked()),
        (step("d", scale()), Status::Started),
    ]);
    assert_eq!(told(&state, minutes(600)), "look a, look b, look c, expire d");
}

#[test]
fn an_approval_is_looked_at_again_when_it_expires() {
    let ask = Gate::Approval {
        ask: "may we?".to_owned(),
        expires_after_ms: Dur::mins(30),
        by: Vec::new(),
        override_by: None,
    };
    let mut state = under_way(vec![(step("go", Action::Gate(ask)), Status::Started)]);
    assert_eq!(told(&state, BEGAN), "gate_blocked go");
    for effect in decide(&state, BEGAN) {
        let Effect::Record(events) = effect else { panic!("{effect:?}") };
        events.into_iter().for_each(|what| say(&mut state, BEGAN, what));
    }
    assert_eq!(told(&state, minutes(29)), "wake 30m, approval");
    assert_eq!(told(&state, minutes(30)), "step_failed go");
}

/// A promotion may have created a second primary, so a timeout alone never decides that it had no effect.
#[test]
fn a_promotion_in_doubt_is_never_given_up_by_the_clock_and_a_fence_is() {
    let in_doubt = Status::InDoubt { since: minutes(10) };
    let mut state = under_way(vec![(step("promote", promote()), in_doubt.clone())]);
    // It is reported once.
    assert_eq!(told(&state, minutes(600)), "expire promote");
    assert!(matches!(expired(&state, 0, None), EventKind::Overdue { .. }));
    state.steps[0].work.overdue = Some(minutes(600));
    assert_eq!(told(&state, minutes(600)), "look promote");
    let state = under_way(vec![(step("fence", fence(FenceMethod::SecurityGroup)), in_doubt)]);
    assert_eq!(told(&state, minutes(10) + Dur::secs(1)), "look fence, wake 10m 20s");
    assert_eq!(told(&state, minutes(10) + Dur::secs(20)), "expire fence");
}

#[test]
fn a_run_in_which_nothing_can_follow_says_so_and_one_that_waits_for_its_gate_does_not() {
    let state = under_way(vec![(after(step("a", scale()), &["nothing"]), Status::Pending)]);
    assert_eq!(told(&state, BEGAN), "failed: a waits for a, but nothing runs");
    let gate = Gate::Exposure { components: vec![component()], objective_ms: Dur::mins(1) };
    let state = under_way(vec![
        (step("exposure", Action::Gate(gate)), Status::Started),
        (after(step("a", scale()), &["exposure"]), Status::Pending),
    ]);
    assert_eq!(told(&state, BEGAN), "");
}

/// A guard that this run never took, or is releasing, does not prevent the undo, whoever holds it.
#[test]
fn only_a_guard_that_the_run_holds_is_looked_at_before_anything_is_taken_back() {
    let of = |hold: Status, undo: Option<Work>, scaled: Status| {
        let [write, held] = guard();
        let mut state = under_way(vec![
            (step("hold", write), hold),
            (step("held", held), DONE),
            (step("scale", scale()), scaled),
        ]);
        state.steps[0].undo = undo;
        told(&cancelled(state), minutes(1))
    };
    assert_eq!(of(DONE, None, DONE), "step_started held");
    assert_eq!(of(Status::Pending, None, DONE), "look scale, wake 6m");
    let begun = Work { status: Status::Started, ..Work::new() };
    assert_eq!(of(DONE, Some(begun), Status::Skipped), "look hold, wake 6m");
}

#[test]
fn a_fence_stays_where_nobody_sees_the_replica_for_a_minute() {
    let mut state = cancelled(under_way(vec![
        (step("fence", fence(FenceMethod::Sql)), DONE),
        (step("check", Action::from(Promotable { db: db("db-east") })), DONE),
        (step("promote", promote()), Status::Pending),
    ]));
    assert_eq!(told(&state, minutes(1)), "step_started check");
    say(&mut state, minutes(1), EventKind::StepStarted { step: StepId::new("check") });
    assert_eq!(told(&state, minutes(1) + Dur::secs(59)), "wake 2m, look check");
    let why = "check: it is unknown whether somebody promoted the replica by hand, so the fence stays";
    assert_eq!(told(&state, minutes(2)), format!("failed: {why}, look check"));
}

/// A run with every action that can be undone.
fn everything() -> RunState {
    let [hold, _] = guard();
    let steps = [
        ("hold", hold),
        ("ttl", lowered_ttl()),
        ("scale", scale()),
        ("fence", fence(FenceMethod::Sql)),
        ("beside", restore(RestoreJob::CreateCopy)),
        ("swap", restore(RestoreJob::Swap)),
        ("switch", switch()),
        ("object", object()),
        ("route", route()),
        ("point", point()),
    ];
    cancelled(under_way(steps.map(|(id, action)| (step(id, action), DONE)).into()))
}

/// Undoes everything except `fails`. Returns the targets that were observed together, and the final decision.
fn taken_back(fails: &str) -> (Vec<String>, String) {
    let (mut state, mut order) = (everything(), Vec::new());
    let look = |effect: Effect| if let Effect::Look(i) = effect { Some(i) } else { None };
    loop {
        let looks: Vec<usize> = decide(&state, minutes(1)).into_iter().filter_map(look).collect();
        if looks.is_empty() {
            return (order, told(&state, minutes(1)));
        }
        let ids: Vec<StepId> = looks.iter().map(|&i| state.step(i).id.clone()).collect();
        order.push(ids.iter().map(StepId::as_str).collect::<Vec<_>>().join(" "));
        for step in ids {
            let reason = "no".to_owned();
            let failed = step.as_str() == fails;
            let what =
                if failed { EventKind::UndoFailed { step, reason } } else { EventKind::StepUndone { step } };
            say(&mut state, minutes(1), what);
        }
    }
}

#[test]
fn users_are_led_back_first_and_the_fence_is_lifted_before_copies_go() {
    let (order, end) = taken_back("nothing");
    assert_eq!(order, ["point route object switch swap", "scale", "fence", "ttl", "beside", "hold"]);
    assert_eq!(end, "run_finished");
}

#[test]
fn while_users_or_the_copy_cannot_be_moved_back_the_fence_stays() {
    for id in ["swap", "switch", "object", "route", "point"] {
        let (order, end) = taken_back(id);
        assert_eq!(order, ["point route object switch swap", "scale"], "{id}");
        assert_eq!(end, format!("failed: drctl could not undo {id}: no"));
    }
}

/// A finished run with a fence of its own, and one on another server that an earlier run left pending.
pub fn over(owes: Option<bool>) -> RunState {
    let earlier = Step { debt: true, ..step("earlier", fence(FenceMethod::Sql)) };
    let own = step("own", fence(FenceMethod::Sql));
    let mut state = under_way(vec![(own, Status::Pending), (earlier, Status::Pending)]);
    say(&mut state, BEGAN, EventKind::RunFinished { outcome: Outcome::Recovered });
    if let Some(paid) = owes {
        let paid = paid.then(|| (BEGAN, "p".to_owned()));
        state.debts.insert(component(), FenceDebt { since: BEGAN, pending: true, paid, settled: None });
    }
    state
}

/// By then, the server of a fence may be the only one that serves.
#[test]
fn a_run_that_is_over_fences_only_what_it_owes_itself() {
    assert_eq!(told(&over(None), minutes(1)), "finished");
    assert_eq!(told(&over(Some(true)), minutes(1)), "finished");
    assert_eq!(told(&over(Some(false)), minutes(1)), "step_started own, finished");
}

#[test]
fn what_users_feel_of_a_drill_and_what_moves_them_is_told_apart() {
    for (action, phase, felt, moved) in [
        (command(true), Phase::Scale, false, false),
        (command(true), Phase::Fence, true, false),
        (command(true), Phase::Verify, true, false),
        (scale(), Phase::Scale, false, false),
        (fence(FenceMethod::Sql), Phase::Fence, true, false),
        (lowered_ttl(), Phase::Preflight, false, false),
        (switch(), Phase::Redirect, true, true),
        (object(), Phase::Redirect, true, true),
        (route(), Phase::Redirect, true, true),
        (point(), Phase::Rewire, true, true),
    ] {
        let context = format!("{action} in phase {phase}");
        let mut state = run(vec![Step { phase, ..step("a", action) }]);
        assert!(!drill::felt(&state) && !drill::moved(&state), "{context}: not begun");
        state.steps[0].work.attempts = 1;
        state.steps[0].work.status = DONE;
        assert_eq!((drill::felt(&state), drill::moved(&state)), (felt, moved), "{context}");
        state.promoted.insert(component());
        assert!(drill::moved(&state), "{context}: a promotion moves for good");
    }
}

#[test]
fn only_the_watch_of_a_live_drills_way_there_is_cut_short() {
    let probe = Probe {
        name: "public".into(),
        role: ProbeRole::Public,
        site: None,
        via: ProbeVia::Tcp { address: "www:443".to_owned() },
        every_ms: Dur::secs(5),
        timeout_ms: Dur::secs(3),
    };
    let wait = || Action::Wait { duration_ms: Dur::mins(5), until: None };
    let mut state = run(vec![
        Step { phase: Phase::Watch, ..step("watch", wait()) },
        Step { phase: Phase::Preflight, ..step("ttl", wait()) },
    ]);
    state.turns.insert(probe.key(), vec![Turn { good: false, since: BEGAN, last_other: None }]);
    state.runbook.probes = vec![probe];
    let cut = |state: &RunState| [0, 1].map(|i| drill::cut_short(state, i).is_some());
    assert_eq!(cut(&state), [false, false], "no drill");
    state.runbook.drill = Some(Drill::Live);
    assert_eq!(cut(&state), [true, false]);
    let why = drill::cut_short(&state, 0).unwrap();
    for (status, reason, called_off) in [
        (Status::Skipped, why.as_str(), true),
        (Status::Skipped, "enough", false),
        (Status::Failed, why.as_str(), false),
    ] {
        let work = &mut state.steps[0].work;
        (work.status, work.reason) = (status, Some(reason.to_owned()));
        assert_eq!(drill::called_off(&state), called_off.then_some(reason));
    }
    state.created.returns = Some(run_id());
    assert_eq!(cut(&state), [false, false], "the way back");
}
