//! Somebody restarts the old primary, drctl's own restart meets a fault, and the event of the first restart appears late.

use std::process::Command;

use serde_json::json;

use super::aurora::{Orders, TO_EAST};
use super::{Estate, FAILOVER, control, localstack, until};
use crate::servers::{Call, Fault, Rule};

/// A dropped connection, a service error, and throttling: none is an accepted restart.
const FAULTS: [Fault; 4] = [
    Fault::Refuse,
    Fault::LoseAnswer,
    Fault::Error("500 Internal Server Error", "InternalFailure", "An internal error has occurred."),
    Fault::Throttle,
];

/// One of them; with `DRCTL_TEST_WHOLE` (`tests/nightly restarts`), all.
fn faults(one: Fault) -> Vec<Fault> {
    if std::env::var_os("DRCTL_TEST_WHOLE").is_some() { FAULTS.to_vec() } else { vec![one] }
}

/// Calls RDS in the west like somebody else, bypassing the proxy.
fn rds(account: &str, form: &[&str]) -> String {
    let credential = format!("Credential={account}/20260101/us-west-2/rds/aws4_request");
    let mut call = Command::new("curl");
    call.args(["-sS", "--fail", "-H"])
        .arg(format!("Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"))
        .args(["-d", "Version=2014-10-31"]);
    form.iter().for_each(|pair| {
        call.args(["-d", pair]);
    });
    let done = call.arg(localstack()).output().unwrap();
    assert!(done.status.success(), "{form:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The number of an instance's restarts that RDS reports.
fn told(account: &str, instance: &str) -> usize {
    let of = format!("SourceIdentifier={instance}");
    rds(account, &["Action=DescribeEvents", "SourceType=db-instance", &of])
        .matches("DB instance restarted")
        .count()
}

/// Delays the restart events of an instance; `None` releases the delayed ones.
fn events_come(account: &str, instance: &str, after_ms: Option<u64>) {
    let body =
        json!({"account": account, "region": "us-west-2", "instance": instance, "event_delay_ms": after_ms});
    control(localstack(), "rds", &body.to_string());
}

/// A first restart by somebody else, which has ended but is not reported yet.
fn restarted_by_somebody(account: &str, instance: &str) {
    events_come(account, instance, Some(3_600_000));
    let named = format!("DBInstanceIdentifier={instance}");
    rds(account, &["Action=RebootDBInstance", &named]);
    until("the first restart is over", || {
        rds(account, &["Action=DescribeDBInstances", &named])
            .contains("<DBInstanceStatus>available</DBInstanceStatus>")
    });
}

/// Each of drctl's own restarts meets the fault until the late event has been visible for a while; then none does.
fn nothing_is_promoted_on_a_late_event(
    estate: &Estate,
    instance: &str,
    failover: &[&str],
    promotion: &str,
    fault: Fault,
) {
    let account = estate.account().to_owned();
    restarted_by_somebody(&account, instance);
    let own = |c: &Call| c.operation == "RebootDBInstance";
    let rule = estate.proxy.rule(Rule::new(fault).operation("RebootDBInstance"));
    let mut run = estate.spawn(&[failover, &["--output", "json"]].concat());
    until("drctl asks for a restart", || estate.proxy.count(own) > 0);
    assert_eq!(told(&account, instance), 0, "{fault:?}: the event is late");
    events_come(&account, instance, None);
    until("the late event is there", || told(&account, instance) > 0);
    let looks = || estate.proxy.count(|c| c.operation == "DescribeEvents");
    let before = looks();
    until("drctl sees the late event", || looks() > before + 4);
    assert_eq!(
        estate.proxy.count(|c| c.operation == promotion),
        0,
        "{fault:?}: promoted on somebody else's restart\n{}",
        estate.words()
    );
    assert!(run.try_wait().unwrap().is_none(), "{fault:?}: {}", estate.words());
    let asked = estate.proxy.count(own);
    estate.proxy.remove(rule);
    assert_eq!(run.wait().unwrap().code(), Some(5), "{fault:?}: {}", estate.words());
    let calls = estate.proxy.calls();
    let position = |wanted: &dyn Fn(&Call) -> bool| calls.iter().position(wanted).unwrap();
    let accepted = position(&|c| own(c) && c.status == Some(200) && estate_saw(c));
    assert!(accepted < position(&|c| c.operation == promotion), "{fault:?}: {calls:#?}");
    assert!(estate.proxy.count(own) > asked, "{fault:?}: it is asked for again");
    let (_, seen) = estate.json(&["report", "run", &estate.only_run().unwrap()]);
    assert_eq!(seen["fence"]["state"], "proven", "{seen:#}");
    eprintln!("{fault:?}: {}", seen["fence"]);
}

/// Whether the caller got the answer.
fn estate_saw(call: &Call) -> bool {
    call.fate == crate::servers::Fate::Passed
}

#[test]
fn a_late_event_of_somebody_elses_restart_proves_nothing() {
    std::thread::scope(|scope| {
        for fault in faults(Fault::Throttle) {
            scope.spawn(move || {
                let estate = Estate::new();
                estate.write_plan("", "1s");
                nothing_is_promoted_on_a_late_event(
                    &estate,
                    "truststream-db",
                    FAILOVER,
                    "PromoteReadReplica",
                    fault,
                );
            });
        }
    });
}

#[test]
fn a_late_event_of_somebody_elses_restart_proves_nothing_of_a_cluster() {
    std::thread::scope(|scope| {
        for fault in faults(Fault::LoseAnswer) {
            scope.spawn(move || {
                let orders = Orders::new();
                let promotion = "FailoverGlobalCluster";
                nothing_is_promoted_on_a_late_event(
                    &orders.estate,
                    "orders-west-1",
                    TO_EAST,
                    promotion,
                    fault,
                );
            });
        }
    });
}
