//! Rows that are really lost, and what drctl says of them: replication is cut some seconds before the region goes dark, while clients go on.

use std::time::Duration;

use drctl::model::time::Timestamp;
use serde_json::Value;

use super::client::Client;
use super::world::{WAIVE, World, now, outage};

/// How long clients write what nothing replicates.
const CUT: Duration = Duration::from_secs(5);

fn at(text: &Value) -> Timestamp {
    Timestamp::parse(text.as_str().unwrap()).unwrap()
}

/// The rows that a client was told are safe and that the new primary lacks: how many, and from the last one that it has to the last one
/// that it lacks, in seconds.
fn lost(truth: &Value, clients: &[&Client]) -> (usize, f64) {
    let lost = truth["lost"].as_array().unwrap();
    let numbers: Vec<_> = lost.iter().map(|row| row["n"].as_u64()).collect();
    let last = lost.iter().map(|row| at(&row["acknowledged_at"])).max();
    let safe = clients.iter().flat_map(|c| c.lines()).filter(|a| a["ok"] == true && a["site"] == "west");
    let kept = safe.filter(|a| !numbers.contains(&a["n"].as_u64())).map(|a| at(&a["done_at"])).max();
    let span = last.zip(kept).map_or(0.0, |(last, kept)| last.since(kept).as_secs_f64());
    (lost.len(), span)
}

/// What is told of an outage is the client's own, within an interval and a timeout of the probe, and no less than that by more than the
/// client can tell: one attempt, which takes up to 2 s, each tenth of a second. Resolvers of their own may keep the old answer for so long
/// besides.
pub(super) fn is_near(told: f64, seen: f64, kept: f64) {
    let (probe, client) = (1.0 + 3.0, 2.0 + 0.1);
    assert!(told - seen <= probe + kept, "{told} s are told, and the client could not write for {seen} s");
    assert!(seen - told <= client + kept, "{told} s are told, and the client could not write for {seen} s");
}

/// Probe and client ask one resolver for one name: nothing but when each of them asks is between what they see.
#[test]
fn an_outage_that_is_told_is_the_clients_within_an_interval_and_a_timeout() {
    let world = World::with(&["--resolvers", "one"]);
    let file = world.path("plans/shop.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = plan.split_once("http: \"").unwrap();
    let (_, tail) = rest.split_once('"').unwrap();
    std::fs::write(&file, format!("{head}tcp: \"db.shop.test:5432\"{tail}")).unwrap();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    world.run("fault", &["black-hole", "west"]);
    let (code, report, words) = world.drctl(&[WAIVE, &["--outage-began", &now()]].concat());
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}\n{words}");
    fresh.writes_to("east");
    let (told, seen) =
        (report["rto"]["achieved_s"].as_f64().unwrap(), outage(&world.truth("east", &[&fresh]), 0));
    eprintln!("one resolver: {told} s are told, and the client could not write for {seen} s");
    is_near(told, seen, 0.0);
    let _ = fresh.stop();
}

#[test]
fn what_clients_lost_is_never_more_than_what_is_told() {
    let world = World::new();
    let (fresh, pooled) = (world.client("fresh", 1), world.client("pooled", 1_000_001));
    fresh.writes_to("west");
    pooled.writes_to("west");
    let (code, _, words) = world.drctl(&["observe"]);
    assert_eq!(code, 0, "{words}");
    // Nothing of west's log comes to east any more; users notice nothing.
    world.run("fault", &["one-way", "west", "east"]);
    std::thread::sleep(CUT);
    world.run("fault", &["black-hole", "west"]);
    let (code, report, words) = world.drctl(&[WAIVE, &["--outage-began", &now()]].concat());
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}\n{words}");
    fresh.writes_to("east");
    pooled.writes_to("east");
    let truth = world.truth("east", &[&fresh, &pooled]);
    let (rows, span) = lost(&truth, &[&fresh, &pooled]);
    let (told, basis) = (report["rpo"]["achieved_s"].as_f64().unwrap(), &report["rpo"]["basis"]);
    eprintln!("clients lost {rows} rows of {span:.2} s; drctl says {told} s, {}", basis.as_str().unwrap());
    // Two clients, ten rows a second each: most of five seconds.
    assert!(rows >= 50 && span >= 3.0, "nothing was cut: {rows} rows of {span} s");
    match basis.as_str().unwrap() {
        "upper_bound" => assert!(told >= span, "{told} s are told, and {span} s were lost"),
        "measured" => assert!((told - span).abs() <= 0.2, "{told} s are told, and {span} s were lost"),
        other => panic!("{other}: {report:#}"),
    }
    let _ = (fresh.stop(), pooled.stop());
}

/// A line that is slow, a disk that is full and a cable that is out: what drctl makes of each.
#[test]
fn a_slow_line_a_full_disk_and_a_cable_that_is_out_are_each_recovered_from_or_refused() {
    let world = World::new();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    // Slow: the fence is had all the same, over the slow line, and nothing is lost. Here it is only asked for.
    world.run("fault", &["slow", "west", "300"]);
    let ready =
        |args: &[&str]| world.drctl(&[&["failover", "shop", "--to", "east", "--dry-run"], args].concat());
    let declared = ["--outage-began", &now(), "--waive", "healthy-source", "--reason", "slow"];
    let (code, dry, words) = ready(&declared);
    assert_eq!(code, 0, "slow: {dry:#}\n{words}");
    world.run("fault", &["slow", "west", "0"]);
    // Out: nobody can be fenced, and that is refused by name.
    world.run("fault", &["link-down", "west"]);
    let (code, refused, words) = ready(&["--outage-began", &now()]);
    assert_eq!(code, 3, "link-down: {refused:#}\n{words}");
    assert!(refused.to_string().contains("unfenced-promotion"), "{refused:#}");
    world.run("fault", &["link-up", "west"]);
    fresh.writes_to("west");
    // Full: it takes no writes, and says so; a failover fences it and loses nothing of what it acknowledged.
    world.run("fault", &["fill-disk", "west"]);
    let began = now();
    let args = ["failover", "shop", "--to", "east", "--yes", "--outage-began", &began, "--waive"];
    let waive = ["healthy-source", "--reason", "its disk is full"];
    let (code, report, words) = world.drctl(&[&args[..], &waive[..]].concat());
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    fresh.writes_to("east");
    let truth = world.truth("east", &[&fresh]);
    assert_eq!(truth["lost"], serde_json::json!([]), "{truth:#}");
    // Killed for good: what drctl says of the old site is that it does not answer.
    world.run("fault", &["kill", "west", "postgres"]);
    let (code, status, words) = world.drctl(&["status"]);
    assert!(code != 70 && status["plans"][0]["active"]["site"] == "east", "{code}: {status:#}\n{words}");
    let _ = fresh.stop();
}
