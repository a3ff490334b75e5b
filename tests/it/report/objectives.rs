//! The verdict on an objective is the same in every output, and the strictest objective of all components applies to all.

use drctl::model::intent::{Drill, Intent};
use drctl::model::measure::Verdict;
use drctl::model::time::Dur;
use drctl::planner::critical_path;
use drctl::record::runbook::Runbook;
use drctl::report::history::History;
use drctl::report::summary;

use crate::cli::contract::{Folder, json};
use crate::kinds::planned_moves::moving;
use crate::support::rig::{Rig, truststream};

/// The summary of a failover, its exit code, and every other output about it.
fn told(folder: &Folder, more: &[&str]) -> (i32, String, Vec<(&'static str, String)>) {
    let (code, screen, err) =
        folder.run(&[&["failover", "truststream", "--to", "us-east-1", "--yes"], more].concat());
    let run = "sandbox-truststream-failover-s1-1";
    let of = |args: &[&str]| folder.ok(&[args, &["--sandbox"]].concat());
    folder.ok(&["evidence", "export", run, "--out", "b.tar", "--sandbox"]);
    let all = vec![
        ("markdown", of(&["report", "run", run, "--format", "md"])),
        ("html", of(&["report", "run", run, "--format", "html"])),
        ("document", of(&["report", "document", run, "--kind", "post-incident"])),
        ("rollback", of(&["report", "document", run, "--kind", "rollback"])),
        ("compliance", of(&["report", "compliance", "--format", "md"])),
        ("evidence", of(&["evidence", "verify", "b.tar"])),
    ];
    assert!(!screen.is_empty(), "{err}");
    (code, screen, all)
}

fn json_of(folder: &Folder) -> serde_json::Value {
    let run = "sandbox-truststream-failover-s1-1";
    json(&folder.ok(&["report", "run", run, "--format", "json", "--sandbox"]))
}

#[test]
fn a_missed_recovery_time_is_called_missed_wherever_the_run_is_told_of() {
    let folder = Folder::with_plans();
    let (code, screen, all) = told(&folder, &["--sandbox=promotion-slow"]);
    assert_eq!(code, 5, "{screen}");
    assert!(screen.contains("objective 15m: MISSED"), "{screen}");
    for (name, text) in all {
        assert!(text.contains("MISSED") && !text.to_lowercase().contains("not proven;"), "{name}: {text}");
        assert!(!text.contains("NOT PROVEN"), "{name}: {text}");
    }
    let report = json_of(&folder);
    let rto = &report["rto"];
    assert_eq!((&rto["verdict"], &rto["met"]), (&"missed".into(), &false.into()), "{rto:#}");
    assert_eq!(report["rpo"]["verdict"], "met");
}

#[test]
fn the_strictest_objective_of_all_components_decides_and_is_named() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = "kind: aws.rds\n    objectives: {rto: 1m, rpo: 30s}";
    std::fs::write(&path, text.replace("kind: aws.rds", own)).unwrap();
    let accept = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", "2m", "--reason", "agreed"];
    let (code, screen, all) = told(&folder, &[&["--sandbox"], &accept[..]].concat());
    assert_eq!(code, 5, "{screen}");
    for words in ["objective 1m of db: MISSED", "objective 30s of db: not proven"] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    for (name, text) in all {
        let rto = ["1m of db", "MISSED"];
        let rpo = ["30s of db", "not proven"];
        for words in rto.iter().chain(rpo.iter().filter(|_| name != "rollback")) {
            assert!(text.contains(words), "{name} lacks {words}: {text}");
        }
    }
    let report = json_of(&folder);
    assert_eq!(
        (&report["rpo"]["verdict"], &report["rpo"]["component"]),
        (&"not_proven".into(), &"db".into())
    );
    assert_eq!((&report["rto"]["verdict"], &report["rto"]["component"]), (&"missed".into(), &"db".into()));
    let compliance = json(&folder.ok(&["report", "compliance", "--format", "json", "--sandbox"]));
    let line = &compliance["runs"][0];
    assert_eq!((&line["rpo"]["verdict"], &line["rto"]["verdict"]), (&"not_proven".into(), &"missed".into()));
}

