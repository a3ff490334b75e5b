//! Restores of managed instances: RDS's calls control real servers (`tests/world`), with real backups and archived WAL.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::World;

const TIME: &str =
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";

/// A world with a managed database, and a plan with the invariants of a good copy.
fn world(least: u32) -> World {
    let world = World::new();
    write_plan(&world, least);
    world.ask("west", "GRANT pg_read_all_data TO drctl");
    world
}

fn write_plan(world: &World, least: u32) {
    let verify = format!(
        "verify: {{sql_write: {{table: drctl_canary}}, rows: [ledger], invariants: [{{name: rows, sql: \"SELECT count(*) FROM ledger\", at_least: {least}}}]}}"
    );
    let plan = world.managed("sql").replace("verify: {sql_write: {table: drctl_canary}}", &verify);
    assert!(plan.contains("at_least"), "{plan}");
    std::fs::write(world.path("plans/shop.yaml"), plan).unwrap();
}

impl World {
    /// The answer to an administrator's query on an instance: that of the region, or another one in it.
    pub fn ask(&self, at: &str, sql: &str) -> String {
        self.run("host", &[at, "psql", "-XAt", "-d", "shop", "-c", sql]).trim().to_owned()
    }

    /// The server's own time, between two transactions.
    fn clock(&self) -> String {
        std::thread::sleep(Duration::from_millis(50));
        let now = self.ask("west", TIME);
        std::thread::sleep(Duration::from_millis(50));
        now
    }

    fn restore(&self, args: &[&str]) -> (i32, Value, String) {
        let command = ["restore", "shop", "--component", "db", "--yes"];
        self.drctl(&[&command, args].concat())
    }

    fn drill(&self, args: &[&str]) -> (i32, Value, String) {
        let command = ["drill", "shop", "--mode", "isolated", "--component", "db", "--to", "west"];
        self.drctl(&[&command, args].concat())
    }

    /// Waits until RDS can restore to a time. Returns its refusal before that.
    fn restorable(&self, to: &str) {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            self.ask("west", "SELECT pg_switch_wal()");
            let (code, document, words) = self.drill(&["--to-time", to, "--dry-run"]);
            if code == 0 {
                return;
            }
            assert!(document.to_string().contains("to times from"), "{document:#}\n{words}");
            assert!(Instant::now() < end, "{document:#}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// The names of the region's instances.
    fn instances(&self) -> Vec<String> {
        let account = self.aws["account"].as_str().unwrap();
        let signed = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/us-west-2/rds/aws4_request, SignedHeaders=host, Signature=0"
        );
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--max-time", "60", "-H", &signed])
            .args(["-d", "Action=DescribeDBInstances&Version=2014-10-31", super::localstack()])
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        // An instance lists its own name before its endpoint; its replicas have another key.
        let names = answer.split("<DBInstanceIdentifier>").skip(1);
        names.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }
}

fn count(world: &World, at: &str, n: u32) -> String {
    world.ask(at, &format!("SELECT count(*) FROM ledger WHERE n = {n}"))
}

/// The transaction before the time is there and the one after is not. Users continue under the same name. The previous instance is kept and
/// takes no writes; the standby follows the restored instance.
#[test]
fn a_managed_instance_is_restored_between_two_transactions() {
    let world = world(1);
    let plan = std::fs::read(world.path("plans/shop.yaml")).unwrap();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert!(world.writes("west", 2_000_001).0);
    let to = world.clock();
    assert!(world.writes("west", 2_000_002).0);
    world.restorable(&to);

    let (code, refused, _) = world.restore(&["--to-time", &to]);
    assert_eq!((code, &refused["refusals"][0]["rule"]), (3, &"exposure-above-rpo".into()), "{refused:#}");
    let accept =
        ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "120m", "--reason", "bad release"];
    let (code, report, words) = world.restore(&[&["--to-time", &to][..], &accept].concat());
    assert_eq!((code, &report["outcome"]), (0, &"recovered".into()), "{report:#}\n{words}");
    fresh.writes_to("west");
    let rows = [count(&world, "west", 2_000_001), count(&world, "west", 2_000_002)];
    assert_eq!(rows, ["1", "0"], "{report:#}");

