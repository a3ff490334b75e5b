//! Messages for people who control a run: the options after a stop, questions before irreversible actions, and suitable commands.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use drctl::model::duty::Decision;
use drctl::model::plain::count;
use drctl::model::waiver::Person;
use drctl::record::event::{Event, EventKind, Signal};
use drctl::run::RunState;
use drctl::run::signal::take;

use crate::cli::contract::{Folder, finish, json};
use crate::cli::terminals::{self, Typed};
use crate::planner::approval_policy::{asked, by, truststream};
use crate::run::resume::events;
use crate::support::rig::{self, Rig};

const START: &[&str] = &["failover", "truststream", "--to", "us-east-1", "--yes"];

/// The same command at a terminal, with this answer to its question.
pub fn at_a_terminal(folder: &Folder, key: Option<&str>, args: &[&str], typed: &str) -> (i32, String) {
    let words: Vec<String> = args.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    let line = format!("'{}' {}", env!("CARGO_BIN_EXE_drctl"), words.join(" "));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).env_clear().env("NO_COLOR", "1");
    command.env("PATH", "/usr/bin:/bin").env("AWS_EC2_METADATA_DISABLED", "true");
    if let Some(key) = key {
        command.env("DRCTL_KEY", key);
    }
    let typed = format!("{typed}\n");
    let then = [("[y/N]", Duration::ZERO, typed.as_str())];
    let (code, out) = terminals::typed_at(&mut command, Typed { ahead: "", then: &then });
    (code, out.replace('\r', ""))
}

fn stopped() -> (Folder, String, String) {
    let folder = Folder::with_plans();
    let (code, out, err) = folder.run(&[START, &["--sandbox=capacity-short"]].concat());
    assert_eq!(code, 1, "{out}{err}");
    let run = out.split("   run ").nth(1).unwrap().lines().next().unwrap().to_owned();
    (folder, run, out)
}

#[test]
fn a_stop_lists_the_ways_on_and_the_one_that_restores_users_does() {
    let (folder, run, out) = stopped();
    let at = out.find("  ways on\n").unwrap_or_else(|| panic!("{out}"));
    let commands: Vec<&str> = out[at..].lines().filter_map(|l| l.strip_prefix("    drctl ")).collect();
    let expected = [
        format!("runs resume {run} --sandbox"),
        format!("runs done {run} scale.nodes --sandbox"),
        format!("runs skip {run} scale.nodes --reason TEXT --sandbox"),
        format!("runs cancel {run} --reason TEXT --sandbox"),
    ];
    assert_eq!(commands, expected, "{out}");
    for means in [
        "tries scale.nodes again; correct the cause first",
        "continues with the current servers although 4 of 4 must be in service",
        "undoes nothing, because db was promoted",
    ] {
        assert!(out.contains(means), "{means}: {out}");
    }
    // The cause comes right below the title, and the ways on last, where a small terminal shows them.
    let title = out.lines().position(|l| l.starts_with("HALTED: users have not been served for ")).unwrap();
    let below = out.lines().nth(title + 1).unwrap();
    assert!(below.starts_with("  stopped  scale.nodes"), "{out}");
    assert!(out[at..].lines().skip(1).all(|line| line.starts_with("    ")), "{out}");
    assert!(!out.contains("drctl --sandbox reprotect") && !out.contains("failback"), "{out}");
    let then = format!("by hand; then drctl runs resume {run} --sandbox, which checks the result");
    assert!(out.contains(&then), "{out}");
    let card = include_str!("../../../docs/src/card.md");
    assert!(
        card.contains("`stopped` names the step and the cause, and `ways on`"),
        "the card tells what is shown"
    );
    let same = folder.ok(&["runs", "show", &run, "--sandbox"]);
    assert!(same.contains(commands[2]), "{same}");
    let skip: Vec<&str> = commands[2].split(' ').collect();
    folder.ok(&skip);
    let (code, out, err) = folder.run(&commands[0].split(' ').collect::<Vec<_>>());
    assert!(
        code == 0 && out.contains("RECOVERED") && out.contains("truth    users failed for"),
        "{out}{err}"
    );
}

