//! Regression tests: sequences that once led to two primaries, to a run without an end, or to a loss that nobody had accepted.

use drctl::inventory::targets;
use drctl::kinds::aws::autoscaling::Scale;
use drctl::kinds::shared::capacity::Size;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::{Fact, Operation, Role, Target};
use drctl::model::ids::{ComponentName, RunId, SiteName, StepId};
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::plan::Plan;
use drctl::planner::Debt;
use drctl::record::action::Action;
use drctl::record::event::{Direction, Event, EventKind, Outcome, Signal};
use drctl::record::runbook::Step;
use drctl::report::attainment::attainment;
use drctl::run::state::{Mode, Status};
use drctl::run::{Effect, RunState, Stop, decide};

use crate::run::cancel::{stateless, until};
use crate::run::resume::events;
use crate::support::rig::{BEGAN, Notes, Rehearsed, Rig, cancel, plan, truststream};

pub fn waiver(rule: Rule, loss: Dur) -> Waiver {
    Waiver {
        rule,
        component: None,
        accept_loss_ms: Some(loss),
        reason: "r".to_owned(),
        who: Person::claimed("test"),
    }
}

pub fn three_sites() -> Plan {
    plan(
        "plan: three\nobjectives: {rto: 20m, rpo: 5m}\nsites:\n  west: {region: us-west-2}\n  east: {region: us-east-1}\n  zold: {region: eu-west-1}\nconnections:\n  dns: {}\nhome: west\ncomponents:\n  db:\n    kind: aws.rds\n    fence: [sql, security_group]\n    verify: {sql_write: {table: canary}}\n    at:\n      west: {id: db-w, fence_group: sg-w, admin: {secret: \"file:y\"}}\n      east: {id: db-e, fence_group: sg-e, admin: {secret: \"file:y\"}}\n      zold: {id: db-z, fence_group: sg-z, admin: {secret: \"file:y\"}}\n  zone:\n    kind: aws.route53\n    via: dns\n    needs: [db]\n    zone: Z1\n    records:\n      - {name: a.example, type: A, ttl: 20s, at: {west: [192.0.2.1], east: [198.51.100.1], zold: [203.0.113.1]}}\nprobes:\n  - {name: public, role: public, http: \"https://a.example\", every: 5s, timeout: 3s}\nwatch: {for: 5m}\n",
    )
}

fn debt_on(plan: &Plan, site: &str) -> Debt {
    let name = ComponentName::new("db");
    let Role::Store(rds) = plan.components[&name].role() else { panic!() };
    let db = rds.server(plan, &name, &SiteName::new(site)).unwrap();
    Debt {
        run: RunId::new("earlier"),
        component: name,
        rungs: vec![Fence { db, method: FenceMethod::Sql, groups_before: vec!["sg-zold".to_owned()] }],
        since: BEGAN,
    }
}

fn deeds(notes: &Notes) -> Vec<Action> {
    notes.iter().map(|(_, b)| serde_json::from_slice(b).unwrap()).collect()
}

#[test]
fn a_debt_on_another_server_is_no_fence_of_this_one() {
    let plan = three_sites();
    let debt = debt_on(&plan, "zold");
    let mut rig = Rig::new(plan, "region-slow", 1);
    rig.debts = vec![debt];
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}

#[test]
fn a_cancelled_run_owes_nothing_and_fences_nobody() {
    let mut rig = Rig::new(truststream(), "primary-returns", 1);
    rig.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.")),
    );
    let (cancelled, _) = rig.cancel(&first.records, &first.notes, None);
    assert_eq!(cancelled.ended.state.mode, Mode::Finished(Outcome::Cancelled));
    rig.later = Some(BEGAN + Dur::mins(200));
    let (later, _) = rig.second(&cancelled.records, &cancelled.notes, &[], None).unwrap();
    let fences: Vec<_> = deeds(&later.notes)
        .into_iter()
        .filter(|a| matches!(a, Action::Op(Operation::Fence(_))))
        .map(|a| a.to_string())
        .collect();
    assert_eq!(fences, Vec::<String>::new(), "a cancelled run fenced the only primary");
}

