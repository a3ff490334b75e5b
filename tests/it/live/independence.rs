//! A run needs nothing from the region that is down, counted at a router.

use std::process::Command;

use serde_json::Value;

use super::world::{WAIVE, World, now};

/// A black hole with a counter at the router: from the start of the run on, only attempts to fence, and probes of the name that still
/// points there, go to the dark region; and no step waits for an answer.
#[test]
fn a_dark_region_is_asked_for_nothing_but_its_fence() {
    let world = World::new();
    std::fs::write(world.path("plans/shop.yaml"), world.managed("sql, security_group")).unwrap();
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let (code, doctor, words) = world.drctl(&["doctor", "shop", "--assume-down", "west"]);
    assert_eq!((code, &doctor["independent"]), (0, &true.into()), "{doctor:#}\n{words}");
    world.run("fault", &["black-hole", "west"]);
    let began = now();
    world.run("packets", &["reset"]);
    let (code, report, words) = world.drctl(&[WAIVE, &["--outage-began", &began]].concat());
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}\n{words}");
    let packets: Value = serde_json::from_str(&world.run("packets", &[])).unwrap();
    let sent =
        packets["sent"].as_array().unwrap().iter().filter(|p| p["from"] == "east" && p["to"] == "west");
    // Its database and its API, which a fence needs, and the name that users use while it points there.
    let api = world.of("west", "api");
    let api = api.trim_start_matches("http://").split(':').next().unwrap();
    let (db, web) = (world.of("west", "db"), world.of("west", "web"));
    let meant = [(db.as_str(), 5432), (web.as_str(), 80), (api, 443)];
    let sent: Vec<_> = sent.collect();
    for flow in &sent {
        let known = |(address, port): &(&str, u64)| flow["address"] == *address && flow["port"] == *port;
        assert!(meant.iter().any(known), "nobody needs that: {flow}; meant are {meant:?}");
    }
    assert!(sent.iter().any(|f| f["port"] == 5432) && sent.iter().any(|f| f["port"] == 443), "{packets:#}");
    let total = |of: &str| packets["totals"][of]["west>east"].as_u64().unwrap_or(0);
    // Its servers send requests of their own (the archive is in the other region), which are lost too.
    let out = total("replies") + total("sent");
    assert_eq!(out, total("dropped"), "something came out of the dark: {packets:#}");
    // drctl gives up on an unanswered call after 10 s. The promotion started before the first of these.
    let steps = report["steps"].as_array().unwrap();
    let promoted = steps.iter().find(|s| s["id"] == "promote.db").unwrap();
    let (begun, started) = (promoted["started_at"].as_str().unwrap(), report["started_at"].as_str().unwrap());
    let waited = seconds(begun) - seconds(started);
    assert!(waited < 10.0, "the promotion waited {waited} s for a region that is dark");
    eprintln!(
        "independence: {} flows into the dark region: {sent:?}; the promotion began {waited} s after the run",
        sent.len()
    );
}

fn seconds(time: &str) -> f64 {
    let output = Command::new("date").args(["-u", "-d", time, "+%s.%3N"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
