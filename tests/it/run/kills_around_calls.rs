//! A real process is killed before, within and after every mutating call of every kind: fences, promotions, global clusters, replicas,
//! renames, restores, deletions, routing controls, objects, secrets. Another process continues the run.
//!
//! A trigger in its own store, which somebody adds once the process has opened it, delays the process at the chosen write. The program is
//! unmodified.

use std::collections::BTreeSet;
use std::process::Child;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;

use crate::cli::contract::Folder;

/// Where a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Before its intent is in the journal.
    Before,
    /// After its intent is in the journal, and before the call takes effect.
    Within,
    /// After the effect, and before the answer is in the journal.
    After,
}

const ALL: [Where; 3] = [Where::Before, Where::Within, Where::After];

/// Calls around which a process is killed at every point when all are: promotions, switches and fences of each kind.
const UNMISSED: [&str; 8] = [
    "promote.own",
    "promote.rds",
    "promote.global",
    "switch.by-sets",
    "switch.by-object",
    "switch.by-controls",
    "fence.own.sql",
    "fence.rds.sql",
];

const TIME: &str = "2026-01-01T02:00:00Z";
const ACCEPT: [&str; 4] = ["--accept-data-loss", "120m", "--reason", "bad release"];

/// Commands that together make every call.
fn commands() -> Vec<Vec<&'static str>> {
    let restore = |component, waived| {
        let of = ["restore", "everything", "--component", component, "--to-time", TIME, "--waive", waived];
        [&of[..], &ACCEPT].concat()
    };
    let drill = ["drill", "everything", "--mode", "isolated", "--component", "own", "--to", "west"];
    vec![
        vec![
            "failover",
            "everything",
            "region-slow",
            "--to",
            "east",
            "--outage-began",
            "2026-01-01T03:00:30Z",
        ],
        vec!["switchover", "everything", "--to", "east"],
        vec!["failback", "everything", "--to", "west"],
        restore("own", "exposure-above-rpo:own"),
        restore("rds", "exposure-above-rpo:rds"),
        [&drill[..], &["--to-time", TIME]].concat(),
    ]
}

