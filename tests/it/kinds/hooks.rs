//! Commands in plans: their environment, the stored output, and how they end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use drctl::adapters::local::Local;
use drctl::adapters::{process, secrets};
use drctl::inventory::Observation;
use drctl::kinds::State;
use drctl::kinds::control::CommandState;
use drctl::kinds::shared::command::{Command, Declared};
use drctl::model::time::{Dur, Timestamp};
use drctl::record::action::Action;
use drctl::run::outcome::{CallOutcome, after_call, out_of_time};
use drctl::run::state::Status;
use drctl::world::World;

use crate::run::decisions::{command, minutes, scale, step, under_way, words};

fn surroundings() {
    process::inherit(|| {
        let path = std::env::var("PATH").unwrap();
        let all = [
            ("PATH", path.as_str()),
            ("HOME", "/home/ann"),
            ("LANG", "C.UTF-8"),
            ("TZ", "Asia/Tokyo"),
            ("AWS_PROFILE", "west"),
            ("APP_TOKEN", TOKEN),
            ("DATABASE_URL", "postgres://app:url-9Kd2Mx7Q@db:5432/app"),
            ("MYSQL_PWD", "pwd-4Hs8Zt1W"),
            ("REPORTING", "any-6Bn3Vc5R"),
            ("DRCTL_KEY_PASSPHRASE_FILE", "/secret"),
            ("AWS_SECRET_ACCESS_KEY", "never-to-be-given-0123"),
        ];
        all.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>()
    });
}

const TOKEN: &str = "tok-5Fz8Qw3LrT1vYb7NcK2m";

fn shell(script: &str, env: &[&str]) -> Command {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Command {
        argv,
        idempotent: true,
        env: env.iter().map(|name| (*name).to_owned()).collect(),
        rehearsal: None,
    }
}

