//! Restores to a point in time: real servers with archived WAL, their backups, and marked transactions.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::postgres::Pair;

pub(super) struct World {
    pub(super) pair: Pair,
    pub(super) folder: tempfile::TempDir,
}

/// The folder of the archived WAL and the backups.
const ARCHIVE: &str = "archive";

impl World {
    /// A pair whose primary archives its WAL, with one backup.
    pub(super) fn new() -> Self {
        // Autovacuum would create transactions of its own, which look like those of a client.
        let pair = Pair::start_with("autovacuum=off\n");
        let archive = pair.beside(ARCHIVE);
        let command = format!("test ! -f {archive}/%f && cp %p {archive}/%f");
        pair.sql(pair.primary, "postgres", "ALTER SYSTEM SET archive_mode = on");
        pair.sql(pair.primary, "postgres", &format!("ALTER SYSTEM SET archive_command = '{command}'"));
        pair.restart_primary();
        pair.sql(
            pair.primary,
            "truststream",
            "GRANT EXECUTE ON FUNCTION pg_promote TO truststream; CREATE TABLE ledger (word text); GRANT ALL ON ledger TO app",
        );
        pair.back_up();
        let world = Self { pair, folder: tempfile::tempdir().unwrap() };
        world.write_plan("3");
        world
    }

