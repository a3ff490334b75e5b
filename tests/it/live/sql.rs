//! Fence, measure, promote, admit and verify on real PostgreSQL servers: the proofs are true of real sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::postgres::Pair;
use super::{Estate, FAILOVER, control, localstack};
use crate::servers::{Fault, HoldPoint, Rule};

/// Points LocalStack's instances to the real servers, and makes the plan use SQL.
fn with_servers(estate: &Estate, pair: &Pair) {
    for (region, instance, port) in
        [("us-west-2", "truststream-db", pair.primary), ("us-east-1", "truststream-replica-1", pair.standby)]
    {
        let body = serde_json::json!({
            "account": estate.account(), "region": region, "instance": instance,
            "endpoint": {"address": "127.0.0.1", "port": port},
        });
        control(localstack(), "rds", &body.to_string());
    }
    estate.write_plan("", "1s");
    let file = estate.path().join("plans/truststream.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    let plan = plan
        .replace("fence: [security_group]", "fence: [sql, security_group]\n    harmless: {roles: [postgres]}")
        .replace("}\n      us-east-1: {id:", ", admin: {secret: \"aws-sm:ts/db/admin\"}}\n      us-east-1: {id:")
        .replace("}\n  nodes:", ", admin: {secret: \"aws-sm:ts/db/admin\"}}\n    verify: {sql_write: {table: drctl_canary}}\n  nodes:");
    std::fs::write(&file, plan).unwrap();
    let settings = estate.path().join("drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + "sql: {tls: \"off\"}\n").unwrap();
}

/// Stops the application when the test ends, however it ends.
struct Writer(Arc<AtomicBool>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_fence_by_sql_ends_real_sessions_and_the_canary_is_a_real_row() {
    let (estate, pair) = (Estate::new(), Pair::start());
    with_servers(&estate, &pair);
    let mut idle = pair.session("reporting");
    let writer = Writer(Arc::default());
    std::thread::scope(|scope| {
        let (stop, app) = (Arc::clone(&writer.0), &pair);
        scope.spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let _ = app.psql(app.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES");
            }
        });
        let (code, report) = failover(&estate, &pair);
        drop(writer);
        assert_eq!(report["outcome"], "recovered", "{report:#}");
        assert_eq!(code, 5, "only the RTO is not proven: {report:#}");
        assert_eq!(report["fence"]["state"], "proven", "{report:#}");
        let text = report.to_string();
        assert!(text.contains("no client role can log in"), "{report:#}");
        idle.wait().unwrap();
        // The old primary refuses the application, and the new one accepts it.
        let insert = "INSERT INTO orders DEFAULT VALUES";
        let (ok, why) = pair.psql(pair.primary, "app", "truststream", insert);
        assert!(!ok && why.contains("not permitted to log in"), "{why}");
        assert!(pair.psql(pair.standby, "app", "truststream", insert).0, "roles are admitted again");
        assert_eq!(pair.query(pair.standby, "SELECT count(*) FROM drctl_canary"), "1");
        // The acknowledged rows that are missing do not exceed the reported loss.
        let kept = pair.query(pair.standby, "SELECT count(*) FROM orders");
        let written = pair.query(pair.primary, "SELECT count(*) FROM orders");
        let lost: i64 = written.parse::<i64>().unwrap() + 1 - kept.parse::<i64>().unwrap();
        let reported = report["rpo"]["achieved_s"].as_f64().unwrap();
        assert!(lost <= 0 || reported > 0.0, "{lost} writes are lost, and {reported} s were reported");
        assert!(reported < 60.0, "{report:#}");
    });
    let secrets = ["not-a-secret-here"];
    let journal = estate.run(&["runs", "export", &estate.only_run().unwrap()]).1;
    assert!(secrets.iter().all(|s| !journal.contains(s)), "a secret in the journal");
}

/// A failover in which the standby is promoted when RDS gets the call.
fn failover(estate: &Estate, pair: &Pair) -> (i32, serde_json::Value) {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let call = estate
                .proxy
                .wait_call(Duration::from_secs(120), |c| c.operation == "PromoteReadReplica" && c.forwarded);
            assert!(call.is_some());
            pair.promote();
        });
        estate.json(FAILOVER)
    })
}

