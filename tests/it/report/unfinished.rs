//! Reports of runs that have not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};

use drctl::model::intent::Intent;
use drctl::model::time::Dur;
use drctl::record::event::EventKind;
use drctl::report::compliance::controls::Profile;
use drctl::report::compliance::{Books, Compliance, LedgerLine, ReportRequest, Signatory, compliance};
use drctl::run::RunState;
use serde_json::Value;

use crate::cli::contract::{Folder, json};
use crate::run::cancel::until;
use crate::support::rig::{Rig, truststream};

/// A plan whose RTO is shorter than a planned move takes.
fn with_a_short_rto() -> Folder {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let (tier, own) = ("tier: critical ", "objectives: {rto: 1m, rpo: 5m} ");
    assert!(text.contains(tier), "{text}");
    std::fs::write(&plan, text.replacen(tier, own, 1)).unwrap();
    folder
}

const SWITCHOVER: &[&str] = &["switchover", "truststream", "--to", "us-east-1"];
const DRILL: &[&str] = &["drill", "truststream", "--mode", "live", "--hold", "5m"];

/// A sandbox that takes a few seconds.
const PACED: &[&str] = &["--yes", "--sandbox", "--pace", "100"];

fn asked(folder: &Folder, format: &str) -> String {
    folder.ok(&["report", "compliance", "--sandbox", "--format", format])
}

fn finding(report: &Value, start: &str) -> Value {
    let all = report["findings"].as_array().unwrap();
    let of = |f: &&Value| f["text"].as_str().unwrap().starts_with(start);
    all.iter().find(of).unwrap_or_else(|| panic!("{start}: {all:#?}")).clone()
}

/// Whoever leaves a run open must not have a better report than whoever closes it.
#[test]
fn a_planned_move_or_a_drill_in_which_users_are_out_has_not_recovered_yet() {
    for (begin, run) in
        [(SWITCHOVER, "sandbox-truststream-switchover-s1-1"), (DRILL, "sandbox-truststream-drill-live-s1-1")]
    {
        let folder = with_a_short_rto();
        // The promotion ends, and nothing after it starts.
        let (code, out, rest) = folder.interrupted_at("promote.db started", &[begin, PACED].concat());
        assert_eq!(code, 4, "{out}{rest}");
        let own = json(&folder.ok(&["report", "run", run, "--sandbox", "--format", "json"]));
        assert_eq!(own["rto"]["verdict"], "missed", "{own:#}");
        let report = json(&asked(&folder, "json"));
        let (line, totals) = (&report["runs"][0], &report["totals"]);
        for figure in ["rto", "rpo"] {
            for part in ["achieved_s", "basis", "verdict", "text"] {
                assert_eq!(line[figure][part], own[figure][part], "{figure} {part}: {line:#}");
            }
        }
        assert_eq!(line["not_recovered_s"], own["rto"]["achieved_s"], "{line:#}");
        assert_eq!((&totals["rto"]["missed"], &totals["rto_of_incidents"]["missed"]), (&1.into(), &0.into()));
        let out = |key: &str| totals[key].as_u64().unwrap();
        assert_eq!((out("not_recovered_yet"), out("moves_not_recovered_yet")), (0, 1), "{totals:#}");
        for start in ["RTO MISSED: at least ", "not recovered yet: users were still out at least "] {
            let found = finding(&report, start);
            assert_eq!((&found["weight"], &found["run"]), (&"blocking".into(), &run.into()), "{found:#}");
        }
        let md = asked(&folder, "md");
        assert!(md.contains("| Planned moves and drills not recovered yet | 1 |"), "{md}");
        assert!(md.contains("| RTO | 0 of 1 met, 1 missed, 0 not proven |"), "{md}");
        assert!(md.contains("| not recovered yet<br>at least "), "{md}");
    }
}

