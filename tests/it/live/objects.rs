//! Names that follow an object: real health checks, name servers that follow them, and a control plane that is down.

use serde_json::Value;

use super::control;
use super::world::World;

/// Makes Route 53's API fail for this world's account.
pub(super) fn control_plane_down(world: &World) {
    let account = world.aws["account"].as_str().unwrap();
    let fault = format!(
        r#"{{"service": "route53", "account": "{account}", "code": "ServiceUnavailable", "status": 503, "calls": null}}"#
    );
    control(super::localstack(), "faults", &fault);
}

pub(super) fn answers(report: &Value, step: &str) -> String {
    let found = report["steps"].as_array().unwrap().iter().find(|s| s["id"] == step);
    found.unwrap_or_else(|| panic!("no step {step}: {report:#}"))["state"].as_str().unwrap().to_owned()
}

/// Under load, one object moves users there and back without a call to Route 53, and the zone's own server confirms it.
#[test]
fn users_are_moved_by_an_object_while_route_53_takes_no_changes() {
    let world = World::new();
    let made: Value = serde_json::from_str(&world.run("signal", &[])).unwrap();
    std::fs::write(world.path("plans/shop.yaml"), world.by_object(&made)).unwrap();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    // Record sets that no object would move are refused while they can still be corrected.
    let plan = world.by_object(&made);
    let other = plan.replace(made["health_check"].as_str().unwrap(), "another-check");
    std::fs::write(world.path("plans/shop.yaml"), other).unwrap();
    let (code, refused, words) = world.drctl(&["switchover", "shop", "--to", "east", "--dry-run"]);
    assert!(code == 3 && refused.to_string().contains("would not follow the object"), "{refused:#}\n{words}");
    std::fs::write(world.path("plans/shop.yaml"), plan).unwrap();
    let before = world.calls("route53", "ChangeResourceRecordSets");
    assert!(before > 0, "the calls of this account are not found");
    control_plane_down(&world);
    let (code, report, words) = world.drctl(&["switchover", "shop", "--to", "east", "--yes"]);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    for step in ["switch.www", "served.www", "resolvers.www"] {
        assert_eq!(answers(&report, step), "done", "{report:#}");
    }
    fresh.writes_to("east");
    let (code, back, words) = world.drctl(&["failback", "shop", "--to", "west", "--yes"]);
    assert!([0, 5].contains(&code) && back["outcome"] == "recovered", "{code}: {back:#}\n{words}");
    fresh.writes_to("west");
    assert_eq!(world.calls("route53", "ChangeResourceRecordSets"), before, "{report:#}");
    let truth = world.truth("west", &[&fresh]);
    assert_eq!(truth["lost"], serde_json::json!([]), "{truth:#}");
    eprintln!(
        "object: RTO {} and {}; the client's longest outage {} s",
        report["rto"]["text"], back["rto"]["text"], truth["clients"][0]["longest_outage"]["s"]
    );
}
