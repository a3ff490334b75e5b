//! Planned moves in the simulated estate: no loss, wherever a process dies, and the old primary follows at the end.

use drctl::inventory::Observation;
use drctl::kinds::shared::database::{CaughtUp, DatabaseRole, DatabaseState};
use drctl::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use drctl::kinds::shared::wal::{Lsn, WalPoint};
use drctl::kinds::{Operation, State, Target};
use drctl::model::ids::{ComponentName, SiteName, StepId};
use drctl::model::intent::Intent;
use drctl::model::measure::Basis;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::plan::Plan;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome};
use drctl::record::runbook::Phase;
use drctl::report::attainment::attainment;
use drctl::report::summary;
use drctl::run::exposure::measure;
use drctl::run::state::Mode;
use drctl::run::{RunState, StepDecision, StepObservation, Stop, judge};

use crate::run::cancel::until;
use crate::run::resume::{estates, events};
use crate::support::rig::{Rehearsed, Rig, Seen, plan};

/// Two self-managed servers that depend on each other, a group and a name.
fn orders() -> Plan {
    two_stores("postgres", |name, site| {
        format!(
            "{{endpoint: \"{name}-{site}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}"
        )
    })
}

/// Two stores of a kind that depend on each other, a group and a name.
pub fn two_stores(kind: &str, at: impl Fn(&str, &str) -> String) -> Plan {
    let server = |name: &str, more: &str| {
        format!(
            "  {name}:\n    kind: {kind}\n    fence: [sql]\n    verify: {{sql_write: {{table: canary}}}}\n{more}    at:\n      west: {}\n      east: {}\n",
            at(name, "west"),
            at(name, "east")
        )
    };
    plan(&format!(
        "plan: orders\nobjectives: {{rto: 20m, rpo: 5m}}\nsites:\n  west: {{region: us-west-2}}\n  east: {{region: us-east-1}}\nconnections:\n  dns: {{}}\nhome: west\ncomponents:\n{}{}  nodes:\n    kind: aws.autoscaling\n    at:\n      west: {{group: w, capacity_floor: 2}}\n      east: {{group: e, capacity_floor: 2}}\n  www:\n    kind: aws.route53\n    via: dns\n    needs: [billing, nodes]\n    zone: Z1\n    records:\n      - {{name: www.example, type: A, ttl: 20s, at: {{west: [192.0.2.1], east: [198.51.100.1]}}}}\nprobes:\n  - {{name: public, role: public, http: \"https://www.example/\", every: 5s, timeout: 3s}}\nwatch: {{for: 2m}}\n",
        server("db", ""),
        server("billing", "    needs: [db]\n")
    ))
}

pub fn moving(intent: Intent, scenario: &str, seed: u64) -> Rig {
    Rig { intent, ..Rig::new(orders(), scenario, seed) }
}

fn role(seen: &Seen, server: &str) -> (bool, Option<bool>) {
    let (_, state) = seen.iter().find(|(k, _)| k.starts_with("database/") && k.contains(server)).unwrap();
    let State::Database(db) = state else { panic!("{state:?}") };
    (db.is_replica(), db.streaming)
}

pub fn nothing_lost(done: &Rehearsed, context: &str) {
    let lost: Vec<_> = done.truth.lost_ms.iter().filter(|(_, lost)| **lost > Dur::ZERO).collect();
    assert!(lost.is_empty(), "{context}: {lost:?}");
    assert_eq!(done.truth.two_primaries_ms, Dur::ZERO, "{context}");
    assert!(!done.truth.traffic_before_database, "{context}");
}

