//! The screens of a run that stands still: why it stopped, what a person decided, and which commands work now.

use drctl::model::ids::StepId;
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