#[test]
fn of_an_idle_primary_the_loss_is_measured() {
    let (estate, pair) = (Estate::new(), Pair::start());
    with_servers(&estate, &pair);
    pair.sql(pair.primary, "truststream", "INSERT INTO orders DEFAULT VALUES");
    let (_, report) = failover(&estate, &pair);
    // No transaction came between the last write and the fence, so the last commit is known to be that write, and it is there.
    assert_eq!(report["rpo"]["basis"], "measured", "{report:#}");
    assert_eq!(report["rpo"]["achieved_s"], 0.0, "{report:#}");
    assert_eq!(pair.query(pair.standby, "SELECT count(*) FROM orders"), "1");
}

#[test]
fn an_application_with_the_administrators_role_is_not_called_fenced() {
    let (estate, pair) = (Estate::new(), Pair::start());
    with_servers(&estate, &pair);
    let mut pool = pair.session("truststream");
    super::until("the session is open", || {
        pair.query(pair.primary, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()") == "1"
    });
    let (_, report) = failover(&estate, &pair);
    // The next method, the security group and a restart, keeps it out.
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    assert!(report.to_string().contains("administrator"), "{report:#}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert_eq!(estate.carried_out("RebootDBInstance"), 1);
    pool.kill().unwrap();
    pool.wait().unwrap();
}

/// The replica's endpoint leads to the primary: its position would be the primary's, and a fence would be lifted there.
#[test]
fn an_endpoint_that_leads_to_the_writer_is_no_replica() {
    let (estate, pair) = (Estate::new(), Pair::start());
    with_servers(&estate, &pair);
    let body = serde_json::json!({
        "account": estate.account(), "region": "us-east-1", "instance": "truststream-replica-1",
        "endpoint": {"address": "127.0.0.1", "port": pair.primary},
    });
    control(localstack(), "rds", &body.to_string());
    let (code, refused) = estate.json(FAILOVER);
    assert!(
        code == 3 && refused.to_string().contains("points to a server that takes writes"),
        "{code}: {refused:#}"
    );
    let (took, why) = pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES");
    assert!(took, "{why}");
}

/// A secret that is removed during a run: the method that needs it fails at once, and the next one is tried.
#[test]
fn a_login_that_is_denied_while_a_run_goes_on_is_told_at_once_with_what_it_means_for_the_fence() {
    let (estate, pair) = (Estate::new(), Pair::start());
    with_servers(&estate, &pair);
    estate.proxy.rule(Rule::new(Fault::Hold(HoldPoint::AfterForward)).operation("PutObject").times(1));
    let mut child = estate.spawn(FAILOVER);
    let held =
        estate.proxy.wait_held(Duration::from_secs(60)).unwrap_or_else(|| panic!("{}", estate.words()));
    child.kill().unwrap();
    child.wait().unwrap();
    held.release();
    let denied = Fault::Error("400 Bad Request", "AccessDeniedException", "Access to KMS is not allowed");
    estate.proxy.rule(Rule::new(denied).operation("GetSecretValue"));
    let run = estate.only_run().unwrap();
    let (_, out, err) = estate.run(&["runs", "resume", &run]);
    let told = "AccessDeniedException for secretsmanager:GetSecretValue: drctl can neither set nor prove the fence by SQL without the login; grant it or use another fence method";
    assert!(out.contains(told) || err.contains(told), "{out}{err}");
    let journal = estate.run(&["runs", "export", &run]).1;
    let at = |words: &[&str]| {
        let line = journal.lines().find(|line| words.iter().all(|w| line.contains(w)));
        let line = line.unwrap_or_else(|| panic!("{words:?}: {journal}"));
        let of = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let event = of(of(line)["bytes"].as_str().unwrap());
        drctl::model::time::Timestamp::parse(event["at"].as_str().unwrap()).unwrap()
    };
    let began = at(&["step_started", "fence.db.sql"]);
    let failed = at(&["step_failed", "fence.db.sql", told]);
    assert!(failed.since(began).millis() < 5_000, "{began} to {failed}");
    at(&["step_started", "fence.db.security_group"]);
}
