//! Self-managed servers: real PostgreSQL with streaming replication, a client that writes numbered rows and records which were
//! acknowledged, and an application whose health check is a real write.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::postgres::Pair;
use super::until;
use crate::support::inboxes::Inbox;

pub struct World {
    pub pair: Pair,
    pub folder: tempfile::TempDir,
    app: TcpListener,
    stop: AtomicBool,
    /// Whether the application fails, regardless of the servers.
    pub sick: AtomicBool,
}

/// The client's records: acknowledged numbers, and the longest time without an acknowledgement.
pub struct Truth {
    pub acknowledged: Vec<(u64, Instant)>,
    pub outage: Duration,
}

/// Stops the client and the application, however the test ends.
struct Stop<'a>(&'a World);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
        // The application waits for a request: this is the last one.
        drop(std::net::TcpStream::connect(self.0.app.local_addr().unwrap()));
    }
}

const FAILOVER: &[&str] = &["failover", "--to", "east", "--yes", "--outage-began"];

impl World {
    pub fn new() -> Self {
        let pair = Pair::start();
        let hosts = ["p", "s"].map(|name| pair.host(name));
        Self::of(pair, hosts)
    }

    fn of(pair: Pair, hosts: [String; 2]) -> Self {
        pair.sql(
            pair.primary,
            "truststream",
            "GRANT EXECUTE ON FUNCTION pg_promote TO truststream; CREATE TABLE ledger (n bigint); GRANT ALL ON ledger TO app",
        );
        // A standby with closed databases is promoted by way of this database.
        pair.sql(pair.primary, "postgres", "GRANT EXECUTE ON FUNCTION pg_promote TO truststream");
        let folder = tempfile::tempdir().unwrap();
        let app = TcpListener::bind("127.0.0.1:0").unwrap();
        let (path, port) = (folder.path(), app.local_addr().unwrap().port());
        std::fs::create_dir(path.join("plans")).unwrap();
        std::fs::write(
            path.join("login.json"),
            r#"{"username": "truststream", "password": "not-a-secret-here"}"#,
        )
        .unwrap();
        std::fs::write(path.join("repl.json"), r#"{"username": "repl", "password": "it's \\ a secret"}"#)
            .unwrap();
        let at = |port: u16, host: &str| {
            format!(
                r#"{{endpoint: "127.0.0.1:{port}/truststream", admin: {{secret: "file:login.json"}}, host: {host}}}"#
            )
        };
        let plan = format!(
            "plan: orders\nobjectives: {{rto: 5m, rpo: 1m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    harmless: {{roles: [postgres]}}\n    at:\n      west: {}\n      east: {}\n    verify: {{sql_write: {{table: drctl_canary}}}}\nprobes:\n  - {{name: app, role: public, http: \"http://127.0.0.1:{port}/\", every: 1s, timeout: 3s}}\nwatch: {{for: 1s}}\n",
            at(pair.primary, &hosts[0]),
            at(pair.standby, &hosts[1])
        );
        std::fs::write(path.join("plans/orders.yaml"), plan).unwrap();
        std::fs::write(path.join("drctl.yaml"), "sql: {tls: \"off\"}\n").unwrap();
        Self { pair, folder, app, stop: AtomicBool::new(false), sick: AtomicBool::new(false) }
    }

    /// Sets the plan's fence methods.
    pub fn fences_by(&self, rungs: &str) {
        let file = self.folder.path().join("plans/orders.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, plan.replace("fence: [sql]", &format!("fence: [{rungs}]"))).unwrap();
    }

    /// Adds two channels: one that accepts everything, and one that is unreachable.
    fn tells(&self) -> Inbox {
        let (hooks, folder) = (Inbox::new(), self.folder.path());
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (name, text) in
            [("hook", hooks.url("/")), ("nobody", format!("http://{nobody}/")), ("key", "k".to_owned())]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let notify = "notify:\n  channels:\n    hooks: {webhook: {url: \"file:hook\", secret: \"file:key\"}, gets: [alert, resolved]}\n    nobody: {slack: {url: \"file:nobody\"}, gets: [alert]}\n";
        std::fs::write(folder.join("drctl.yaml"), format!("sql: {{tls: \"off\"}}\n{notify}")).unwrap();
        hooks
    }

    pub fn run(&self, args: &[&str]) -> (i32, Value, String) {
        super::drctl(self.folder.path(), args)
    }

    /// Runs `work` while the client and the application write.
    pub fn under_load<T>(&self, work: impl FnOnce() -> T) -> (T, Truth) {
        // It may have run under load before.
        self.stop.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| self.client());
            scope.spawn(|| self.serve());
            let stop = Stop(self);
            std::thread::sleep(Duration::from_secs(2));
            let done = work();
            std::thread::sleep(Duration::from_secs(1));
            drop(stop);
            (done, client.join().unwrap())
        })
    }

    /// Writes like a client that has both servers in its connection string.
    pub fn write(&self, n: u64) -> bool {
        self.pair.write_anywhere("app", &format!("INSERT INTO ledger VALUES ({n})"))
    }

    fn client(&self) -> Truth {
        let mut truth = Truth { acknowledged: Vec::new(), outage: Duration::ZERO };
        let mut last = Instant::now();
        for n in 1.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            if self.write(n) {
                truth.outage = truth.outage.max(last.elapsed());
                last = Instant::now();
                truth.acknowledged.push((n, last));
            }
        }
        truth
    }

    fn serve(&self) {
        for stream in self.app.incoming() {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let well = !self.sick.load(Ordering::SeqCst) && self.write(0);
            let status = if well { "200 OK" } else { "503 Service Unavailable" };
            let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    }

    /// When rows were acknowledged that a server does not have.
    pub fn missing(&self, truth: &Truth, port: u16) -> Vec<Instant> {
        let kept = self.pair.query(port, "SELECT string_agg(n::text, ' ') FROM ledger WHERE n > 0");
        let kept: std::collections::BTreeSet<u64> = kept.split(' ').filter_map(|n| n.parse().ok()).collect();
        truth.acknowledged.iter().filter(|(n, _)| !kept.contains(n)).map(|(_, at)| *at).collect()
    }

    pub fn now() -> String {
        let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[test]
fn a_server_that_is_fenced_first_loses_no_row() {
    let world = World::new();
    let ((code, report, words), truth) = world.under_load(|| {
        let now = World::now();
        let waive = ["--waive", "healthy-source", "--reason", "its disk is about to fail"];
        world.run(&[FAILOVER, &[&now], &waive].concat())
    });
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
    assert_eq!(
        (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
        (&"measured".into(), &0.0.into()),
        "{report:#}"
    );
    assert!(truth.acknowledged.len() > 20, "{} rows", truth.acknowledged.len());
    // Observing a fence takes seconds, and no row was acknowledged after the reported last instant. With other tests in parallel, the
    // client may write no row for seconds before it.
    let committed =
        "SELECT max((extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::bigint) FROM ledger";
    let last_row: i64 = world.pair.query(world.pair.primary, committed).parse().unwrap();
    let told = report["stores"]["db"]["last_instant"].as_str().unwrap();
    let told = drctl::model::time::Timestamp::parse(told).unwrap().millis();
    assert!(
        (last_row..last_row + 5_000).contains(&told),
        "the last row came at {last_row}, {told} is told: {:#}",
        report["stores"]["db"]
    );
    // It is counted from the declared outage, before which the client was served.
    assert!(report["rto"]["achieved_s"].as_f64().unwrap() >= truth.outage.as_secs_f64(), "{report:#}");
    // The old server refuses the application; the new one has a real row of drctl.
    let (ok, why) =
        world.pair.psql(world.pair.primary, "app", "truststream", "INSERT INTO ledger VALUES (0)");
    assert!(!ok && why.contains("not permitted to log in"), "{why}");
    assert_eq!(world.pair.query(world.pair.standby, "SELECT count(*) FROM drctl_canary"), "1");
    let again = || world.run(&["failover", "orders", "--to", "east", "--yes"]);
    let ((code, served, _), _) = world.under_load(again);
    assert!(code == 0 && served["outcome"] == "nothing_to_do", "{code}: {served:#}");
    // The application is gone, so another failover to the same site does not help.
    let (code, failing, _) = again();
    assert!(code == 3 && failing["refusals"][0]["rule"] == "target-down", "{code}: {failing:#}");
}

#[test]
fn a_killed_server_needs_a_waiver_loses_no_more_than_the_bound_and_is_fenced_when_it_returns() {
    let world = World::new();
    let hooks = world.tells();
    let ((refused, waived, killed), truth) = world.under_load(|| {
        assert_eq!(world.run(&["observe"]).0, 0);
        world.pair.kill_primary();
        let killed = Instant::now();
        let now = World::now();
        let args = [FAILOVER, &[&now]].concat();
        let refused = world.run(&args);
        let waive = [
            "--waive",
            "unfenced-promotion:db",
            "--accept-data-loss",
            "1m",
            "--reason",
            "the machine is gone",
        ];
        (refused, world.run(&[args.as_slice(), &waive].concat()), killed)
    });
    assert_eq!(refused.0, 3, "{:#}\n{}", refused.1, refused.2);
    let (code, report, words) = waived;
    assert!(code == 5 && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "pending", "{report:#}");
    let lost = world.missing(&truth, world.pair.standby);
    let bound = report["rpo"]["achieved_s"].as_f64().unwrap();
    assert_eq!(report["rpo"]["basis"], "upper_bound", "{report:#}");
    let lost = lost.first().map_or(0.0, |oldest| (killed - *oldest).as_secs_f64());
    assert!(lost <= bound, "writes of {lost} s are lost, and at most {bound} s were reported");
    // Within one interval and one timeout of the probe, compared with the client.
    let (rto, seen) = (report["rto"]["achieved_s"].as_f64().unwrap(), truth.outage.as_secs_f64());
    assert!(
        (rto - seen).abs() <= 1.0 + 3.0,
        "{rto} s were reported, the client could not write for {seen} s"
    );

    // Notifications were sent during the run, by the channel that works.
    let told: Vec<_> = hooks.came().iter().map(|came| came.json()["notice"]["kind"].clone()).collect();
    assert_eq!(told, ["alert", "resolved"].map(Value::from), "{words}");
    assert!(words.contains("notify: nobody did not accept"), "{words}");
    let sent: i64 = hooks.came()[0].header("webhook-timestamp").parse().unwrap();
    let ended: jiff::Timestamp = report["ended_at"].as_str().unwrap().parse().unwrap();
    assert!(sent <= ended.as_second(), "{sent} {ended}");

    // It returns, and takes writes until the pending fence is set.
    world.pair.start_primary();
    let insert = "INSERT INTO ledger VALUES (0)";
    assert!(world.pair.psql(world.pair.primary, "app", "truststream", insert).0, "nobody has fenced it yet");
    let run = report["run_id"].as_str().unwrap();
    let (code, report, words) = world.run(&["runs", "resume", run]);
    assert_eq!(report["fence"]["state"], "fenced", "{code}: {report:#}\n{words}");
    until("the old primary refuses the application", || {
        let (ok, why) = world.pair.psql(world.pair.primary, "app", "truststream", insert);
        !ok && why.contains("not permitted to log in")
    });
}

/// Its commits have later times than they should. Taken literally, none would be lost.
#[test]
fn a_clock_that_is_ahead_makes_no_loss_smaller() {
    let world = World::new();
    world.pair.start_primary_ahead(45);
    let ((code, report, words), _) = world.under_load(|| {
        assert_eq!(world.run(&["observe"]).0, 0);
        world.pair.kill_primary();
        // Nobody can tell whether it takes writes in that time.
        std::thread::sleep(Duration::from_secs(3));
        let now = World::now();
        let waive = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "1m", "--reason", "gone"];
        world.run(&[FAILOVER, &[&now], &waive].concat())
    });
    assert!(code == 5 && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    let bound = report["rpo"]["achieved_s"].as_f64().unwrap();
    assert!((3.0..40.0).contains(&bound), "at most {bound} s: {report:#}");
    assert_eq!(report["rpo"]["basis"], "upper_bound", "{report:#}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("is up to 45") && notes.contains("ahead of the clock of this machine"), "{notes}");
}

#[test]
fn a_standby_of_another_server_is_not_promoted() {
    let (world, other) = (World::new(), Pair::start_unrelated());
    let file = world.folder.path().join("plans/orders.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        plan.replace(&format!("127.0.0.1:{}/", world.pair.standby), &format!("127.0.0.1:{}/", other.standby)),
    )
    .unwrap();
    let now = World::now();
    let (code, report, words) = world.run(&[FAILOVER, &[&now]].concat());
    assert!(
        code == 3 && report.to_string().contains("the server to fence, has"),
        "{code}: {report:#}\n{words}"
    );
}

#[test]
fn a_switchover_and_the_way_back_lose_no_row() {
    let world = World::new();
    let plan = std::fs::read(world.folder.path().join("plans/orders.yaml")).unwrap();
    let (moves, truth) = world.under_load(|| {
        // There, back, and there again: a rebuilt server can be rebuilt a second time.
        [("switchover", "east"), ("failback", "west"), ("switchover", "east"), ("failback", "west")].map(
            |(verb, to)| {
                std::thread::sleep(Duration::from_secs(1));
                world.run(&[verb, "orders", "--to", to, "--yes"])
            },
        )
    });
    for (code, report, words) in &moves {
        assert!([0, 5].contains(code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
        assert_eq!(
            (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
            (&"measured".into(), &0.0.into()),
            "{report:#}"
        );
        assert_eq!(report["protection"]["state"], "protected", "{report:#}\n{words}");
        assert_eq!(
            report["protection"]["diverged"],
            serde_json::json!({}),
            "nothing was lost, and something is named"
        );
    }
    let lost = [world.pair.primary, world.pair.standby].map(|port| world.missing(&truth, port));
    assert_eq!(lost, [Vec::<Instant>::new(), Vec::new()], "the primary, and the standby that follows it");
    assert!(truth.acknowledged.len() > 20, "{} rows", truth.acknowledged.len());
    assert_eq!(std::fs::read(world.folder.path().join("plans/orders.yaml")).unwrap(), plan);
    let role = |port| world.pair.query(port, "SELECT pg_is_in_recovery()");
    assert_eq!((role(world.pair.primary), role(world.pair.standby)), ("f".to_owned(), "t".to_owned()));
    let (code, status, _) = world.run(&["status"]);
    assert!(code == 0 && status["plans"][0]["protection"] == "protected", "{status:#}");
    let slots = "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots";
    assert_eq!(
        world.pair.query(world.pair.primary, slots),
        "drctl_db_east",
        "no slot is left that nobody uses"
    );
    let (code, sealed, words) = world.run(&["evidence", "list"]);
    let runs = sealed["bundles"].as_array().unwrap();
    assert!(code == 0 && runs.len() == 4, "{sealed:#}\n{words}");
    assert!(runs.iter().all(|b| b["whole"] == true && b["outcome"] == "recovered"), "{sealed:#}");
}

/// A planned move is refused before anything is done, and a failover ignores the calendar.
#[test]
fn what_can_wait_does_not_begin_while_changes_are_frozen() {
    let world = World::new();
    let settings = world.folder.path().join("drctl.yaml");
    let frozen = "sql: {tls: \"off\"}\npolicy: {freeze: {why: quarter end}}\n";
    std::fs::write(&settings, frozen).unwrap();
    for verb in ["switchover", "reprotect"] {
        let (code, report, words) = world.run(&[verb, "orders", "--to", "east", "--yes"]);
        assert!(
            code == 3 && report.to_string().contains("change-freeze"),
            "{verb} {code}: {report:#}\n{words}"
        );
    }
    let (code, runs, _) = world.run(&["runs", "list"]);
    assert!(code == 0 && runs["runs"] == serde_json::json!([]), "{runs:#}");
    let shown = ["plan", "show", "orders", "--intent", "switchover", "--to", "east"];
    let (code, shown, words) = world.run(&shown);
    assert!(code == 0 && shown["closed"][0]["rule"] == "change-freeze", "{code}: {shown:#}\n{words}");
    for args in [
        &[
            "switchover",
            "orders",
            "--to",
            "east",
            "--dry-run",
            "--severity",
            "P1",
            "--reason",
            "the hall floods",
        ][..],
        &["switchover", "orders", "--to", "east", "--dry-run", "--waive", "change-freeze", "--reason", "x"],
        &["failover", "orders", "--to", "east", "--dry-run", "--outage-began", &World::now()],
    ] {
        let (code, report, words) = world.run(args);
        assert_eq!(report["outcome"], "dry_run", "{args:?} {code}: {report:#}\n{words}");
        let notes = report["runbook"]["notes"].to_string();
        assert_eq!(
            notes.contains("starts although changes are frozen"),
            !args.contains(&"--waive"),
            "{args:?} {notes}"
        );
    }
    let quietly = ["switchover", "orders", "--to", "east", "--yes", "--severity", "P1"];
    let (code, report, words) = world.run(&quietly);
    assert!(
        code == 2 && report["error"]["message"].to_string().contains("a reason is required"),
        "{code}: {report:#}\n{words}"
    );
}

/// The plan names east's host for west: nothing is stopped there, and the report says why.
#[test]
fn the_host_of_another_server_is_left_alone() {
    let world = World::new();
    let file = world.folder.path().join("plans/orders.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    let (p, s) = (world.pair.host("p"), world.pair.host("s"));
    std::fs::write(&file, plan.replace(&p, "HERE").replace(&s, &p).replace("HERE", &s)).unwrap();
    let ((code, report, words), truth) =
        world.under_load(|| world.run(&["switchover", "orders", "--to", "east", "--yes"]));
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}\n{words}");
    assert_eq!(report["protection"]["state"], "UNPROTECTED", "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let why = steps.iter().find(|s| s["id"] == "rejoin.db.west").unwrap()["reason"].as_str().unwrap();
    assert!(why.contains("The plan names a different host"), "{why}");
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
    let role = |port| world.pair.query(port, "SELECT pg_is_in_recovery()");
    assert_eq!(
        (role(world.pair.primary), role(world.pair.standby)),
        ("f".to_owned(), "f".to_owned()),
        "both still run"
    );
}

/// Without WAL hints or checksums pg_rewind is not possible, and no data is discarded.
#[test]
fn a_server_that_cannot_be_rewound_is_copied_anew_and_keeps_its_own_settings() {
    let pair = Pair::start_with("wal_log_hints=off\n");
    let hosts = [pair.host_with_config("p"), pair.host_with_commands("s")];
    let world = World::of(pair, hosts);
    for port in [world.pair.primary, world.pair.standby] {
        assert_eq!(world.pair.query(port, "SHOW wal_log_hints"), "off");
    }
    world.pair.sql(world.pair.primary, "postgres", "ALTER SYSTEM SET work_mem = '7MB'");
    let (moves, truth) = world.under_load(|| {
        [("switchover", "east"), ("failback", "west")].map(|(verb, to)| {
            std::thread::sleep(Duration::from_secs(1));
            world.run(&[verb, "orders", "--to", to, "--yes"])
        })
    });
    for (code, report, words) in &moves {
        assert!(
            [0, 5].contains(code) && report["protection"]["state"] == "protected",
            "{code}: {report:#}\n{words}"
        );
        assert_eq!(
            report["protection"]["diverged"],
            serde_json::json!({}),
            "it was counted all the same: {report:#}"
        );
    }
    assert_eq!((world.pair.kept("p.before-"), world.pair.kept("s.before-")), (1, 1));
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
    assert_eq!(world.pair.query(world.pair.primary, "SHOW work_mem"), "7MB", "west's own setting");
    assert_eq!(world.pair.query(world.pair.standby, "SHOW work_mem"), "4MB", "east's own setting");
}

impl World {
    /// Adds a step that blocks the move at this point until the file is written.
    pub fn stops(&self, before: &str) -> PathBuf {
        let (file, go) = (self.folder.path().join("plans/orders.yaml"), self.folder.path().join("go"));
        let plan = std::fs::read_to_string(&file).unwrap();
        let hook = format!(
            "hooks:\n  - {{at: before.{before}, name: freeze, step: {{command: [test, -e, \"{}\"], idempotent: true}}}}\n",
            go.display()
        );
        std::fs::write(&file, plan + &hook).unwrap();
        go
    }
}

/// The move had stopped the writes but not promoted yet when its source died: its proof saves the failover a waiver, and the loss is
/// measured.
#[test]
fn a_source_that_dies_in_a_switchover_is_failed_over_without_loss() {
    let world = World::new();
    let go = world.stops("promote");
    let ((broken_off, (code, report, words)), truth) = world.under_load(|| {
        let broken_off = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        world.pair.kill_primary();
        std::fs::write(&go, "").unwrap();
        (broken_off, world.run(&["failover", "orders", "--to", "east", "--yes"]))
    });
    assert_eq!(broken_off.0, 1, "{:#}\n{}", broken_off.1, broken_off.2);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["continues"], broken_off.1["run_id"], "{report:#}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert_eq!(
        (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
        (&"measured".into(), &0.0.into()),
        "{report:#}"
    );
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
    // The outage started with the switchover, whose probes saw it.
    let rto = report["rto"]["achieved_s"].as_f64().unwrap();
    assert!(rto + 4.0 >= truth.outage.as_secs_f64(), "{rto} s, and the client {:?}", truth.outage);
    let (code, old, _) = world.run(&["runs", "resume", broken_off.1["run_id"].as_str().unwrap()]);
    assert_eq!((code, &old["outcome"]), (0, &"abandoned".into()), "{old:#}");
    assert_eq!(world.run(&["audit", "verify"]).0, 0);
}

/// The standby has replayed the fence, and the move died before it was lifted there: the run that replaces it admits users.
#[test]
fn a_promotion_that_nobody_was_let_in_to_is_finished() {
    let world = World::new();
    let go = world.stops("rewire");
    let ((broken_off, (code, report, words)), truth) = world.under_load(|| {
        let broken_off = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        world.pair.kill_primary();
        std::fs::write(&go, "").unwrap();
        (broken_off, world.run(&["failover", "orders", "--to", "east", "--yes"]))
    });
    assert_eq!(broken_off.0, 1, "{:#}\n{}", broken_off.1, broken_off.2);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert!(
        world.pair.psql(world.pair.standby, "app", "truststream", "INSERT INTO ledger VALUES (0)").0,
        "the application is locked out: {report:#}"
    );
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
    // And nobody can fail over to the old server, which lacks the writes since.
    world.pair.start_primary();
    let now = World::now();
    let args = ["failover", "orders", "--to", "west", "--yes", "--outage-began", &now];
    let (code, refused, words) = world.run(&args);
    assert!(
        code == 3 && refused.to_string().contains("It is an old primary"),
        "{code}: {refused:#}\n{words}"
    );
}

/// A person lifted the fence of an interrupted move, drctl observed that, and the server took writes again before it died.
#[test]
fn a_fence_that_was_seen_lifted_is_no_proof_any_more() {
    let world = World::new();
    let _go = world.stops("promote");
    let (refused, truth) = world.under_load(|| {
        let (code, broken_off, words) = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        assert_eq!(code, 1, "{broken_off:#}\n{words}");
        world.pair.sql(
            world.pair.primary,
            "truststream",
            "ALTER ROLE app LOGIN; REVOKE drctl_fenced FROM app",
        );
        assert_eq!(world.run(&["observe"]).0, 0);
        std::thread::sleep(Duration::from_secs(1));
        world.pair.kill_primary();
        world.run(&["failover", "orders", "--to", "east", "--yes"])
    });
    let (code, refusals, words) = refused;
    assert!(
        code == 3 && refusals["refusals"][0]["rule"] == "unfenced-promotion",
        "{code}: {refusals:#}\n{words}"
    );
    assert!(truth.acknowledged.len() > 20);
}