#[test]
fn a_run_that_moves_nobody_has_no_recovery_time() {
    let copy =
        Rig { drill: Some(Drill::Isolated), intent: Intent::Drill, ..Rig::new(truststream(), "calm", 1) };
    for (name, rig) in [("reprotect", moving(Intent::Reprotect, "after-failover", 1)), ("drill", copy)] {
        let done = rig.rehearse().unwrap();
        let state = &done.ended.state;
        let report = summary::report(state, state.last_at);
        for figure in [&report.rto, &report.rpo] {
            assert_eq!((figure.verdict, figure.achieved_s), (Verdict::NotApplicable, None), "{name}");
            assert_eq!(figure.words(), "not applicable: nobody was moved", "{name}");
        }
        assert_eq!(report.clocks.rto_from_declaration, report.rto.text, "{name}");
        let markdown = drctl::report::markdown::render(&report).unwrap();
        assert!(markdown.contains("| Recovery time | not applicable: nobody was moved |"), "{markdown}");
        let html = drctl::report::html::render(&report, state).unwrap();
        assert!(html.contains("Recovery time<b>not applicable: nobody was moved</b><"), "{name}: {html}");
    }
}

/// The runbook and the later report compare with the same objective.
#[test]
fn a_runbook_is_read_against_the_strictest_objective() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = "kind: aws.rds\n    objectives: {rto: 1m, rpo: 1m}";
    std::fs::write(&path, text.replace("kind: aws.rds", own)).unwrap();
    let show = ["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"];
    let shown = folder.ok(&show);
    let expected = shown.lines().find(|l| l.starts_with("expected")).unwrap();
    assert!(expected.contains("above the RTO of 1m of db"), "{expected}");
}

/// Every step counts with the time that its own line gives as the most, probes too.
#[test]
fn the_worst_case_is_the_sum_of_the_timeouts_of_its_steps() {
    let folder = Folder::with_plans();
    let worst = |args: &[&str]| {
        let (_, out, err) = folder.run(args);
        let line = out.lines().find(|l| l.starts_with("worst case")).unwrap_or_else(|| panic!("{out}{err}"));
        assert!(out.contains("; expected 15s, at most 5m\n"), "the probes: {out}");
        line.to_owned()
    };
    for (plan, most) in [("starter", "21m"), ("truststream", "1h 30m")] {
        let line = worst(&["plan", "show", plan, "--to", "us-east-1", "--sandbox"]);
        assert!(line.starts_with(&format!("worst case     {most} if")), "{plan}: {line}");
    }
    let back = worst(&["failback", "truststream", "--sandbox=after-failover", "--dry-run"]);
    assert!(back.contains("; users wait for 32m of it"), "{back}");
}

/// A step that waits for probes has time for them, however seldom they ask.
#[test]
fn a_step_that_waits_for_a_slow_probe_has_time_for_it() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/starter.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("every: 5s, timeout: 3s"), "{text}");
    std::fs::write(&path, text.replace("every: 5s, timeout: 3s", "every: 2m, timeout: 3s")).unwrap();
    let shown = folder.ok(&["plan", "show", "starter", "--to", "us-east-1", "--sandbox"]);
    assert!(shown.contains("; expected 6m, at most 12m\n"), "{shown}");
}

/// A failback that first makes a standby waits for it, so the whole takes that long. Users are served until the fence.
#[test]
fn a_failback_is_expected_to_take_as_long_as_the_standby_that_it_waits_for() {
    let folder = Folder::with_plans();
    let args = ["failback", "truststream", "--sandbox=after-failover", "--dry-run"];
    let (_, out, err) = folder.run(&args);
    let line = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{out}{err}"));
    assert!(line("critical path").contains("rejoin.db.us-west-2 > check.db"), "{out}");
    for name in ["expected", "worst case"] {
        assert!(line(name).contains("; users wait for "), "{out}");
    }
    assert!(line("predicted").contains("; users wait "), "{out}");
    let (_, out, _) = folder.run(&[&args[..], &["--output", "json"]].concat());
    let book = serde_json::from_value(json(&out)["runbook"].clone()).unwrap();
    let critical = critical_path::critical(&book);
    let (users, _) = critical.users.unwrap();
    assert!(critical.expected > Dur::mins(50) && critical.worst > Dur::mins(24 * 60), "{critical:?}");
    assert!(users < Dur::mins(15) && users > Dur::mins(1), "{critical:?}");
    let rig = Rig { intent: Intent::Failover, ..Rig::new(truststream(), "region-lost", 1) };
    let failover = critical_path::critical(&rig.rehearse().unwrap().ended.state.runbook);
    assert_eq!(failover.users, None, "users are out all the time");
}

