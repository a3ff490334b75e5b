//! A fence by a security group that has a rule, or whose rules nobody may read.

use std::process::Command;

use super::{Estate, FAILOVER, localstack};
use crate::servers::{Fault, Rule};

/// What AWS gives every new group, and the seed takes from groups that fence.
const OUTBOUND: [&str; 2] = ["IpPermissions.1.IpProtocol=-1", "IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"];

/// Changes the group of the fence in the west like somebody else, bypassing the proxy.
fn change(estate: &Estate, action: &str) {
    let credential = format!("Credential={}/20260101/us-west-2/ec2/aws4_request", estate.account());
    let group = estate.seed["west"]["fence_group"].as_str().unwrap();
    let done = Command::new("curl")
        .args(["-sS", "--fail-with-body", "-H"])
        .arg(format!("Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"))
        .args([
            "-d",
            "Version=2016-11-15",
            "-d",
            &format!("Action={action}"),
            "-d",
            &format!("GroupId={group}"),
        ])
        .args(OUTBOUND.iter().flat_map(|pair| ["-d", pair]))
        .arg(localstack())
        .output()
        .unwrap();
    assert!(done.status.success(), "{action}: {}", String::from_utf8_lossy(&done.stdout));
}

fn promotions(estate: &Estate) -> usize {
    estate.proxy.count(|c| c.operation == "PromoteReadReplica")
}

/// A subscription on the old primary fetches its writes over a connection of its own, which an outbound rule lets through.
#[test]
fn a_group_with_an_outbound_rule_proves_no_fence() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    change(&estate, "AuthorizeSecurityGroupEgress");
    let named = "outbound: all traffic to 0.0.0.0/0";
    let (_, ready, err) = estate.run(&["ready", "truststream"]);
    assert!(ready.contains("could not be proven") && ready.contains(named), "{ready}{err}");
    let (_, dry, err) = estate.run(&[FAILOVER, &["--dry-run"]].concat());
    assert!(dry.contains(named), "{dry}{err}");
    let (code, _, err) = estate.run(FAILOVER);
    assert_eq!((code, promotions(&estate)), (1, 0), "{err}");
    assert!(err.contains(named), "{err}");
    change(&estate, "RevokeSecurityGroupEgress");
    let (code, _, err) = estate.run(&["runs", "resume", &estate.only_run().unwrap()]);
    assert_eq!((code, promotions(&estate)), (5, 1), "{err}");
}

#[test]
fn a_group_whose_rules_nobody_may_read_proves_no_fence() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let denied = Fault::Error("403 Forbidden", "UnauthorizedOperation", "You are not authorized to do this.");
    let rule = estate.proxy.rule(Rule::new(denied).operation("DescribeSecurityGroups"));
    let (_, ready, err) = estate.run(&["ready", "truststream"]);
    assert!(ready.contains("could not be proven") && ready.contains("cannot be read"), "{ready}{err}");
    let (code, _, err) = estate.run(FAILOVER);
    assert_eq!((code, promotions(&estate)), (1, 0), "{err}");
    assert!(err.contains("ec2:DescribeSecurityGroups"), "{err}");
    estate.proxy.remove(rule);
    let (code, _, err) = estate.run(&["runs", "resume", &estate.only_run().unwrap()]);
    assert_eq!((code, promotions(&estate)), (5, 1), "{err}");
}
