//! Processes that are killed around every mutating call, and at any other moment.

use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::aurora::{Orders, TO_EAST};
use super::{Estate, FAILOVER, until};
use crate::servers::{Fault, HoldPoint, Rule};

/// Where a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Before the call is forwarded.
    Forwarding,
    /// After it was forwarded, and before its answer.
    Answering,
    /// After its answer, and before that is in the journal.
    Appending,
}

fn start(estate: &Estate) -> Child {
    starts(estate, FAILOVER)
}

fn starts(estate: &Estate, command: &[&str]) -> Child {
    match estate.only_run() {
        None => estate.spawn(command),
        Some(run) => estate.spawn(&["runs", "resume", &run]),
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Takes the store's write lock, so that the next append blocks.
fn lock_store(estate: &Estate) -> rusqlite::Connection {
    let store = rusqlite::Connection::open(estate.path().join(".drctl/drctl.db")).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    store
}

/// Every mutating call of a failover: the operation, and the number of earlier calls of it.
const CALLS: &[(&str, u32)] = &[
    ("PutObject", 0),
    ("PutObject", 1),
    ("PutObject", 2),
    ("ModifyDBInstance", 0),
    ("RebootDBInstance", 0),
    ("UpdateAutoScalingGroup", 0),
    ("PromoteReadReplica", 0),
    ("ChangeResourceRecordSets", 0),
    ("DeleteObject", 0),
    ("DeleteObject", 1),
    ("DeleteObject", 2),
];

/// Kills the process around one call, and continues the run.
fn kill_around(operation: &str, earlier: u32, point: Where) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    dies_once(&estate, FAILOVER, (operation, earlier), point);
    estate.assert_recovered_once();
}

fn dies_once(estate: &Estate, command: &[&str], (operation, earlier): (&str, u32), point: Where) {
    let held_at = if point == Where::Forwarding { HoldPoint::BeforeForward } else { HoldPoint::AfterForward };
    let rule = estate.proxy.rule(Rule::new(Fault::Hold(held_at)).operation(operation).skip(earlier).times(1));
    let child = starts(estate, command);
    let held = estate.proxy.wait_held(Duration::from_secs(60));
    let held = held.unwrap_or_else(|| panic!("{operation} {earlier} {point:?}\n{}", estate.words()));
    match point {
        Where::Forwarding | Where::Answering => {
            kill(child);
            held.drop_connection();
        }
        Where::Appending => {
            // The answer arrives; the append that would record it waits for the store.
            let store = lock_store(estate);
            held.release();
            std::thread::sleep(Duration::from_millis(400));
            kill(child);
            store.execute_batch("ROLLBACK").unwrap();
        }
    }
    estate.proxy.remove(rule);
    let mut child = starts(estate, command);
    until("the second process", || child.try_wait().unwrap().is_some());
}

/// Every call of a failover of a global cluster.
const OF_A_CLUSTER: &[&str] =
    &["CreateDBInstance", "ModifyDBCluster", "RebootDBInstance", "FailoverGlobalCluster"];

fn kill_around_a_cluster(operation: &str, point: Where) {
    let orders = Orders::new();
    let estate = &orders.estate;
    dies_once(estate, TO_EAST, (operation, 0), point);
    let run = estate.only_run().unwrap();
    let (_, report) = estate.json(&["report", "run", &run]);
    assert_eq!(report["outcome"], "recovered", "{operation} {point:?}: {report:#}\n{}", estate.words());
    assert_eq!(report["fence"]["state"], "proven", "{operation} {point:?}: {report:#}");
    assert_eq!(estate.carried_out("FailoverGlobalCluster"), 1, "{operation} {point:?}\n{}", estate.words());
    let (code, _, err) = estate.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{err}");
}

/// A failover of a global cluster, killed after forwarding; with `DRCTL_TEST_WHOLE` (`tests/nightly kills`), every call at every point.
#[test]
fn killed_around_the_calls_of_a_global_cluster() {
    let whole = std::env::var_os("DRCTL_TEST_WHOLE").is_some();
    let points = [Where::Forwarding, Where::Answering, Where::Appending];
    let every = OF_A_CLUSTER.iter().flat_map(|o| points.map(|at| (*o, at)));
    let all: Vec<_> =
        every.filter(|of| whole || *of == ("FailoverGlobalCluster", Where::Answering)).collect();
    for some in all.chunks(4) {
        std::thread::scope(|scope| {
            for (operation, point) in some {
                scope.spawn(move || kill_around_a_cluster(operation, *point));
            }
        });
    }
    eprintln!("{} processes were killed around the calls of a global cluster", all.len());
}

/// Around each call, several in parallel, because most of the time is waiting.
fn around_every_call(point: Where) {
    for some in CALLS.chunks(6) {
        std::thread::scope(|scope| {
            for (operation, earlier) in some {
                scope.spawn(move || kill_around(operation, *earlier, point));
            }
        });
    }
}

#[test]
fn killed_before_each_call_is_forwarded() {
    around_every_call(Where::Forwarding);
}

#[test]
fn killed_before_each_answer() {
    around_every_call(Where::Answering);
}

#[test]
fn killed_before_each_append_of_an_answer() {
    around_every_call(Where::Appending);
}

/// Kills at random moments until enough processes have died: up to five in each run, which is then continued.
fn at_random(workers: u64, wanted: u64) -> u64 {
    let killed = AtomicU64::new(0);
    let one = |worker: u64| {
        for e in 0.. {
            if killed.load(Ordering::Relaxed) >= wanted {
                return;
            }
            assert!(e < wanted, "hardly any process lives long enough to be killed");
            killed_estate((worker + 1) * 1_000 + e, &killed);
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let one = &one;
            scope.spawn(move || one(worker));
        }
    });
    killed.into_inner()
}

fn killed_estate(e: u64, killed: &AtomicU64) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    for k in 0..5 {
        let mut child = start(&estate);
        // A pseudorandom moment within the usual duration of the run's process.
        let ms = 150 + (e * 7_919 + k * 104_729 + 13) * 2_654_435_761 % 2_900;
        std::thread::sleep(Duration::from_millis(ms));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        kill(child);
        killed.fetch_add(1, Ordering::Relaxed);
    }
    let mut child = start(&estate);
    until("the last process", || child.try_wait().unwrap().is_some());
    estate.assert_recovered_once();
}

#[test]
fn killed_at_fifty_random_moments() {
    let killed = at_random(6, 50);
    eprintln!("{killed} processes were killed, and every run was carried on");
    assert!(killed >= 50, "only {killed} processes were killed");
}