/// drctl asks for approvals at the start of a planned move. Users are served while it waits for them, and until the fence.
#[test]
fn users_do_not_wait_while_a_planned_move_waits_for_an_approval() {
    let folder = Folder::with_plans();
    let shown = || {
        let args = ["failback", "truststream", "--sandbox=after-failover", "--dry-run", "--output", "json"];
        let (_, out, err) = folder.run(&args);
        let book: Runbook = serde_json::from_value(json(&out)["runbook"].clone())
            .unwrap_or_else(|why| panic!("{why}: {out}{err}"));
        let asks = book.steps.iter().any(|step| step.id.as_str() == "approve.go");
        (asks, critical_path::critical(&book), History::default().predict(&book))
    };
    let (asks, without, foreseen) = shown();
    assert!(!asks);
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let gate = "gates:\n  go: {at: promote, approval: \"promote now?\", expires_after: 30m}\n";
    std::fs::write(&path, format!("{text}\n{gate}")).unwrap();
    let (asks, with, with_gate) = shown();
    assert!(asks);
    assert_eq!(with.users, without.users, "{with:?}");
    assert!(with_gate.users_p50_ms.unwrap() < Dur::mins(15), "{with_gate:?} {foreseen:?}");
}

#[test]
fn a_reprotect_is_expected_to_take_as_long_as_its_servers_do() {
    let folder = Folder::with_plans();
    let args = ["reprotect", "truststream", "--to", "us-west-2", "--sandbox", "--dry-run"];
    let (_, out, err) = folder.run(&args);
    let line = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{out}{err}"));
    assert!(line("critical path").contains("rejoin.db.us-west-2"), "{out}");
    let expected = line("expected").split_whitespace().nth(1).unwrap();
    assert!(expected.ends_with('m') && expected.trim_end_matches('m').parse::<u32>().unwrap() >= 50, "{out}");
    assert!(!out.contains("the RTO"), "it serves nobody: {out}");
    // For many plans, the one-line summaries say the same.
    let text = std::fs::read_to_string(folder.path().join("plans/truststream.yaml")).unwrap();
    let names: Vec<String> = (0..6).map(|n| format!("p{n}")).collect();
    for name in &names {
        let plan = text.replace("plan: truststream", &format!("plan: {name}"));
        std::fs::write(folder.path().join(format!("plans/{name}.yaml")), plan).unwrap();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, out, err) = folder.run(&[&["reprotect"], &names[..], &args[2..]].concat());
    assert!(out.starts_with("6 plans: 6 possible") && !out.contains(" of 15m"), "{out}{err}");
}

/// Nothing changes in a rehearsal drill, so it is in the row of what was rehearsed and in no other.
#[test]
fn a_rehearsal_drill_is_no_recovery_and_leaves_no_database_without_a_standby() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let (code, out, err) = folder.run(&["drill", "starter", "--mode", "rehearsal", "--yes", "--sandbox"]);
    assert!([0, 5].contains(&code), "{code} {out}{err}");
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let runs = report["runs"].as_array().unwrap();
    let drill = runs.iter().find(|line| line["class"] == "read").unwrap_or_else(|| panic!("{runs:#?}"));
    let totals = &report["totals"];
    assert_eq!((&totals["runs"], &totals["read"], &totals["good"]), (&2.into(), &1.into(), &1.into()));
    let gaps = report["applications"][0]["unprotected"].as_array().unwrap();
    assert!(gaps.iter().all(|gap| gap["run"] != drill["run"]), "{gaps:#?}");
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(md.contains("| Runs that recovered, or passed as a drill | 1 of 1 |"), "{md}");
}