/// A complete move: recovered, with a measured loss of nothing, and protected again.
pub fn moves_whole(rig: &Rig, context: &str) -> Rehearsed {
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{context}: {r:#?}"));
    let state = &done.ended.state;
    assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{context}: {:?}", done.ended.stop);
    nothing_lost(&done, context);
    let attained = attainment(state, state.last_at);
    assert_eq!((attained.rpo.value_ms, attained.rpo.basis), (Some(Dur::ZERO), Basis::Measured), "{context}");
    assert_eq!(summary::report(state, state.last_at).protection.state, "protected", "{context}");
    done
}

#[test]
fn a_move_loses_nothing_and_leaves_a_standby() {
    for (intent, scenario) in
        [(Intent::Switchover, "calm"), (Intent::Failback, "away"), (Intent::Failback, "after-failover")]
    {
        for seed in 1..4 {
            let rig = moving(intent, scenario, seed);
            let context = format!("{intent} {scenario} {seed}");
            let done = moves_whole(&rig, &context);
            let (_, seen) = rig.second(&done.records, &done.notes, &[], None).unwrap();
            let (old, new) = if intent == Intent::Switchover { ("west", "east") } else { ("east", "west") };
            for db in ["db", "billing"] {
                assert_eq!(role(&seen, &format!("{db}-{old}")), (true, Some(true)), "{context}");
                assert!(!role(&seen, &format!("{db}-{new}")).0, "{context}");
            }
        }
    }
}

/// A process dies after every event of a move, with and without the effect of its last call.
#[test]
fn a_move_that_is_carried_on_ends_as_it_would_have() {
    for (intent, scenario) in [(Intent::Switchover, "calm"), (Intent::Failback, "after-failover")] {
        let rig = moving(intent, scenario, 7);
        let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
        let all = events(&whole);
        for n in 2..all.len() {
            for (variant, notes) in estates(&whole.notes, &all[..n]).into_iter().enumerate() {
                let context = format!("{intent}, prefix of {n} events, variant {variant}");
                let done = rig.carry_on(&whole.records[..n], &notes);
                assert_eq!(
                    done.ended.state.mode,
                    Mode::Finished(Outcome::Recovered),
                    "{context}: {:?}",
                    done.ended.stop
                );
                nothing_lost(&done, &context);
            }
        }
    }
}

/// Cancelled after every event: before the promotion everything is restored, after it nothing is undone.
#[test]
fn a_move_that_is_cancelled_never_leaves_two_primaries() {
    let rig = moving(Intent::Switchover, "calm", 3);
    let whole = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let all = events(&whole);
    let mut unwound = 0;
    for n in 2..all.len() {
        for notes in estates(&whole.notes, &all[..n]) {
            let (done, seen) = rig.cancel(&whole.records[..n], &notes, None);
            let context = format!("prefix of {n} events");
            nothing_lost(&done, &context);
            match (&done.ended.state.mode, &done.ended.stop) {
                (Mode::Finished(Outcome::Cancelled), _) => {
                    assert_eq!(role(&seen, "db-west"), (false, None), "{context}");
                    assert_eq!(role(&seen, "db-east"), (true, Some(true)), "{context}");
                    unwound += 1;
                }
                (Mode::Finished(Outcome::Abandoned), _) => {}
                other => panic!("{context}: {other:?}"),
            }
        }
    }
    assert!(unwound > 10, "{unwound}");
}

/// Stores that depend on others stop taking writes first, and nothing is promoted before the last one has caught up.
#[test]
fn writes_end_in_the_order_in_which_stores_need_each_other() {
    let done = moving(Intent::Switchover, "calm", 1).rehearse().unwrap();
    let all = events(&done);
    let first = |test: &dyn Fn(&EventKind) -> bool| all.iter().position(|e| test(&e.what)).unwrap();
    let ended = |id: &'static str| move |w: &EventKind| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == id);
    let called = |id: &'static str| move |w: &EventKind| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == id);
    assert!(
        first(&ended("scale.nodes")) < first(&called("fence.billing.sql")),
        "users are served while capacity comes"
    );
    assert!(first(&ended("fenced.billing")) < first(&called("fence.db.sql")));
    assert!(first(&ended("caught-up.db")) < first(&called("promote.db")));
    assert!(first(&ended("caught-up.billing")) < first(&called("promote.db")));
}

#[test]
fn nobody_waives_a_loss_in_a_planned_move() {
    let mut rig = moving(Intent::Switchover, "calm", 1);
    for rule in [Rule::UnfencedPromotion, Rule::ExposureAboveRpo] {
        rig.waivers = vec![Waiver {
            rule,
            component: Some(ComponentName::new("db")),
            accept_loss_ms: Some(Dur::mins(5)),
            reason: "r".to_owned(),
            who: Person::claimed("test"),
        }];
        let refused = rig.rehearse().err().unwrap();
        assert!(refused.iter().any(|r| r.facts.contains("allows no data loss")), "{refused:?}");
    }
}

#[test]
fn a_server_that_cannot_be_made_a_standby_is_not_moved_from() {
    let text =
        orders().text.replace(", host: {run: [ssh, x], data: /data, replication: {secret: \"file:r\"}}", "");
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(plan(&text), "calm", 1) };
    let refused = rig.rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.facts.contains("no `host`")), "{refused:?}");
}