#[test]
fn what_waits_for_a_person_names_the_waiver_and_what_a_cancel_takes_back() {
    let folder = Folder::with_plans();
    let (code, out, err) = folder.run(&[START, &["--sandbox", "replica-lagging"]].concat());
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("    drctl runs resume") && out.contains("--waive exposure-above-rpo"), "{out}");
    assert!(out.contains("undoes these steps: ") && out.contains("fence.db.security_group"), "{out}");
}

#[test]
fn a_cancel_after_a_promotion_is_confirmed_and_says_what_stays() {
    let (folder, run, _) = stopped();
    let cancel = ["runs", "cancel", run.as_str(), "--reason", "enough", "--sandbox"];
    let events =
        || json(&folder.ok(&["runs", "export", &run, "--sandbox", "--output", "json"]))["events"].to_string();
    let before = events();
    let (code, _, err) = folder.run(&cancel);
    assert!(code == 3 && err.contains("fix: to confirm, add --yes"), "{code} {err}");
    let (code, screen) = at_a_terminal(&folder, None, &cancel, "");
    assert!(
        code == 2 && screen.contains("Cancel it? [y/N]") && screen.contains("nothing was done"),
        "{screen}"
    );
    assert!(
        screen.contains("db was promoted") && screen.contains("promote.db"),
        "what stays is named: {screen}"
    );
    assert_eq!(events(), before);
    let (code, screen) = at_a_terminal(&folder, None, &cancel, "y");
    assert!(code == 1 && screen.contains("cancelled by"), "{code} {screen}");
    // It announces and does it, so that nobody has to repeat the command.
    assert!(screen.contains("closes the run while users are still not served"), "{screen}");
    assert!(screen.contains("it keeps the guards of db, nodes, www"), "{screen}");
    assert!(screen.contains("ABANDONED") && !screen.contains("ways on"), "{screen}");
    assert!(!before.contains("abandoned") && events().contains("abandoned"), "the journal ends with it");
}

/// Before anything that users notice, no confirmation is needed.
#[test]
fn a_cancel_of_a_run_that_only_looked_is_not_grave() {
    let rig = Rig::new(rig::truststream(), "region-lost", 1);
    let all = events(&rig.rehearse().unwrap());
    let fenced = |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("fence."));
    let first = all.iter().position(fenced).unwrap();
    let before = RunState::fold(&all[..first]).unwrap().called_off();
    assert!(!before.grave && before.past.is_none() && before.stays.is_empty(), "{before:?}");
    let after = RunState::fold(&all[..=first]).unwrap().called_off();
    assert!(after.grave && after.past.is_none(), "{after:?}");
    let over = RunState::fold(&all[..all.len() - 1]).unwrap().called_off();
    assert!(
        over.past.is_some() && over.undone.is_empty() && over.stays.contains(&"promote.db".to_owned()),
        "{over:?}"
    );
}

#[test]
fn a_decision_that_nothing_would_come_of_is_refused() {
    let (folder, run, _) = stopped();
    let ack =
        |decision: &str| folder.run(&["ack", &run, "--decide", decision, "--reason", "no", "--sandbox"]);
    let (code, _, err) = ack("take-back");
    assert!(code == 3 && err.contains("not have, so the run can no longer be undone"), "{code} {err}");
    assert_eq!(ack("fix-forward").0, 0);
    // Without a stop, there is nothing to decide.
    let rig = Rig::new(rig::truststream(), "replica-lagging", 1);
    let done = rig.rehearse().unwrap();
    let said = |decision| {
        let signal = Signal::Acknowledge { decision, reason: "seen".to_owned() };
        take(&done.ended.state, signal, Person::claimed("eve"), done.ended.state.last_at).pop()
    };
    let refused = said(Some(Decision::FixForward));
    let Some(EventKind::SignalRefused { reason, .. }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("no step of the run has failed, so there is nothing to decide"), "{reason}");
    assert!(reason.contains(". It waits for an answer: drctl runs resume "), "{reason}");
    assert!(matches!(said(None), Some(EventKind::Acknowledged { .. })));
}

