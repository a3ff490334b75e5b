//! A wrong clock of this machine: services reject every request that is signed with its time. Also the names of sessions.

use std::time::Duration;

use super::{Estate, FAILOVER, until};
use crate::servers::{Fault, HoldPoint, Rule};

/// The difference between the services' clocks and this machine's.
const AHEAD: i64 = 20 * 60;
const WORDS: &str = "the clock of this machine is 20m behind the clock of the service";

#[test]
fn a_wrong_clock_is_told_with_by_how_much_and_is_no_silence_of_a_region() {
    let estate = Estate::new();
    let skewed = estate.proxy.rule(Rule::new(Fault::Skewed(AHEAD)));
    let (code, out, err) = estate.run(FAILOVER);
    assert!(code == 4 && err.contains(WORDS), "{code}: {out}{err}");
    assert!(estate.only_run().is_none());
    let (_, seen, err) = estate.run(&["observe"]);
    assert!(seen.contains(WORDS) && !seen.contains("no answer ("), "{seen}{err}");
    let (_, table) = estate.json(&["assess", "truststream", "--from", "us-west-2", "--to", "us-east-1"]);
    let lines = table["lines"].as_array().unwrap();
    let rds = lines.iter().find(|l| l["about"] == "source_control_plane" && l["what"] == "rds").unwrap();
    assert_eq!(rds["reads"], "unknown", "{rds:#}");
    assert!(rds["detail"].as_str().unwrap().contains("the clock of this machine is wrong"), "{rds:#}");
    let once: Vec<_> = lines.iter().filter(|l| l["detail"].as_str().unwrap().contains(WORDS)).collect();
    assert!(once.len() == 1 && once[0]["about"] == "credentials", "by how much is said once: {lines:#?}");
    // A rejection by STS is distinguished from one by a service that gets a session.
    estate.proxy.remove(skewed);
    estate.proxy.rule(Rule::new(Fault::Skewed(-AHEAD)).service("rds"));
    let (_, seen, _) = estate.run(&["observe"]);
    assert!(seen.contains("the clock of this machine is 20m ahead of the clock of the service"), "{seen}");
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

/// It becomes wrong during a run: a rejected call is reported instead of being repeated silently.
#[test]
fn a_call_that_is_not_taken_for_the_clock_is_told_at_once_and_made_when_it_is_set() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let skewed = estate.proxy.rule(Rule::new(Fault::Skewed(AHEAD)).operation("PromoteReadReplica"));
    let (code, out, err) = estate.run(FAILOVER);
    let run = estate.only_run().unwrap();
    assert_eq!(code, 4, "{out}{err}");
    let resume = format!("set it, then: drctl runs resume {run}");
    for words in [
        "waiting until the clock of this machine is correct",
        WORDS,
        "the service refused the call and did nothing",
        &resume,
    ] {
        assert!(err.contains(words) || out.contains(words), "{words}: {out}{err}");
    }
    assert_eq!(estate.proxy.count(|call| call.operation == "PromoteReadReplica"), 1, "{err}");
    estate.proxy.remove(skewed);
    let (code, out, err) = estate.run(&["runs", "resume", &run]);
    assert_eq!(code, 5, "{out}{err}");
    estate.assert_recovered_once();
}

/// The same while an accepted call takes effect, which then cannot be observed.
#[test]
fn an_effect_that_the_clock_hides_is_told_at_once_and_seen_when_it_is_set() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    estate
        .proxy
        .rule(Rule::new(Fault::Hold(HoldPoint::AfterForward)).operation("PromoteReadReplica").times(1));
    let mut child = estate.spawn(FAILOVER);
    let held =
        estate.proxy.wait_held(Duration::from_secs(60)).unwrap_or_else(|| panic!("{}", estate.words()));
    let skewed = estate.proxy.rule(Rule::new(Fault::Skewed(-AHEAD)).service("rds"));
    held.release();
    let mut code = None;
    until("the run says what it waits for", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    let words = estate.words();
    assert_eq!(code.unwrap().code(), Some(4), "{words}");
    let expected = [
        "the clock of this machine is 20m ahead of the clock of the service",
        "until then",
        "drctl runs resume",
    ];
    for word in expected {
        assert!(words.contains(word), "{word}: {words}");
    }
    estate.proxy.remove(skewed);
    let (code, out, err) = estate.run(&["runs", "resume", &estate.only_run().unwrap()]);
    assert_eq!(code, 5, "{out}{err}");
    estate.assert_recovered_once();
}
