//! A standby whose WAL receiver hangs accepts a promotion, and starts it when the receiver continues: perhaps hours later, long after the
//! end of the run that requested it.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// drctl then cannot withdraw a promotion.
fn without_hosts(world: &World) {
    let file = world.folder.path().join("plans/orders.yaml");
    let plan = ["p", "s"].iter().fold(std::fs::read_to_string(&file).unwrap(), |plan, name| {
        plan.replace(&format!(", host: {}", world.pair.host(name)), "")
    });
    assert!(!plan.contains("host:"), "{plan}");
    std::fs::write(&file, plan).unwrap();
}

#[test]
fn a_promotion_that_is_still_to_come_is_said_at_the_end_and_seen_when_it_comes() {
    let world = World::new();
    without_hosts(&world);
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
    std::thread::sleep(Duration::from_secs(5));
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

/// The last run, and how often it has called for the promotion.
fn asked(world: &World) -> (String, u64) {
    let listed = world.run(&["runs", "list"]).1["runs"][0].clone();
    let run = listed["run_id"].as_str().unwrap_or_default().to_owned();
    let steps = world.run(&["runs", "show", &run]).1["steps"].clone();
    let of = steps.as_array().into_iter().flatten().find(|step| step["id"] == "promote.db");
    (run, of.and_then(|step| step["attempts"].as_u64()).unwrap_or_default())
}

/// Somebody cancels the run while its promotion hangs: the standby is stopped and started, and stays a standby.
#[test]
fn a_cancelled_promotion_that_hangs_is_withdrawn() {
    let world = World::new();
    assert_eq!(world.run(&["observe"]).0, 0);
    let receiver = world.pair.query(world.pair.standby, "SELECT pid FROM pg_stat_wal_receiver");
    let ((driven, cancelled), _) = world.under_load(|| {
        signal("-STOP", &receiver);
        world.pair.kill_primary();
        let began = World::now();
        let waive =
            ["--waive", "unfenced-promotion:db", "--accept-data-loss", "2h", "--reason", "it is gone"];
        let args = ["failover", "--to", "east", "--yes", "--outage-began", &began];
        std::thread::scope(|scope| {
            let driven = scope.spawn(|| world.run(&[&args[..], &waive].concat()));
            until("it asks for the promotion", || asked(&world).1 > 0);
            let run = asked(&world).0;
            let cancelled = world.run(&["runs", "cancel", &run, "--yes", "--reason", "the region is back"]);
            (driven.join().unwrap(), cancelled)
        })
    });
    let (code, report, words) = driven;
    assert_eq!(report["outcome"], "cancelled", "{code}: {report:#}\n{words}\n{cancelled:?}");
    assert_eq!(report["in_doubt"], serde_json::json!([]), "{report:#}");
    let _ = Command::new("kill").args(["-CONT", &receiver]).status();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(recovers(&world), "t", "it was promoted after all");
}

/// The run halted, and only the server still looks: it says that the promotion may come, and that it came.
#[test]
fn serve_says_a_promotion_that_may_come_and_that_it_came() {
    let world = World::new();
    without_hosts(&world);
    let ((_, receiver), _) = world.under_load(|| halted(&world));
    let (_serving, said) = serving(&world);
    until("it says that it may come", || said().contains("\"event\":\"in_doubt\""));
    assert!(!said().contains("\"event\":\"took_effect\""), "{}", said());
    signal("-CONT", &receiver);
    until("it says that it came", || said().contains("\"event\":\"took_effect\""));
    let told = said();
    let came = told.lines().find(|line| line.contains("took_effect")).unwrap();
    let came: Value = serde_json::from_str(came).unwrap();
    assert_eq!(
        (&came["in_doubt"]["step"], recovers(&world).as_str()),
        (&"promote.db".into(), "f"),
        "{came:#}"
    );
    for event in ["in_doubt", "took_effect"] {
        assert_eq!(told.matches(&format!("\"event\":\"{event}\"")).count(), 1, "{told}");
    }
}

/// A process that ends with the test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server, and what it has written so far.
fn serving(world: &World) -> (Serving, impl Fn() -> String) {
    let said = world.folder.path().join("said");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_drctl"));
    serve.args(["serve", "--output", "jsonl"]).current_dir(world.folder.path());
    serve.stdout(std::fs::File::create(&said).unwrap()).stderr(std::process::Stdio::null());
    let serving = Serving(serve.spawn().unwrap());
    (serving, move || std::fs::read_to_string(&said).unwrap_or_default())
}

/// A run that has ended with a pending fence, because its old primary is dead.
fn owing(world: &World) {
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
}

/// The old primary returns. Returns how long it took writes of the application.
fn back_until_it_is_fenced(world: &World) -> Duration {
    world.pair.start_primary();
    let back = Instant::now();
    let insert = "INSERT INTO ledger VALUES (0)";
    until("the old primary refuses the application", || {
        let (ok, why) = world.pair.psql(world.pair.primary, "app", "truststream", insert);
        !ok && why.contains("not permitted to log in")
    });
    back.elapsed()
}

/// The server does something that takes long: it checks the readiness of servers that accept connections and never answer.
#[test]
fn serve_pays_a_fence_while_it_waits_for_something_else() {
    let world = World::new();
    owing(&world);
    let tar = ["", ""].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let plan = std::fs::read_to_string(world.folder.path().join("plans/orders.yaml")).unwrap();
    let servers = [(world.pair.primary, "p"), (world.pair.standby, "s")];
    let plan = servers.iter().zip(&tar).fold(plan, |plan, ((port, name), tar)| {
        let plan = plan.replace(&format!(", host: {}", world.pair.host(name)), "");
        plan.replace(&format!("127.0.0.1:{port}/"), &format!("{}/", tar.local_addr().unwrap()))
    });
    std::fs::write(world.folder.path().join("plans/tar.yaml"), plan.replace("plan: orders", "plan: tar"))
        .unwrap();
    let (_serving, told) = serving(&world);
    let _held = tar[0].accept().unwrap();
    let took = back_until_it_is_fenced(&world);
    // The check takes 12 s.
    assert!(took < Duration::from_secs(7), "{took:?}: {}", told());
    assert!(!told().contains("\"plan\":\"tar\""), "the check was over before: {}", told());
    until("it says that it is paid", || told().contains("\"owed\":false"));
}

/// The run has ended with a pending fence, and nobody runs a command.
#[test]
fn serve_pays_a_fence_at_the_first_sign_of_life_of_the_old_primary() {
    let world = World::new();
    owing(&world);
    let (_serving, told) = serving(&world);
    std::thread::sleep(Duration::from_secs(4));
    back_until_it_is_fenced(&world);
    until("it says that it is paid", || told().contains("\"owed\":false"));
    assert!(told().contains("\"event\":\"place_answered\""), "{}", told());
    let (_, status, _) = world.run(&["status"]);
    assert_eq!(status["plans"][0]["fence_debts"], serde_json::json!([]), "{status:#}");
}