#[test]
fn an_interrupted_watch_is_a_recovery_that_goes_on() {
    let folder = Folder::with_plans();
    let (code, out, rest) = folder
        .interrupted_at("watch started", &[START, &["--sandbox=region-lost", "--pace", "1500"]].concat());
    assert!(out.contains("RECOVERED, watch paused: failover of truststream"), "{out}{rest}");
    assert!(!out.contains("HALTED") && out.contains("continues to watch"), "{out}");
    assert_eq!(code, 4, "{out}");
    let (code, out, err) = folder.run(&["runs", "resume", "--sandbox"]);
    assert!(code == 0 && out.contains("RECOVERED failover") && !err.contains("SERVED AGAIN"), "{out}{err}");
}

#[test]
fn a_failback_goes_home_and_the_others_say_where_to() {
    let folder = Folder::with_plans();
    let (code, out, err) = folder.run(&["failback", "truststream", "--sandbox", "--yes"]);
    assert!(code == 0 && out.contains("us-east-1 -> us-west-2"), "{code} {out}{err}");
    for verb in ["failover", "switchover", "reprotect"] {
        let (code, _, err) = folder.run(&[verb, "truststream", "--sandbox", "--yes"]);
        assert!(code == 2 && err.contains("--to <SITE>"), "{verb}: {code} {err}");
    }
}

#[test]
fn the_sandbox_knows_its_scenarios() {
    let folder = Folder::with_plans();
    folder.ok(&[START, &["--sandbox", "region-lost"]].concat());
    for args in [
        &["--sandbox", "audit", "verify"][..],
        &["--sandbox", "status", "truststream"],
        &["status", "--sandbox", "truststream"],
    ] {
        folder.ok(args);
    }
    for wrong in [&["--sandbox", "region-drak"][..], &["--sandbox=region-drak"]] {
        let (code, _, err) = folder.run(&[START, wrong].concat());
        assert!(code == 2 && err.contains("did you mean `region-dark`?"), "{wrong:?}: {err}");
    }
}

/// A command that is copied from a rehearsal's output stays in the rehearsal.
#[test]
fn a_rehearsal_names_no_live_command() {
    let folder = Folder::with_plans();
    for scenario in ["region-lost", "capacity-short", "chaos", "replica-lagging", "region-dark"] {
        let (_, out, err) = folder.run(&[START, &["--sandbox", scenario]].concat());
        live_commands(&out);
        live_commands(&err);
    }
    for args in [
        &["status"][..],
        &["ready"],
        &["runs", "show", "latest"],
        &["duties"],
        &["schedules"],
        &["runs", "show", "none"],
    ] {
        let (_, out, err) = folder.run(&[args, &["--sandbox"]].concat());
        live_commands(&out);
        live_commands(&err);
    }
}

fn live_commands(text: &str) {
    let verbs = [
        "reprotect",
        "failback",
        "failover",
        "runs",
        "report",
        "ack",
        "approve",
        "status",
        "ready",
        "observe",
    ];
    for (i, _) in text.match_indices("drctl ") {
        let command = text[i..].split("drctl ").nth(1).unwrap_or_default();
        let verb = command.split(' ').next().unwrap_or_default();
        assert!(!verbs.contains(&verb) || command.contains("--sandbox"), "{command}: {text}");
    }
}

