//! A standby whose WAL receiver hangs accepts a promotion, and starts it when the receiver continues: perhaps hours later, long after the
//! end of the run that requested it.

use std::process::Command;

use serde_json::Value;

use super::own_servers::World;
use super::until;

fn signal(name: &str, pid: &str) {
    let done = Command::new("kill").args([name, pid]).status().unwrap();
    assert!(done.success(), "kill {name} {pid}");
}

/// The receiver hangs and the primary is gone: the run requests the promotion, and halts when the loss may exceed the accepted one. Also
/// returns the receiver's PID.
fn halted(world: &World) -> (Value, String) {
    assert_eq!(world.run(&["observe"]).0, 0);
    let receiver = world.pair.query(world.pair.standby, "SELECT pid FROM pg_stat_wal_receiver");
    signal("-STOP", &receiver);
    world.pair.kill_primary();
    let waive = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "90s", "--reason", "it is gone"];
    let began = World::now();
    let args = ["failover", "--to", "east", "--yes", "--outage-began", &began];
    let (code, report, words) = world.run(&[&args[..], &waive].concat());
    assert_eq!(code, 1, "{report:#}\n{words}");
    let asked = |s: &Value| s["id"] == "promote.db" && s["attempts"].as_u64() > Some(0);
    assert!(report["steps"].as_array().unwrap().iter().any(asked), "it never asked: {report:#}\n{words}");
    assert_eq!(recovers(world), "t");
    (report, receiver)
}

fn recovers(world: &World) -> String {
    world.pair.query(world.pair.standby, "SELECT pg_is_in_recovery()")
}

fn in_doubt(world: &World) -> Value {
    let (_, status, words) = world.run(&["status"]);
    let left = status["plans"][0]["in_doubt"].clone();
    assert!(left.is_array(), "{status:#}\n{words}");
    left
}

#[test]
fn a_promotion_that_is_still_to_come_is_said_at_the_end_and_seen_when_it_comes() {
    let world = World::new();
    let file = world.folder.path().join("plans/orders.yaml");
    let plan = ["p", "s"].iter().fold(std::fs::read_to_string(&file).unwrap(), |plan, name| {
        plan.replace(&format!(", host: {}", world.pair.host(name)), "")
    });
    assert!(!plan.contains("host:"), "{plan}");
    std::fs::write(&file, plan).unwrap();
    let ((report, receiver), _) = world.under_load(|| halted(&world));
    assert_eq!(report["in_doubt"][0]["step"], "promote.db", "{report:#}");
    let hint = report["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("STILL IN DOUBT: promote.db") && hint.contains("hours from now"), "{hint}");
    let before = in_doubt(&world);
    assert_eq!(
        (&before[0]["step"], &before[0]["took_effect"]),
        (&"promote.db".into(), &false.into()),
        "{before:#}"
    );
    let (code, ready, _) = world.run(&["ready"]);
    assert!(code == 3 && ready.to_string().contains("IN DOUBT"), "{code}: {ready:#}");
    // No process drives the run any more.
    signal("-CONT", &receiver);
    until("the standby promotes itself", || recovers(&world) == "f");
    let after = in_doubt(&world);
    assert_eq!(after[0]["took_effect"], true, "{after:#}");
    let words = after[0]["text"].as_str().unwrap();
    assert!(words.starts_with("TOOK EFFECT") && words.contains("takes writes"), "{words}");
    eprintln!("{hint}\n{words}");
}

#[test]
fn a_promotion_beyond_the_accepted_loss_is_withdrawn_by_stopping_the_standby() {
    let world = World::new();
    let ((report, receiver), _) = world.under_load(|| halted(&world));
    assert_eq!(report["in_doubt"], serde_json::json!([]), "{report:#}");
    let _ = Command::new("kill").args(["-CONT", &receiver]).status();
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(recovers(&world), "t", "it was promoted after all");
    assert_eq!(in_doubt(&world), serde_json::json!([]));
    // It can be resumed by accepting a larger loss.
    let run = report["run_id"].as_str().unwrap();
    let more =
        ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "2h", "--reason", "it is gone for good"];
    let ((code, report, words), _) =
        world.under_load(|| world.run(&[&["runs", "resume", run][..], &more].concat()));
    assert!(code == 5 && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(recovers(&world), "f");
}

/// A process that ends with the test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The run has ended with a pending fence, and nobody runs a command.
#[test]
fn serve_pays_a_fence_at_the_first_sign_of_life_of_the_old_primary() {
    let world = World::new();
    let ((code, report, words), _) = world.under_load(|| {
        assert_eq!(world.run(&["observe"]).0, 0);
        world.pair.kill_primary();
        let began = World::now();
        let waive =
            ["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "it is gone"];
        let args = ["failover", "--to", "east", "--yes", "--outage-began", &began];
        world.run(&[&args[..], &waive].concat())
    });
    assert_eq!((code, &report["fence"]["state"]), (5, &"pending".into()), "{report:#}\n{words}");
    let said = world.folder.path().join("said");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_drctl"));
    serve.args(["serve", "--output", "jsonl"]).current_dir(world.folder.path());
    serve.stdout(std::fs::File::create(&said).unwrap()).stderr(std::process::Stdio::null());
    let _serving = Serving(serve.spawn().unwrap());
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.pair.start_primary();
    let insert = "INSERT INTO ledger VALUES (0)";
    until("the old primary refuses the application", || {
        let (ok, why) = world.pair.psql(world.pair.primary, "app", "truststream", insert);
        !ok && why.contains("not permitted to log in")
    });
    let told = || std::fs::read_to_string(&said).unwrap_or_default();
    until("it says that it is paid", || told().contains("\"owed\":false"));
    assert!(told().contains("\"event\":\"place_answered\""), "{}", told());
    let (_, status, _) = world.run(&["status"]);
    assert_eq!(status["plans"][0]["fence_debts"], serde_json::json!([]), "{status:#}");
}
