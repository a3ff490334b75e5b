//! The severity of a run: what a run that continues another keeps, and what auditors see of it.

use drctl::executor::create;
use drctl::journal::{Journal as _, Record, chain};
use drctl::model::ids::{RunId, StepId};
use drctl::model::intent::Intent;
use drctl::model::policy::Policy;
use drctl::model::severity::Severity;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Rule;
use drctl::planner::Continued;
use drctl::record::action::{Action, Gate};
use drctl::record::event::{Event, EventKind, RunCreated};
use drctl::report;
use drctl::run::severity::{Purpose, decided, keeping};

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{as_operator, state_of, store};
use crate::planner::approval_policy;
use crate::planner::refusals::{PLAN, case, site};
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{Rig, truststream};

/// A person who may not approve at P0 cannot get the same recovery at P3 by continuing it.
#[test]
fn a_run_that_continues_another_keeps_the_more_severe_incident() {
    let asked = |before: Option<Severity>, given: Severity| {
        let mut case = case(PLAN);
        case.group("east", 2);
        case.policy = Some(Policy::default());
        case.request.severity = Some(given);
        case.continues = Some(Continued {
            run: RunId::new("before"),
            events: 3,
            intent: Intent::Switchover,
            severity: before,
            asked: Vec::new(),
            from: Some(site("west")),
            holders: Vec::new(),
            fences: Vec::new(),
            putting: None,
            copies: Vec::new(),
            aside: Vec::new(),
        });
        case.request.waivers = vec![
            waiver(Rule::UnfencedPromotion, Dur::mins(60)),
            waiver(Rule::ExposureUnknown, Dur::mins(60)),
        ];
        let runbook = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
        let ask = runbook.steps.iter().find_map(|step| match &step.action {
            Action::Gate(Gate::Approval { ask, .. }) => Some(ask.split(' ').next().unwrap().to_owned()),
            _ => None,
        });
        let notes = runbook.notes.iter().filter(|note| note.contains("keeps the severity")).count();
        (ask.unwrap(), notes)
    };
    use Severity::{P0, P1, P3};
    assert_eq!(asked(Some(P0), P3), ("P0".to_owned(), 1));
    assert_eq!(asked(Some(P3), P1), ("P1".to_owned(), 0));
    assert_eq!(asked(None, P3), ("P3".to_owned(), 0));
}

/// An auditor sees under which severity a run was decided, who changed it, and when.
#[test]
fn a_lowered_severity_is_a_finding() {
    let folder = Folder::with_plans();
    let begin = |more: &[&str]| {
        let failover =
            ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--output", "json"];
        let (_, out, err) = folder.run(&[&failover[..], more].concat());
        assert!(out.contains("run_id"), "{out}\n{err}");
        json(&out)
    };
    let report = |format| folder.ok(&["report", "compliance", "--sandbox", "--format", format]);
    begin(&[]);
    let audit = folder.ok(&["audit", "verify", "--sandbox"]);
    assert!(audit.contains("severities: 1 run at P0") && !audit.contains("usually"), "{audit}");
    let usual = json(&report("json"));
    assert!(!usual["findings"].to_string().contains("severity"), "{usual:#}");

    let low = begin(&["--severity", "P3"]);
    let (run, who) = (low["run_id"].as_str().unwrap(), low["requester"]["who"].as_str().unwrap());
    let at = low["started_at"].as_str().unwrap();
    let words = format!("severity P3 (usually P0): lowered from P0 to P3 at {at} by {who} (unsigned)");
    assert_eq!(format!("severity {}", low["terms"]["severity"]["text"].as_str().unwrap()), words);
    let audit = folder.ok(&["audit", "verify", "--sandbox"]);
    let line =
        audit.lines().find(|line| line.contains("severity lowered")).unwrap_or_else(|| panic!("{audit}"));
    assert!(line.contains(&format!("run {run} (")) && line.contains(&words), "{line}");
    assert!(audit.contains("severities: 1 run at P0, 1 run at P3"), "{audit}");
    let audit = json(&folder.ok(&["audit", "verify", "--sandbox", "--output", "json"]));
    let change = &audit["severities"][1]["changes"][0];
    assert_eq!((&change["from"], &change["to"], &change["by"]), (&"P0".into(), &"P3".into(), &who.into()));
    assert_eq!(audit["severities"][1]["lowered"], true);

    let compliance = json(&report("json"));
    let all = compliance["findings"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|f| f["text"].as_str().unwrap().contains("severity")).collect();
    assert!(found.len() == 1 && found[0]["run"] == run && found[0]["section"] == "approvals", "{found:#?}");
    assert!(found[0]["text"].as_str().unwrap().contains(&words), "{found:#?}");
    assert!(report("md").contains("usually P0") && report("csv").contains(",P3,P0,"));

    folder.ok(&["evidence", "export", run, "--out", "b.tar", "--sandbox"]);
    let shown = json(&folder.ok(&["evidence", "verify", "b.tar", "--sandbox", "--output", "json"]));
    let sealed = &shown["manifest"]["drctl"]["terms"]["severity"];
    assert_eq!((&sealed["severity"], &sealed["usual"]), (&"P3".into(), &"P0".into()));
    assert_eq!(sealed["changes"][0]["by"], who);
    assert!(folder.ok(&["audit", "verify", "--file", "b.tar", "--sandbox"]).contains(&words));
    assert!(folder.ok(&["report", "run", run, "--sandbox"]).contains("usually P0"));
}

