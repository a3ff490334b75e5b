//! Commands of a plan in a real run, and the owner of the guard's bucket.

use std::process::Command;
use std::time::Duration;

use drctl::model::time::{Dur, Timestamp};

use super::{Estate, FAILOVER, until};

/// A grandchild that ignores signals.
const SLOW: &str = "sh -c 'trap \"\" INT TERM HUP; echo $$ > pid; while :; do sleep 1; done' & wait\n";

/// Whether a process still exists.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn whoever_leaves_at_once_ends_what_a_hook_started() {
    let estate = Estate::new();
    estate.write_plan(
        "hooks:\n  - {at: before.evidence, name: slow, step: {command: [/bin/sh, ./slow], idempotent: true}}\n",
        "1s",
    );
    std::fs::write(estate.path().join("slow"), SLOW).unwrap();
    let mut child = estate.spawn(FAILOVER);
    let file = estate.path().join("pid");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the hook runs", || read().ends_with('\n'));
    let pid = read().trim().to_owned();
    let ask = || Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(ask().success());
    // The first interrupt is a pause, which waits for running commands.
    std::thread::sleep(Duration::from_millis(500));
    assert!(lives(&pid), "{}", estate.words());
    assert!(ask().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{}", estate.words());
    until("it ends with drctl", || !lives(&pid));
}

/// A hook gets the time that the plan gives it, and no more.
#[test]
fn a_hook_that_takes_too_long_ends_with_all_that_it_started() {
    let estate = Estate::new();
    estate.write_plan(
        "hooks:\n  - {at: before.evidence, name: slow, step: {command: [/bin/sh, ./slow], idempotent: true, timeout: 1s}}\n",
        "1s",
    );
    std::fs::write(estate.path().join("slow"), SLOW).unwrap();
    let (code, out, err) = estate.run(FAILOVER);
    let pid = std::fs::read_to_string(estate.path().join("pid")).unwrap();
    until("it ends with its step", || !lives(pid.trim()));
    assert_eq!(code, 1, "{out}{err}");
    let (_, report) = estate.json(&["report", "run", &estate.only_run().unwrap()]);
    let steps = report["steps"].as_array().unwrap();
    let step = steps.iter().find(|s| s["id"] == "hook.slow").unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!((&step["state"], &step["attempts"]), (&"failed".into(), &1.into()), "{step:#}");
    let at = |key: &str| Timestamp::parse(step[key].as_str().unwrap()).unwrap();
    let took = at("ended_at").since(at("started_at"));
    assert!(took < Dur::secs(20), "it took {took}");
    assert!(step["reason"].as_str().unwrap().contains("1s"), "{step:#}");
}

/// Anybody can create a bucket with a free name, so every call names the expected owner, and another owner's object is not a guard.
#[test]
fn the_owner_of_the_guards_bucket_is_asked_for_with_every_call() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let (code, out, err) = estate.run(FAILOVER);
    assert_eq!(code, 5, "{out}{err}");
    let calls = estate.proxy.calls();
    let guard: Vec<_> = calls.iter().filter(|c| c.service == "s3" && c.target.contains("/prod/")).collect();
    let count = |verb: &str| guard.iter().filter(|c| c.operation.starts_with(verb)).count();
    assert!(
        count("Get") + count("GET") > 0
            && count("Put") + count("PUT") > 0
            && count("Delete") + count("DELETE") > 0,
        "{guard:#?}"
    );
    let account = estate.account();
    assert!(guard.iter().all(|call| call.owner == account), "{account}: {guard:#?}");
}

/// People who ask a provider about a call need its ID.
#[test]
fn the_providers_ids_of_requests_are_in_journal_report_and_log() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let (code, out, err) = estate.run(&[FAILOVER, &["-vv"]].concat());
    assert_eq!(code, 5, "{out}{err}");
    let id = estate.only_run().unwrap();
    let (_, report) = estate.json(&["report", "run", &id]);
    let steps = report["steps"].as_array().unwrap();
    let of = |step: &str| -> Vec<String> {
        let step = steps.iter().find(|s| s["id"] == step).unwrap_or_else(|| panic!("{step}: {report:#}"));
        let all = step["requests"].as_array().unwrap_or_else(|| panic!("{step:#}"));
        all.iter().map(|request| request.as_str().unwrap().to_owned()).collect()
    };
    let promote = of("promote.db");
    let request =
        promote.iter().find_map(|r| r.strip_prefix("rds ")).unwrap_or_else(|| panic!("{promote:?}"));
    assert!(request.len() > 10, "{request}");
    assert!(of("switch.www").iter().any(|r| r.starts_with("route53 ")), "{report:#}");
    let (_, events, _) = estate.run(&["runs", "export", &id]);
    assert!(events.contains("call_requests") && events.contains(request), "{request}");
    let (_, page, _) = estate.run(&["report", "run", &id, "--format", "md"]);
    assert!(page.contains("## Requests") && page.contains(&format!("rds {request}")), "{page}");
    let (_, page, _) = estate.run(&["report", "run", &id, "--format", "html"]);
    assert!(page.contains("<h2>Requests</h2>") && page.contains(&format!("rds {request}")), "{page}");
    assert!(err.contains("operation=PromoteReadReplica"), "{err}");
    assert!(err.contains(&format!("request={request}")), "{err}");
}
