//! The screens of a run that stands still: why it stopped, what a person decided, and which commands work now.

use drctl::model::duty::Decision;
use drctl::model::ids::StepId;
use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::action::{Action, Gate};
use drctl::record::event::{EventKind, Signal};
use drctl::report::summary;
use drctl::run::state::Status;
use drctl::run::stopped::INTERRUPTED;
use drctl::run::{RunState, signal};

use crate::cli::contract::Folder;
use crate::evidence::signatures::{as_operator, people_of};
use crate::run::decisions::{DONE, component, minutes, promote, say, scale, step, under_way, words};

const RUN: &str = "sandbox-truststream-failover-s1-1";

fn failover(folder: &Folder, scenario: &str) -> (i32, String, String) {
    folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", scenario])
}

fn shown(folder: &Folder) -> String {
    folder.ok(&["runs", "show", RUN, "--sandbox"])
}

/// The commands on the screen of a run, each with its result.
fn ways(screen: &str) -> Vec<(&str, &str)> {
    let lines = screen.lines().skip_while(|line| *line != "  ways on").skip(1);
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with("    ")).map(str::trim).collect();
    lines.chunks_exact(2).map(|way| (way[0], way[1])).collect()
}

/// The lines of the run in `drctl status`.
fn status(folder: &Folder) -> String {
    let (_, out, _) = folder.run(&["status", "--sandbox"]);
    let mut lines = out.lines().skip_while(|line| !line.contains(RUN) || !line.contains("RTO"));
    let first = lines.next().unwrap_or_else(|| panic!("{out}"));
    let more = lines.take_while(|line| line.starts_with("      "));
    [first].into_iter().chain(more).collect::<Vec<_>>().join("\n")
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
        assert!(status.contains(" halted: users have not been served for at least "), "{status}");
        assert!(status.contains("\n      cause    scale.nodes: not done within"), "{status}");
        assert!(status.ends_with(&format!("\n      ways on  drctl runs show {RUN} --sandbox")), "{status}");
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
    let why = format!("paused: requested at {}; a failed: no capacity", minutes(2));
    assert_eq!(state.why_stopped(), Some(why));
}

/// The journal line of a pause scrolls away. Who paused the run, when, and what it waited for stay on the screen and in the report.
#[test]
fn a_paused_run_says_who_paused_it_and_after_which_step() {
    let blocked = Status::Blocked { why: "nobody approved".to_owned(), rule: None, flag: None };
    let mut state = under_way(vec![(step("a", scale()), DONE), (step("b", scale()), blocked)]);
    state.owner = "ann@laptop pid 7".to_owned();
    state.steps[0].work.ended_at = Some(minutes(1));
    say(&mut state, minutes(2), EventKind::Paused { why: INTERRUPTED.to_owned() });
    say(&mut state, minutes(3), EventKind::Paused { why: "requested by bob@other (unsigned)".to_owned() });
    say(&mut state, minutes(4), EventKind::Halted { reason: "paused".to_owned() });
    let by = format!("paused: interrupted at the terminal of ann@laptop at {}, after a", minutes(2));
    assert_eq!(state.why_stopped(), Some(format!("{by}; b waits for a person: nobody approved")));
    let said = |state: &RunState| {
        let all = summary::report(state, state.last_at).said;
        all.iter().map(|said| format!("{} {}", said.who.who, said.text)).collect::<Vec<_>>()
    };
    assert_eq!(said(&state), ["ann@laptop paused the run: interrupted at the terminal"]);
    say(&mut state, minutes(5), EventKind::Resumed { who: Person::claimed("cat@desk") });
    say(&mut state, minutes(6), EventKind::Paused { why: "requested by bob@other (unsigned)".to_owned() });
    say(&mut state, minutes(7), EventKind::Halted { reason: "paused".to_owned() });
    let why = state.why_stopped().unwrap();
    assert!(
        why.starts_with(&format!("paused: requested by bob@other (unsigned) at {}", minutes(6))),
        "{why}"
    );
    let expected = [
        "ann@laptop paused the run: interrupted at the terminal",
        "cat@desk resumed the run",
        "bob@other paused the run",
    ];
    assert_eq!(said(&state), expected);
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
        let commands: Vec<_> = ways(&screen).iter().map(|(command, _)| *command).collect();
        assert!(commands.starts_with(&next), "{decision}: {screen}");
        assert!(next.iter().all(|command| answer.contains(*command)), "{decision}: {answer}");
        let goes_on = decision == "fix-forward";
        assert_eq!(status.contains("      ways on  drctl runs show "), goes_on, "{decision}: {status}");
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

/// A failover that ann requested, and whose approval by a dba and an engineering lead expires after this time.
fn asks(expires: &str) -> Folder {
    asks_in("region-lost", expires)
}

fn asks_in(scenario: &str, expires: &str) -> Folder {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let by = "by: [dba, engineering-lead]";
    let gate =
        format!("gates:\n  go: {{at: promote, approval: \"may we?\", expires_after: {expires}, {by}}}\n");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + &gate).unwrap();
    let people = [("ann", "on-call"), ("bob", "dba"), ("eve", "dba, engineering-lead")];
    let policy = "policy: {severities: {P0: {by: []}}, changes: {database: {by: []}, dns: {by: []}}}\n";
    people_of(&folder, "plans/drctl.yaml", &people, policy);
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", scenario];
    as_operator(&folder, "ann.key", &start);
    folder
}

