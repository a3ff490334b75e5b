//! The screens of a run that stands still: why it stopped, what a person decided, and which commands work now.

use drctl::model::duty::Decision;
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::waiver::Person;
use drctl::record::event::EventKind;
use drctl::run::state::Status;

use crate::cli::Folder;
use crate::decided::{minutes, say, scale, step, under_way};

const RUN: &str = "sandbox-truststream-failover-s1-1";

fn failover(folder: &Folder, scenario: &str) -> (i32, String, String) {
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", scenario])
}

fn shown(folder: &Folder) -> String {
    folder.ok(&["runs", "show", RUN, "--sandbox"])
}

/// The line of the run in `drctl status`.
fn status(folder: &Folder) -> String {
    let (_, out, _) = folder.run(&["status", "--sandbox"]);
    let line = out.lines().find(|line| line.contains(RUN) && line.contains("RTO"));
    line.unwrap_or_else(|| panic!("{out}")).to_owned()
}

/// Nothing has happened until a process drives the run, so what a person notes does not hide why it stopped.
#[test]
fn a_halted_run_says_why_it_halted_until_it_goes_on() {
    for args in [&["runs", "pause", RUN][..], &["runs", "done", RUN, "scale.nodes"]] {
        let folder = Folder::with_plans();
        failover(&folder, "capacity-short");
        folder.ok(&[args, &["--sandbox"]].concat());
        let (screen, status) = (shown(&folder), status(&folder));
        assert!(screen.contains("\nHALTED: "), "{args:?}: {screen}");
        assert!(screen.contains("\n  stopped  scale.nodes: not done within 10m"), "{args:?}: {screen}");
        assert!(screen.contains("\n  ways on\n"), "{args:?}: {screen}");
        assert!(
            status.contains(" halted; ") && status.contains("; scale.nodes: not done within"),
            "{status}"
        );
    }
}

#[test]
fn a_run_that_was_paused_after_a_step_had_failed_names_the_step() {
    let steps = vec![(step("a", scale()), Status::Started), (step("b", scale()), Status::Pending)];
    let mut state = under_way(steps);
    let (step, reason) = (StepId::new("a"), "no capacity".to_owned());
    say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
    say(&mut state, minutes(2), EventKind::Paused { why: "requested".to_owned() });
    say(&mut state, minutes(2), EventKind::Halted { reason: "paused".to_owned() });
    assert_eq!(state.why_stopped().as_deref(), Some("paused; a failed: no capacity"));
}

/// A failover whose scaling takes too long, so that it halts before its point of no return.
fn too_slow() -> Folder {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("timeout: 10m", "timeout: 1s")).unwrap();
    let (code, out, err) = failover(&folder, "region-lost");
    assert_eq!(code, 1, "{out}{err}");
    folder
}

/// The answer, the screen of the run and the status name the command that the decision needs, and none that it rules out.
#[test]
fn what_was_decided_is_the_next_command_on_every_screen() {
    let cancel = format!("drctl runs cancel {RUN} --reason TEXT --sandbox");
    let resume = format!("drctl runs resume {RUN} --sandbox");
    let restore = "drctl --sandbox restore truststream --component db --to-time TIME";
    for (decision, next) in [
        ("fix-forward", vec![resume.as_str()]),
        ("restore", vec![cancel.as_str(), restore]),
        ("failover", vec!["drctl --sandbox failover truststream --to SITE"]),
        ("take-back", vec![cancel.as_str()]),
    ] {
        let folder = too_slow();
        let ack = ["ack", RUN, "--decide", decision, "--reason", "agreed", "--sandbox"];
        let (code, _, answer) = folder.run(&ack);
        assert_eq!(code, 0, "{answer}");
        let (screen, status) = (shown(&folder), status(&folder));
        let ways = screen.lines().skip_while(|line| *line != "  ways on").skip(1).step_by(2);
        let ways: Vec<&str> = ways.map(str::trim).collect();
        assert!(ways.starts_with(&next), "{decision}: {screen}");
        assert!(next.iter().all(|command| answer.contains(*command)), "{decision}: {answer}");
        let goes_on = decision == "fix-forward";
        assert_eq!(status.contains("it lists the ways on"), goes_on, "{decision}: {status}");
        if !goes_on {
            assert!(next.iter().all(|command| status.contains(*command)), "{decision}: {status}");
            assert!(screen.contains(&format!("\n  decided  {decision} by ")), "{screen}");
            let all = [&answer, &screen, &status];
            assert!(!all.iter().any(|text| text.contains(&resume)), "{decision}: {all:#?}");
        }
    }
}

/// A failover to the site of a planned move takes its place. One to the site of a failover would be the same failover.
#[test]
fn a_decided_failover_names_a_site_that_it_may_go_to() {
    for (intent, command) in [
        (Intent::Switchover, "drctl failover shop --to east"),
        (Intent::Failover, "drctl failover shop --to SITE"),
    ] {
        let mut state = under_way(vec![(step("a", scale()), Status::Started)]);
        state.runbook.intent = intent;
        let (step, reason) = (StepId::new("a"), "no capacity".to_owned());
        say(&mut state, minutes(1), EventKind::StepFailed { step, reason });
        let (who, decision) = (Person::claimed("eve"), Some(Decision::Failover));
        say(&mut state, minutes(2), EventKind::Acknowledged { who, decision, reason: "agreed".to_owned() });
        assert_eq!(state.ways_on()[0].command, command);
        assert!(state.waits_for_people().is_empty());
    }
}
