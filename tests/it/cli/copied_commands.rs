//! Commands in the output work when they are copied: in the world, the folder and the store in which they were printed.

use std::process::Command;

use clap::error::ErrorKind;
use drctl::cli::{parser, wrap};

use crate::cli::contract::{Folder, finish, json};

/// A name that a shell would take apart.
const STORE: &str = "our stores/shop.db";
/// The option for it.
const NAMED: &str = "--store 'our stores/shop.db'";
const FIRST: &str = "sandbox-truststream-failover-s1-1";
const SECOND: &str = "sandbox-truststream-failover-s1-2";

/// Commands that read or write a store.
const VERBS: &[&str] = &[
    "ack",
    "approve",
    "assess",
    "audit",
    "doctor",
    "drill",
    "duties",
    "evidence",
    "failback",
    "failover",
    "notify",
    "observe",
    "override",
    "plan",
    "ready",
    "reject",
    "report",
    "reprotect",
    "restore",
    "runs",
    "schedules",
    "serve",
    "status",
    "switchover",
];

/// What follows each `drctl` that begins a command of a store.
fn commands(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for rest in text.lines().flat_map(|line| line.split("drctl ").skip(1)) {
        let after = rest.replace(NAMED, "--store=S");
        let mut words = after.split_whitespace().peekable();
        while let Some(option) = words.next_if(|word| word.starts_with('-')) {
            if option == "-C" {
                words.next();
            }
        }
        let verb = words.next().unwrap_or_default();
        if VERBS.contains(&verb.trim_end_matches(|c: char| !c.is_alphanumeric())) {
            all.push(rest.to_owned());
        }
    }
    all
}

fn with_store() -> Folder {
    let folder = Folder::with_plans();
    std::fs::create_dir(folder.path().join("our stores")).unwrap();
    folder
}

/// The output of a command in the named store, and its code.
fn said(folder: &Folder, args: &[&str]) -> (i32, String) {
    let (code, out, err) = folder.run(&[args, &["--store", STORE]].concat());
    (code, format!("{out}{err}"))
}

fn sandbox<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--sandbox"]].concat()
}

/// Two rehearsals: one leaves a pending fence, the other stops.
fn rehearse(folder: &Folder) -> String {
    let dark = ["--sandbox=region-dark", "--waive", "unfenced-promotion", "--accept-data-loss", "5m"];
    let begin = ["failover", "truststream", "--to", "us-east-1", "--yes"];
    let (code, first) = said(folder, &[&begin[..], &dark, &["--reason", "dark"]].concat());
    assert_eq!(code, 5, "{first}");
    let (code, second) = said(folder, &[&begin[..], &["--sandbox=replica-lagging"]].concat());
    assert_eq!(code, 1, "{second}");
    first + &second
}

/// What commands print about the two rehearsals, with its commands.
fn walk(folder: &Folder) -> Vec<(String, Vec<String>)> {
    let rehearsed = rehearse(folder);
    let mut all = vec![("failover".to_owned(), commands(&rehearsed))];
    for args in [
        &["status"][..],
        &["runs", "list"],
        &["runs", "show", FIRST],
        &["runs", "show", SECOND],
        &["runs", "replay", SECOND],
        &["runs", "watch", SECOND],
        &["runs", "show", "nothing"],
        &["runs", "show", "latest"],
        &["runs", "skip", SECOND, "nothing", "--reason", "x"],
        &["runs", "cancel", FIRST, "--reason", "x", "--yes"],
        &["approve", FIRST],
        &["ack", SECOND, "--reason", "on it"],
        &["ready"],
        &["observe"],
        &["assess", "--from", "us-west-2"],
        &["doctor", "--assume-down", "us-west-2"],
        &["duties"],
        &["schedules"],
        &["evidence", "list"],
        &["evidence", "export", "nothing"],
        &["failover", "truststream", "--to", "us-west-2", "--yes"],
        &["switchover", "truststream", "--to", "us-east-1", "--dry-run"],
        &["runs", "resume", SECOND],
        &["failback", "truststream", "--to", "us-west-2", "--dry-run"],
        &["runs", "pause", "latest"],
    ] {
        let (_, text) = said(folder, &sandbox(args));
        all.push((args.join(" "), commands(&text)));
    }
    all
}

#[test]
fn every_printed_command_names_the_store_and_the_world() {
    let folder = with_store();
    let all = walk(&folder);
    for (args, printed) in &all {
        for command in printed {
            assert!(command.contains(NAMED), "`{args}` prints `drctl {command}`");
            assert!(command.contains("--sandbox"), "`{args}` prints `drctl {command}`");
            assert_eq!(command.matches("--store").count(), 1, "`{args}` prints `drctl {command}`");
        }
    }
    let many: usize = all.iter().map(|(_, printed)| printed.len()).sum();
    assert!(many > 20, "{all:#?}");
}

#[test]
fn no_printed_command_lacks_an_argument() {
    for (typed, printed) in walk(&with_store()) {
        for command in printed {
            let whole = wrap::command(&format!("drctl {command}"));
            let words =
                wrap::arguments(&whole).into_iter().map(|word| word.trim_end_matches(wrap::ENDS).into());
            let error = parser::parse(words).err().map(|e| e.kind());
            assert_ne!(error, Some(ErrorKind::MissingRequiredArgument), "`{typed}` prints `{whole}`");
        }
    }
}