/// Nothing failed, and the exit code is 4.
#[test]
fn the_log_of_a_run_that_waits_for_approval_does_not_say_that_it_halted() {
    let folder = asks("30m");
    let (code, out, err) = as_operator(&folder, "ann.key", &["runs", "resume", RUN, "--sandbox"]);
    let waits = "waits for a person: approve.go: waiting for approval by dba and engineering-lead";
    assert!(code == 4 && err.contains(waits) && !err.contains("halted"), "{code} {out}{err}");
}

/// drctl refuses to resume such a run, whatever people have answered or skipped since.
#[test]
fn a_stop_that_nobody_decided_is_the_next_command_everywhere() {
    let folder = asks_in("capacity-short", "30m");
    let ack = format!("drctl ack {RUN} --decide fix-forward --reason TEXT --sandbox");
    let resume = format!("drctl runs resume {RUN} --sandbox");
    let by = |key: &str, args: &[&str]| {
        let (code, out, err) = as_operator(&folder, key, &[args, &["--sandbox"]].concat());
        assert_eq!(code, 0, "{out}{err}");
        err
    };
    let told = |answer: &str| {
        let screen = shown(&folder);
        let all = ways(&screen);
        assert!(all[0].0 == ack && all.iter().filter(|way| way.0 == resume).count() == 1, "{screen}");
        assert!(screen.contains("\nHALTED: ") && screen.contains("\n  stopped  scale.nodes: "), "{screen}");
        for text in [answer, &status(&folder), &folder.ok(&["runs", "list", "--sandbox"])] {
            assert!(text.contains("scale.nodes") && text.contains(&ack) && !text.contains(&resume), "{text}");
        }
    };
    by("bob.key", &["approve", "--yes", RUN, "approve.go"]);
    told(&by("eve.key", &["approve", "--yes", RUN, "approve.go"]));
    told(&by("ann.key", &["runs", "skip", RUN, "scale.nodes", "--reason", "half of it is enough"]));
    let decided = by("ann.key", &["ack", RUN, "--decide", "fix-forward", "--reason", "agreed"]);
    assert!(decided.contains(&format!("to continue the run: {resume}")), "{decided}");
    let (code, out, err) = as_operator(&folder, "ann.key", &["runs", "resume", RUN, "--sandbox"]);
    assert!(out.contains("RECOVERED"), "{code} {out}{err}");
}

