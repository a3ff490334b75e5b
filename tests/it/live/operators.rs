//! Two operators, two machines, one application.

use std::process::Command;
use std::time::Duration;

use super::{Estate, FAILOVER};
use crate::servers::{Fault, HoldPoint, Rule};

#[test]
fn of_two_operators_one_runs_and_the_other_learns_who() {
    let estate = Estate::new();
    let commands = ["alice", "bob"].map(|who| {
        let mut command = estate.command(FAILOVER);
        command.args(["--store", &format!("{who}.db")]).env("DRCTL_OPERATOR", who);
        command
    });
    let outputs = std::thread::scope(|scope| {
        commands.map(|mut c| scope.spawn(move || c.output().unwrap())).map(|handle| handle.join().unwrap())
    });
    let codes: Vec<_> = outputs.iter().map(|o| o.status.code().unwrap()).collect();
    let words = |i: usize| {
        let o: &std::process::Output = &outputs[i];
        format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
    };
    let loser = codes.iter().position(|c| *c == 6);
    let loser = loser.unwrap_or_else(|| panic!("{codes:?}\n{}\n{}", words(0), words(1)));
    let winner = 1 - loser;
    // There are no external probes, so the RTO is not proven: 5.
    assert_eq!(codes[winner], 5, "{}", words(winner));
    let name = ["alice", "bob"][winner];
    assert!(words(loser).contains("guard") && words(loser).contains(name), "{}", words(loser));
    assert!(words(loser).contains("--take-over"), "{}", words(loser));
    assert_eq!(estate.carried_out("PromoteReadReplica"), 1);
    assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 2);
}

#[test]
fn a_run_whose_guard_was_taken_is_not_carried_on() {
    let estate = Estate::new();
    let rule =
        estate.proxy.rule(Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("PromoteReadReplica"));
    let mut child = estate.spawn(FAILOVER);
    let held = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    held.drop_connection();
    estate.proxy.remove(rule);
    // Another operator, with another store, believes that the first is gone and deletes the guard of the database.
    let bucket = estate.seed["guard"]["bucket"].as_str().unwrap();
    let done = Command::new("curl")
        .args(["-sS", "--fail", "-X", "DELETE", "-H", &format!("Authorization: AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0", estate.account())])
        .arg(format!("{}/{bucket}/prod/truststream/db.json", super::localstack()))
        .status()
        .unwrap();
    assert!(done.success());
    let run = estate.only_run().unwrap();
    let (code, out, err) = estate.run(&["runs", "resume", &run]);
    assert!(code == 6 && err.contains("somebody removed the guard of db"), "{code}: {out}{err}");
    assert_eq!(estate.carried_out("PromoteReadReplica"), 0);
}