#[test]
fn an_approval_is_shown_asked_about_and_says_who_is_missing() {
    let folder = truststream();
    let (run, _) =
        asked(&folder, &["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"]);
    let approve = ["approve", run.as_str(), "--sandbox"];
    let (code, _, err) = by(&folder, "bob.key", &["approve", run.as_str()]);
    assert!(
        code == 2 && err.contains("nobody is at the terminal to confirm; nothing was signed"),
        "{code} {err}"
    );
    assert!(err.contains("then add --yes") && err.contains("  open      until 2026-01-01T"), "{err}");
    let (code, screen) = at_a_terminal(&folder, Some("bob.key"), &approve, "n");
    assert!(
        code == 2 && screen.contains("Do you approve this? [y/N]") && screen.contains("nothing was signed"),
        "{screen}"
    );
    let shown = screen.find("  runbook   ").unwrap();
    assert!(shown < screen.find("Do you approve").unwrap(), "{screen}");
    assert!(screen.contains("missing   ") && screen.contains("dba: bob, eve"), "{screen}");
    let (code, screen) = at_a_terminal(&folder, Some("bob.key"), &approve, "y");
    assert_eq!(code, 0, "{screen}");
    let after = &screen[screen.find("noted for run").unwrap()..];
    assert!(!after.contains("dba: bob"), "{screen}");
    let (code, _, err) = by(&folder, "eve.key", &["approve", "--yes", &run]);
    assert!(code == 0 && err.contains("no more approvals are required"), "{err}");
}

/// Exit code, stdout, stderr.
type Ran = (i32, String, String);

/// Runs the command as a user other than root, because root ignores file modes.
pub fn as_nobody(folder: &Folder, args: &[&str]) -> Ran {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_drctl")])
        .args(args);
    command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin");
    finish(command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null()).output().unwrap())
}

pub fn modes(folder: &Folder, of_folders: u32, of_files: u32) {
    let mut folders = vec![folder.path()];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => std::fs::set_permissions(&path, Permissions::from_mode(of_files)).unwrap(),
            }
        }
        std::fs::set_permissions(&path, Permissions::from_mode(of_folders)).unwrap();
    }
}

/// Another user's store, or one on a read-only medium; and no store at all in such a folder.
#[test]
fn verbs_that_read_only_read() {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    // Without root, the current user owns the files and can change their modes, so there is no other user to test with.
    if !root {
        return;
    }
    let (folder, run, _) = stopped();
    let reads = [
        &["runs", "list"][..],
        &["runs", "show", "latest"],
        &["runs", "replay", "latest"],
        &["runs", "export", "latest"],
        &["runs", "watch", "latest"],
        &["status"],
        &["ready"],
        &["assess", "--from", "us-west-2"],
        &["doctor", "--assume-down", "us-west-2"],
        &["plan", "show", "truststream", "--to", "us-east-1"],
        &["failover", "truststream", "--to", "us-east-1", "--dry-run"],
        &["report", "run", "latest"],
        &["audit", "verify"],
        &["evidence", "list"],
        &["duties"],
        &["schedules"],
        &["notify", "show", "latest"],
        &["check"],
    ];
    // Only a checkpoint that does not exist yet is written beside it.
    let answers = |by: &dyn Fn(&[&str]) -> Ran| -> Vec<(i32, String)> {
        reads
            .iter()
            .map(|args| by(&[*args, if args[0] == "check" { &[] } else { &["--sandbox"][..] }].concat()))
            .map(|(code, _, err)| (code, err))
            .collect()
    };
    let own = answers(&|args| folder.run(args));
    let places = ["plans/.drctl", ".drctl"].map(|place| folder.path().join(place).join("sandbox.db"));
    let store = places.into_iter().find(|place| place.exists()).unwrap();
    let before = std::fs::read(&store).unwrap();
    modes(&folder, 0o555, 0o444);
    let other = answers(&|args| as_nobody(&folder, args));
    for ((args, own), other) in reads.iter().zip(own).zip(other) {
        assert!(own.0 == other.0 && !other.1.contains("error:"), "{args:?}: {own:?} {other:?}");
    }
    assert_eq!(std::fs::read(&store).unwrap(), before);
    let (code, _, err) = as_nobody(&folder, &["runs", "pause", &run, "--sandbox"]);
    assert!(
        code == 2
            && err.contains("sandbox.db is read-only for this user")
            && err.contains("make it writable"),
        "{code} {err}"
    );
    let empty = Folder::with_plans();
    modes(&empty, 0o555, 0o444);
    let (code, out, err) = as_nobody(&empty, &["runs", "list"]);
    assert!(code == 0 && out.contains("no runs yet"), "{out}{err}");
    assert!(!empty.path().join("plans/.drctl").exists() && !empty.path().join(".drctl").exists());
    let (code, _, err) =
        as_nobody(&empty, &["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"]);
    assert!(code == 2 && err.contains("is read-only for this user"), "{code} {err}");
}