/// The same as arguments of a rehearsal, with the scenario after its option.
fn rehearsed(command: &[&'static str]) -> Vec<&'static str> {
    let (scenario, rest): (Vec<_>, Vec<_>) = command.iter().copied().partition(|a| *a == "region-slow");
    [&rest[..], &["--yes", "--sandbox"], &scenario[..]].concat()
}

fn folder() -> Folder {
    let folder = Folder::with_plans();
    for name in ["truststream.yaml", "starter.yaml"] {
        std::fs::remove_file(folder.path().join("plans").join(name)).unwrap();
    }
    std::fs::write(
        folder.path().join("plans/everything.yaml"),
        include_str!("../../fixtures/everything.yaml"),
    )
    .unwrap();
    folder
}

fn store(folder: &Folder) -> Connection {
    Connection::open(folder.path().join(".drctl/sandbox.db")).unwrap()
}

/// The only run, and its outcome.
fn outcome(folder: &Folder) -> (String, serde_json::Value) {
    let runs = folder.ok(&["runs", "list", "--sandbox", "--output", "json"]);
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let id = runs["runs"][0]["run_id"].as_str().unwrap().to_owned();
    let (_, report, words) = folder.run(&["report", "run", &id, "--sandbox", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap_or_else(|e| panic!("{e}: {words}"));
    (id, report["outcome"].clone())
}

/// The calls that were made, by step.
fn called(folder: &Folder) -> Vec<String> {
    let store = store(folder);
    let text = format!("SELECT bytes FROM events WHERE {} ORDER BY seq", holds("bytes", "call_intended"));
    let mut asked = store.prepare(&text).unwrap();
    let rows = asked.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let step = |bytes: Vec<u8>| {
        let event: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        event["step"].as_str().unwrap().to_owned()
    };
    rows.map(|bytes| step(bytes.unwrap())).collect()
}

fn holds(column: &str, kind: &str) -> String {
    format!("instr(CAST({column} AS TEXT), '\"kind\":\"{kind}\"') > 0")
}

/// Makes the n-th such write block until the process is gone.
fn hold(store: &Connection, n: usize, at: Where) {
    let so_far = |kind: &str| format!("(SELECT count(*) FROM events WHERE {}) = {n}", holds("bytes", kind));
    let event = |kind: &str| format!("events WHEN {} AND {}", holds("NEW.bytes", kind), so_far(kind));
    let when = match at {
        Where::Before => event("call_intended"),
        Where::Within => format!("simulated WHEN (SELECT count(*) FROM simulated) = {n}"),
        Where::After => event("call_answered"),
    };
    hold_inserts(store, &when);
}

/// Makes such an insert block for ever, with the store's write lock. `when` is a table, and a condition on its new row.
pub fn hold_inserts(store: &Connection, when: &str) {
    let forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    store
        .execute_batch(&format!("CREATE TRIGGER held BEFORE INSERT ON {when} BEGIN {forever}; END"))
        .unwrap();
}

/// Starts a process, and changes its store once the process has opened it: no process opens a store with a trigger of somebody else. Until
/// then, the process cannot write.
pub fn held_once_open(store: &Connection, start: impl FnOnce() -> Child, hold: impl FnOnce()) -> Child {
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut child = start();
    let file = std::fs::canonicalize(store.path().unwrap()).unwrap();
    let folder = format!("/proc/{}/fd", child.id());
    let open = || {
        let links = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        links.filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to == file)).count()
    };
    // It checks the store before it opens the file a second time.
    while child.try_wait().unwrap().is_none() && open() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    hold();
    store.execute_batch("COMMIT").unwrap();
    child
}

/// Waits until the process blocks in its store, so that nobody else can write. Returns false if it ended by itself.
fn stands(store: &Connection, child: &mut Child) -> bool {
    store.busy_timeout(Duration::ZERO).unwrap();
    let mut busy = 0;
    for _ in 0..12_000 {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        match store.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
            Ok(()) => busy = 0,
            Err(_) => busy += 1,
        }
        // No other write of a rehearsal takes that long.
        if busy == 50 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it neither ends nor stands still");
}

/// Kills the process around its n-th call, and continues the run. Returns whether the process was still running.
fn kill_around(
    command: &[&'static str],
    (n, step): (usize, &str),
    at: Where,
    ends: &serde_json::Value,
) -> bool {
    let context = format!("{}: call {n} ({step}), {at:?}", command[0]);
    let folder = folder();
    folder.ok(&["runs", "list", "--sandbox"]);
    let store = store(&folder);
    let mut child = held_once_open(&store, || folder.start(&rehearsed(command)), || hold(&store, n, at));
    let there = stands(&store, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    store.busy_timeout(Duration::from_secs(20)).unwrap();
    store.execute_batch("DROP TRIGGER held").unwrap();
    if there {
        let (id, _) = outcome(&folder);
        let (code, out, err) = folder.run(&["runs", "resume", &id, "--sandbox"]);
        assert!([0, 5].contains(&code), "{context}: {code}\n{out}{err}");
    }
    assert_eq!(outcome(&folder).1, *ends, "{context}");
    // Actions that must not happen twice did not.
    let verb = |verb: &str| format!("instr(CAST(bytes AS TEXT), '\"verb\":\"{verb}\"') > 0");
    let once = ["promote", "rename", "equip"].map(verb).join(" OR ");
    let twice = format!(
        "SELECT count(*) FROM (SELECT bytes FROM simulated GROUP BY bytes HAVING count(*) > 1) WHERE {once}"
    );
    let twice: i64 = store.query_row(&twice, [], |row| row.get(0)).unwrap();
    assert_eq!(twice, 0, "{context}");
    folder.ok(&["audit", "verify", "--sandbox"]);
    there
}

/// Every second call, at one of the three points in turn; with `DRCTL_TEST_WHOLE` (`tests/nightly kills`), every call at all points.
#[test]
fn killed_around_every_call_of_every_kind() {
    let whole = std::env::var_os("DRCTL_TEST_WHOLE").is_some();
    let mut kinds = BTreeSet::new();
    let mut all = Vec::new();
    for command in commands() {
        let folder = folder();
        let (code, out, err) = folder.run(&rehearsed(&command));
        assert!([0, 5].contains(&code), "{command:?}: {code}\n{out}{err}");
        let (_, ends) = outcome(&folder);
        for (n, step) in called(&folder).into_iter().enumerate() {
            kinds.insert(step.split('.').next().unwrap().to_owned());
            let points = if whole { ALL.to_vec() } else { vec![ALL[(n + all.len()) % 3]] };
            all.extend(points.into_iter().map(|at| (command.clone(), n, step.clone(), at, ends.clone())));
        }
    }
    for kind in [
        "fence", "promote", "equip", "rejoin", "retire", "beside", "swap", "aside", "destroy", "point",
        "switch",
    ] {
        assert!(kinds.contains(kind), "no call of `{kind}` is made: {kinds:?}");
    }
    let all = all.into_iter().step_by(if whole { 1 } else { 2 }).collect::<Vec<_>>();
    let (left, killed) = (Mutex::new(all), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let Some((command, n, step, at, ends)) = left.lock().unwrap().pop() else { return };
            if kill_around(&command, (n, &step), at, &ends) {
                killed.lock().unwrap().push((step, at));
            }
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(worker))));
    let killed = killed.into_inner().unwrap();
    let all = killed.len();
    eprintln!("{all} processes were killed around calls of {kinds:?}, and every run was carried on");
    assert!(all >= 50, "only {all} processes were killed");
    let missed: Vec<_> = UNMISSED
        .into_iter()
        .flat_map(|step| ALL.map(|at| (step, at)))
        .filter(|(step, at)| !killed.iter().any(|(killed, point)| killed == step && point == at))
        .collect();
    assert!(!whole || missed.is_empty(), "no process was killed there: {missed:?}");
}