#[test]
fn reprotect_moves_nothing_and_makes_a_standby() {
    let rig = moving(Intent::Reprotect, "after-failover", 1);
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered));
    let mutating: Vec<_> = done.ended.state.runbook.steps.iter().filter(|s| s.action.mutates()).collect();
    assert!(
        mutating
            .iter()
            .all(|s| s.phase == Phase::Protect && matches!(s.action, Action::Op(Operation::Rejoin(_))))
    );
    assert_eq!(mutating.len(), 2);
    let again = Rig { intent: Intent::Reprotect, ..Rig::new(orders(), "away", 1) }.rehearse().unwrap();
    assert!(again.ended.state.runbook.is_empty(), "everything streams already");
}

/// The standby never catches up: a cancel admits writes again, and nothing was promoted.
#[test]
fn a_standby_that_does_not_catch_up_is_not_promoted() {
    let rig = moving(Intent::Switchover, "calm", 1);
    let first =
        until(&rig, |w| matches!(w, EventKind::StepStarted { step } if step.as_str() == "caught-up.billing"));
    let mut lagging = moving(Intent::Switchover, "calm", 1);
    lagging.scenario.lag_ms = 480_000;
    let (done, _) = lagging.second(&first.records, &first.notes, &[], None).unwrap();
    assert!(
        matches!(&done.ended.stop, Stop::Failed(why) if why.starts_with("caught-up.")),
        "{:?}",
        done.ended.stop
    );
    assert!(done.ended.state.promoted.is_empty());
    let (back, seen) = lagging.cancel(&done.records, &done.notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled));
    let open = |key: &str| matches!(&seen[key], State::Fence(f) if !f.proven);
    let site = SiteName::new("west");
    assert!(
        open(&format!("fence/{site}/db-west:5432/app/sql"))
            && open(&format!("fence/{site}/billing-west:5432/app/sql"))
    );
}

#[test]
fn the_active_site_is_not_made_to_follow_itself() {
    let to = Some(SiteName::new("east"));
    let rig = Rig { intent: Intent::Reprotect, to, ..Rig::new(orders(), "after-failover", 1) };
    let refused = rig.rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.facts.contains("east is the active site")), "{refused:?}");
}