#[test]
fn a_cancel_lifts_no_fence_that_an_earlier_run_owed() {
    let plan = three_sites();
    let debt = debt_on(&plan, "zold");
    let mut rig = Rig::new(plan, "region-lost", 1);
    rig.debts = vec![debt];
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.")),
    );
    let (cancelled, _) = rig.cancel(&first.records, &first.notes, None);
    let lifted: Vec<_> = deeds(&cancelled.notes)
        .into_iter()
        .filter(|a| matches!(a, Action::Op(Operation::Unfence(Unfence(f))) if f.db.id == "db-z"))
        .collect();
    assert!(lifted.is_empty(), "the old primary of an earlier run takes writes again");
}

fn fence_call_under_way() -> (Rig, Rehearsed) {
    let rig = Rig::new(truststream(), "region-lost", 1);
    let mut first = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let all = events(&first);
    let n = 1 + all
        .iter()
        .position(
            |e| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("fence.")),
        )
        .unwrap();
    first.notes = crate::run::resume::estates(&first.notes, &all[..n]).pop().unwrap();
    first.records.truncate(n);
    // From here on nothing in the lost region answers.
    let mut rig = Rig::new(truststream(), "region-dark", 1);
    rig.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    (rig, first)
}

#[test]
fn a_fence_in_doubt_in_a_dark_region_can_be_waived() {
    let (rig, first) = fence_call_under_way();
    let waive = Signal::Waive { waiver: waiver(Rule::UnfencedPromotion, Dur::mins(20)) };
    let (done, _) = rig.second(&first.records, &first.notes, &[waive, Signal::Resume], None).unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered));
}

#[test]
fn a_person_can_close_a_run_that_cannot_be_taken_back() {
    let (rig, first) = fence_call_under_way();
    let (mut stuck, _) = rig.cancel(&first.records, &first.notes, None);
    let step = StepId::new("fence.db.security_group");
    let skip = Signal::Skip { step: step.clone(), reason: "r".to_owned() };
    for letters in [
        vec![Signal::Resume],
        vec![cancel(None)],
        vec![skip, Signal::Resume],
        vec![Signal::Done { step }, Signal::Resume],
        vec![cancel(None), cancel(None)],
    ] {
        let (next, _) = rig.second(&stuck.records, &stuck.notes, &letters, None).unwrap();
        stuck = next;
    }
    assert!(stuck.ended.state.finished(), "the run holds its components for ever");
}

pub fn two_stores(hook: &str) -> Plan {
    plan(&format!(
        "plan: two\nobjectives: {{rto: 20m, rpo: 5m}}\nsites:\n  west: {{region: us-west-2}}\n  east: {{region: us-east-1}}\nconnections:\n  dns: {{}}\nhome: west\ncomponents:\n  a:\n    kind: aws.rds\n    fence: [security_group]\n    verify: {{sql_write: {{table: canary}}}}\n    at:\n      west: {{id: a-w, fence_group: sg-w}}\n      east: {{id: a-e, fence_group: sg-e, admin: {{secret: \"file:y\"}}}}\n  b:\n    kind: aws.rds\n    needs: [a]\n    fence: [security_group]\n    verify: {{sql_write: {{table: canary}}}}\n    at:\n      west: {{id: b-w, fence_group: sg-w}}\n      east: {{id: b-e, fence_group: sg-e, admin: {{secret: \"file:y\"}}}}\n  zone:\n    kind: aws.route53\n    via: dns\n    needs: [a, b]\n    zone: Z1\n    records:\n      - {{name: a.example, type: A, ttl: 20s, at: {{west: [192.0.2.1], east: [198.51.100.1]}}}}\nprobes:\n  - {{name: public, role: public, http: \"https://a.example\", every: 5s, timeout: 3s}}\nwatch: {{for: 5m}}\nhooks:\n  - {{at: {hook}, name: flush, step: {{command: [\"true\"], idempotent: true}}}}\n"
    ))
}

#[test]
fn a_hook_after_promotions_that_wait_for_each_other_makes_no_circle() {
    let done = Rig::new(two_stores("after.promote"), "region-lost", 1)
        .rehearse()
        .unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered));
}

#[test]
fn a_hook_before_verifications_that_wait_for_each_other_makes_no_circle() {
    let done = Rig::new(two_stores("before.verify"), "region-lost", 1)
        .rehearse()
        .unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered));
}

