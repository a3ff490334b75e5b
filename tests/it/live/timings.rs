//! Complete failovers of real servers in network namespaces, one after the other, and the duration of each part.

use std::collections::BTreeMap;
use std::time::Duration;

use drctl::model::time::Timestamp;
use serde_json::Value;

use super::world::{WAIVE, World, now};

/// The end of each part: the prefix of the step that ends it.
const PARTS: &[(&str, &str)] = &[
    ("preflight, fence, loss and gates", "exposure."),
    ("promotion", "promote."),
    ("users let in, a write that works", "verify."),
    ("names changed", "switch."),
];

fn at(value: &Value) -> Option<i64> {
    Timestamp::parse(value.as_str()?).ok().map(Timestamp::millis)
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds of minutes")]
fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap() * 1_000.0).round() as i64
}

/// A failover of a dark region. Returns the duration of each part in milliseconds.
fn failover() -> Vec<(&'static str, i64)> {
    let world = World::new();
    let client = world.client("fresh", 1);
    client.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let began = now();
    world.run("fault", &["black-hole", "west"]);
    let (code, report, words) = world.drctl(&[WAIVE, &["--outage-began", &began]].concat());
    assert_eq!((code, &report["fence"]["state"]), (5, &"pending".into()), "{report:#}\n{words}");
    client.writes_to("east");
    let truth = world.truth("east", &[&client]);
    let outage = &truth["clients"][0]["longest_outage"];
    let good = at(&outage["first_good"]).unwrap();
    let mut last = at(&outage["last_good"]).unwrap();
    let mut parts = Vec::new();
    // Route 53 reports INSYNC after the first resolvers have the change, so what follows the first good write does not count.
    let mut until = |what, end: i64| {
        let end = end.min(good);
        parts.push((what, end - last));
        last = end;
    };
    until("noticed, looked at, planned", at(&report["started_at"]).unwrap());
    let steps = report["steps"].as_array().unwrap();
    for (what, id) in PARTS {
        let ends = steps.iter().filter(|s| s["id"].as_str().unwrap().starts_with(id));
        until(
            what,
            ends.filter_map(|s| at(&s["ended_at"])).max().unwrap_or_else(|| panic!("{id}: {report:#}")),
        );
    }
    until("resolvers and the client's own turn", good);
    assert!(parts.iter().all(|(_, ms)| *ms >= 0), "a part ended before the one that it waits for: {parts:?}");
    let (whole, rto) = (millis(&outage["s"]), millis(&report["rto"]["achieved_s"]));
    // A probe's interval and timeout; probe and client have separate resolvers, which keep the old answer for up to 5 s.
    let seconds = |ms: i64| Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    super::lossy::is_near(seconds(rto), seconds(whole), 5.0);
    parts.extend([("the client could not write", whole), ("RTO reported", rto)]);
    parts
}

/// Once; `tests/nightly timings` runs ten.
#[test]
fn whole_failovers_take_what_their_parts_take() {
    let many = std::env::var("DRCTL_TEST_TIMINGS").map_or(1, |n| n.parse().unwrap());
    let mut all: BTreeMap<usize, (&str, Vec<i64>)> = BTreeMap::new();
    for run in 1..=many {
        let parts = failover();
        eprintln!("failover {run}: {parts:?}");
        for (i, (what, ms)) in parts.into_iter().enumerate() {
            all.entry(i).or_insert((what, Vec::new())).1.push(ms);
        }
    }
    eprintln!("{:<40} {:>9} {:>9} {:>9}", format!("ms, of {many}"), "minimum", "median", "maximum");
    for (what, mut ms) in all.into_values() {
        ms.sort_unstable();
        let median = i64::midpoint(ms[(many - 1) / 2], ms[many / 2]);
        eprintln!("{what:<40} {:>9} {median:>9} {:>9}", ms[0], ms[many - 1]);
    }
}
