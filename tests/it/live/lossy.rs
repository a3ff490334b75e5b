//! Rows that are really lost, and drctl's report of them: replication stops some seconds before the region goes dark, while clients keep
//! writing.

use std::time::Duration;

use drctl::model::time::Timestamp;
use serde_json::Value;

use super::client::Client;
use super::world::{WAIVE, World, now, outage};

/// How long clients write without replication.
const CUT: Duration = Duration::from_secs(5);

fn at(text: &Value) -> Timestamp {
    Timestamp::parse(text.as_str().unwrap()).unwrap()
}

/// The acknowledged rows that the new primary lacks: their number, and the time from the last row that it has to the last one that it
/// lacks, in seconds.
pub(super) fn lost(truth: &Value, clients: &[&Client]) -> (usize, f64) {
    let lost = truth["lost"].as_array().unwrap();
    let numbers: Vec<_> = lost.iter().map(|row| row["n"].as_u64()).collect();
    let last = lost.iter().map(|row| at(&row["acknowledged_at"])).max();
    let safe = clients.iter().flat_map(|c| c.lines()).filter(|a| a["ok"] == true && a["site"] == "west");
    let kept = safe.filter(|a| !numbers.contains(&a["n"].as_u64())).map(|a| at(&a["done_at"])).max();
    let span = last.zip(kept).map_or(0.0, |(last, kept)| last.since(kept).as_secs_f64());
    (lost.len(), span)
}

/// The reported outage matches the client's within an interval and a timeout of the probe, and the report is not shorter by more than the
/// client's resolution: one attempt of up to 2 s, every tenth of a second. Separate resolvers may also keep the old answer for `kept`.
pub(super) fn is_near(told: f64, seen: f64, kept: f64) {
    let (probe, client) = (1.0 + 3.0, 2.0 + 0.1);
    assert!(told - seen <= probe + kept, "{told} s are told, and the client could not write for {seen} s");
    assert!(seen - told <= client + kept, "{told} s are told, and the client could not write for {seen} s");
}

/// Probe and client use the same resolver and name, so only the times of their requests differ.
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
    // WAL of west no longer reaches east; users notice nothing.
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
    // Two clients with ten rows a second each: most of five seconds.
    assert!(rows >= 50 && span >= 3.0, "nothing was cut: {rows} rows of {span} s");
    match basis.as_str().unwrap() {
        "upper_bound" => assert!(told >= span, "{told} s are told, and {span} s were lost"),
        "measured" => assert!((told - span).abs() <= 0.2, "{told} s are told, and {span} s were lost"),
        other => panic!("{other}: {report:#}"),
    }
    let _ = (fresh.stop(), pooled.stop());
}

/// A slow link, a full disk and an unplugged cable: the result of each.
#[test]
fn a_slow_line_a_full_disk_and_a_cable_that_is_out_are_each_recovered_from_or_refused() {
    let world = World::new();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    // Slow: the fence works over the slow link, and nothing is lost. Here it is only a dry run.
    world.run("fault", &["slow", "west", "300"]);
    let ready =
        |args: &[&str]| world.drctl(&[&["failover", "shop", "--to", "east", "--dry-run"], args].concat());
    let declared = ["--outage-began", &now(), "--waive", "healthy-source", "--reason", "slow"];
    let (code, dry, words) = ready(&declared);
    assert_eq!(code, 0, "slow: {dry:#}\n{words}");
    world.run("fault", &["slow", "west", "0"]);
    // Unplugged: nothing can be fenced, which is refused by name.
    world.run("fault", &["link-down", "west"]);
    let (code, refused, words) = ready(&["--outage-began", &now()]);
    assert_eq!(code, 3, "link-down: {refused:#}\n{words}");
    assert!(refused.to_string().contains("unfenced-promotion"), "{refused:#}");
    world.run("fault", &["link-up", "west"]);
    fresh.writes_to("west");
    // Full: the database reports that it takes no writes. A failover fences it and loses nothing that it acknowledged.
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
    // Unplugged for good, whether PostgreSQL still runs or has stopped on its full disk: drctl reports that the old site does not answer.
    world.run("fault", &["link-down", "west"]);
    let (code, status, words) = world.drctl(&["status"]);
    assert!(code != 70 && status["plans"][0]["active"]["site"] == "east", "{code}: {status:#}\n{words}");
    let _ = fresh.stop();
}
