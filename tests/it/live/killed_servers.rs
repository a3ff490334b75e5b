//! A process is killed before, within and after calls on real PostgreSQL servers: a created replica, a moved name, a restart, and the parts
//! of a restore. Another process continues the run, and the servers end in the same state as after an undisturbed run.
//!
//! Before and after, the process is delayed by its own store, as in [`crate::killed`]. Within, it is killed as soon as its intent is
//! written.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use super::{own_servers, restored, until, world};
use crate::run::kills_around_calls::held_once_open;

/// Where a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Before its intent is in the journal.
    Before,
    /// After its intent is in the journal, while the call is in progress.
    Within,
    /// After the answer, and before that is in the journal.
    After,
}

const ALL: [Where; 3] = [Where::Before, Where::Within, Where::After];

/// How long a run may take to reach the call.
const PATIENCE: Duration = Duration::from_secs(420);

/// A call: the prefix of its step, and the number of such calls before it.
type Call = (&'static str, usize);

fn store(folder: &Path) -> Connection {
    let store = Connection::open(folder.join(".drctl/drctl.db")).unwrap();
    store.busy_timeout(Duration::from_secs(20)).unwrap();
    store
}

fn is(column: &str, kind: &str, step: &str) -> String {
    let text = format!("CAST({column} AS TEXT)");
    format!("instr({text}, '\"kind\":\"{kind}\"') > 0 AND instr({text}, '\"step\":\"{step}') > 0")
}

fn so_many(kind: &str, step: &str) -> String {
    format!("SELECT count(*) FROM events WHERE {}", is("bytes", kind, step))
}

/// Makes such a write block until the process is gone.
fn hold(store: &Connection, kind: &str, (step, earlier): Call) {
    let forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    let when = format!("{} AND ({}) = {earlier}", is("NEW.bytes", kind, step), so_many(kind, step));
    let text = format!("CREATE TRIGGER held BEFORE INSERT ON events WHEN {when} BEGIN {forever}; END");
    store.execute_batch(&text).unwrap();
}

/// Waits until the process blocks in its store, so that nobody else can write.
fn stands(store: &Connection, child: &mut Child, context: &str) {
    store.busy_timeout(Duration::ZERO).unwrap();
    let (began, mut busy) = (Instant::now(), 0);
    // With other tests in parallel, an append may take a while.
    while busy < 200 {
        assert!(child.try_wait().unwrap().is_none(), "{context}: it ended by itself");
        assert!(began.elapsed() < PATIENCE, "{context}: it neither ends nor stands still");
        busy = if store.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() { 0 } else { busy + 1 };
        std::thread::sleep(Duration::from_millis(10));
    }
    store.busy_timeout(Duration::from_secs(20)).unwrap();
}

/// Starts a command, kills it around a call, and continues the run with `command` and other arguments.
fn killed(
    folder: &Path,
    command: &dyn Fn(&[&str]) -> Command,
    args: &[&str],
    call: Call,
    at: Where,
) -> (i32, Value, String) {
    let context = format!("{args:?}: {call:?}, {at:?}");
    super::finished(folder, &mut command(&["runs", "list"]));
    let store = store(folder);
    let start = || command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut child = held_once_open(&store, start, || match at {
        Where::Before => hold(&store, "call_intended", call),
        Where::After => hold(&store, "call_answered", call),
        Where::Within => {}
    });
    if at == Where::Within {
        let began = Instant::now();
        let intended =
            || store.query_row(&so_many("call_intended", call.0), [], |row| row.get::<_, isize>(0)).unwrap();
        while intended().unsigned_abs() <= call.1 {
            assert!(child.try_wait().unwrap().is_none(), "{context}: it ended by itself");
            assert!(began.elapsed() < PATIENCE, "{context}: it never reached it");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The call was sent but not answered yet.
        std::thread::sleep(Duration::from_millis(60));
    } else {
        stands(&store, &mut child, &context);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    store.execute_batch("DROP TRIGGER IF EXISTS held").unwrap();
    let (_, runs, words) = super::finished(folder, &mut command(&["runs", "list"]));
    let run =
        runs["runs"][0]["run_id"].as_str().unwrap_or_else(|| panic!("{context}: {runs:#}{words}")).to_owned();
    let ended = super::finished(folder, &mut command(&["runs", "resume", &run]));
    let (code, report, words) = &ended;
    assert!(
        [0, 5].contains(code) && report["outcome"] == "recovered",
        "{context}: {code}: {report:#}\n{words}"
    );
    let (code, _, words) = super::finished(folder, &mut command(&["audit", "verify"]));
    assert_eq!(code, 0, "{context}: {words}");
    ended
}

fn in_folder(folder: &Path) -> impl Fn(&[&str]) -> Command + '_ {
    move |args| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
        command.args(args).args(["--output", "json"]).current_dir(folder).stdin(Stdio::null());
        command
    }
}

/// One of these; with `DRCTL_TEST_WHOLE` (`tests/nightly kills`), every call at every point.
fn chosen(calls: &[Call], one: (Call, Where)) -> Vec<(Call, Where)> {
    match std::env::var_os("DRCTL_TEST_WHOLE") {
        Some(_) => calls.iter().flat_map(|call| ALL.map(|at| (*call, at))).collect(),
        None => vec![one],
    }
}

/// A switchover of self-managed servers: the fence, the promotion, and the job that makes the old primary a standby.
fn moves(call: Call, at: Where) {
    let world = own_servers::World::new();
    let folder = world.folder.path();
    let args = ["switchover", "orders", "--to", "east", "--yes"];
    let ((_, report, words), truth) =
        world.under_load(|| killed(folder, &in_folder(folder), &args, call, at));
    assert_eq!(report["fence"]["state"], "proven", "{call:?} {at:?}: {report:#}\n{words}");
    assert_eq!(report["protection"]["state"], "protected", "{call:?} {at:?}: {report:#}\n{words}");
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new(), "{call:?} {at:?}");
    // One standby, with the one slot that was created for it.
    let standbys =
        "SELECT count(*) FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid";
    until("the old primary follows", || world.pair.query(world.pair.standby, standbys) == "1");
    let slots = "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE slot_name LIKE 'drctl%'";
    assert_eq!(world.pair.query(world.pair.standby, slots), "drctl_db_west", "{call:?} {at:?}");
    assert_eq!(world.pair.query(world.pair.primary, "SELECT pg_is_in_recovery()"), "t", "{call:?} {at:?}");
    assert!(world.pair.psql(world.pair.standby, "app", "truststream", "INSERT INTO ledger VALUES (0)").0);
}

