//! Every mutating call fails once, in every way that a network or a service can fail.

use std::process::Command;
use std::time::Duration;

use super::{Estate, FAILOVER};
use crate::servers::{Fault, HoldPoint, Rule};

const MUTATING: &[&str] = &[
    "PutObject",
    "ModifyDBInstance",
    "RebootDBInstance",
    "UpdateAutoScalingGroup",
    "PromoteReadReplica",
    "ChangeResourceRecordSets",
    "DeleteObject",
];

/// One run in which each kind of mutating call meets the fault once.
fn each_call_meets(fault: Fault) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    for operation in MUTATING {
        estate.proxy.rule(Rule::new(fault).operation(operation).times(1));
    }
    let (code, report) = estate.json(FAILOVER);
    assert!(code == 5 && report["outcome"] == "recovered", "{fault:?}: {report:#}");
    estate.assert_recovered_once();
}

#[test]
fn every_call_fails_once_without_effect() {
    std::thread::scope(|scope| {
        for fault in [Fault::Throttle, Fault::Refuse, Fault::Unavailable, Fault::Garbage] {
            scope.spawn(move || each_call_meets(fault));
        }
    });
}

#[test]
fn every_call_takes_effect_and_its_answer_is_lost_late_or_broken() {
    std::thread::scope(|scope| {
        let late = Fault::ApplyLate(Duration::from_secs(3));
        for fault in [Fault::LoseAnswer, Fault::CutBody, late, Fault::Delay(Duration::from_millis(700))] {
            scope.spawn(move || each_call_meets(fault));
        }
    });
}

#[test]
fn a_refused_batch_is_taken_apart_and_one_wrong_name_keeps_no_other_from_moving() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let wrong = estate.proxy.rule(Rule::new(Fault::RefuseBatch("api.truststream")).service("route53"));
    let (code, report) = estate.json(FAILOVER);
    assert_eq!(code, 1, "{report:#}");
    let zone = estate.seed["dns"]["zone_id"].as_str().unwrap();
    let (_, seen) = estate.json(&["observe"]);
    let key = format!("records/dns/{zone}/www");
    let sets = seen["estate"]["entries"][&key]["now"]["state"]["sets"].to_string();
    assert!(sets.contains("198.51.100.10") && !sets.contains("192.0.2.10"), "{sets}");
    assert!(sets.contains(r#""weight":100"#), "{sets}");
    let run = estate.only_run().unwrap();
    let (_, shown, _) = estate.run(&["runs", "show", &run]);
    assert!(
        shown.contains("1 of 2 names were not switched: api.truststream.example A (InvalidChangeBatch"),
        "{shown}"
    );
    // The list of attributes that other tools would revert has exactly what was done.
    let changed = report["changed"].to_string();
    assert!(changed.contains("www.truststream") && !changed.contains("api.truststream"), "{changed}");

    estate.proxy.remove(wrong);
    let (code, report) = estate.json(&["runs", "resume", &run]);
    assert!(code == 5 && report["outcome"] == "recovered", "{report:#}");
    assert!(report["changed"].to_string().contains("api.truststream"), "{report:#}");
    assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 3, "the seed's own, www, and api");
    let (code, _, err) = estate.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{err}");
}

/// Listing the zone fails when the runbook is made, but works when names move.
#[test]
fn names_that_could_not_be_listed_when_the_run_was_planned_move_all_the_same() {
    std::thread::scope(|scope| {
        for fault in [Fault::Throttle, Fault::Unavailable, Fault::Garbage] {
            scope.spawn(move || moves_unlisted(fault));
        }
    });
}

fn moves_unlisted(fault: Fault) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let listing = estate.proxy.rule(Rule::new(fault).operation("ListResourceRecordSets"));
    estate
        .proxy
        .rule(Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("PromoteReadReplica").times(1));
    let mut process = estate.spawn(FAILOVER);
    let held = estate.proxy.wait_held(Duration::from_secs(120)).expect("it promotes");
    estate.proxy.remove(listing);
    held.release();
    let code = process.wait().unwrap().code();
    assert_eq!(code, Some(5), "{fault:?}: {}", estate.words());
    assert!(
        estate.words().contains("were never observed. Each one is read right before the change"),
        "{}",
        estate.words()
    );
    estate.assert_recovered_once();
}

/// Somebody suspended launches in the standby group to keep it empty.
#[test]
fn suspended_launches_are_resumed_before_capacity_is_asked_for() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let credential = format!("Credential={}/20260101/us-east-1/autoscaling/aws4_request", estate.account());
    let done = Command::new("curl")
        .args(["-sS", "--fail", "-H"])
        .arg(format!("Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"))
        .args(["-d", "Action=SuspendProcesses&Version=2011-01-01&AutoScalingGroupName=truststream-nodes-dr"])
        .args(["-d", "ScalingProcesses.member.1=Launch"])
        .arg(super::localstack())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (code, report) = estate.json(FAILOVER);
    assert!(code == 5 && report["outcome"] == "recovered", "{report:#}");
    assert!(report["changed"].to_string().contains("suspended_processes"), "{:#}", report["changed"]);
    let calls = estate.proxy.take_calls();
    assert_eq!(calls.iter().filter(|c| c.operation == "ResumeProcesses").count(), 1);
    estate.assert_recovered_once();
}

#[test]
fn a_third_of_all_calls_goes_wrong() {
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            scope.spawn(move || {
                let estate = Estate::new();
                estate.write_plan("", "1s");
                estate.proxy.rule(Rule::new(Fault::Seeded { seed, per_mille: 330 }));
                // Something that the survey does not observe is refused; a person would try again.
                for _ in 0..20 {
                    let (code, out, err) = match estate.only_run() {
                        None => estate.run(FAILOVER),
                        Some(run) => estate.run(&["runs", "resume", &run]),
                    };
                    if code == 5 {
                        break;
                    }
                    assert!([1, 3, 6].contains(&code), "seed {seed}: {code}\n{out}{err}");
                }
                estate.proxy.clear();
                estate.assert_recovered_once();
            });
        }
    });
}

/// Every service repeats once, in an error, the signature of the call; drctl neither stores nor prints it.
#[test]
fn what_services_say_back_of_secrets_is_kept_nowhere() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let said = Fault::Say(super::IN_THE_ENVIRONMENT);
    for operation in
        [MUTATING, &["DescribeDBInstances", "DescribeAutoScalingGroups", "ListResourceRecordSets"]].concat()
    {
        estate.proxy.rule(Rule::new(said).operation(operation).times(1));
    }
    // Each command reads everything stored, and all output is checked.
    estate.run(&["ready"]);
    estate.run(&["observe"]);
    let (code, report) = estate.json(FAILOVER);
    let mut outcome = (code, report["outcome"].clone());
    for _ in 0..8 {
        if outcome.1 == "recovered" {
            break;
        }
        let run = estate.only_run().unwrap_or_default();
        let (code, report) = match run.is_empty() {
            true => estate.json(FAILOVER),
            false => estate.json(&["runs", "resume", &run]),
        };
        outcome = (code, report["outcome"].clone());
    }
    assert_eq!(outcome, (5, serde_json::json!("recovered")));
    let run = estate.only_run().unwrap();
    let (_, exported, _) = estate.run(&["audit", "export"]);
    let said = exported.matches("signed with [a secret], is not valid").count();
    assert!(said >= MUTATING.len(), "{said} of {} were said: {exported}", MUTATING.len());
    estate.run(&["report", "run", &run]);
}
