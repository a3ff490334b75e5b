//! Observations that RDS refuses permanently, over the SDK.

use super::{Estate, FAILOVER, until};
use crate::servers::{Fault, HoldPoint, Rule};

const DENIED: Fault = Fault::Error(
    "403 Forbidden",
    "AccessDenied",
    "User: drctl-west is not authorized to perform: rds:DescribeEvents",
);
const UNKNOWN: Fault = Fault::Error("501 Not Implemented", "InternalFailure", "not implemented here");
const FENCE: &str = "for rds:DescribeEvents: drctl cannot prove the fence by security group;";

fn refuse(fault: Fault) -> Rule {
    Rule::new(fault).operation("DescribeEvents").region("us-west-2")
}

#[test]
fn every_command_names_a_look_that_is_denied_and_what_it_means_for_the_fence() {
    let estate = Estate::new();
    estate.proxy.rule(refuse(DENIED));
    let words = format!("AccessDenied {FENCE} grant it or use another fence method");
    for args in [
        &["observe"][..],
        &["status"],
        &["ready"],
        &["doctor", "--assume-down", "us-west-2"],
        &[FAILOVER, &["--dry-run"]].concat(),
        FAILOVER,
    ] {
        let (code, out, err) = estate.run(args);
        assert!(format!("{out}{err}").contains(&words), "{args:?}: {code}\n{out}{err}");
        assert!(!format!("{out}{err}").contains("no answer ("), "{args:?}: {out}{err}");
    }
    assert!(estate.only_run().is_none(), "it is refused before anything is begun");
    let (_, lines) = estate.json(&["assess", "truststream", "--from", "us-west-2", "--to", "us-east-1"]);
    let all = lines["lines"].as_array().unwrap();
    let rds = all.iter().find(|l| l["about"] == "source_control_plane" && l["what"] == "rds").unwrap();
    assert_eq!(rds["reads"], "unknown", "{rds:#}");
}

#[test]
fn a_call_that_is_not_known_there_is_asked_once_and_ends_the_rung() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    estate.proxy.rule(Rule::new(Fault::Hold(HoldPoint::AfterForward)).operation("ModifyDBInstance").times(1));
    let mut run = estate.spawn(FAILOVER);
    let held = estate.proxy.wait_held(std::time::Duration::from_secs(120)).expect("it attaches the group");
    estate.proxy.rule(refuse(UNKNOWN));
    let before = estate.proxy.count(|c| c.operation == "DescribeEvents" && c.status == Some(501));
    held.release();
    until("the run ends", || run.try_wait().unwrap().is_some());
    let asked = estate.proxy.count(|c| c.operation == "DescribeEvents" && c.status == Some(501));
    let words = estate.words();
    assert_eq!(asked - before, 1, "{words}");
    assert!(words.contains(&format!("InternalFailure {FENCE} use another fence method")), "{words}");
    assert_eq!(estate.proxy.count(|c| c.operation == "PromoteReadReplica"), 0, "{words}");
}

/// Throttling passes: the observation is repeated, and the run continues.
#[test]
fn a_look_that_is_throttled_is_made_again() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    estate.proxy.rule(Rule::new(Fault::Throttle).operation("DescribeEvents").times(6));
    let (code, report) = estate.json(FAILOVER);
    assert!(code == 5 && report["outcome"] == "recovered", "{report:#}");
    estate.assert_recovered_once();
}
