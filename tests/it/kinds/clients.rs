//! Clients that find their database by a secret or a command: how a run redirects them, and what is refused.

use std::collections::BTreeMap;

use drctl::executor::create;
use drctl::kinds::Operation;
use drctl::kinds::shared::secret::UpdateClientSecret;
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::record::action::Action;
use drctl::record::event::{EventKind, Outcome};
use drctl::report::changes::changes;
use drctl::run::continued;
use drctl::run::state::Mode;
use serde_json::json;

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::sandbox::simulation::accept;
use crate::support::rig::{Rehearsed, Rig, plan};
use crate::support::shop::{shop, until};

const APP: &str = r#"  app:
    kind: clients
    of: db
    at:
      west: {secret: shop/app, restart: [{name: api, command: [restart, west], idempotent: true}]}
      east: {secret: shop/app, restart: [{name: api, command: [restart, east], idempotent: true}, {command: [restart, worker]}]}
    verify: {sql_write: {table: drctl_canary}}
"#;
const POOL: &str = r#"  pool:
    kind: clients
    of: db
    at:
      west: {switch: {command: [lead, west], idempotent: true}}
      east: {switch: {command: [lead, east], idempotent: true, timeout: 20s}}
    verify: {sql_write: {table: drctl_canary, endpoint: "pool.shop.example:6432/shop", login: {secret: "aws-sm:shop/app"}}}
"#;
const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [app]
    zone: Z1
    records:
      - {name: www.shop.example, type: A, ttl: 60s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
"#;

pub fn text() -> String {
    shop(&format!("{APP}{POOL}{WWW}"))
}

fn rig(intent: Intent, scenario: &str) -> Rig {
    Rig { intent, ..Rig::new(plan(&text()), scenario, 1) }
}

fn finished(done: &Rehearsed, step: &str) -> usize {
    let ends = |w: &EventKind| matches!(w, EventKind::StepFinished { step: s, .. } if s.as_str() == step);
    events(done).iter().position(|e| ends(&e.what)).unwrap_or_else(|| panic!("{step}"))
}

fn began(done: &Rehearsed, step: &str) -> usize {
    let begins = |w: &EventKind| matches!(w, EventKind::CallIntended { step: s, .. } if s.as_str() == step);
    events(done).iter().position(|e| begins(&e.what)).unwrap_or_else(|| panic!("{step}"))
}

#[test]
fn clients_are_led_after_the_database_and_restarted_last() {
    for (intent, scenario, to, from) in [
        (Intent::Failover, "region-lost", "east", "west"),
        (Intent::Switchover, "calm", "east", "west"),
        (Intent::Failback, "away", "west", "east"),
    ] {
        let done = rig(intent, scenario).rehearse().unwrap();
        assert_eq!(
            done.ended.state.mode,
            Mode::Finished(Outcome::Recovered),
            "{intent}: {:?}",
            done.ended.stop
        );
        let led = format!("point.app.{to}");
        assert!(finished(&done, "verify.db") < began(&done, &led), "{intent}");
        assert!(finished(&done, "verify.db") < began(&done, "switch.pool"), "{intent}");
        // A client that reads both is restarted after both point to the new server.
        for before in [led.as_str(), "switch.pool"] {
            assert!(finished(&done, before) < began(&done, "restart.app.api"), "{intent}: {before}");
        }
        for before in ["restart.app.api", "through.app", "through.pool"] {
            assert!(finished(&done, before) < began(&done, "switch.www"), "{intent}: {before}");
        }
        assert!(
            finished(&done, "restart.app.api") < began(&done, "through.app"),
            "{intent}: nothing was proven"
        );
        if to == "east" {
            assert!(finished(&done, "restart.app.api") < began(&done, "restart.app.2"), "{intent}");
        }
        let steps = &done.ended.state.runbook.steps;
        let commands: Vec<_> = steps
            .iter()
            .filter_map(|s| {
                if let Action::Op(Operation::Run(c)) = &s.action { Some(c.argv.join(" ")) } else { None }
            })
            .collect();
        assert!(!commands.iter().any(|c| c.ends_with(from)), "{intent}: {commands:?}");
        assert!(done.truth.turns.last().is_some_and(|(_, served)| *served), "{intent}: users fail");
        finished(&done, &format!("point.app.{from}"));
        let said = changes(&done.ended.state);
        let host = |site: &str| format!("shop-{site}.{site}.sandbox");
        let of_secret = |c: &&drctl::model::change::Change| {
            c.resource == format!("aws_secretsmanager_secret_version shop/app in {to}")
        };
        let all: Vec<_> = said.iter().filter(of_secret).collect();
        assert_eq!(all.len(), 1, "the port is the same: {said:?}");
        assert_eq!((all[0].before.as_str(), all[0].after.as_str()), (host(from).as_str(), host(to).as_str()));
    }
}

/// No run waits for the clients of a dark region, but reports them. When it is back, a reprotect redirects them.
#[test]
fn clients_of_a_dark_region_are_led_when_it_is_back() {
    let mut dark = rig(Intent::Failover, "region-dark");
    dark.waivers = vec![accept(Rule::UnfencedPromotion), accept(Rule::ExposureAboveRpo)];
    let done = dark.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    let runbook = &done.ended.state.runbook;
    let west = runbook.steps.iter().find(|s| s.id.as_str() == "point.app.west").unwrap();
    assert!(west.background && runbook.steps.iter().all(|s| s.needs.iter().all(|n| n.step != west.id)));
    assert!(
        runbook.notes.iter().any(|n| n.contains("shop/app in west cannot be read")),
        "{:?}",
        runbook.notes
    );
    let Action::Op(Operation::UpdateClientSecret(point)) = &west.action else { panic!() };
    assert_eq!(point.to["host"], "shop-east.east.sandbox");
    let back = Rig {
        deeds: vec![Action::Op(Operation::UpdateClientSecret(UpdateClientSecret {
            to: point.from.clone(),
            ..point.clone()
        }))],
        to: Some(SiteName::new("west")),
        ..rig(Intent::Reprotect, "after-failover")
    };
    let done = back.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    finished(&done, "point.app.west");
}

/// If everything is as it should be, nothing is restarted or redirected.
#[test]
fn where_nothing_moves_nobody_is_restarted() {
    let rig = Rig { to: Some(SiteName::new("east")), ..rig(Intent::Switchover, "away") };
    let done = rig.rehearse().unwrap();
    assert!(done.ended.state.runbook.steps.is_empty(), "{:#?}", done.ended.state.runbook.steps);
}

/// Without a promotion, the change can be undone. That restores the same fields, not the previous version.
#[test]
fn a_change_that_is_called_off_is_taken_back() {
    let done = rig(Intent::Failback, "away").rehearse().unwrap();
    let find = |a: &Action| {
        if let Action::Op(Operation::UpdateClientSecret(p)) = a { Some(p.clone()) } else { None }
    };
    let points: Vec<UpdateClientSecret> =
        done.ended.state.runbook.steps.iter().filter_map(|s| find(&s.action)).collect();
    let east = points.into_iter().find(|p| p.secret.place.name == "east").unwrap();
    assert_eq!(east.reversed().unwrap().reversed(), Some(east.clone()));
    // The previous endpoint is unknown.
    assert_eq!(UpdateClientSecret { from: BTreeMap::new(), ..east.clone() }.reversed(), None);
    // Everything is in the east except the secret of the clients there.
    let rig = Rig {
        deeds: vec![Action::Op(Operation::UpdateClientSecret(east.clone()))],
        to: Some(SiteName::new("east")),
        ..rig(Intent::Switchover, "away")
    };
    let done = rig.rehearse().unwrap();
    let called = |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str() == "point.app.east");
    let (n, notes) = until(&done, |e| called(&e.what));
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    assert_eq!(back.ended.state.mode, Mode::Finished(Outcome::Cancelled), "{:?}", back.ended.stop);
    let fields = serde_json::to_value(&seen["secret/east/app/shop/app"]).unwrap()["fields"].clone();
    assert_eq!(fields, serde_json::to_value(&east.to).unwrap());
}