#[test]
fn a_hook_after_the_fence_follows_though_a_rung_failed() {
    let text = include_str!("../../../plans/truststream.yaml").to_owned()
        + "hooks:\n  - {at: after.fence, name: flush, step: {command: [\"true\"], idempotent: true}}\n";
    let rig = Rig::new(plan(&text), "region-slow", 1);
    let first =
        until(&rig, |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == "fence.db.sql"));
    let mut state = RunState::fold(&events(&first)).unwrap();
    let mut at = state.last_at;
    let mut say = |state: &mut RunState, what: EventKind| {
        at = at + Dur::secs(1);
        state.apply(&Event { at, what }).unwrap();
    };
    let id = StepId::new("fence.db.sql");
    say(&mut state, EventKind::StepFailed { step: id.clone(), reason: "administrator_in_use".to_owned() });
    let id = StepId::new("fence.db.security_group");
    say(&mut state, EventKind::StepStarted { step: id.clone() });
    let fact = Fact::Fenced {
        component: ComponentName::new("db"),
        method: FenceMethod::SecurityGroup,
        at: state.last_at,
        last_commit: None,
        last_commit_there: None,
        clock: None,
        wal: None,
        word: None,
        proof: "p".to_owned(),
        unexplained: None,
        unreplicated: Vec::new(),
    };
    say(
        &mut state,
        EventKind::StepFinished { step: id, end: drctl::record::event::End::Performed, facts: vec![fact] },
    );
    for _ in 0..20 {
        let now = state.last_at + Dur::secs(1);
        let records: Vec<_> = decide(&state, now)
            .into_iter()
            .filter_map(|e| if let Effect::Record(w) = e { Some(w) } else { None })
            .flatten()
            .collect();
        if records.is_empty() {
            break;
        }
        for what in records {
            say(&mut state, what);
        }
    }
    // Everything else in progress ends well.
    for i in 0..state.steps.len() {
        if matches!(state.steps[i].work.status, Status::Started | Status::Awaiting { .. }) {
            let id = state.step(i).id.clone();
            say(
                &mut state,
                EventKind::StepFinished { step: id, end: drctl::record::event::End::Noop, facts: Vec::new() },
            );
        }
    }
    let next = decide(&state, state.last_at + Dur::mins(6000));
    assert!(!next.is_empty(), "the fence is proven, and nothing follows and nothing is said");
}

#[test]
fn a_skip_of_what_is_taken_back_is_refused() {
    let rig = Rig::new(stateless(), "capacity-short", 1);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let (done, _) = rig.cancel(&whole.records, &whole.notes, None);
    let all = events(&done);
    let n = 1 + all.iter().position(|e| matches!(&e.what, EventKind::CallIntended { direction: Direction::Undo, step, .. } if step.as_str() == "scale.nodes")).unwrap();
    let notes = crate::run::resume::estates(&done.notes, &all[..n]).remove(0);
    let skip = Signal::Skip { step: StepId::new("scale.nodes"), reason: "enough".to_owned() };
    for letters in [vec![skip.clone()], vec![skip.clone(), cancel(None)], vec![skip, Signal::Resume]] {
        let ended = rig.second(&done.records[..n], &notes, &letters, None);
        let (ended, _) = ended.unwrap_or_else(|e| panic!("{e}"));
        let refused = |e: &Event| matches!(&e.what, EventKind::SignalRefused { reason, .. } if reason.contains("being undone"));
        assert!(events(&ended).iter().any(refused), "{letters:?}");
    }
}

#[test]
fn a_loss_that_grew_past_what_was_accepted_is_asked_about_again() {
    let mut rig = Rig::new(truststream(), "region-dark", 1);
    rig.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(5))];
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.")),
    );
    rig.later = Some(BEGAN + Dur::mins(160));
    let (done, _) = rig.second(&first.records, &first.notes, &[Signal::Resume], None).unwrap();
    let s = &done.ended.state;
    assert!(
        matches!(&done.ended.stop, Stop::Blocked(why) if why.starts_with("promote.db")),
        "{:?}",
        done.ended.stop
    );
    assert!(s.promoted.is_empty(), "promoted with more loss than was accepted");
}

#[test]
fn capacity_that_is_set_and_not_in_service_is_waited_for() {
    let plan = stateless();
    let name = ComponentName::new("nodes");
    let Role::Capacity(spec) = plan.components[&name].role() else { panic!() };
    let Some(Target::Group(group)) = spec.target(&plan, &name, &SiteName::new("us-east-1")) else { panic!() };
    let to = Size { min: 4, desired: 4, max: 12 };
    let mut rig = Rig::new(plan, "capacity-short", 1);
    rig.deeds = vec![Action::Op(Operation::Scale(Scale {
        group,
        from: Size::default(),
        to,
        proceed_at: 0,
        resume: Default::default(),
        suspend: Default::default(),
    }))];
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:?}"));
    let steps: Vec<_> = done.ended.state.runbook.steps.iter().map(|s| s.id.to_string()).collect();
    assert!(
        steps.iter().any(|s| s == "scale.nodes"),
        "traffic goes to a group without instances, and nothing waits for them"
    );
}