/// The first event of a failover.
fn failover() -> RunCreated {
    let done = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    match &events(&done)[0].what {
        EventKind::RunCreated(created) => RunCreated::clone(created),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_continued_run_names_the_severity_that_was_given_and_the_one_that_it_keeps() {
    let at = Timestamp::from_millis(0);
    let (first, before) = (failover(), RunId::new("before"));
    let purpose = Purpose::from_created(&first).unwrap();
    let given = |severity: Option<Severity>| RunCreated {
        severity: severity.map(|of| of.to_string()),
        continues: Some(before.clone()),
        ..first.clone()
    };
    let run = keeping(given(Some(Severity::P3)), Some(Severity::P1), purpose);
    let of = decided(&run, at, purpose);
    assert_eq!((of.severity, of.usual, of.is_lowered()), (Severity::P1, Severity::P0, true));
    let words: Vec<String> = of.changes.iter().map(ToString::to_string).collect();
    assert!(words[0].starts_with("lowered from P0 to P3 at "), "{words:?}");
    let kept = " to keep the severity of run before, which this run continues";
    assert!(words[1].starts_with("raised from P3 to P1 at ") && words[1].ends_with(kept), "{words:?}");
    // A given severity that is as severe is not told apart from the one that is kept.
    let same = keeping(given(Some(Severity::P2)), Some(Severity::P2), purpose);
    assert_eq!((same.severity.as_deref(), same.severity_given), (Some("P2"), None));
    // Without a given severity the default counts, and it is the higher one here.
    let usual = decided(&keeping(given(None), Some(Severity::P2), purpose), at, purpose);
    assert_eq!((usual.severity, usual.changes.len()), (Severity::P0, 0));

    // drctl never writes a continued run with a lower severity than before.
    let before = RunCreated { run: before.clone(), severity: Some("P1".to_owned()), ..first.clone() };
    let forged = given(Some(Severity::P2));
    let all = report::severity::all(&[(&before, at), (&forged, at)]);
    assert!(all[1].lowered && all[1].words().contains("lowered from P1 to P2"), "{all:#?}");
}

/// Such a drill is about the failover, so it names the approvers of the failover. Nothing changes, so it waits for nobody.
#[test]
fn a_drill_of_a_failover_has_its_severity_and_its_approvers() {
    let folder = approval_policy::truststream();
    let drill = |mode: &str| {
        let args = ["drill", "truststream", "--mode", mode, "--sandbox", "--yes"];
        let (code, out, err) = as_operator(&folder, "ann.key", &args);
        assert!([0, 5].contains(&code), "{mode}: {code} {out} {err}");
        let runs = store(&folder).runs().unwrap();
        let run = runs.iter().find(|row| row.run.as_str().contains(&format!("drill-{mode}"))).unwrap();
        state_of(&folder, run.run.as_str())
    };
    let (table, rehearsal) = (drill("tabletop"), drill("rehearsal"));
    for state in [&table, &rehearsal] {
        let decided = state.severity();
        assert_eq!((decided.severity, decided.usual), (Severity::P0, Severity::P0), "{decided:?}");
    }
    let gate = table.position(&StepId::new(approval_policy::GATE)).map(|i| &table.step(i).action);
    let Some(Action::Gate(Gate::Approval { ask, by, .. })) = gate else { panic!("{gate:?}") };
    assert!(ask.starts_with("P0 failover (tabletop drill) to us-east-1"), "{ask}");
    assert_eq!(*by, ["dba", "engineering-lead"]);
    assert!(rehearsal.position(&StepId::new(approval_policy::GATE)).is_none());
    let note = "a failover at P0 needs the approval of dba and engineering-lead; this drill changes nothing";
    assert!(rehearsal.runbook.notes.iter().any(|n| n.starts_with(note)), "{:#?}", rehearsal.runbook.notes);
}

/// A severity that nobody declared still decided who had to approve, so every report names it.
#[test]
fn the_usual_severity_is_in_every_report() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let run = "sandbox-starter-failover-s1-1";
    let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    assert!(report("md").contains("| Severity, incident | P0, no incident |"), "{}", report("md"));
    assert!(
        report("html").contains("<th>Severity, incident</th><td>P0, no incident</td>"),
        "{}",
        report("html")
    );
    assert_eq!(json(&report("json"))["terms"]["severity"]["severity"], "P0");
}

/// Somebody who may write to the store makes the incident look as severe as usual afterwards, and hashes all events of the run anew.
#[test]
fn a_severity_that_was_edited_in_the_journal_is_a_finding_and_the_run_is_not_driven() {
    let folder = Folder::with_plans();
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "replica-lagging"];
    let (_, out, err) = folder.run(&[&start[..], &["--severity", "P3", "--output", "json"]].concat());
    let name = json(&out)["run_id"].as_str().unwrap_or_else(|| panic!("{out}{err}")).to_owned();
    folder.ok(&["audit", "verify", "--sandbox"]);

    let (name, run) = (name.as_str(), RunId::new(name.as_str()));
    let written = store(&folder);
    let path = written.path().to_owned();
    let records = written.read(&run).unwrap();
    drop(written);
    let mut edited: Vec<Event> = create::decode(&run, &records).unwrap();
    let EventKind::RunCreated(created) = &mut edited[0].what else { panic!("no run begins so") };
    assert_eq!(created.severity.as_deref(), Some("P3"));
    created.severity = Some("P0".to_owned());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DROP TRIGGER events_stay").unwrap();
    let mut last: Option<Record> = None;
    for (event, was) in edited.iter().zip(&records) {
        let before = last.as_ref().map(|record| (record.seq, &record.hash));
        let now = chain::link(&run, before, was.epoch, create::encode(event));
        let changed = connection.execute(
            "UPDATE events SET bytes = ?1, previous = ?2, hash = ?3 WHERE run_id = ?4 AND seq = ?5",
            rusqlite::params![
                now.bytes,
                now.previous.as_str(),
                now.hash.as_str(),
                name,
                was.seq.cast_signed()
            ],
        );
        assert_eq!(changed.unwrap(), 1);
        last = Some(now);
    }
    // The edited events follow from each other. The ledger has the head of the ones that were written.
    connection.execute_batch("CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END").unwrap();
    drop(connection);
    assert_eq!(chain::broken(&run, &store(&folder).read(&run).unwrap()), None);

    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
    assert_eq!(code, 1, "{out}{err}");
    let named = |line: &str| line.contains("broken") && line.contains(name);
    assert!(out.lines().any(named), "{out}");
    for command in [&["runs", "resume", name][..], &["runs", "cancel", name, "--reason", "x", "--yes"]] {
        let (code, out, err) = folder.run(&[command, &["--sandbox"]].concat());
        assert!(code != 0 && code != 70, "{command:?}: {code} {out}{err}");
        assert_eq!(store(&folder).read(&run).unwrap().len(), records.len(), "{command:?}: {out}{err}");
    }
}
