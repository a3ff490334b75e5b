//! Processes killed around every call that changes something, and at any other moment.

use std::process::Child;
use std::time::Duration;

use super::{Estate, FAILOVER, until};
use crate::support::{Fault, Point, Rule};

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Before the call is forwarded.
    Forwarding,
    /// After it was forwarded and before its answer.
    Answering,
    /// After its answer and before that is in the journal.
    Appending,
}

fn start(estate: &Estate) -> Child {
    match estate.only_run() {
        None => estate.spawn(FAILOVER),
        Some(run) => estate.spawn(&["runs", "resume", &run]),
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Takes the store's write lock, so that the next append waits.
fn lock_store(estate: &Estate) -> rusqlite::Connection {
    let store = rusqlite::Connection::open(estate.path().join(".drctl/drctl.db")).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    store
}

/// Every call of a failover that changes something: the operation, and how many of the same came before it.
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

/// Kills the process around one call, and carries the run on.
fn kill_around(operation: &str, earlier: u32, point: Where) {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let held_at = if point == Where::Forwarding { Point::BeforeForward } else { Point::AfterForward };
    let rule = estate.proxy.rule(Rule::new(Fault::Hold(held_at)).operation(operation).skip(earlier).times(1));
    let child = start(&estate);
    let held = estate.proxy.wait_held(Duration::from_secs(60));
    let held = held.unwrap_or_else(|| panic!("{operation} {earlier} {point:?}\n{}", estate.words()));
    match point {
        Where::Forwarding | Where::Answering => {
            kill(child);
            held.drop_connection();
        }
        Where::Appending => {
            // The answer arrives; the append that would record it waits for the store.
            let store = lock_store(&estate);
            held.release();
            std::thread::sleep(Duration::from_millis(400));
            kill(child);
            store.execute_batch("ROLLBACK").unwrap();
        }
    }
    estate.proxy.remove(rule);
    let mut child = start(&estate);
    until("the second process", || child.try_wait().unwrap().is_some());
    estate.assert_recovered_once();
}

/// Around each call, several at a time: most of it is waiting.
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

/// Kills at any moment: `kills` of them in each of `estates` estates.
fn at_random(estates: u64, kills: u64) {
    std::thread::scope(|scope| {
        for e in 0..estates {
            scope.spawn(move || {
                let estate = Estate::new();
                estate.write_plan("", "1s");
                let mut done = 0;
                for k in 0..kills {
                    let mut child = start(&estate);
                    // A pseudo-random moment within what a process of the run usually takes.
                    let ms = 150 + (e * 7_919 + k * 104_729 + 13) * 2_654_435_761 % 2_900;
                    std::thread::sleep(Duration::from_millis(ms));
                    if child.try_wait().unwrap().is_some() {
                        break;
                    }
                    kill(child);
                    done += 1;
                }
                assert!(done > 0, "no process lived long enough to be killed\n{}", estate.words());
                let mut child = start(&estate);
                until("the last process", || child.try_wait().unwrap().is_some());
                estate.assert_recovered_once();
            });
        }
    });
}

#[test]
fn killed_at_fifty_random_moments() {
    at_random(10, 5);
}