/// A run that has just requested a promotion is cancelled (or displaced by this holder). Hours later another run fences and promotes, and
/// only then does the first one continue.
fn two_and_a_half_hours_later(displaced: Option<&str>, ends: &Mode) {
    let mut rig = Rig::new(truststream(), "primary-returns", 1);
    rig.waivers = vec![waiver(Rule::UnfencedPromotion, Dur::mins(20))];
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.")),
    );
    let (mut cancelled, _) = rig.cancel(&first.records, &first.notes, displaced);
    assert_eq!(cancelled.ended.state.mode, *ends);
    let of = |test: &dyn Fn(&Action) -> bool| {
        cancelled.ended.state.runbook.steps.iter().map(|s| s.action.clone()).find(|a| test(a)).unwrap()
    };
    let fence =
        of(&|a| matches!(a, Action::Op(Operation::Fence(f)) if f.method == FenceMethod::SecurityGroup));
    let promote = of(&|a| matches!(a, Action::Op(Operation::Promote(_))));
    // A fence by security group needs two calls: the group, and the restart.
    for (m, a) in [(180, fence.clone()), (181, fence), (183, promote)] {
        cancelled.notes.push((BEGAN + Dur::mins(m), serde_json::to_vec(&a).unwrap()));
    }
    rig.later = Some(BEGAN + Dur::mins(200));
    let (later, _) = rig.second(&cancelled.records, &cancelled.notes, &[], None).unwrap();
    assert_eq!(later.truth.two_primaries_ms, Dur::ZERO, "two primaries");
}

#[test]
fn a_cancelled_run_lifts_no_fence_of_the_run_after_it() {
    two_and_a_half_hours_later(None, &Mode::Finished(Outcome::Cancelled));
}

#[test]
fn a_displaced_run_lifts_no_fence_of_the_run_that_took_over() {
    two_and_a_half_hours_later(Some("run of bob"), &Mode::Finished(Outcome::Abandoned));
}

fn place() -> drctl::model::place::Place {
    let mut place = truststream().sites[&SiteName::new("us-east-1")].place.clone();
    place.name = "guard".to_owned();
    place
}

/// The run is being undone. Before its fence is lifted, somebody takes its guard and promotes.
#[test]
fn an_unwinding_looks_whether_its_guard_is_still_its_own() {
    use drctl::record::action::Write;
    let mut rig = Rig::new(truststream(), "region-slow", 1);
    rig.guard = Some(place());
    let first = until(
        &rig,
        |w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote.")),
    );
    // The cancel is recorded, nothing is undone yet, and from here on the process hangs.
    let (cancelled, _) = rig.cancel(&first.records, &first.notes, None);
    let all = events(&cancelled);
    let n = 1 + all.iter().position(|e| matches!(e.what, EventKind::CancelRequested { .. })).unwrap();
    let mut notes = crate::run::resume::estates(&cancelled.notes, &all[..n]).remove(0);
    let at = all[n - 1].at;
    for step in &cancelled.ended.state.runbook.steps {
        if let Action::Write(Write::Guard { component, place, holder, .. }) = &step.action {
            let taken = Action::Write(Write::Guard {
                component: component.clone(),
                place: place.clone(),
                holder: "run of bob".to_owned(),
                instead_of: Some(holder.clone()),
            });
            notes.push((at + Dur::secs(1), serde_json::to_vec(&taken).unwrap()));
        }
        if let Action::Op(Operation::Promote(_)) = &step.action {
            notes.push((at + Dur::secs(2), serde_json::to_vec(&step.action).unwrap()));
        }
    }
    rig.later = Some(at + Dur::mins(5));
    let (done, _) = rig.second(&cancelled.records[..n], &notes, &[], None).unwrap();
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "two primaries");
}

fn to_east(from: Option<&str>) -> drctl::planner::Request {
    drctl::planner::Request {
        intent: drctl::model::intent::Intent::Failover,
        from: from.map(SiteName::new),
        to: SiteName::new("east"),
        waivers: vec![waiver(Rule::ActiveSiteUnclear, Dur::ZERO)],
        outage_declared: true,
        rehearsed: false,
        holder: "run".to_owned(),
        run: crate::support::rig::run_id(),
        restore: None,
        drill: None,
        returns: false,
        hold: None,
        severity: None,
    }
}

