//! Shell completion, and the options of each command.

use std::process::Command;

use crate::cli::contract::Folder;

/// What bash offers for the last of these words, with the script that drctl prints for it; without options.
fn offered(folder: &Folder, words: &[&str]) -> Vec<String> {
    let script = "source <(drctl completions bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _clap_complete_drctl drctl \"${!#}\" x; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_drctl")).parent().unwrap();
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_shell_knows_plans_sites_components_runs_and_steps() {
    let folder = Folder::with_plans();
    assert_eq!(offered(&folder, &["drctl", "failover", "trust"]), ["truststream"]);
    assert!(
        offered(&folder, &["drctl", "failover", "truststream", "--to", "us-"])
            .contains(&"us-east-1".to_owned())
    );
    assert!(
        offered(&folder, &["drctl", "restore", "truststream", "--component", ""]).contains(&"db".to_owned())
    );
    assert_eq!(offered(&folder, &["drctl", "runs", "show", ""]), [] as [&str; 0], "a store was made for it");
    assert!(!folder.path().join(".drctl").exists());
    let (code, _, err) =
        folder.run(&["failover", "truststream", "--to", "us-east-1", "--sandbox=region-dark", "--yes"]);
    assert_eq!(code, 3, "{err}");
    folder.ok(&["failover", "truststream", "--to", "us-east-1", "--sandbox=region-lost", "--yes"]);
    let runs = offered(&folder, &["drctl", "--sandbox", "runs", "show", "sandbox-"]);
    assert!(!runs.is_empty() && runs.iter().all(|run| run.starts_with("sandbox-truststream")), "{runs:?}");
    // A finished run cannot be controlled.
    assert_eq!(offered(&folder, &["drctl", "--sandbox", "runs", "skip", &runs[0], ""]), [] as [&str; 0]);
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--sandbox=capacity-short", "--yes"]);
    let open = offered(&folder, &["drctl", "--sandbox", "runs", "skip", "x", "promote."]);
    assert!(open.contains(&"promote.db".to_owned()), "{open:?}");
    // Words with a fixed meaning.
    for (words, word) in [
        (
            &["drctl", "failover", "truststream", "--waive", "unfenced-promotion:"][..],
            "unfenced-promotion:db",
        ),
        (&["drctl", "failover", "truststream", "--severity", ""], "P1"),
        (&["drctl", "failover", "--tier", "crit"], "critical"),
        (&["drctl", "ack", "x", "--decide", "fix"], "fix-forward"),
        (&["drctl", "explain", "guard-h"], "guard-held"),
        (&["drctl", "duties", "done", "x", "post"], "post-mortem"),
        (&["drctl", "plan", "trust"], "truststream"),
    ] {
        let all = offered(&folder, words);
        assert!(all.iter().any(|one| one.ends_with(word.rsplit(':').next().unwrap())), "{words:?}: {all:?}");
    }
    // An invalid plan does not hide the others, and no message disturbs the typed line.
    std::fs::write(folder.path().join("plans/broken.yaml"), "plan: [").unwrap();
    assert_eq!(offered(&folder, &["drctl", "failover", "trust"]), ["truststream"]);
}

#[test]
fn options_that_mean_nothing_to_a_command_are_neither_shown_nor_taken() {
    let folder = Folder::with_plans();
    for (words, option) in [
        (&["check"][..], "--sandbox"),
        (&["init"], "--kit=x"),
        (&["status"], "--pace=2"),
        (&["runs", "list"], "--seed=2"),
        (&["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"], "--pace=2"),
        (&["switchover", "truststream", "--to", "us-east-1"], "--accept-data-loss=5m"),
    ] {
        let (code, _, err) = folder.run(&[words, &[option]].concat());
        let name = option.split('=').next().unwrap();
        assert!(
            code == 2 && err.contains(&format!("{name} has no effect on `drctl {}", words[0])),
            "{code} {err}"
        );
        // Also before the command.
        let (code, _, before) = folder.run(&[&[option], words].concat());
        assert!(
            name == "--accept-data-loss" || (code == 2 && before.contains("has no effect")),
            "{code} {before}"
        );
        let help = folder.ok(&[words, &["--help"]].concat());
        assert!(!help.contains(name), "{help}");
    }
    let help = folder.ok(&["failover", "--help"]);
    assert!(
        ["--sandbox", "--seed", "--pace", "--kit", "--accept-data-loss"].iter().all(|o| help.contains(o)),
        "{help}"
    );
    // Rehearsals have a readable journal.
    folder.ok(&["status", "--sandbox"]);
}

/// Of the runs that a command can start, only some can lose data.
#[test]
fn a_loss_is_accepted_only_for_a_run_that_can_lose_data() {
    let folder = Folder::with_plans();
    let show = ["plan", "show", "truststream", "--to", "us-east-1", "--sandbox", "--intent"];
    for words in [
        &["drill", "truststream", "--mode", "live"][..],
        &["drill", "truststream", "--mode", "isolated"],
        &[&show[..], &["switchover"]].concat(),
        &[&show[..], &["reprotect"]].concat(),
    ] {
        let (code, out, err) = folder.run(&[words, &["--accept-data-loss=5m"]].concat());
        let said = err.contains("--accept-data-loss has no effect on `drctl");
        assert!(code == 2 && said, "{words:?}: {code} {out}{err}");
    }
    for words in [&["drill", "truststream", "--sandbox"][..], &[&show[..], &["failover"]].concat()] {
        let (_, out, err) = folder.run(&[words, &["--accept-data-loss=5m"]].concat());
        assert!(!err.contains("has no effect"), "{words:?}: {out}{err}");
    }
}

#[test]
fn commands_that_belong_together_are_found_together() {
    let folder = Folder::with_plans();
    assert_eq!(folder.run(&["drill", "schedules"]), folder.run(&["schedules"]));
    assert_eq!(folder.ok(&["policy", "key", "new", "--help"]), folder.ok(&["key", "new", "--help"]));
    // A folder may have the same name as a command.
    std::fs::create_dir(folder.path().join("drill")).unwrap();
    assert_eq!(folder.run(&["-C", "drill", "schedules"]), folder.run(&["-C", "drill", "drill", "schedules"]));
    assert!(!folder.run(&["-C", "drill", "schedules"]).2.contains("unexpected"));
    // A plan's drill and the policy are unchanged.
    assert!(folder.ok(&["drill", "truststream", "--sandbox"]).contains("truststream"));
    folder.ok(&["policy", "explain", "truststream"]);
}
