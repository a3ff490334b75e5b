//! Names that follow routing controls: a cluster whose endpoints fail one after the other, and a safety rule.

use serde_json::{Value, json};

use super::objects::{answers, control_plane_down};
use super::world::{WAIVE, World};
use super::{control, localstack};

/// Sets the behavior of one endpoint of the world's cluster.
fn endpoint(made: &Value, region: &str, more: &Value) {
    let mut body = json!({"cluster": made["cluster"], "region": region});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    control(localstack(), "arc", &body.to_string());
}

/// The states of the world's controls according to the cluster.
fn states(made: &Value) -> Vec<(String, String)> {
    let all = control(localstack(), "arc", "");
    let clusters = all["clusters"].as_array().unwrap();
    let ours = clusters.iter().find(|c| c["cluster"] == made["cluster"]).unwrap();
    let controls = ours["controls"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    controls.map(|c| (text(&c["name"]), text(&c["state"]))).collect()
}

/// A region is dark, including one endpoint. The nearest endpoint is out of service, the next is too slow, and a rule requires time between
/// two changes. Users are moved all the same, only by routing controls.
#[test]
fn a_dark_region_is_left_by_routing_controls_though_endpoints_fail_and_a_rule_wants_time() {
    let world = World::new();
    let made: Value = serde_json::from_str(&world.run("routing", &["25000"])).unwrap();
    let plan = world.by_controls(&made);
    // Record sets that no control would move are refused while they can still be corrected.
    let other = plan.replace(made["health_checks"]["east"].as_str().unwrap(), "another-check");
    std::fs::write(world.path("plans/shop.yaml"), other).unwrap();
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let (code, refused, words) = world.drctl(&["switchover", "shop", "--to", "east", "--dry-run"]);
    assert!(
        code == 3 && refused.to_string().contains("would not follow the routing controls"),
        "{refused:#}\n{words}"
    );
    std::fs::write(world.path("plans/shop.yaml"), plan).unwrap();
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let (_, status, _) = world.drctl(&["status"]);
    assert_eq!(status["plans"][0]["active"]["site"], "west", "{status:#}");
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    let before = world.calls("route53", "ChangeResourceRecordSets");
    assert!(before > 0, "the calls of this account are not found");
    let clusters = world.calls("route53-recovery-control-config", "CreateCluster");
    assert_eq!(clusters, 1, "the calls of this account are not found");
    control_plane_down(&world);
    endpoint(&made, "us-east-1", &json!({"mode": "unavailable"}));
    endpoint(&made, "ap-northeast-1", &json!({"delay_ms": 6000}));
    world.run("fault", &["black-hole", "west"]);
    // The wait starts again.
    let of = |key: &str| made["controls"][key].as_str().unwrap();
    world.run("routing", &["turn", of("west"), of("east"), made["rule"].as_str().unwrap()]);
    let (code, report, words) = world.drctl(WAIVE);
    assert!(code == 5 && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    for step in ["switch.www", "served.www", "resolvers.www"] {
        assert_eq!(answers(&report, step), "done", "{report:#}");
    }
    let mut there = states(&made);
    there.sort();
    assert_eq!(there, [("east".to_owned(), "On".to_owned()), ("west".to_owned(), "Off".to_owned())]);
    let run = report["run_id"].as_str().unwrap();
    let file = world.path("run.jsonl");
    assert_eq!(world.drctl(&["runs", "export", run, "--out", file.to_str().unwrap()]).0, 0);
    let refused = std::fs::read_to_string(file).unwrap();
    let rule = made["rule"].as_str().unwrap();
    assert!(
        refused.contains("ConflictException") && refused.contains(rule),
        "{rule} refused nothing: {refused}"
    );
    fresh.writes_to("east");
    assert_eq!(world.calls("route53", "ChangeResourceRecordSets"), before, "{report:#}");
    let config = ["DescribeCluster", "ListRoutingControls", "ListClusters", "DescribeRoutingControl"];
    assert!(config.iter().all(|call| world.calls("route53-recovery-control-config", call) == 0));
    let late = world.calls("route53-recovery-cluster", "UpdateRoutingControlStates");
    let fresh = fresh.stop();
    let truth = world.truth("east", &[&fresh]);
    eprintln!(
        "controls: RTO {}; {late} calls to turn them; the client's longest outage {} s",
        report["rto"]["text"], truth["clients"][0]["longest_outage"]["s"]
    );
}