/// Somebody promoted zold by hand while east serves, and an earlier run has a pending fence in west.
#[test]
fn a_promoted_target_is_served_only_once_the_server_that_is_left_is_fenced() {
    let plan = three_sites();
    let with = |debts: Vec<Debt>, from: Option<&str>| {
        use drctl::kinds::State;
        use drctl::kinds::shared::database::{DatabaseRole, DatabaseState};
        use drctl::kinds::shared::fence::FenceState;
        let mut estate = drctl::inventory::Estate::default();
        for t in targets::of_plan(&plan, None) {
            let state = match &t {
                drctl::kinds::Target::Database(db) => State::Database(DatabaseState {
                    role: if db.id == "db-z" {
                        DatabaseRole::Replica { source: "db-w".to_owned() }
                    } else {
                        DatabaseRole::Writer
                    },
                    status: "available".to_owned(),
                    security_groups: ["sg-app".to_owned()].into(),
                    ..Default::default()
                }),
                drctl::kinds::Target::Fence { .. } => {
                    State::Fence(FenceState { proof: "open".to_owned(), ..Default::default() })
                }
                _ => continue,
            };
            estate.add(
                &t,
                drctl::inventory::Observation::Value { state, observed_at: BEGAN, source: "t".to_owned() },
                None,
            );
        }
        let request = to_east(from);
        let input = drctl::planner::Input {
            plan: &plan,
            estate: &estate,
            now: BEGAN,
            request: &request,
            busy: &Default::default(),
            debts: &debts,
            kept_out: &[],
            groups_before: &[],
            fenced: &[],
            written: &[],
            leaks: &[],
            unled: &[],
            copies: &[],
            continues: None,
            guard: None,
            observation_max_age: Dur::mins(5),
            probe_consecutive: 3,
            policy: None,
            closed: Vec::new(),
        };
        drctl::planner::plan_run(&input).map(|r| {
            r.steps
                .iter()
                .map(|s| format!("{}{}", s.id, if s.background { " (background)" } else { "" }))
                .collect::<Vec<_>>()
        })
    };
    for debts in [vec![], vec![debt_on(&plan, "zold")]] {
        let steps = with(debts, Some("west")).unwrap_or_else(|r| panic!("{r:?}"));
        assert!(steps.contains(&"fence.db.sql".to_owned()), "{steps:?}");
    }
    let refused = with(vec![], None).unwrap_err();
    assert!(refused.iter().any(|r| r.facts.contains("the source site is unknown")), "{refused:?}");
}

/// Truststream with additional write probes.
fn with_write_probes(names: &[&str], scenario: &str, accepted: Dur) -> Rig {
    let probe = |name: &&str| {
        format!(
            "  - {{name: {name}, role: write, http: \"https://www.truststream.example/{name}\", every: 5s, timeout: 3s}}\n"
        )
    };
    let probes: String = names.iter().map(probe).collect();
    let text =
        include_str!("../../../plans/truststream.yaml").replace("probes:\n", &format!("probes:\n{probes}"));
    let mut rig = Rig::new(plan(&text), scenario, 1);
    rig.waivers = vec![waiver(Rule::UnfencedPromotion, accepted)];
    rig
}

/// The region returned and took writes while no process drove the run.
#[test]
fn what_a_probe_said_before_the_run_was_left_alone_is_not_believed() {
    let mut rig = with_write_probes(&["orders"], "primary-returns", Dur::mins(5));
    let first = until(&rig, |w| matches!(w, EventKind::FenceWaived { .. }));
    rig.later = Some(BEGAN + Dur::mins(200));
    let (done, _) = rig.second(&first.records, &first.notes, &[Signal::Resume], None).unwrap();
    let attained = attainment(&done.ended.state, done.ended.state.last_at);
    let fenced = done.ended.state.kept_out(&fenced_server(&done)).is_some();
    assert!(fenced || done.ended.state.promoted.is_empty(), "promoted with a loss of {}", attained.rpo);
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO);
}

fn fenced_server(done: &Rehearsed) -> DatabaseRef {
    let fence =
        |s: &Step| if let Action::Op(Operation::Fence(f)) = &s.action { Some(f.db.clone()) } else { None };
    done.ended.state.runbook.steps.iter().find_map(fence).unwrap()
}