/// A build without a provider judges nothing that it cannot reach, and starts no run of it. `tests/nightly slim` makes such a build.
#[cfg(not(feature = "aws"))]
#[test]
fn without_a_provider_live_verbs_judge_nothing() {
    let folder = Folder::with_plans();
    for args in [
        &["status"][..],
        &["ready"],
        &["observe"],
        &["assess", "--from", "us-west-2"],
        &["doctor", "--assume-down", "us-west-2"],
        &["plan", "show", "truststream", "--to", "us-east-1"],
        &["failover", "truststream", "--to", "us-east-1", "--yes"],
        &["failover", "--to", "us-east-1", "--yes"],
        &["switchover", "truststream", "--to", "us-east-1", "--yes"],
        &["failback", "truststream", "--yes"],
        &["reprotect", "truststream", "--to", "us-east-1", "--yes"],
        &["drill", "truststream"],
    ] {
        let (code, out, err) = folder.run(args);
        assert!(code == 2 && err.contains("built without aws"), "{args:?}: {code} {out}{err}");
        assert!(!out.contains("bad") && !err.contains("refused"), "{args:?}: {out}{err}");
    }
    assert!(folder.ok(&["runs", "list"]).contains("no runs yet"));
}

#[test]
fn words_fit_their_number_and_nothing_is_said_of_nothing() {
    assert_eq!(count(1_usize, "file"), "1 file");
    assert_eq!(count(0_usize, "file"), "0 files");
    assert_eq!(
        [count(1_u64, "bundle is|bundles are"), count(2_u64, "bundle is|bundles are")],
        ["1 bundle is", "2 bundles are"]
    );
    let folder = Folder::with_plans();
    let mut said = String::new();
    for args in [
        &["check", "plans/starter.yaml"][..],
        &["ready", "--sandbox"],
        &["status", "--sandbox"],
        &["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"],
        &["failover", "starter", "--to", "us-east-1", "--sandbox", "--yes"],
        &["audit", "verify", "--sandbox"],
        &["evidence", "list", "--sandbox"],
    ] {
        let (_, out, err) = folder.run(args);
        said += &(out + &err);
    }
    for odd in [
        "the 0 calls",
        "at from here",
        "1 files",
        "1 runs",
        "1 bundles",
        "1 plans",
        "protection  protection",
        "pending fence: release",
    ] {
        assert!(!said.contains(odd), "{odd}: {said}");
    }
    assert!(said.contains("1 file, ") && said.contains("protection  unknown: "), "{said}");
    // A displayed runbook has no digest yet that could be approved.
    let shown = folder.ok(&["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"]);
    assert!(!shown.lines().next().unwrap().contains("runbook"), "{shown}");
}

#[test]
fn many_plans_are_summed_up_first() {
    let folder = Folder::with_plans();
    let text = std::fs::read_to_string(folder.path().join("plans/starter.yaml")).unwrap();
    let name = text.lines().find(|l| l.starts_with("plan:") || l.starts_with("name:")).unwrap().to_owned();
    for n in 0..20 {
        let copy = text.replacen(&name, &name.replace("starter", &format!("shop{n}")), 1);
        std::fs::write(folder.path().join(format!("plans/shop{n}.yaml")), copy).unwrap();
    }
    let (_, out, err) = folder.run(&["ready", "--sandbox"]);
    let first = out.lines().next().unwrap();
    assert!(first.starts_with("22 plans: ") && first.contains(" unknown"), "{out}{err}");
    assert!(out.lines().count() <= 24, "{out}");
    let one = folder.run(&["ready", "shop7", "--sandbox"]).1;
    assert!(one.contains("permissions"), "{one}");
}