    // The previous instance is beside it, complete, and admits nobody.
    let kept = report["restored"][0]["kept"].as_str().unwrap().to_owned();
    let aside = format!("west/{}", kept.split(' ').nth(2).unwrap());
    assert_eq!(count(&world, &aside, 2_000_002), "1", "{kept}");
    let may = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'app'";
    assert_eq!([world.ask(&aside, may), world.ask("west", may)], ["f", "t"], "{report:#}");

    // Only rows acknowledged after the time are lost, and their span is no longer than reported.
    let truth = world.truth("west", &[&fresh]);
    let lost = truth["lost"].as_array().unwrap();
    let acknowledged = |l: &Value| millis(l["acknowledged_at"].as_str().unwrap());
    // A row of the same millisecond may have committed after the time.
    assert!(!lost.is_empty() && lost.iter().all(|l| acknowledged(l) >= millis(&to)), "{to}: {truth:#}");
    let last = format!("SELECT (extract(epoch FROM max(at) - '{to}') * 1000)::bigint FROM ledger");
    let span: f64 = world.ask(&aside, &last).parse().unwrap();
    let rpo = report["rpo"]["achieved_s"].as_f64().unwrap();
    // Both have a resolution of milliseconds.
    assert!((rpo * 1_000.0).round() >= span, "RPO {rpo} s, and {span} ms were lost");
    eprintln!(
        "managed restore: {} acknowledged, {} lost over {span} ms; RPO {}; the client's outage {} s",
        truth["acknowledged"],
        lost.len(),
        report["rpo"]["text"],
        truth["clients"][0]["longest_outage"]["s"]
    );
    assert!(world.writes("west", 2_000_003).0);
    assert_eq!(report["protection"]["state"], "protected", "{report:#}\n{words}");
    assert_eq!(std::fs::read(world.path("plans/shop.yaml")).unwrap(), plan);
    let (code, status, words) = world.drctl(&["status"]);
    assert!(code == 0 && status["plans"][0]["protection"] == "protected", "{status:#}\n{words}");
}