/// Both runs are delayed at the same call; meanwhile bob takes alice's guards. Her process continues as far as it may.
#[test]
fn a_guard_is_taken_over_on_a_persons_word_and_who_lost_it_promotes_nothing() {
    let estate = Estate::new();
    let reboots = Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("RebootDBInstance").times(2);
    estate.proxy.rule(reboots);
    let spawn = |who: &str, more: &[&str]| {
        let mut command = estate.command(FAILOVER);
        command.args(["--store", &format!("{who}.db")]).args(more).env("DRCTL_OPERATOR", who);
        std::thread::spawn(move || {
            let output = command.output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
        })
    };
    let alice = spawn("alice", &[]);
    let of_alice = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    let bob = spawn("bob", &["--take-over", "--reason", "alice's machine is in the lost region"]);
    let of_bob = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    of_alice.release();
    let (code, words) = alice.join().unwrap();
    assert!(code == 6 && words.contains("took over the guard of db"), "{code}: {words}");
    assert_eq!(estate.carried_out("PromoteReadReplica"), 0);

    // Her run's changes now belong to his: she closes her run, and nothing is undone.
    let (_, list, _) = estate.run(&["runs", "list", "--output", "json", "--store", "alice.db"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let run = list["runs"][0]["run_id"].as_str().unwrap();
    estate.proxy.take_calls();
    let (code, out, err) =
        estate.run(&["runs", "cancel", run, "--yes", "--reason", "bob took over", "--store", "alice.db"]);
    assert!(code == 1 && out.contains("ABANDONED"), "{code}: {out}{err}");
    assert!(err.contains("drctl closes the run and undoes nothing"), "{err}");
    let calls: Vec<_> = estate.proxy.take_calls().into_iter().map(|c| c.operation).collect();
    assert!(calls.iter().all(|c| ["AssumeRole", "GetObject"].contains(&c.as_str())), "{calls:?}");

    of_bob.release();
    let (code, words) = bob.join().unwrap();
    assert_eq!(code, 5, "{words}");
    assert!(words.contains("this run takes over the guard of `db` from run"), "{words}");
    assert_eq!(estate.carried_out("PromoteReadReplica"), 1);
    assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 2);
}

/// The object of the database's guard in the bucket.
fn guard_object(estate: &Estate, args: &[&str]) -> String {
    let bucket = estate.seed["guard"]["bucket"].as_str().unwrap();
    let signed = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        estate.account()
    );
    let done = Command::new("curl")
        .args(["-sS", "--fail", "-H", &signed])
        .args(args)
        .arg(format!("{}/{bucket}/prod/truststream/db.json", super::localstack()))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The bucket fails during the run, and whenever it is resumed: with errors, no answer, garbage, and an endless object.
#[test]
fn a_guard_that_cannot_be_read_is_lost_until_it_is_read() {
    let estate = Estate::new();
    estate
        .proxy
        .rule(Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("RebootDBInstance").times(1));
    let mut command = estate.command(FAILOVER);
    let alice = std::thread::spawn(move || command.output().unwrap());
    let held = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    let ours = guard_object(&estate, &[]);
    let fails = |fault| estate.proxy.rule(Rule::new(fault).operation("GetObject"));
    let rule = fails(Fault::Unavailable);
    held.release();
    let output = alice.join().unwrap();
    let words =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("cannot read the guard of db"), "{words}");
    assert!(words.contains("--waive guard-unread:db --reason TEXT"), "{words}");
    estate.proxy.remove(rule);

    let run = estate.only_run().unwrap();
    let nothing_is_done = |what: &str, expected: i32, says: &str| {
        let (code, out, err) = estate.run(&["runs", "resume", &run]);
        assert_eq!(code, expected, "{what}: {out}{err}");
        assert!(err.contains(says), "{what}: {out}{err}");
        assert_eq!(estate.carried_out("PromoteReadReplica"), 0, "{what}: {out}{err}");
        // The seed's own call.
        assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 1, "{what}: {out}{err}");
    };
    for (what, fault) in [("500s", Fault::Unavailable), ("garbage", Fault::Garbage), ("silence", Fault::Hang)]
    {
        let rule = fails(fault);
        nothing_is_done(what, 1, "cannot read the guard of db");
        estate.proxy.remove(rule);
    }
    let large = estate.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(60 << 20).unwrap();
    guard_object(&estate, &["-T", large.to_str().unwrap()]);
    nothing_is_done("60 MB", 1, "it is larger than 4096 bytes, the most that drctl reads");
    let store = estate.path().join(".drctl/drctl.db").metadata().unwrap().len();
    assert!(store < 10 << 20, "the store has {store} bytes");
    for (what, body) in [("no guard", "<html>"), ("no holder", "{\"holder\": \"\", \"since\": \"\"}")] {
        guard_object(&estate, &["-X", "PUT", "--data-binary", body]);
        nothing_is_done(what, 1, "does not contain a guard");
    }
    guard_object(
        &estate,
        &["-X", "PUT", "--data-binary", "{\"holder\": \"run of bob\", \"since\": \"2031-01-01T00:00:00Z\"}"],
    );
    nothing_is_done("another's", 6, "run of bob holds the guard of db");
    guard_object(&estate, &["-X", "DELETE"]);
    nothing_is_done("missing", 6, "somebody removed the guard of db");

    // The guard is ours again, whatever clock wrote it.
    let skewed = ours.replacen("\"since\":\"20", "\"since\":\"21", 1);
    assert!(skewed != ours, "{ours}");
    guard_object(&estate, &["-X", "PUT", "--data-binary", &skewed]);
    let (code, out, err) = estate.run(&["runs", "resume", &run]);
    assert_eq!(code, 5, "{out}{err}");
    assert_eq!(estate.carried_out("PromoteReadReplica"), 1);
    assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 2);
}

/// The previous holder releases the guard between the look and the call of who takes it over.
#[test]
fn a_guard_that_is_released_while_it_is_taken_over_is_taken() {
    let estate = Estate::new();
    estate
        .proxy
        .rule(Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("RebootDBInstance").times(1));
    let mut alice = estate.spawn(FAILOVER);
    let of_alice = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    alice.kill().unwrap();
    alice.wait().unwrap();
    of_alice.drop_connection();
    // Only the put of the database's guard, which comes first, is held.
    estate.proxy.rule(Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation("PutObject").times(1));
    let mut command = estate.command(FAILOVER);
    command.args(["--store", "bob.db", "--take-over", "--reason", "alice's machine is in the lost region"]);
    let bob = std::thread::spawn(move || command.output().unwrap());
    let put = estate.proxy.wait_held(Duration::from_secs(60)).unwrap();
    assert!(put.call().target.contains("/prod/truststream/db.json"), "{:?}", put.call());
    guard_object(&estate, &["-X", "DELETE"]);
    estate.proxy.take_calls();
    put.release();
    let output = bob.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{words}");
    let calls = estate.proxy.calls();
    let puts = calls.iter().filter(|c| c.operation == "PutObject" && c.target.contains("/db.json")).count();
    assert!(puts >= 1, "the guard was not put again: {calls:#?}");
    assert_eq!(estate.carried_out("PromoteReadReplica"), 1);
}