/// Twenty copies of a plan, one of which has no replica that can be promoted in time.
pub fn twenty() -> Folder {
    let folder = Folder::with_plans();
    let plans = folder.path().join("plans");
    let text = std::fs::read_to_string(plans.join("truststream.yaml")).unwrap();
    std::fs::remove_file(plans.join("starter.yaml")).unwrap();
    for n in 0..20 {
        let copy = text.replacen("plan: truststream", &format!("plan: shop{n:02}"), 1);
        let copy = copy.replace("truststream-", &format!("shop{n:02}-"));
        let copy = if n == 13 { copy.replace("ttl: 60s", "ttl: 14m") } else { copy };
        std::fs::write(plans.join(format!("shop{n:02}.yaml")), copy).unwrap();
    }
    folder
}

/// A summary of many items: a count by rating, the worst first, and where to find details.
#[test]
fn what_is_told_of_many_plans_fits_on_a_screen_with_the_worst_on_top() {
    let folder = twenty();
    let assess = ["assess", "--from", "us-west-2", "--sandbox"];
    let dry = ["failover", "--all", "--to", "us-east-1", "--sandbox", "--dry-run"];
    for (args, first, second, last) in [
        (
            &dry[..],
            "21 plans: 1 too long; 20 in time",
            "too long  shop13: ",
            "run drctl --sandbox failover PLAN",
        ),
        (&assess, "21 plans: 1 bad; 20 possible", "bad  shop13: ", "run drctl --sandbox assess PLAN"),
        (
            &["status", "--sandbox"],
            "21 plans: 21 not verified",
            "not verified  shop00: ",
            "run drctl --sandbox status PLAN",
        ),
    ] {
        let (_, out, err) = folder.run(args);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], first, "{args:?}: {out}{err}");
        assert!(lines[1].trim().starts_with(second), "{args:?}: {out}");
        assert!(lines.len() <= 24 && out.contains(last), "{args:?}: {out}");
    }
    let (code, out, err) = folder.run(&["check"]);
    assert!(code == 0 && out.starts_with("usable: 21 files, 0 errors, "), "{code} {out}{err}");
    assert!(out.contains("   1  warning  ttl-near-rto in 1 file"), "{out}");
    assert_eq!(err.matches("ttl-near-rto").count(), 1, "{err}");
    assert!(err.lines().count() < 60 && err.contains("drctl check FILE"), "{err}");
    // Programs get everything.
    let all = json(&folder.run(&[&dry[..], &["--output", "json"]].concat()).1);
    assert_eq!(all["runs"].as_array().unwrap().len(), 21);
}

/// The duration and irreversible steps come first; a screen of steps follows.
#[test]
fn a_runbook_begins_with_its_figures() {
    let folder = Folder::with_plans();
    let shown = folder.ok(&["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"]);
    let words: Vec<&str> = shown.lines().skip(1).take(5).map(|l| l.split("  ").next().unwrap()).collect();
    assert_eq!(words, ["critical path", "expected", "predicted", "worst case", "no return"], "{shown}");
    let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what}: {shown}"));
    assert!(at("no return") < at("\npreflight\n") && at("\nredirect\n") < shown.len());
}

#[test]
fn runs_that_somebody_has_to_act_on_are_listed_first() {
    let folder = Folder::with_plans();
    let dark = ["--waive", "unfenced-promotion", "--accept-data-loss", "10m", "--reason", "dark"];
    for more in [&["--sandbox"][..], &["--sandbox=capacity-short"], &["--sandbox=region-lost"]] {
        folder.run(&[START, more].concat());
    }
    folder.run(&[START, &dark, &["--sandbox=primary-returns"]].concat());
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    let of: Vec<&str> =
        listed.lines().map(|l| l.split("-s1-").nth(1).unwrap().split(' ').next().unwrap()).collect();
    assert_eq!(of, ["2", "4", "3", "1"], "halted, a pending fence, then what is over: {listed}");
}

