//! This machine's clock is wrong: services take no request that is signed with its time. And how sessions are named there.

use super::{Estate, FAILOVER};
use crate::support::{Fault, Rule};

/// What the services' clocks show, less what this machine's does.
const AHEAD: i64 = 20 * 60;
const WORDS: &str = "this machine's clock is 20m behind the service's";

#[test]
fn a_wrong_clock_is_told_with_by_how_much_and_is_no_silence_of_a_region() {
    let estate = Estate::new();
    let skewed = estate.proxy.rule(Rule::new(Fault::Skewed(AHEAD)));
    let (code, out, err) = estate.run(FAILOVER);
    assert!(code == 4 && err.contains(WORDS), "{code}: {out}{err}");
    assert!(estate.only_run().is_none());
    let (_, seen, err) = estate.run(&["observe"]);
    assert!(seen.contains(WORDS) && !seen.contains("nobody answered"), "{seen}{err}");
    let (_, table) = estate.json(&["assess", "truststream", "--from", "us-west-2", "--to", "us-east-1"]);
    let lines = table["lines"].as_array().unwrap();
    let rds = lines.iter().find(|l| l["about"] == "source_control_plane" && l["what"] == "rds").unwrap();
    assert_eq!(rds["reads"], "unknown", "{rds:#}");
    assert!(rds["detail"].as_str().unwrap().contains(WORDS), "{rds:#}");
    // STS's own answer is told apart from that of a service that a session was had for.
    estate.proxy.remove(skewed);
    estate.proxy.rule(Rule::new(Fault::Skewed(-AHEAD)).service("rds"));
    let (_, seen, _) = estate.run(&["observe"]);
    assert!(seen.contains("this machine's clock is 20m ahead of the service's"), "{seen}");
}

#[test]
fn sessions_carry_the_command_and_the_operator() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let args = [FAILOVER, &["--output", "json"]].concat();
    let output = estate.command(&args).env("DRCTL_OPERATOR", "Zoë/ops@night").output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, events, _) = estate.run(&["runs", "export", &estate.only_run().unwrap()]);
    assert!(events.contains("assumed-role/drctl-east/drctl-failover-Zo--ops@night"), "{events}");
}