/// A run that is cancelled after the promotion leaves clients at the new database.
#[test]
fn a_cancel_after_the_promotion_leaves_them_with_the_new_server() {
    let rig = rig(Intent::Switchover, "calm");
    let done = rig.rehearse().unwrap();
    let called = |w: &EventKind| matches!(w, EventKind::CallAnswered { step, .. } if step.as_str() == "point.app.east");
    let (n, notes) = until(&done, |e| called(&e.what));
    let (back, seen) = rig.cancel(&done.records[..n], &notes, None);
    let fields = serde_json::to_value(&seen["secret/east/app/shop/app"]).unwrap()["fields"].clone();
    assert_eq!(fields, json!({"host": "shop-east.east.sandbox", "port": "5432"}), "{:?}", back.ended.stop);
}

const NAME: &str = r#"  dbname:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: db.shop.example, type: A, ttl: 90s, serves: static, at: {west: [192.0.2.9], east: [198.51.100.9]}}
  cron:
    kind: clients
    of: db
    needs: [dbname, app]
    at:
      west: {restart: [{command: [again, west], idempotent: true}]}
      east: {restart: [{command: [again, east], idempotent: true}]}
    verify: {sql_write: {table: drctl_canary, endpoint: "db.shop.example:5432/shop", login: {secret: "aws-sm:shop/app"}}}
"#;

/// Clients that find the database by a name wait for it and for the cached answers of resolvers; then follow clients that need others; and
/// users come last.
#[test]
fn clients_behind_a_name_wait_for_it_and_users_for_them() {
    let pool = POOL.replace("    of: db\n", "    of: db\n    needs: [app]\n");
    let rig = Rig::new(plan(&shop(&format!("{APP}{pool}{NAME}{WWW}"))), "region-lost", 1);
    let done = rig.rehearse().unwrap();
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
    for (before, after) in [
        ("through.app", "switch.pool"),
        ("verify.db", "switch.dbname"),
        ("through.cron", "switch.www"),
        ("through.pool", "switch.www"),
        ("restart.cron.1", "through.cron"),
    ] {
        assert!(finished(&done, before) < began(&done, after), "{before}, {after}");
    }
    let all = events(&done);
    let waited = all[began(&done, "restart.cron.1")].at.since(all[finished(&done, "switch.dbname")].at);
    assert!(waited >= Dur::secs(90), "resolvers have the old address for {waited} only");
}