/// Each command is in one group, and commands that people know still work.
#[test]
fn help_has_groups_and_commands_have_the_places_that_people_look_in() {
    let folder = Folder::with_plans();
    let help = folder.ok(&["--help"]);
    let all: Vec<String> =
        drctl::cli::parser::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
    // These are parts of `drill` and `policy`.
    let parts = ["help", "schedules", "key"];
    for name in all.iter().filter(|name| !parts.contains(&name.as_str())) {
        let lines = help.lines().filter(|line| line.starts_with(&format!("  {name} "))).count();
        assert_eq!(lines, 1, "{name}: {help}");
        let line = help.lines().find(|line| line.starts_with(&format!("  {name} "))).unwrap();
        assert!(line.chars().count() <= 80 && line.matches('`').count() % 2 == 0, "{line}");
    }
    for group in ["Write plans:", "Look:", "Recover:", "Steer runs:", "Prove:", "Serve:"] {
        assert!(help.lines().any(|line| line == group), "{group}: {help}");
    }
    let short = folder.ok(&["-h"]);
    assert!(
        short.lines().count() < help.lines().count() && !short.contains("--kit") && help.contains("--kit"),
        "{short}"
    );
    let shown = folder.ok(&["plan", "truststream", "--to", "us-east-1", "--sandbox"]);
    assert_eq!(shown, folder.ok(&["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"]));
    // A folder may have the same name as the command.
    std::fs::create_dir(folder.path().join("plan")).unwrap();
    folder.ok(&["-C", "plan", "init", "shop"]);
    folder.ok(&["-C", "plan", "plan", "shop", "--to", "us-east-1", "--sandbox"]);
    let (code, _, err) = folder.run(&["runs", "ack", "none", "--reason", "x", "--sandbox"]);
    assert!(code == 2 && err.contains("run `none` does not exist"), "{err}");
}

#[test]
fn a_waiver_reaches_the_process_that_drives_the_run() {
    let folder = Folder::with_plans();
    let mut driver = Command::new(env!("CARGO_BIN_EXE_drctl"));
    driver.args(START).args(["--sandbox=replica-lagging", "--pace", "8"]).current_dir(folder.path());
    driver.env_clear().env("PATH", "/usr/bin:/bin").stdout(Stdio::null()).stderr(Stdio::null());
    let mut driver = driver.spawn().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(90);
    let line_of = |args: &[&str], wanted: &dyn Fn(&str) -> bool| loop {
        let out = folder.run(args).1;
        if let Some(line) = out.lines().find(|line| wanted(line)) {
            return line.to_owned();
        }
        assert!(std::time::Instant::now() < until, "it never shows: {out}");
    };
    let waits = line_of(&["runs", "list", "--sandbox"], &|l| l.contains("WAITS FOR A PERSON: exposure.db"));
    let run = waits.split_whitespace().next().unwrap().to_owned();
    let resume = ["runs", "resume", &run, "--sandbox"];
    let waive = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "30m", "--reason", "agreed"];
    let (code, out, err) = folder.run(&resume);
    assert!(code == 6 && err.contains("another process"), "nothing new is said: {code} {out}{err}");
    let (code, out, err) = folder.run(&[&resume[..], &waive[..]].concat());
    assert!(code == 0 && err.contains("continues by itself"), "{code} {out}{err}");
    let began = |l: &str| l.contains(" promote.db ") && !l.starts_with("pending");
    line_of(&["runs", "show", &run, "--sandbox"], &began);
    assert_eq!(driver.try_wait().unwrap(), None, "the process that waited goes on");
    driver.kill().unwrap();
    driver.wait().unwrap();
}
