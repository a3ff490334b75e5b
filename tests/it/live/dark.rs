//! A region that drops all packets, from before the start.

use serde_json::Value;

use super::{Estate, FAILOVER, control, localstack, mutating, until};

const WAIVED: &[&str] = &[
    "failover",
    "--from",
    "us-west-2",
    "--to",
    "us-east-1",
    "--yes",
    "--waive",
    "unfenced-promotion:db",
    "--accept-data-loss",
    "5m",
    "--reason",
    "the region is dark",
    "--outage-began",
    "2026-01-01T00:00:00Z",
];

/// Operations in the lost region after the survey, as the proxy saw them.
fn western(estate: &Estate) -> Vec<String> {
    let calls = estate.proxy.calls();
    calls.iter().filter(|c| c.region == "us-west-2").map(|c| c.operation.clone()).collect()
}

#[test]
fn a_dark_region_needs_a_waiver_and_the_debt_is_paid_when_it_returns() {
    let estate = Estate::new();
    // An observation while all was well: the source of the last known capacity.
    assert_eq!(estate.run(&["observe"]).0, 0);
    let dark = estate.proxy.black_hole("us-west-2");
    estate.proxy.take_calls();
    let plain = ["failover", "--from", "us-west-2", "--to", "us-east-1", "--yes"];
    let (code, out, err) = estate.run(&plain);
    assert_eq!(code, 3, "{out}{err}");
    let all = format!("{out}{err}");
    assert!(all.contains("--waive unfenced-promotion:db"), "{all}");
    assert!(all.contains("--accept-data-loss"), "{all}");
    assert!(mutating(&estate.proxy.take_calls()).is_empty(), "a refusal changes nothing");

    let (code, report) = estate.json(WAIVED);
    assert_eq!(code, 5, "{report:#}");
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    assert_eq!(report["fence"]["state"], "pending", "{report:#}");
    assert_eq!(report["rpo"]["basis"], "upper_bound", "{report:#}");
    // The survey observes once; after that only the fence is tried there.
    for operation in western(&estate) {
        let expected =
            ["AssumeRole", "DescribeDBInstances", "DescribeAutoScalingGroups", "GetCallerIdentity"];
        assert!(expected.contains(&operation.as_str()), "{operation}");
    }
    let (_, status) = estate.json(&["status"]);
    assert_eq!(status["plans"][0]["fence_debts"][0]["component"], "db", "{status:#}");

    estate.proxy.remove(dark);
    let run = report["run_id"].as_str().unwrap();
    let (code, after) = estate.json(&["runs", "resume", run]);
    assert_eq!(after["fence"]["state"], "fenced", "{after:#}");
    assert!(code == 0 || code == 5, "{after:#}");
    estate.assert_recovered_once();
}

#[test]
fn a_region_that_returns_during_the_run_is_fenced_at_once() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["observe"]).0, 0);
    estate.write_plan("", "20s");
    let dark = estate.proxy.black_hole("us-west-2");
    let mut child = estate.spawn(WAIVED);
    let promoted = |estate: &Estate| estate.carried_out("ChangeResourceRecordSets") == 2;
    until("traffic is switched", || promoted(&estate));
    estate.proxy.remove(dark);
    until("the run ends", || child.try_wait().unwrap().is_some());
    let run = estate.only_run().unwrap();
    let (_, report) = estate.json(&["report", "run", &run, "--format", "json"]);
    assert_eq!(report["fence"]["state"], "fenced", "{report:#}\n{}", estate.words());
    estate.assert_recovered_once();
}

#[test]
fn expired_credentials_are_waited_for_and_not_a_failure() {
    let estate = Estate::new();
    let fault = format!(
        r#"{{"service": "*", "account": "{}", "code": "ExpiredToken", "status": 403, "calls": null}}"#,
        estate.account()
    );
    let id = control(localstack(), "faults", &fault);
    let (code, out, err) = estate.run(FAILOVER);
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("waiting for credentials"), "{out}{err}");
    assert!(estate.only_run().is_none() && !id.is_null());
}

/// The duration of the waived failover by its own clock, in seconds, and the requests to the region during it.
fn dark_run(make_dark: impl Fn(&Estate)) -> (f64, Vec<String>) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    assert_eq!(estate.run(&["observe"]).0, 0);
    make_dark(&estate);
    estate.proxy.take_calls();
    let (code, report) = estate.json(WAIVED);
    assert!(code == 5 && report["outcome"] == "recovered", "{report:#}");
    let (_, events, _) = estate.run(&["runs", "export", report["run_id"].as_str().unwrap()]);
    let at = |line: &str| -> i64 {
        let event: Value = serde_json::from_str(line).unwrap();
        let event: Value = serde_json::from_str(event["bytes"].as_str().unwrap()).unwrap();
        event["at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis()
    };
    let (first, last) = (events.lines().next().unwrap(), events.lines().last().unwrap());
    let took = u32::try_from(at(last) - at(first)).unwrap();
    (f64::from(took) / 1_000.0, western(&estate))
}

#[test]
fn no_step_waits_for_a_region_that_swallows_everything() {
    let (dark, refusing) = std::thread::scope(|scope| {
        let dark = scope.spawn(|| dark_run(|e| _ = e.proxy.black_hole("us-west-2")));
        let refusing = scope.spawn(|| dark_run(|e| _ = e.proxy.refuse_region("us-west-2")));
        (dark.join().unwrap(), refusing.join().unwrap())
    });
    eprintln!("dark {:.1} s, refusing {:.1} s; asked in the dark: {:?}", dark.0, refusing.0, dark.1);
    // A call that the run waits for would take its ten seconds.
    assert!(dark.0 < refusing.0 + 5.0, "dark {} s, refusing {} s", dark.0, refusing.0);
}