/// The effect of a command cannot be observed, so clients that an earlier run redirected only in part are redirected again.
#[test]
fn clients_that_a_run_left_half_led_are_led_by_the_next() {
    let rig = rig(Intent::Failover, "region-lost");
    let done = rig.rehearse().unwrap();
    let all = |n: usize| create::replay(&done.ended.state.created.run, &done.records[..n]).unwrap();
    let at = |step: &str| began(&done, step) + 1;
    let unled = |n: usize| continued::unled(&[all(n)]);
    assert_eq!(unled(done.records.len()), Vec::new(), "it came to its end");
    assert_eq!(unled(began(&done, "promote.db")), Vec::new(), "nothing moved");
    let half = unled(at("restart.app.api"));
    assert!(half.contains(&ComponentName::new("app")), "{half:?}");
    let away = Rig { to: Some(SiteName::new("east")), ..self::rig(Intent::Switchover, "away") };
    let next = Rig { unled: half, ..away }.rehearse().unwrap();
    finished(&next, "restart.app.api");
    finished(&next, "through.app");
}

#[test]
fn a_dry_run_names_the_calls_and_no_secret() {
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/shop.yaml"), text()).unwrap();
    let (code, out, err) =
        folder.run(&["plan", "show", "shop", "--to", "east", "--as-commands", "--sandbox", "region-lost"]);
    assert_eq!(code, 0, "{out} {err}");
    for part in [
        "put-secret-value --region us-east-1 --secret-id shop/app --version-stages drctl",
        "update-secret-version-stage --region us-east-1 --secret-id shop/app --version-stage AWSCURRENT",
        "host=shop-east.east.sandbox",
        "GRANT INSERT ON public.drctl_canary",
        "# psql to pool.shop.example:6432/shop, as the clients' login",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (code, out, err) =
        folder.run(&["doctor", "--assume-down", "west", "--sandbox", "calm", "--output", "json"]);
    let said = format!("{out}{err}");
    assert!(said.contains("app: restart east") && said.contains("pool: lead east"), "{code} {said}");
    assert!(!said.contains("restart west"), "{said}");
}

#[test]
fn a_plan_whose_clients_nothing_leads_is_an_error() {
    for (from, to, code, words) in [
        (
            "    of: db\n    at:\n      west: {secret",
            "    of: www\n    at:\n      west: {secret",
            2,
            "which is not a database",
        ),
        (
            "    of: db\n    at:\n      west: {secret",
            "    of: dbb\n    at:\n      west: {secret",
            2,
            "unknown-component",
        ),
        ("      east: {switch:", "      #", 2, "nothing moves `pool` to `db` in east"),
        (", login: {secret: \"aws-sm:shop/app\"}", "", 2, "needs `endpoint` and `login`"),
        ("login: {secret: \"aws-sm:shop/app\"}", "login: hunter2", 2, "secret-in-plan"),
        (
            "    verify: {sql_write: {table: drctl_canary}}\n  pool",
            "  pool",
            0,
            "`app` has no `verify: sql_write`",
        ),
        (
            "    of: db\n    at:\n      west: {secret",
            "    of: db\n    fields: {host: password}\n    at:\n      west: {secret",
            2,
            "a server name to `password`",
        ),
        (
            "{command: [restart, worker]}",
            "{name: api, command: [restart, worker]}",
            2,
            "two restarts of `app` in east have the name api",
        ),
        (
            "{command: [restart, worker]}",
            "{name: \"2\", command: [x]}, {name: \"2\", command: [y]}",
            2,
            "have the name 2",
        ),
        (
            "pool.shop.example:6432/shop",
            "postgres://app:hunter2@pool:6432/shop",
            2,
            "is not host:port/database",
        ),
        (
            "east: {secret: shop/app",
            "east: {secret: \"arn:aws:secretsmanager:us-west-2:1:secret:shop/app-x\"",
            2,
            "is in west",
        ),
        (
            "switch: {command: [lead, west], idempotent: true}",
            "secret: shop/app",
            2,
            "change the same fields of one secret",
        ),
    ] {
        let changed = text().replace(from, to);
        assert_ne!(changed, text(), "{from}");
        let folder = Folder::empty();
        std::fs::create_dir(folder.path().join("plans")).unwrap();
        std::fs::write(folder.path().join("plans/shop.yaml"), changed).unwrap();
        let (ended, out, err) = folder.run(&["check", "plans/shop.yaml", "--output", "json"]);
        assert!(ended == code && format!("{out}{err}").contains(words), "{words}: {ended} {out} {err}");
    }
}