/// Somebody lifted the old primary's fence: both take writes, and only a person knows which is right.
#[test]
fn a_writer_is_fenced_before_it_is_made_a_standby() {
    let plan = orders();
    let open = |name: &str| {
        let name = ComponentName::new(name);
        let drctl::kinds::Role::Store(spec) = plan.components[&name].role() else { panic!() };
        let db = spec.server(&plan, &name, &SiteName::new("west")).unwrap();
        Action::Op(Operation::Unfence(Unfence(Fence {
            db,
            method: FenceMethod::Sql,
            groups_before: Vec::new(),
        })))
    };
    let deeds = vec![open("db"), open("billing")];
    let to = Some(SiteName::new("west"));
    let rig = Rig { intent: Intent::Reprotect, to, deeds, ..Rig::new(orders(), "after-failover", 1) };
    let refused = rig.rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.rule == Rule::ActiveSiteUnclear), "{refused:?}");
    let named = Rig { from: Some(SiteName::new("east")), ..rig };
    let done = named.rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let all = events(&done);
    let at = |test: &dyn Fn(&EventKind) -> bool| all.iter().position(|e| test(&e.what)).unwrap();
    for db in ["db", "billing"] {
        let fenced = at(
            &|w| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == format!("fenced.{db}")),
        );
        let called = at(
            &|w| matches!(w, EventKind::CallIntended { step, .. } if step.as_str() == format!("rejoin.{db}.west")),
        );
        assert!(fenced < called, "{db} was stopped with writes of its own");
    }
    // And nothing is moved while two servers take writes.
    let deeds = vec![open("db"), open("billing")];
    let moving = Rig {
        intent: Intent::Failback,
        from: Some(SiteName::new("east")),
        deeds,
        ..Rig::new(orders(), "after-failover", 1)
    };
    let refused = moving.rehearse().err().unwrap();
    assert!(refused.iter().any(|r| r.facts.contains("both take writes")), "{refused:?}");
}

/// The system identifier, timeline and position match the old primary, but the server is a standby of a copy.
#[test]
fn a_standby_of_a_copy_never_counts_as_caught_up() {
    let rig = moving(Intent::Switchover, "calm", 1);
    let first =
        until(&rig, |w| matches!(w, EventKind::StepFinished { step, .. } if step.as_str() == "caught-up.db"));
    let state = RunState::fold(&events(&first)).unwrap();
    let i = state.position(&StepId::new("caught-up.db")).unwrap();
    let Action::Op(Operation::CheckCaughtUp(CaughtUp { db })) = &state.step(i).action else { panic!() };
    let end = state.fenced_end(&db.component).unwrap();
    let look = |mark: Option<&str>| {
        let seen = DatabaseState {
            role: DatabaseRole::Replica { source: "x".to_owned() },
            status: "available".to_owned(),
            wal: Some(WalPoint { position: Lsn(end.position.0 + 1_000), ..end }),
            streaming: Some(true),
            fence_token: mark.map(str::to_owned),
            ..DatabaseState::default()
        };
        let exposure = measure(&state, &db.component, &seen, state.last_at).figure;
        let seen = Observation::Value {
            state: State::Database(seen),
            observed_at: state.last_at,
            source: "t".to_owned(),
        };
        let sight = StepObservation::Things(vec![(Target::Database(db.clone()), seen)]);
        (judge(&state, i, &sight, state.last_at), exposure)
    };
    let ours = state.fence_token(&db.component).unwrap().to_owned();
    let (done, figure) = look(Some(&ours));
    assert!(matches!(done, StepDecision::Record(EventKind::StepFinished { .. })), "{done:?}");
    assert_eq!(figure.value_ms, Some(Dur::ZERO));
    for mark in [None, Some("fence-of-another-time")] {
        let (ruling, figure) = look(mark);
        assert!(matches!(&ruling, StepDecision::Keep(why) if why.contains("never reached it")), "{ruling:?}");
        assert!(figure.value_ms != Some(Dur::ZERO) || figure.basis != Basis::Measured, "{figure}");
    }
}

/// The old primary is back, fenced, and lacks later writes: a failover does not treat it as the writer.
#[test]
fn nobody_fails_over_to_an_old_primary() {
    for plan in [orders(), crate::kinds::managed_moves::managed()] {
        let to = Some(SiteName::new("west"));
        let rig = Rig { to, ..Rig::new(plan, "after-failover", 1) };
        let refused = rig.rehearse().err().unwrap();
        let all: Vec<_> = refused.iter().filter(|r| r.facts.contains("It is an old primary")).collect();
        assert_eq!(all.len(), 2, "{refused:#?}");
        assert!(all.iter().all(|r| r.rule == Rule::NotRecoverable), "nobody waives that");
    }
}