/// An open request hides neither the failed step nor the command that tries it again, and has its own command.
#[test]
fn a_decided_stop_is_named_beside_an_open_request() {
    let folder = asks_in("capacity-short", "30m");
    let approve = format!("drctl approve {RUN} approve.go --sandbox");
    let resume = format!("drctl runs resume {RUN} --sandbox");
    let say = |args: &[&str]| {
        let (code, out, err) = as_operator(&folder, "ann.key", &[args, &["--sandbox"]].concat());
        assert_eq!(code, 0, "{out}{err}");
        err
    };
    let named = |answer: &str, next: &str| {
        let screen = shown(&folder);
        let (_, ends) =
            screen.split_once("\n  next     HALTED: scale.nodes, ").unwrap_or_else(|| panic!("{screen}"));
        for text in [ends, &status(&folder)] {
            assert!(text.contains(next) && text.contains(&resume) && text.contains(&approve), "{text}");
        }
        let commands =
            answer.contains("scale.nodes") && answer.contains(&resume) && answer.contains(&approve);
        assert!(commands && answer.contains("waiting for approval by dba and engineering-lead"), "{answer}");
        let list = folder.ok(&["runs", "list", "--sandbox"]);
        assert!(list.contains("HALTED: scale.nodes, ") && list.contains(&resume), "{list}");
    };
    let decided = say(&["ack", RUN, "--decide", "fix-forward", "--reason", "agreed"]);
    named(&decided, "correct the cause, then resume");
    named(&say(&["runs", "done", RUN, "scale.nodes"]), "confirms that it was done by hand");
    // What was skipped stops nothing any more.
    let skipped = say(&["runs", "skip", RUN, "scale.nodes", "--reason", "half of it is enough"]);
    let next = format!("{approve}; then {resume}");
    assert!(!skipped.contains("scale.nodes is corrected") && skipped.contains(&next), "{skipped}");
}

#[test]
fn a_request_that_expired_is_made_again_by_those_who_may_or_answered_late() {
    let folder = asks("10s");
    let approve = format!("drctl approve {RUN} approve.go --sandbox");
    let resume = format!("drctl runs resume {RUN} --sandbox");
    let screen = shown(&folder);
    assert!(screen.contains("\nexpired      approve.go "), "{screen}");
    let all = ways(&screen);
    assert!(all[0].0 == resume && all[1].0 == approve, "{screen}");
    let who = "An approver (dba: bob, eve; engineering-lead: eve) then runs drctl approve ";
    let signs = "asks for the approval again; an operator has to sign it with DRCTL_KEY. ";
    assert!(all[0].1.contains(signs) && all[0].1.contains(who), "{screen}");
    // Both commands work as they are printed.
    let say = |key: &str| {
        let (code, _, err) = as_operator(&folder, key, &["approve", "--yes", RUN, "approve.go", "--sandbox"]);
        assert_eq!(code, 0, "{err}");
        err
    };
    let lacking = "waiting for approval by engineering-lead (bob approved it)";
    assert!(say("bob.key").contains(&format!("the run is still {lacking}")));
    let screen = shown(&folder);
    assert!(screen.contains("\nWAITING FOR APPROVAL: ") && ways(&screen)[0].0 == approve, "{screen}");
    assert!(
        ways(&screen)[0].1.starts_with("for engineering-lead (eve): lets the run continue to "),
        "{screen}"
    );
    assert!(!screen.contains("continues the run\n"), "{screen}");
    assert!(status(&folder).contains(lacking), "{}", status(&folder));
    assert!(say("eve.key").contains(&format!("to continue the run: {resume}")));
    assert_eq!(ways(&shown(&folder))[0].0, resume);
    let (code, out, err) = as_operator(&folder, "ann.key", &["runs", "resume", RUN, "--sandbox"]);
    assert_eq!(code, 0, "{out}{err}");
}

/// Nobody can approve what was rejected before somebody asks again.
#[test]
fn a_request_that_was_rejected_is_made_again_first() {
    let folder = asks("30m");
    let reject = ["reject", RUN, "approve.go", "--reason", "not now", "--sandbox"];
    assert_eq!(as_operator(&folder, "eve.key", &reject).0, 0);
    let screen = shown(&folder);
    assert!(screen.contains("\nrejected     approve.go "), "{screen}");
    let all = ways(&screen);
    assert_eq!(all[0].0, format!("drctl runs resume {RUN} --sandbox"));
    let again =
        "asks for the approval again, without the answers from before the rejection; an operator has to";
    assert!(all[0].1.contains(again), "{screen}");
    assert!(!all.iter().any(|(command, _)| command.starts_with("drctl approve")), "{screen}");
}

