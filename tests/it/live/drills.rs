//! Drills on real servers: users are moved and brought back, and an interrupted drill is not forgotten.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::own_servers::World;
use crate::run::kills_around_calls::{held_once_open, hold_inserts};

const LIVE: &[&str] = &["drill", "orders", "--mode", "live", "--yes"];

impl World {
    pub fn roles(&self) -> [String; 2] {
        [self.pair.primary, self.pair.standby].map(|port| self.pair.query(port, "SELECT pg_is_in_recovery()"))
    }

    fn status(&self) -> Value {
        let (code, status, words) = self.run(&["status"]);
        assert_eq!(code, 0, "{status:#}\n{words}");
        status["plans"][0].clone()
    }

    fn add(&self, more: &str) {
        let file = self.folder.path().join("plans/orders.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, plan + more).unwrap();
    }
}

const AT_HOME: [&str; 2] = ["f", "t"];

#[test]
fn a_live_drill_moves_users_there_and_back_without_a_lost_row() {
    let world = World::new();
    let plan = std::fs::read(world.folder.path().join("plans/orders.yaml")).unwrap();
    let ((code, told, words), truth) = world.under_load(|| world.run(&[LIVE, &["--hold", "3s"]].concat()));
    let [there, back] = told["runs"].as_array().unwrap().as_slice() else { panic!("{told:#}\n{words}") };
    assert_eq!(code, 0, "{told:#}\n{words}");
    let rto = |run: &Value| run["rto"]["achieved_s"].as_f64().unwrap();
    for (run, to) in [(there, "east"), (back, "west")] {
        assert_eq!(
            (&run["outcome"], &run["to"], &run["drill"]),
            (&json!("recovered"), &json!(to), &json!("live"))
        );
        assert_eq!(
            (&run["rpo"]["basis"], &run["rpo"]["achieved_s"]),
            (&json!("measured"), &json!(0.0)),
            "{run:#}"
        );
    }
    assert_eq!(back["returns"], there["run_id"], "{back:#}");
    let lost = [world.pair.primary, world.pair.standby].map(|port| world.missing(&truth, port));
    assert_eq!(lost, [Vec::<Instant>::new(), Vec::new()]);
    assert!(truth.acknowledged.len() > 20, "{} rows", truth.acknowledged.len());
    // No half was shorter for users than reported, except for what a probe every second cannot see.
    let longest = rto(there).max(rto(back));
    assert!(longest + 4.0 >= truth.outage.as_secs_f64(), "{longest} s, and the client {:?}", truth.outage);
    assert_eq!(world.roles(), AT_HOME);
    let status = world.status();
    assert_eq!(
        (&status["protection"], &status["drill_halfway"]),
        (&json!("protected"), &Value::Null),
        "{status:#}"
    );
    assert_eq!(std::fs::read(world.folder.path().join("plans/orders.yaml")).unwrap(), plan);
    eprintln!("live drill: RTO {} and {}", there["rto"]["text"], back["rto"]["text"]);
}

impl World {
    /// A live drill that runs.
    fn drilling(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_drctl"))
            .args(LIVE)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Kills a live drill once `done` holds.
    fn killed(mut drill: Child, done: impl FnMut() -> bool) {
        super::until("it is so far", done);
        drill.kill().unwrap();
        drill.wait().unwrap();
    }

    /// The state of a step in the first run.
    fn step(&self, id: &str) -> String {
        let run = self.first()["run_id"].as_str().unwrap_or_default().to_owned();
        let steps = self.run(&["runs", "show", &run]).1["steps"].as_array().cloned().unwrap_or_default();
        let state = steps.iter().find(|s| s["id"] == id).and_then(|s| s["state"].as_str());
        state.unwrap_or_default().to_owned()
    }

    /// Users were moved, the old primary follows the new one, and the drill waits.
    pub fn stays_there(&self) -> bool {
        self.step("rejoin.db.west") == "done" && self.step("watch") == "started"
    }

    fn first(&self) -> Value {
        self.run(&["runs", "list"]).1["runs"][0].clone()
    }

    /// A live drill that blocks for ever when it declares its second run: there may be less time between the halves of a drill than a
    /// command takes to start. The process then has the store's write lock.
    fn holds_the_second_run(&self) -> (rusqlite::Connection, Child) {
        // The store exists before the drill.
        self.status();
        let store = rusqlite::Connection::open(self.folder.path().join(".drctl/drctl.db")).unwrap();
        let when = "runs WHEN (SELECT count(*) FROM runs) = 1";
        let drill = held_once_open(&store, || self.drilling(), || hold_inserts(&store, when));
        store.busy_timeout(Duration::ZERO).unwrap();
        (store, drill)
    }
}

/// Whether somebody has had the write lock of a store for half a second.
fn is_held(store: &rusqlite::Connection) -> bool {
    (0..50).all(|_| {
        std::thread::sleep(Duration::from_millis(10));
        store.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
    })
}

/// Killed after users were moved and before their return started: the journal shows it, and so does the next drill.
#[test]
fn the_way_back_of_a_drill_that_died_is_not_forgotten() {
    let world = World::new();
    let ((), truth) = world.under_load(|| {
        let (store, drill) = world.holds_the_second_run();
        World::killed(drill, || is_held(&store));
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        store.execute_batch("DROP TRIGGER held").unwrap();
        assert_eq!(world.first()["outcome"], "recovered");
        assert_eq!(world.roles(), ["t", "f"]);
        let first = world.first()["run_id"].clone();
        assert_eq!(world.status()["drill_halfway"], first);
        // It is part of the go-bag, so that it can be continued elsewhere.
        assert_eq!(world.run(&["kit", "export", "--out", "bag.json"]).1["unfinished_runs"], 1);
        // Nobody confirmed this process.
        let (code, asked, _) = world.run(&LIVE[..4]);
        assert!(code == 1 && asked.to_string().contains("add --yes"), "{code} {asked:#}");
        assert_eq!(world.roles(), ["t", "f"]);
        let (code, back, words) = world.run(LIVE);
        assert_eq!((code, &back["returns"]), (0, &first), "{back:#}\n{words}");
        assert_eq!((&back["from"], &back["to"]), (&json!("east"), &json!("west")));
        assert_eq!(
            (world.roles(), &world.status()["drill_halfway"]),
            (AT_HOME.map(str::to_owned), &Value::Null)
        );
    });
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
    assert_eq!(world.run(&["audit", "verify"]).0, 0);
}

/// Killed while users are kept out: it is reported until somebody ends it, and ending it there reports that users are still away. Once
/// another store has brought them back, it is no longer an open half.
#[test]
fn a_half_that_was_broken_off_is_named_until_users_are_back() {
    let world = World::new();
    world.add(
        "hooks:\n  - {at: before.promote, name: slow, step: {command: [sleep, \"9\"], idempotent: true}}\n",
    );
    let ((), truth) = world.under_load(|| {
        World::killed(world.drilling(), || !world.write(1_000_000));
        let first = world.first()["run_id"].as_str().unwrap().to_owned();
        assert_eq!(world.status()["drill_broken_off"], first.as_str());
        let (code, refused, _) = world.run(LIVE);
        let refused = refused.to_string();
        assert!(code == 3 && refused.contains(&first) && refused.contains("to undo it"), "{code} {refused}");
        let (code, there, words) = world.run(&["runs", "resume", &first]);
        assert_eq!(
            (code, &there["outcome"], &there["exit_code"]),
            (5, &json!("recovered"), &json!(5)),
            "{there:#}"
        );
        assert!(words.contains("users are in east for a drill"), "{words}");
        let home = ["--store", "other.db", "failback", "orders", "--to", "west", "--yes"];
        let (code, back, words) = world.run(&home);
        assert!([0, 5].contains(&code), "{code} {back:#}\n{words}");
        let status = world.status();
        assert_eq!((&status["drill_halfway"], &status["drill_broken_off"]), (&Value::Null, &Value::Null));
        // A drill has both halves again.
        let (code, told, words) = world.run(LIVE);
        assert!(code == 0 && told["runs"].as_array().unwrap().len() == 2, "{code} {told:#}\n{words}");
        assert!(words.contains("but it is now in west"), "{words}");
    });
    assert_eq!(world.roles(), AT_HOME);
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
}

/// Users are affected where the drill moved them: the stay ends, and they return although probes fail.
#[test]
fn users_that_fail_over_there_are_taken_back() {
    let world = World::new();
    let ((code, told, words), truth) = world.under_load(|| {
        std::thread::scope(|scope| {
            let drill = scope.spawn(|| world.run(&[LIVE, &["--hold", "1h"]].concat()));
            super::until("it stays there", || world.stays_there());
            world.sick.store(true, Ordering::SeqCst);
            super::until("users are back", || world.roles() == AT_HOME);
            world.sick.store(false, Ordering::SeqCst);
            drill.join().unwrap()
        })
    });
    let runs = told["runs"].as_array().unwrap();
    assert_eq!((code, runs.len()), (1, 2), "{told:#}\n{words}");
    assert_eq!((&runs[1]["outcome"], &runs[1]["exit_code"]), (&json!("recovered"), &json!(1)), "{told:#}");
    assert!(
        words.contains("called off: app has failed since") && words.contains("users are in west again"),
        "{words}"
    );
    assert_eq!((world.roles(), &world.status()["drill_halfway"]), (AT_HOME.map(str::to_owned), &Value::Null));
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
}

/// A tabletop failover takes nothing from an unfinished run: its proofs remain for a real outage.
#[test]
fn a_tabletop_leaves_a_run_that_is_not_over_as_it_is() {
    let world = World::new();
    let go = world.stops("promote");
    let ((broken_off, read, (code, report, words)), truth) = world.under_load(|| {
        let broken_off = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        world.pair.kill_primary();
        let read = world.run(&["drill", "orders"]);
        std::fs::write(&go, "").unwrap();
        (broken_off, read, world.run(&["failover", "orders", "--to", "east", "--yes"]))
    });
    assert_eq!(read.1["outcome"], "read", "{:#}\n{}", read.1, read.2);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["continues"], broken_off.1["run_id"], "{report:#}");
    assert_eq!((&report["fence"]["state"], &report["rpo"]["achieved_s"]), (&json!("proven"), &json!(0.0)));
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
}

/// A step fails after writes had ended: without any decision, users can write again where they were.
#[test]
fn a_live_drill_that_fails_is_taken_back_by_itself() {
    let world = World::new();
    world.stops("promote");
    let ((code, told, words), truth) = world.under_load(|| world.run(LIVE));
    assert_eq!(
        (code, &told["outcome"], &told["exit_code"]),
        (1, &json!("cancelled"), &json!(1)),
        "{told:#}\n{words}"
    );
    let (_, listed, _) = world.run(&["runs", "list"]);
    let runs = listed["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["outcome"]), (1, &json!("cancelled")), "{listed:#}\n{words}");
    assert_eq!(world.roles(), AT_HOME);
    assert!(world.write(1_000_000), "users are still kept out");
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
    assert_eq!(world.status()["drill_halfway"], Value::Null);
}

/// Users are affected for another reason before the drill has changed anything: it stops.
#[test]
fn a_live_drill_is_called_off_when_users_fail() {
    let world = World::new();
    world.add(
        "hooks:\n  - {at: before.preflight, name: slow, step: {command: [sleep, \"9\"], idempotent: true}}\n",
    );
    let ((code, told, words), _) = world.under_load(|| {
        std::thread::scope(|scope| {
            let drill = scope.spawn(|| world.run(LIVE));
            super::until("it has begun", || {
                world.run(&["runs", "list"]).1["runs"][0]["outcome"] == "running"
            });
            world.sick.store(true, Ordering::SeqCst);
            drill.join().unwrap()
        })
    });
    assert_eq!((code, &told["outcome"]), (1, &json!("cancelled")), "{told:#}\n{words}");
    let why = told["cancelled"]["reason"].as_str().unwrap();
    assert!(why.contains("app has failed since") && why.contains("has not affected users"), "{told:#}");
    let fenced = told["steps"].as_array().unwrap().iter().find(|s| s["id"] == "fence.db.sql").unwrap();
    assert_eq!(fenced["state"], "pending", "{told:#}");
    assert!(world.roles() == AT_HOME && world.write(1_000_000));
}

/// The real servers are only observed; the simulation starts from their state.
#[test]
fn a_rehearsal_and_a_tabletop_touch_no_server() {
    let world = World::new();
    let since =
        |port| world.pair.query(port, "SELECT pg_postmaster_start_time() || ' ' || pg_is_in_recovery()");
    let before = [since(world.pair.primary), since(world.pair.standby)];
    let (code, read, words) = world.run(&["drill", "orders"]);
    assert_eq!(
        (code, &read["drill"], &read["outcome"]),
        (0, &json!("tabletop"), &json!("read")),
        "{read:#}\n{words}"
    );
    assert_eq!(
        (&read["from"], &read["to"], &read["world"]),
        (&json!("west"), &json!("east"), &json!("live"))
    );
    let (code, report, words) =
        world.run(&["drill", "orders", "--mode", "rehearsal", "--scenario", "region-slow"]);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code} {report:#}\n{words}");
    assert_eq!((&report["drill"], &report["world"]), (&json!("rehearsal"), &json!("sandbox")));
    let notes = report["notes"].to_string();
    assert!(notes.contains("starts with ") && notes.contains("observations from"), "{notes}");
    // If the primary cannot be reached, the rehearsal is refused like a failover.
    let (code, refused, _) = world.run(&["drill", "orders", "--mode", "rehearsal"]);
    assert_eq!((code, &refused["refusals"][0]["rule"]), (3, &json!("unfenced-promotion")), "{refused:#}");
    // If the primary is lost in it, the rehearsal's own truth says so.
    assert_eq!(report["truth"]["two_primaries_s"], 0.0);
    assert_eq!([since(world.pair.primary), since(world.pair.standby)], before);
    // Nor into a given journal.
    let named =
        ["--store", "named.db", "drill", "orders", "--mode", "rehearsal", "--scenario", "region-slow"];
    assert!([0, 5].contains(&world.run(&named).0));
    assert_eq!(world.run(&["--store", "named.db", "runs", "list"]).1["runs"], json!([]));
    // Nor is there a run that could be continued, or that status would call the last failover.
    let (_, listed, _) = world.run(&["runs", "list"]);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed:#}");
    let (code, over, _) = world.run(&["runs", "resume", read["run_id"].as_str().unwrap()]);
    assert_eq!((code, &over["outcome"]), (0, &json!("read")), "{over:#}");
    // The rehearsal can be found again with its initial state.
    let run = report["run_id"].as_str().unwrap();
    assert_eq!(
        world.run(&["report", "run", run, "--format", "json", "--sandbox"]).1["run_id"],
        report["run_id"]
    );
    let status = world.run(&["status", "--sandbox"]);
    assert_eq!((status.0, &status.1["plans"][0]["active"]["site"]), (0, &json!("east")), "{:#}", status.1);
}

impl World {
    /// A live drill with a step that fails six seconds after writes had ended, while something else happens.
    fn fails_while(&self, happens: impl FnOnce(&Self)) -> (i32, Value, String) {
        self.add(
            "hooks:\n  - {at: before.promote, name: slow, step: {command: [sh, -c, \"sleep 6; false\"]}}\n",
        );
        std::thread::scope(|scope| {
            let drill = scope.spawn(|| self.run(LIVE));
            super::until("the fence is proven, and the hook runs", || {
                drill.is_finished() || self.step("hook.slow") == "calling"
            });
            if drill.is_finished() {
                panic!("the drill ended before its hook ran: {:?}", drill.join());
            }
            happens(self);
            drill.join().unwrap()
        })
    }
}

/// There is no source to return to: the failover uses the drill's proofs, and needs no waiver.
#[test]
fn a_drill_whose_source_dies_is_failed_over_without_loss() {
    let world = World::new();
    let (((code, told, words), (over, report, said)), truth) = world.under_load(|| {
        let stopped = world.fails_while(|world| world.pair.kill_primary());
        let file = world.folder.path().join("plans/orders.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, plan.split("hooks:").next().unwrap()).unwrap();
        (stopped, world.run(&["failover", "orders", "--to", "east", "--yes"]))
    });
    assert_eq!((code, &told["outcome"]), (1, &json!("halted")), "{told:#}\n{words}");
    assert!(
        words.contains("nothing in west answers") && words.contains("drctl failover orders --to east"),
        "{words}"
    );
    assert!([0, 5].contains(&over) && report["outcome"] == "recovered", "{over}: {report:#}\n{said}");
    assert_eq!((&report["continues"], &report["drill"]), (&told["run_id"], &Value::Null), "{report:#}");
    assert_eq!((&report["fence"]["state"], &report["rpo"]["achieved_s"]), (&json!("proven"), &json!(0.0)));
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
}

/// Cancelled by a person when its source was dead already: the fence was not lifted, so its proof still counts.
#[test]
fn a_drill_that_cannot_be_taken_back_is_failed_over_without_loss() {
    let world = World::new();
    let ((cancelled, (over, report, said)), truth) = world.under_load(|| {
        let (_, told, _) = world.fails_while(|world| world.pair.kill_primary());
        let run = told["run_id"].as_str().unwrap();
        let cancelled = world.run(&["runs", "cancel", run, "--yes", "--reason", "back"]);
        let file = world.folder.path().join("plans/orders.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, plan.split("hooks:").next().unwrap()).unwrap();
        (cancelled, world.run(&["failover", "orders", "--to", "east", "--yes"]))
    });
    assert_eq!((cancelled.0, &cancelled.1["outcome"]), (1, &json!("halted")), "{:#}", cancelled.1);
    assert!([0, 5].contains(&over) && report["outcome"] == "recovered", "{over}: {report:#}\n{said}");
    assert_eq!(
        (&report["fence"]["state"], &report["rpo"]["achieved_s"]),
        (&json!("proven"), &json!(0.0)),
        "{report:#}"
    );
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
}

/// The return cannot even start: the message and the document say where users are.
#[test]
fn users_that_cannot_be_taken_back_are_named() {
    let world = World::new();
    let [file, away] = ["login.json", "login.away"].map(|name| world.folder.path().join(name));
    let ((code, told, words), _) = world.under_load(|| {
        std::thread::scope(|scope| {
            let drill = scope.spawn(|| world.run(&[LIVE, &["--hold", "20s"]].concat()));
            super::until("users stay there", || world.stays_there());
            std::fs::rename(&file, &away).unwrap();
            let told = drill.join().unwrap();
            std::fs::rename(&away, &file).unwrap();
            told
        })
    });
    let runs = told["runs"].as_array().unwrap_or_else(|| panic!("{told:#}\n{words}"));
    assert_eq!((code, runs.len()), (1, 2), "{told:#}\n{words}");
    assert_eq!(runs[1]["verdict"]["users_in"], "east", "{told:#}");
    assert!(words.contains("USERS ARE NOT BACK from east"), "{words}");
    assert_eq!(world.roles(), ["t", "f"]);
}
