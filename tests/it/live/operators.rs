//! Two operators, two machines, one application.

use super::{Estate, FAILOVER};

#[test]
#[ignore = "needs LocalStack: tests/run"]
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
    // Nobody probes from outside, so the RTO is not proven: 5.
    assert_eq!(codes[winner], 5, "{}", words(winner));
    let name = ["alice", "bob"][winner];
    assert!(words(loser).contains("guard") && words(loser).contains(name), "{}", words(loser));
    assert_eq!(estate.carried_out("PromoteReadReplica"), 1);
    assert_eq!(estate.carried_out("ChangeResourceRecordSets"), 2);
}