/// Once all approvals are there, only a process is missing.
#[test]
fn who_has_all_approvals_is_not_sent_to_the_approvers() {
    let folder = asks("30m");
    for key in ["bob.key", "eve.key"] {
        as_operator(&folder, key, &["approve", "--yes", RUN, "approve.go", "--sandbox"]);
    }
    let screen = shown(&folder);
    assert_eq!(ways(&screen)[0].0, format!("drctl runs resume {RUN} --sandbox"), "{screen}");
    assert!(!screen.contains("drctl approve"), "{screen}");
    // Who answers continues the journal, not the run.
    let (_, _, replay) = folder.run(&["runs", "replay", RUN, "--sandbox"]);
    assert!(replay.contains("bob writes the journal from here on (epoch 2)"), "{replay}");
    assert!(!replay.contains("taken over"), "{replay}");
}

#[test]
fn an_answer_about_a_loss_that_comes_too_late_says_what_became_of_it() {
    let folder = Folder::with_plans();
    failover(&folder, "replica-lagging");
    let accept = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "9m", "--reason", "agreed"];
    let resume = [&["runs", "resume", RUN, "--sandbox"][..], &accept].concat();
    let (code, out, err) = folder.run(&resume);
    assert_eq!(code, 5, "{out}{err}");
    let (code, _, err) = folder.run(&resume);
    let became = "the waiver of exposure-above-rpo for db of truststream, with an accepted loss of up to 9m of \
                  writes came too late and was not recorded: the run ended at 2026-";
    assert!(code == 0 && err.contains(became), "{code} {err}");

    // The same while the run goes on: the database may be promoted by the time of the answer.
    let said = |gate: Status, promotion: Status| {
        let asks = Gate::Exposure { components: vec![component()], objective_ms: Dur::mins(1) };
        let steps = vec![(step("gate", Action::Gate(asks)), gate), (step("promote", promote()), promotion)];
        let (rule, component, who) = (Rule::ExposureAboveRpo, Some(component()), Person::claimed("sam"));
        let (accept_loss_ms, reason) = (Some(Dur::mins(9)), "agreed".to_owned());
        let waiver = Waiver { rule, component, accept_loss_ms, reason, who };
        signal::take(&under_way(steps), Signal::Waive { waiver }, Person::claimed("sam"), minutes(1))
    };
    let late = said(DONE, DONE);
    let [EventKind::SignalRefused { reason, .. }] = &late[..] else { panic!("{late:?}") };
    assert!(
        reason.starts_with("the waiver came too late and was not recorded: db was promoted at "),
        "{reason}"
    );
    for (gate, promotion) in [(Status::Started, DONE), (DONE, Status::Pending)] {
        assert_eq!(words(&said(gate, promotion)), "waived");
    }
}

/// It may still recover, so no report counts it among those that never did.
#[test]
fn a_run_that_waits_for_a_person_is_not_said_to_have_failed() {
    let folder = asks("30m");
    let report = |format: &str| {
        folder.ok(&["report", "compliance", "--sandbox", "--profile", "own", "--format", format])
    };
    let (md, csv, html) = (report("md"), report("csv"), report("html"));
    assert!(md.contains("| Incidents that never recovered | 0 |"), "{md}");
    assert!(md.contains("| Incidents not recovered yet | 1 |"), "{md}");
    for text in [&md, &csv] {
        assert!(text.contains("the failover is not finished: waits for a person"), "{text}");
        assert!(text.contains("not recovered yet: users were still out at least "), "{text}");
        assert!(!text.contains("never recovered: "), "{text}");
    }
    assert!(html.contains("class=\"warn\">waits for a person<"), "{html}");
}

#[test]
fn a_request_that_nobody_answered_expired_and_did_not_fail() {
    let folder = asks("10s");
    let (_, _, told) = folder.run(&["runs", "replay", RUN, "--sandbox"]);
    assert!(told.contains("  approve.go expired: nobody approved within 10s"), "{told}");
    assert!(!told.contains("approve.go failed"), "{told}");
}