/// The result of a command, with the stored output.
fn ran(command: &Command) -> CommandState {
    surroundings();
    let world = World::live().unwrap();
    let local = Local::new(world.clone());
    world.block_on(async {
        assert_eq!(local.start(command, "k1").await, CallOutcome::Accepted { token: None });
        match local.result("k1", Timestamp::from_millis(0)) {
            Observation::Value { state: State::Command(state), .. } => state,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_command_is_given_a_named_environment_only() {
    let state = ran(&shell("env; exit 3", &["AWS_PROFILE", "NOT_THERE"]));
    let mut given: Vec<&str> = state.tail.lines().filter_map(|line| line.split('=').next()).collect();
    // Variables that the shell adds.
    given.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    given.sort_unstable();
    assert_eq!(
        given,
        ["AWS_PROFILE", "DRCTL_IDEMPOTENCY_KEY", "HOME", "LANG", "PATH", "TZ"],
        "{}",
        state.tail
    );
    assert!(state.tail.contains("AWS_PROFILE=west") && state.tail.contains("DRCTL_IDEMPOTENCY_KEY=k1"));
    // The command may print a secret that it was given on purpose; drctl does not repeat it.
    let state = ran(&shell(
        "echo \"token: $APP_TOKEN\"; printf '%s' \"$APP_TOKEN\" | od -An -tx1 | tr -d ' \\n'; exit 3",
        &["APP_TOKEN"],
    ));
    assert_eq!((state.exit, state.tail.as_str()), (Some(3), "token: [a secret]\n[a secret]"));
}

/// A tool rarely prints the whole address: the password alone is a secret as well, and so is every value that was given on purpose.
#[test]
fn nothing_of_what_a_command_was_given_is_kept() {
    let state = ran(&shell(
        "echo 'login app/url-9Kd2Mx7Q failed'; echo pwd-4Hs8Zt1W; echo any-6Bn3Vc5R; exit 3",
        &["DATABASE_URL", "MYSQL_PWD", "REPORTING"],
    ));
    assert_eq!(state.tail, "login app/[a secret] failed\n[a secret]\n[a secret]");
}

#[test]
fn of_what_a_command_says_the_end_is_kept_and_only_if_it_failed() {
    let long = "i=0; while [ $i -lt 20 ]; do head -c 1000000 /dev/zero | tr '\\0' x; i=$((i+1)); done; echo; echo the end";
    assert_eq!(ran(&shell(long, &[])), CommandState { exit: Some(0), tail: String::new() });
    let state = ran(&shell(&format!("{long}; exit 4"), &[]));
    assert_eq!(state.exit, Some(4));
    assert!(state.tail.ends_with("x\nthe end") && state.tail.len() <= 2_000, "{} bytes", state.tail.len());
    // Both outputs are stored; and a signal is not a success.
    let state = ran(&shell("echo one; echo two >&2; kill -9 $$", &[]));
    assert_eq!((state.exit, state.tail.as_str()), (Some(-1), "one\ntwo"));
}

/// A plan declares outcomes for rehearsals only.
#[test]
fn a_declared_outcome_changes_nothing_of_a_command_that_runs() {
    let began = Instant::now();
    let declared = Declared { takes_ms: Dur::mins(60), exit: 7, output: "declared".to_owned() };
    let command = Command { rehearsal: Some(declared), ..shell("echo real; exit 3", &[]) };
    assert_eq!(ran(&command), CommandState { exit: Some(3), tail: "real".to_owned() });
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Truncated output never starts within a secret.
#[test]
fn a_secret_is_not_cut_before_it_is_looked_for() {
    const SECRET: &str = "cut-7Hq2Zx9Lk4Vt6Pw8Rn3m";
    secrets::learn(SECRET);
    for more in 1_970..2_010 {
        let state =
            ran(&shell(&format!("printf %s {SECRET}; head -c {more} /dev/zero | tr '\\0' y; exit 1"), &[]));
        let kept = state.tail.trim_end_matches('y');
        assert!("[a secret]".ends_with(kept), "{more}: {kept}");
    }
}

/// A server that a command leaves running delays nobody, and keeps running.
#[test]
fn what_a_command_leaves_in_the_background_is_not_waited_for() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let state = ran(&shell(&format!("sleep 300 & echo $! > {}; exit 0", file.display()), &[]));
    assert!(state.exit == Some(0) && began.elapsed() < Duration::from_secs(60), "{state:?}");
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(lives(pid.trim()));
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
}

/// Whether a process still exists.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn whoever_stops_waiting_for_a_command_ends_all_that_it_started() {
    surroundings();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // A grandchild that ignores signals.
    let script = format!(
        "sh -c 'trap \"\" TERM INT HUP; echo $$ > {}; while :; do sleep 1; done' & wait",
        file.display()
    );
    let command = shell(&script, &[]);
    let world = World::live().unwrap();
    let local = Local::new(world.clone());
    let pid = world.block_on(async {
        let work = Box::pin(local.start(&command, "k2"));
        let seen = Box::pin(async {
            loop {
                match std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')) {
                    Some(pid) => break pid.trim().to_owned(),
                    None => world.sleep_until(world.now() + Dur(20)).await,
                }
            }
        });
        match futures_util::future::select(work, seen).await {
            futures_util::future::Either::Right((pid, _given_up)) => pid,
            futures_util::future::Either::Left((outcome, _)) => panic!("{outcome:?}"),
        }
    });
    let began = Instant::now();
    while lives(&pid) {
        assert!(began.elapsed() < Duration::from_secs(60), "{pid} lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// At its timeout, drctl ends a command with all its processes. What one that may not run twice did until then is unknown.
#[test]
fn at_its_timeout_an_idempotent_command_has_failed_and_any_other_call_is_in_doubt() {
    let told = |action: Action| {
        let outcome = out_of_time(&action, Dur::mins(5));
        let state = under_way(vec![(step("a", action), Status::Started)]);
        words(&after_call(&state, 0, outcome, minutes(1), 0))
    };
    assert_eq!(told(command(true)), "call_refused a, step_failed a");
    assert_eq!(told(command(false)), "call_in_doubt a");
    assert_eq!(told(scale()), "call_in_doubt a");
}