#[test]
fn killed_around_the_job_that_makes_a_standby() {
    let calls = [("rejoin.db", 0), ("promote.db", 0), ("fence.db", 0)];
    let all = chosen(&calls, (("rejoin.db", 0), Where::Within));
    all.iter().for_each(|(call, at)| moves(*call, *at));
    eprintln!("{} processes were killed around the calls of a switchover", all.len());
}

/// A restore in place: making the copy, the swap, and admitting clients again.
fn restores(call: Call, at: Where) {
    let world = restored::World::new();
    let to = world.marked();
    let args = ["restore", "orders", "--component", "db", "--to-time", &to, "--yes"];
    let args = [&args[..], restored::ACCEPT].concat();
    let folder = world.folder.path();
    let (_, report, words) = killed(folder, &in_folder(folder), &args, call, at);
    assert_eq!(world.words(world.pair.primary), "a b c kept", "{call:?} {at:?}: {report:#}\n{words}");
    assert!(
        world.pair.psql(world.pair.primary, "app", "truststream", "INSERT INTO ledger VALUES ('after')").0
    );
    // One copy was put in place, and one set of old data is kept.
    assert_eq!((world.pair.kept("p.restored-"), world.pair.kept("p.before-")), (0, 1), "{call:?} {at:?}");
}

#[test]
fn killed_around_the_parts_of_a_restore() {
    let calls = [("swap.db", 0), ("beside.db", 0), ("sound.db", 0), ("lost.db", 0)];
    let all = chosen(&calls, (("swap.db", 0), Where::Within));
    all.iter().for_each(|(call, at)| restores(*call, *at));
    eprintln!("{} processes were killed around the parts of a restore", all.len());
}

/// A move of managed instances: the restart of a fence, the rename of the old primary, and the replica that gets its name.
fn managed(calls: &[(Call, Where)]) {
    for (call, at) in calls {
        let world = world::World::new();
        let plan = world.managed(if call.0.starts_with("fence") { "security_group" } else { "sql" });
        std::fs::write(world.path("plans/shop.yaml"), plan).unwrap();
        let fresh = world.client("fresh", 1);
        fresh.writes_to("west");
        let (folder, began) = (world.path(""), world::now());
        // Creating the world made calls as well.
        let called = |operation: &str| world.calls("rds", operation);
        let before = ["PromoteReadReplica", "CreateDBInstanceReadReplica"].map(called);
        let waive = ["--waive", "healthy-source", "--reason", "its disks fail", "--outage-began", &began];
        let args = match call.0.starts_with("fence") {
            true => [&["failover", "shop", "--to", "east", "--yes"][..], &waive].concat(),
            false => vec!["switchover", "shop", "--to", "east", "--yes"],
        };
        let (_, report, words) = killed(&folder, &|args| world.command(args), &args, *call, *at);
        assert_eq!(report["fence"]["state"], "proven", "{call:?} {at:?}: {report:#}\n{words}");
        fresh.writes_to("east");
        let truth = world.truth("east", &[&fresh]);
        assert_eq!(truth["lost"], serde_json::json!([]), "{call:?} {at:?}: {truth:#}");
        let made = ["PromoteReadReplica", "CreateDBInstanceReadReplica"].map(called);
        let wanted = [before[0] + 1, before[1] + u64::from(!call.0.starts_with("fence"))];
        assert_eq!(made, wanted, "{call:?} {at:?}: promoted and created\n{words}");
        let _ = fresh.stop();
    }
}

#[test]
fn killed_around_a_restart_a_new_name_and_a_new_replica() {
    // The second call of a fence by security group is the restart.
    let calls = [("fence.db", 1), ("retire.db", 0), ("rejoin.db", 0), ("promote.db", 0)];
    let all = chosen(&calls, (("rejoin.db", 0), Where::After));
    managed(&all);
    eprintln!("{} processes were killed around the calls of instances", all.len());
}