/// Starts a paced command, and kills its process once it printed this line.
fn killed_at(folder: &Folder, line: &str, args: &[&str]) {
    let mut child = folder.start(args);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut read = String::new();
    while !read.contains(line) {
        read.clear();
        assert!(err.read_line(&mut read).unwrap() > 0, "it never printed `{line}`");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A process that was killed recorded nothing, so the events alone say that the run is running.
#[test]
fn a_run_that_no_process_drives_is_not_running_in_any_report() {
    let folder = Folder::with_plans();
    killed_at(&folder, "promote.db started", &[SWITCHOVER, PACED].concat());
    let run = "sandbox-truststream-switchover-s1-1";
    let words = "stopped, no process drives it";
    let own = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    let md = own("md");
    assert!(md.starts_with(&format!("# Switchover of truststream: {words}\n")), "{md}");
    assert!(own("html").contains(words), "{}", own("html"));
    assert_eq!(json(&own("json"))["undriven"], true);
    for format in ["md", "html", "csv", "json"] {
        let report = asked(&folder, format);
        assert!(report.contains(&format!("the switchover is not finished: {words}")), "{report}");
    }
    let report = json(&asked(&folder, "json"));
    let line = &report["runs"][0];
    assert_eq!((&line["outcome"], &line["state"]), (&"running".into(), &words.into()), "{line:#}");
    assert!(asked(&folder, "csv").contains(&format!(",running,\"{words}\",")), "{}", asked(&folder, "csv"));
    assert!(folder.ok(&["runs", "list", "--sandbox"]).contains(words));
    // Evidence is about events alone.
    folder.ok(&["evidence", "export", run, "--out", "killed.tar", "--sandbox"]);
    folder.ok(&["evidence", "verify", "killed.tar", "--sandbox"]);
}

/// After a cancel, a resume does not continue the run.
#[test]
fn a_cancel_that_a_killed_process_did_not_finish_is_named() {
    let folder = Folder::with_plans();
    let begin = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=replica-lagging"];
    assert_ne!(folder.run(&begin).0, 0, "it stops, and is not over");
    let run = "sandbox-truststream-failover-s1-1";
    let cancel = ["runs", "cancel", run, "--reason", "enough", "--yes", "--sandbox", "--pace", "20"];
    killed_at(&folder, "is being undone", &cancel);
    let words = "cancel not finished, no process drives it";
    let status = folder.run(&["status", "truststream", "--sandbox"]).1;
    assert!(status.contains(words), "{status}");
    let screen = folder.run(&["runs", "show", run, "--sandbox"]).1;
    let next = format!("  next     to finish the cancel: drctl runs resume {run} --sandbox\n");
    assert!(screen.contains(&next), "{screen}");
    folder.run(&["runs", "resume", run, "--sandbox"]);
    assert!(folder.ok(&["runs", "list", "--sandbox"]).contains("sandbox  cancelled"));
}

/// The report on one rehearsal, by its own clock.
fn judged(state: &RunState) -> Compliance {
    let books = Books {
        runs: std::slice::from_ref(state),
        driven: &BTreeSet::new(),
        plans: &[],
        drill_every: &BTreeMap::new(),
        drills: &[],
        ready: &BTreeMap::new(),
        told: &BTreeMap::new(),
        bundles: &BTreeMap::new(),
        damaged: &[],
        unreadable: &[],
        terms: &[],
        severities: &[],
        ledger: &LedgerLine::default(),
    };
    let asked = ReportRequest {
        since: state.created_at,
        until: state.last_at + Dur::mins(1),
        now: state.last_at,
        profile: Profile::Own,
        rehearsal: true,
        prepared_by: Signatory::default(),
        reviewed_by: Signatory::default(),
    };
    compliance(books, &asked)
}

/// A move that was undone before it affected users has no objective. After that it has one, also if no probe failed often enough to see it.
#[test]
fn a_move_that_was_undone_after_it_affected_users_counts() {
    let rig = Rig { intent: Intent::Switchover, ..Rig::new(truststream(), "calm", 1) };
    for (before, judgements) in [("scale.nodes", 0), ("measure.db", 1)] {
        let starts =
            |what: &EventKind| matches!(what, EventKind::StepStarted { step } if step.as_str() == before);
        let first = until(&rig, starts);
        let (done, _) = rig.cancel(&first.records, &first.notes, None);
        let report = judged(&done.ended.state);
        let (line, rto) = (&report.runs[0], report.totals.rto);
        assert_eq!(line.outcome, "cancelled", "{before}");
        assert_eq!(rto.met + rto.missed + rto.not_proven, judgements, "{before}: {rto:?}");
        assert_eq!(line.not_recovered_s, None, "{before}");
    }
}
