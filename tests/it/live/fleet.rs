//! Several plans with one command.

use super::{Estate, FAILOVER};

#[test]
fn a_plan_begins_when_the_one_that_it_needs_serves() {
    let estate = Estate::new();
    estate.write_plan("", "20s");
    let zone = estate.seed["dns"]["zone_id"].as_str().unwrap();
    let dns = estate.seed["accounts"]["dns"].as_str().unwrap();
    let edge = format!(
        r#"plan: edge
after: [truststream]
objectives: {{rto: 15m, rpo: 5m}}
sites: {{us-west-2: {{}}, us-east-1: {{}}}}
connections:
  dns: {{account: "{dns}", role: drctl-dns, external_id: ts}}
home: us-west-2
components:
  names:
    kind: aws.route53
    via: dns
    zone: {zone}
    records:
      - {{name: edge.truststream.example, type: A, ttl: 60s, serves: static, at: {{us-west-2: [192.0.2.30], us-east-1: [198.51.100.30]}}}}
"#
    );
    std::fs::write(estate.path().join("plans/edge.yaml"), edge).unwrap();
    let (code, out, err) = estate.run(&["failover", "--from", "us-west-2", "--to", "us-east-1"]);
    assert!(code == 2 && err.contains("--yes"), "{code}: {out}{err}");
    let all = [FAILOVER, &["--from", "us-west-2"]].concat();
    let (code, report) = estate.json(&all);
    assert_eq!(code, 5, "{report:#}");
    let run = |plan: &str| {
        let runs = report["runs"].as_array().unwrap();
        runs.iter().find(|r| r["plan"] == plan).unwrap_or_else(|| panic!("{plan}: {report:#}")).clone()
    };
    let at = |run: &serde_json::Value, key: &str| {
        run[key].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let (first, second) = (run("truststream"), run("edge"));
    assert_eq!((&first["outcome"], &second["outcome"]), (&"recovered".into(), &"recovered".into()));
    let step = |id: &str| {
        let steps = first["steps"].as_array().unwrap();
        steps.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("{id}: {first:#}")).clone()
    };
    assert!(at(&second, "started_at") >= at(&step("switch.www"), "ended_at"), "it waited for traffic");
    assert!(at(&second, "started_at") < at(&step("watch"), "ended_at"), "it did not wait for the watch");
    // AWS's log names both runs by their sessions.
    let named = |run: &serde_json::Value| {
        let (_, events, _) = estate.run(&["runs", "export", run["run_id"].as_str().unwrap()]);
        let (_, rest) = events.split_once("/drctl-failover-fleet-").unwrap_or_else(|| panic!("{events}"));
        rest[..8].to_owned()
    };
    assert_eq!(named(&first), named(&second));
}