/// A drill makes a copy, verifies it, and deletes it with proof. A copy that breaks an invariant is never put in place, and is deleted.
#[test]
fn a_drill_of_a_managed_instance_leaves_nothing_and_a_broken_copy_is_not_put_in_place() {
    let world = world(3);
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    // Things that may mislead a check: rows hidden by a policy, a column named like an alias, a closed database.
    world.ask("west", "CREATE TABLE odd AS SELECT NULL::text AS t, n FROM generate_series(1, 5) n");
    world.ask("west", "CREATE TABLE hidden AS SELECT 1 AS n");
    world.ask("west", "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY");
    world.ask("west", "CREATE TABLE parent (id int PRIMARY KEY)");
    world.ask("west", "CREATE TABLE child (id int REFERENCES parent)");
    world.ask("west", "INSERT INTO parent VALUES (1)");
    world.ask("west", "INSERT INTO child VALUES (1)");
    world.ask("west", "CREATE DATABASE closed");
    world.ask("west", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
    let to = world.clock();
    world.restorable(&to);
    let before = world.instances();
    let (code, report, words) = world.drill(&["--to-time", &to]);
    assert_eq!((code, &report["outcome"]), (0, &"passed".into()), "{report:#}\n{words}");
    assert_eq!(world.instances(), before);
    let found = report["restored"][0].clone();
    assert!(found["destroyed"]["folder"].as_str().unwrap().contains("copy-of-"), "{found:#}");
    let check = |what: &str| {
        let all = found["checks"].as_array().unwrap();
        let check = all.iter().find(|c| c["what"] == what).unwrap_or_else(|| panic!("{what}: {found:#}"));
        (check["result"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned())
    };
    assert_eq!(check("rows (at_least 3)").0, "pass");
    let (keys, hold) = check("foreign keys of shop");
    assert!(keys == "pass" && hold.starts_with("1 hold"), "{keys}: {hold}");
    assert_eq!(check("database closed").0, "unknown");
    let (read, rows) = check("every row of shop read");
    assert!(read == "unknown" && rows.contains("1 tables cannot be read with this login"), "{read}: {rows}");
    let many = |sql: &str| world.ask("west", sql).parse::<u64>().unwrap();
    let at_least = 5 + many(&format!("SELECT count(*) FROM ledger WHERE at < '{to}'"));
    let read: u64 = rows.split(' ').next().unwrap().parse().unwrap();
    assert!(read >= at_least, "{rows}, and there were {at_least}");

    removes_what_was_left(&world, &to, &before);
    // An unknown name is refused with the list of those that exist.
    let (code, refused, _) = world.drill(&["--snapshot", "nope"]);
    let facts = refused["refusals"][0]["facts"].as_str().unwrap().to_owned();
    let snapshot =
        facts.split("available snapshots: ").nth(1).and_then(|s| s.split(", ").next()).unwrap().to_owned();
    assert_eq!(code, 3, "{facts}");
    let (code, drilled, words) = world.drill(&["--snapshot", &snapshot]);
    // The snapshot is from before the administrator could read the table, and an unchecked table does not pass.
    assert!(code == 1 && drilled.to_string().contains("permission denied"), "{code} {drilled:#}\n{words}");
    assert_eq!(world.instances(), before, "a drill that failed left its copy");

    let accept = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "120m", "--reason", "x"];
    write_plan(&world, 1_000_000_000);
    world.ask("west", "SET session_replication_role = replica; INSERT INTO child VALUES (2)");
    let to = world.clock();
    world.restorable(&to);
    let (code, report, words) = world.restore(&[&["--to-time", &to][..], &accept].concat());
    assert_eq!((code, &report["outcome"]), (1, &"halted".into()), "{report:#}\n{words}");
    let said = report.to_string();
    let broken =
        said.contains("rows (at_least 1000000000) fail") && said.contains("child_id_fkey fail: 1 rows");
    assert!(broken && report["fence"]["state"] == "none", "{report:#}");
    fresh.writes_to("west");
    let run = report["run_id"].as_str().unwrap().to_owned();
    let (code, back, words) = world.drctl(&["runs", "cancel", &run, "--yes", "--reason", "broken"]);
    assert_eq!((code, &back["outcome"]), (1, &"cancelled".into()), "{back:#}\n{words}");
    assert_eq!(world.instances(), before, "{words}");
    fresh.writes_to("west");
    let truth = world.truth("west", &[&fresh]);
    assert_eq!(truth["lost"], serde_json::json!([]), "{truth:#}");
}

/// Copies of an earlier drill are removed first; and without backups at the target, the message says where there are some.
fn removes_what_was_left(world: &World, to: &str, before: &[String]) {
    // The recovery site's replica keeps no backups, and the refusal says where there are some.
    let (code, refused, words) = world.drctl(&["drill", "shop", "--mode", "isolated"]);
    let refusal = refused["refusals"][0].to_string();
    let told = refusal.contains("has no automated backups")
        && refusal.contains("name the site that has them with --to");
    assert!(code == 3 && told, "{refused:#}\n{words}");

    // A killed drill left its copy. The next one removes it before it makes its own.
    let mut killed = world
        .command(&["drill", "shop", "--mode", "isolated", "--to", "west", "--to-time", to])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    super::until("a copy is being made", || world.instances().len() > before.len());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (code, after, words) = world.drill(&["--to-time", to]);
    assert_eq!((code, &after["outcome"]), (0, &"passed".into()), "{after:#}\n{words}");
    assert!(words.contains("drctl removes its copy first"), "{words}");
    assert_eq!(world.instances(), before, "{words}");
}

fn millis(text: &str) -> i64 {
    drctl::model::time::Timestamp::parse(text).unwrap().millis()
}