/// The lines that end with a command that only reads, as a person copies them.
#[test]
fn a_copied_command_finds_what_it_is_about() {
    let folder = with_store();
    let mut tried = 0;
    for (args, printed) in walk(&folder) {
        for command in printed.iter().filter(|command| command.ends_with(" --sandbox")) {
            if ![" report run ", " runs show "].iter().any(|verb| command.contains(verb)) {
                continue;
            }
            let line = format!("'{}' {command}", env!("CARGO_BIN_EXE_drctl"));
            let mut shell = Command::new("/bin/sh");
            let (code, out, err) =
                finish(shell.args(["-c", &line]).current_dir(folder.path()).env_clear().output().unwrap());
            assert!(
                code == 0 && out.contains("truststream"),
                "`{args}` prints `{command}`: {code} {out}{err}"
            );
            tried += 1;
        }
    }
    assert!(tried > 1, "{tried}");
}

#[test]
fn a_printed_command_names_the_folder_and_the_settings() {
    let folder = Folder::empty();
    let (_, out, err) = folder.run(&["-C", "shop", "init", "shop"]);
    assert!(
        out.contains("next: drctl -C shop check, then drctl -C shop failover shop --sandbox"),
        "{out}{err}"
    );
    let (code, out, err) = folder.run(&["-C", "shop", "runs", "show", "nothing", "--sandbox"]);
    assert!(code == 2 && err.contains("drctl --sandbox -C shop runs list "), "{out}{err}");
    let config = ["--config", "shop/plans/drctl.yaml"];
    let (code, out, err) = folder.run(&[&["runs", "show", "nothing"][..], &config].concat());
    assert!(code == 2 && err.contains("drctl --config shop/plans/drctl.yaml runs list "), "{out}{err}");
    let store = ["--store", "s.db", "--output", "json"];
    let (_, out, _) = folder.run(&[&["-C", "shop", "runs", "show", "nothing"][..], &store].concat());
    let hint = json(&out)["error"]["hint"].as_str().unwrap_or_default().to_owned();
    assert!(hint.contains("drctl -C shop --store s.db runs list "), "{out}");
}

/// Outside the folder of the plans, no command finds a plan by its name.
#[test]
fn a_plan_that_was_named_by_its_file_is_named_so_again() {
    let dark = ["--sandbox=region-dark", "--waive", "unfenced-promotion", "--accept-data-loss", "5m"];
    for (file, named) in [("plans/truststream.yaml", "truststream"), ("own/shop.yaml", "own/shop.yaml")] {
        let folder = Folder::with_plans();
        std::fs::create_dir(folder.path().join("own")).unwrap();
        let from = folder.path().join("plans/truststream.yaml");
        std::fs::rename(from, folder.path().join(file)).unwrap();
        let begin = ["failover", file, "--to", "us-east-1", "--yes", "--reason", "dark"];
        let (code, out, err) = folder.run(&[&begin[..], &dark].concat());
        assert_eq!(code, 5, "{out}{err}");
        for verb in ["reprotect", "failback"] {
            let command = format!("drctl --sandbox {verb} {named} --to us-west-2");
            assert!(out.contains(&command), "{command}: {out}");
        }
    }
}

/// Another scenario has another estate.
#[test]
fn a_command_that_looks_at_an_estate_names_its_scenario() {
    let folder = Folder::with_plans();
    let (_, out, err) = folder.run(&["ready", "truststream", "--sandbox=region-dark", "--seed", "3"]);
    assert!(err.contains("drctl --sandbox=region-dark --seed 3 assess --from SITE shows it"), "{out}{err}");
}

/// What is recorded, and a document that leaves the machine, are the same wherever they are made.
#[test]
fn what_is_kept_or_sent_has_no_path_of_this_machine() {
    let (here, there) = (with_store(), with_store());
    rehearse(&here);
    for scenario in ["region-dark", "replica-lagging"] {
        let scenario = format!("--sandbox={scenario}");
        let begin = ["failover", "truststream", "--to", "us-east-1", "--yes", &scenario];
        let dark = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"];
        let more = if scenario.ends_with("dark") { &dark[..] } else { &[] };
        there.run(&[&begin[..], more].concat());
    }
    for run in [FIRST, SECOND] {
        for args in [
            &["runs", "export", run][..],
            &["report", "run", run],
            &["report", "run", run, "--format", "html"],
            &["report", "run", run, "--output", "json"],
            &["report", "document", run, "--kind", "post-incident"],
        ] {
            let (code, out, err) = here.run(&[&sandbox(args)[..], &["--store", STORE]].concat());
            assert!(code == 0 && !out.contains(STORE), "{args:?}: {out}{err}");
            assert_eq!(out, there.ok(&sandbox(args)), "{args:?}");
        }
    }
}

/// A live command in the output of a rehearsal would change real things when it is copied.
#[test]
fn a_report_of_rehearsals_and_an_unknown_run_show_commands_of_rehearsals() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    for format in ["md", "html"] {
        let report = folder.ok(&["report", "compliance", "--sandbox", "--format", format]);
        for verb in ["audit export", "audit verify", "evidence verify FILE"] {
            assert!(report.contains(&format!("drctl {verb} --sandbox")), "{verb}: {report}");
        }
    }
    let (_, out, err) = folder.run(&["runs", "show", "nothing", "--sandbox"]);
    assert!(err.contains("run drctl --sandbox runs list for the list"), "{out}{err}");
    let (_, out, err) = folder.run(&["runs", "show", "nothing"]);
    assert!(err.contains("run drctl runs list for the list"), "{out}{err}");
}