    fn write_plan(&self, least: &str) {
        let path = self.folder.path();
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
        std::fs::create_dir_all(path.join("plans")).unwrap();
        write("login.json", r#"{"username": "truststream", "password": "not-a-secret-here"}"#);
        write("repl.json", r#"{"username": "repl", "password": "it's \\ a secret"}"#);
        write("drctl.yaml", "sql: {tls: \"off\"}\n");
        let at = |port: u16, host: &str| {
            format!(
                r#"{{endpoint: "127.0.0.1:{port}/truststream", admin: {{secret: "file:login.json"}}, host: {host}}}"#
            )
        };
        let plan = format!(
            "plan: orders\nobjectives: {{rto: 5m, rpo: 1m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    harmless: {{roles: [postgres]}}\n    at:\n      west: {}\n      east: {}\n    verify:\n      sql_write: {{table: drctl_canary}}\n      invariants: [{{name: words, sql: \"SELECT count(*) FROM ledger\", at_least: {least}}}]\n      rows: [ledger]\n",
            at(self.pair.primary, &self.pair.host_with_backups("p", ARCHIVE)),
            at(self.pair.standby, &self.pair.host_with_backups("s", ARCHIVE)),
        );
        write("plans/orders.yaml", &plan);
    }

    fn run(&self, args: &[&str]) -> (i32, Value, String) {
        super::drctl(self.folder.path(), args)
    }

    fn restore(&self, to: &str, more: &[&str]) -> (i32, Value, String) {
        let command = ["restore", "orders", "--component", "db", "--to-time", to, "--yes"];
        self.run(&[&command, more].concat())
    }

    fn drill(&self, args: &[&str]) -> (i32, Value, String) {
        self.run(&[&["drill", "orders", "--mode", "isolated"], args].concat())
    }

    /// A fetch that would take hours, whose process is killed after it has started.
    fn killed_in_its_fetch(&self, copy: &str, args: &[&str]) {
        let plan = self.folder.path().join("plans/orders.yaml");
        let text = std::fs::read_to_string(&plan).unwrap();
        std::fs::write(&plan, text.replace("fetch: 'cp", "fetch: 'sleep 7200; cp")).unwrap();
        let mut driver = Command::new(env!("CARGO_BIN_EXE_drctl"))
            .args(args)
            .current_dir(self.folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        super::until("it fetches", || self.pair.kept(copy) == 1);
        driver.kill().unwrap();
        driver.wait().unwrap();
        std::fs::write(&plan, text).unwrap();
    }

    /// A marked transaction of the application. Returns the server's time right after it.
    fn mark(&self, word: &str) -> String {
        let text = format!("INSERT INTO ledger VALUES ('{word}')");
        let (ok, why) = self.pair.psql(self.pair.primary, "app", "truststream", &text);
        assert!(ok, "{why}");
        std::thread::sleep(std::time::Duration::from_millis(50));
        let clock =
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
        let now = self.pair.query(self.pair.primary, clock);
        std::thread::sleep(std::time::Duration::from_millis(50));
        now
    }

    /// Transactions before a time, and one after it. Returns the time.
    pub(super) fn marked(&self) -> String {
        for word in ["a", "b", "c"] {
            self.mark(word);
        }
        let to = self.mark("kept");
        self.mark("second");
        to
    }

    pub(super) fn words(&self, port: u16) -> String {
        self.pair.query(port, "SELECT string_agg(word, ' ' ORDER BY word) FROM ledger")
    }

    /// What identifies the live data: their location, the server's start time, and every row.
    fn untouched(&self) -> String {
        self.pair.query(
            self.pair.primary,
            "SELECT pg_postmaster_start_time() || ' ' || (SELECT timeline_id FROM pg_control_checkpoint()) || ' ' || (SELECT string_agg(rolname || rolcanlogin, ' ' ORDER BY rolname) FROM pg_roles)",
        )
    }
}

pub(super) const ACCEPT: &[&str] = &[
    "--waive",
    "exposure-above-rpo:db",
    "--accept-data-loss",
    "30m",
    "--reason",
    "release 412 deleted orders",
];

#[test]
fn the_transaction_before_the_time_is_there_and_the_one_after_is_not() {
    let world = World::new();
    for word in ["a", "b", "first"] {
        world.mark(word);
    }
    let to = world.mark("kept");
    let (ok, why) =
        world.pair.psql(world.pair.primary, "app", "truststream", "DELETE FROM ledger WHERE word = 'a'");
    assert!(ok, "{why}");
    world.mark("second");
    let (code, report, words) = world.restore(&to, ACCEPT);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(world.words(world.pair.primary), "a b first kept");
    let of = &report["restored"][0];
    assert_eq!((&of["loss"]["basis"], &of["loss"]["transactions"]), (&"exactly".into(), &2.into()), "{of:#}");
    assert!(of["next_commit"].as_str() > of["last_commit"].as_str(), "{of:#}");
    let checks = of["checks"].as_array().unwrap();
    assert!(checks.len() >= 4 && checks.iter().all(|c| c["result"] != "fail"), "{of:#}");
    assert!(Path::new(of["kept"].as_str().unwrap()).join("PG_VERSION").exists(), "{of:#}");
    assert_eq!(report["rpo"]["basis"], "measured", "{report:#}");
    // The application writes again, the standby follows the restored server, and no copy is left.
    world.mark("third");
    super::until("the standby has it", || world.words(world.pair.standby).contains("third"));
    assert_eq!(world.words(world.pair.standby), "a b first kept third");
    assert_eq!(report["protection"]["state"], "protected", "{report:#}");
    assert_eq!((world.pair.kept("p.restored-"), world.pair.kept("p.before-")), (0, 1));
    eprintln!("restored {to}: RTO {}, RPO {}", report["rto"]["text"], report["rpo"]["text"]);
}

#[test]
fn a_corrupt_archive_leaves_the_live_database_untouched() {
    let world = World::new();
    let to = world.marked();
    world.pair.damage_archive(ARCHIVE);
    let before = world.untouched();
    let (code, report, words) = world.restore(&to, ACCEPT);
    assert!(code == 1 && report["outcome"] == "halted", "{code}: {report:#}\n{words}");
    let hint = report["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("damaged") && hint.contains("the live data is unchanged"), "{hint}");
    assert_eq!(
        (world.untouched(), world.words(world.pair.primary)),
        (before.clone(), "a b c kept second".to_owned())
    );
    let fenced = report["steps"].as_array().unwrap().iter().find(|s| s["id"] == "fence.db.sql").unwrap();
    assert_eq!(fenced["state"], "pending", "{report:#}");
    // After the undo, nothing of it is left.
    let run = report["run_id"].as_str().unwrap();
    let (code, cancelled, words) =
        world.run(&["runs", "cancel", run, "--yes", "--reason", "the archive is damaged"]);
    assert_eq!((code, &cancelled["outcome"]), (1, &"cancelled".into()), "{cancelled:#}\n{words}");
    assert_eq!((world.pair.kept("p.restored-"), world.untouched()), (0, before));
}

#[test]
fn a_copy_that_breaks_an_invariant_is_not_put_in_place() {
    let world = World::new();
    let to = world.mark("only");
    world.mark("second");
    world.mark("third");
    let before = world.untouched();
    let (code, report, words) = world.restore(&to, ACCEPT);
    assert!(code == 1 && report["outcome"] == "halted", "{code}: {report:#}\n{words}");
    let hint = report["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("sound.db") && hint.contains("words"), "{hint}");
    assert_eq!(world.untouched(), before);
    // After a correction of the plan a new run is needed; resuming the old one fails again, with the job's new message.
    let run = report["run_id"].as_str().unwrap();
    let (code, again, _) = world.run(&["runs", "resume", run]);
    assert_eq!((code, &again["outcome"]), (1, &"halted".into()));
    let sound = again["steps"].as_array().unwrap().iter().find(|s| s["id"] == "sound.db").unwrap();
    assert_eq!(sound["attempts"], 2, "{again:#}");
    let (_, cancelled, words) = world.run(&["runs", "cancel", run, "--yes", "--reason", "x"]);
    assert_eq!(cancelled["outcome"], "cancelled", "{cancelled:#}\n{words}");
    world.write_plan("1");
    let (code, report, words) = world.restore(&to, ACCEPT);
    assert!([0, 5].contains(&code), "{code}: {report:#}\n{words}");
    assert_eq!(world.words(world.pair.primary), "only");
}

#[test]
fn a_drill_proves_that_its_copy_is_gone() {
    let world = World::new();
    let to = world.marked();
    let before = world.untouched();
    let (code, report, words) = world.drill(&["--to", "west", "--to-time", &to]);
    assert_eq!((code, &report["outcome"]), (0, &"passed".into()), "{report:#}\n{words}");
    let gone = &report["restored"][0]["destroyed"];
    assert!(
        gone["files"].as_u64().unwrap() > 500 && !Path::new(gone["folder"].as_str().unwrap()).exists(),
        "{gone}"
    );
    assert_eq!((world.untouched(), world.pair.kept("p.restored-")), (before.clone(), 0));
    // A failed one says so, and leaves nothing either.
    world.pair.damage_archive(ARCHIVE);
    let (code, report, words) = world.drill(&["--to", "west", "--to-time", &to]);
    assert_eq!((code, &report["outcome"]), (1, &"failed".into()), "{report:#}\n{words}");
    assert_eq!((world.untouched(), world.pair.kept("p.restored-")), (before, 0));
    assert_eq!(world.run(&["audit", "verify"]).0, 0);
    // Both have WAL hints, commit timestamps, and slots without a limit.
    let (_, status, _) = world.run(&["status"]);
    let advice = status["plans"][0]["advice"].as_array().unwrap();
    assert!(
        advice.len() == 2
            && advice.iter().all(|a| a["why"].as_str().unwrap().contains("max_slot_wal_keep_size")),
        "{advice:#?}"
    );
}

/// In the recovery site, beside the standby, without any query to production. The remains of a killed drill are removed first.
#[test]
fn a_drill_in_the_recovery_site_goes_by_its_standby_and_removes_what_another_left() {
    let world = World::new();
    let to = world.marked();
    super::until("the standby has it", || world.words(world.pair.standby).contains("second"));
    let before = world.untouched();
    let last = "SELECT txid_current()";
    let first: u64 = world.pair.query(world.pair.primary, last).parse().unwrap();
    world.killed_in_its_fetch("s.restored-", &["drill", "orders", "--mode", "isolated", "--to-time", &to]);
    let stray = world.pair.beside("s.restored-0123");
    let (code, report, words) = world.drill(&["--to-time", &to]);
    assert_eq!((code, &report["outcome"]), (0, &"passed".into()), "{report:#}\n{words}");
    assert_eq!(
        (&report["from"], &report["to"], &report["drill"]),
        (&"east".into(), &"east".into(), &"isolated".into())
    );
    let found = &report["restored"][0];
    assert!(found["destroyed"]["files"].as_u64().unwrap() > 500, "{found:#}");
    assert!(found["next_commit"].as_str() > found["last_commit"].as_str(), "{found:#}");
    assert!(words.contains("was not finished; drctl removes its copy first"), "{words}");
    // A copy that nobody here made is reported, and left alone.
    assert!(report["notes"].to_string().contains("s.restored-0123"), "{report:#}");
    assert!(std::path::Path::new(&stray).exists() && world.pair.kept("s.restored-") == 1);
    let (_, listed, _) = world.run(&["runs", "list"]);
    let outcomes: Vec<_> = listed["runs"].as_array().unwrap().iter().map(|r| r["outcome"].clone()).collect();
    assert_eq!(outcomes, ["cancelled", "passed"]);
    // No transaction on the primary: the one of this query comes right after the last.
    let then: u64 = world.pair.query(world.pair.primary, last).parse().unwrap();
    assert_eq!((then, world.untouched()), (first + 1, before));
    assert_eq!(world.pair.query(world.pair.standby, "SELECT pg_is_in_recovery()"), "t");
}

#[test]
fn a_fetch_that_takes_hours_is_called_off_at_once() {
    let world = World::new();
    let to = world.marked();
    let before = world.untouched();
    let restore = ["restore", "orders", "--component", "db", "--to-time", &to, "--yes", "--output", "jsonl"];
    world.killed_in_its_fetch("p.restored-", &[&restore, ACCEPT].concat());
    let (_, listed, _) = world.run(&["runs", "list"]);
    let run = listed["runs"][0]["run_id"].as_str().unwrap_or_else(|| panic!("{listed:#}"));
    let began = std::time::Instant::now();
    let (code, cancelled, words) =
        world.run(&["runs", "cancel", run, "--yes", "--reason", "not this backup"]);
    assert_eq!((code, &cancelled["outcome"]), (1, &"cancelled".into()), "{cancelled:#}\n{words}");
    assert!(began.elapsed().as_secs() < 600, "it waited for the fetch");
    assert_eq!((world.pair.kept("p.restored-"), world.untouched()), (0, before));
    let left = Command::new("pgrep").args(["-f", "sleep 7200"]).output().unwrap();
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(left.trim().is_empty(), "the fetch still runs: {left}");
}

#[test]
fn every_acknowledged_row_that_a_restore_loses_is_counted() {
    let world = World::new();
    for word in ["a", "b", "c"] {
        world.mark(word);
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (acknowledged, report) = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut acknowledged = Vec::new();
            for n in 0.. {
                if stop.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let text = format!("INSERT INTO ledger VALUES ('w{n}')");
                if world.pair.psql(world.pair.primary, "app", "truststream", &text).0 {
                    acknowledged.push(format!("w{n}"));
                }
            }
            acknowledged
        });
        std::thread::sleep(std::time::Duration::from_secs(2));
        let to = world.mark("kept");
        let (code, report, words) = world.restore(&to, ACCEPT);
        std::thread::sleep(std::time::Duration::from_secs(1));
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
        (client.join().unwrap(), report)
    });
    let words = world.words(world.pair.primary);
    let kept: std::collections::BTreeSet<&str> = words.split(' ').collect();
    let lost = acknowledged.iter().filter(|w| !kept.contains(w.as_str())).count() as u64;
    let loss = &report["restored"][0]["loss"];
    assert!(
        lost > 5 && kept.contains("kept") && kept.contains("w0"),
        "{lost} lost of {}",
        acknowledged.len()
    );
    assert_eq!((&loss["basis"], loss["transactions"].as_u64()), (&"exactly".into(), Some(lost)), "{loss:#}");
    // The recording client continued where the copy is.
    assert!(kept.contains(acknowledged.last().unwrap().as_str()), "no row after the restore");
    eprintln!("{} acknowledged, {lost} lost and counted, RPO {}", acknowledged.len(), report["rpo"]["text"]);
}
