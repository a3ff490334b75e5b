//! Reports of a store that somebody changed: a broken run stays visible, and every report says that the ledger is broken.

use crate::cli::contract::json;
use crate::journal::chain::{rehearsed, tamper};

const RUN: &str = "sandbox-truststream-failover-s1-1";
const OTHER: &str = "sandbox-starter-failover-s1-2";
const COMPLIANCE: &[&str] = &["report", "compliance", "--sandbox", "--format"];

#[test]
fn a_run_that_cannot_be_read_stays_in_the_compliance_report() {
    let (folder, store) = rehearsed();
    let whole = json(&folder.ok(&[COMPLIANCE, &["json"]].concat()));
    let before = whole["runs"].as_array().unwrap().iter().find(|line| line["run"] == RUN).unwrap();
    assert_eq!(tamper(&store, &format!("UPDATE events SET epoch = 9 WHERE run_id = '{RUN}' AND seq = 4")), 1);
    let asked = |format: &str| {
        let (code, out, err) = folder.run(&[COMPLIANCE, &[format]].concat());
        assert_eq!(code, 1, "{out}{err}");
        out
    };
    let report = json(&asked("json"));
    assert_eq!((&report["totals"]["runs"], &report["runs"][0]["run"]), (&1.into(), &OTHER.into()));
    let broken = &report["unreadable_runs"][0];
    for key in ["run", "plan", "started_at", "bundle", "sha256"] {
        assert_eq!(broken[key], before[key], "{broken:#}");
    }
    assert!(broken["why"].as_str().unwrap().starts_with("event 4: "), "{broken:#}");
    let words = format!("run {RUN}, event 4: ");
    let mut findings = report["findings"].as_array().unwrap().iter();
    let found = findings.find(|f| f["text"].as_str().unwrap().starts_with(&words)).unwrap();
    assert_eq!((&found["plan"], &found["run"]), (&"truststream".into(), &RUN.into()), "{found:#}");
    let page = asked("md");
    for words in [
        "1 run cannot be read and is in no figure.",
        "| Runs | 1: 1 incident; without 1 broken run |",
        "unreadable, not counted",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let evidence = page.split("## Evidence").nth(1).unwrap();
    assert!(evidence.contains(before["bundle"].as_str().unwrap()), "{evidence}");
    let csv = asked("csv");
    let row = csv.lines().find(|row| row.starts_with(&format!("run,sandbox,{RUN},truststream,"))).unwrap();
    assert!(row.contains(",unreadable,") && row.contains("not counted: event 4: "), "{row}");
    let (code, listed, err) = folder.run(&["evidence", "list", "--sandbox"]);
    assert_eq!(code, 1, "{listed}{err}");
    assert!(listed.contains(&format!("{RUN}: the run cannot be read: event 4: ")), "{listed}{err}");
    assert!(listed.lines().any(|line| line.starts_with("whole") && line.contains(OTHER)), "{listed}{err}");
}

#[test]
fn a_run_of_which_only_the_ledger_is_left_stays_in_the_compliance_report() {
    let (folder, store) = rehearsed();
    assert!(tamper(&store, &format!("DELETE FROM events WHERE run_id = '{RUN}'")) > 1);
    let (code, out, err) = folder.run(&[COMPLIANCE, &["json"]].concat());
    let report = json(&out);
    let broken = &report["unreadable_runs"][0];
    assert_eq!((code, &broken["run"], &broken["plan"]), (1, &RUN.into(), &"truststream".into()), "{err}");
    assert!(broken["why"].as_str().unwrap().contains("the whole run was removed"), "{broken:#}");
}

#[test]
fn a_report_of_a_broken_ledger_says_so() {
    let last_head = "(SELECT max(seq) FROM ledger WHERE substr(CAST(bytes AS TEXT), 1, 1) = '[')";
    let changes = [
        (
            "UPDATE ledger SET hash = 'x' WHERE seq = 3".to_owned(),
            "JOURNAL BROKEN  ledger, entry 3: ".to_owned(),
        ),
        (
            format!("DELETE FROM ledger WHERE seq >= {last_head}"),
            format!("JOURNAL BROKEN  run {OTHER}, event "),
        ),
    ];
    let reports = [
        &["runs", "show", OTHER][..],
        &["report", "run", OTHER],
        &["report", "run", OTHER, "--format", "html"],
        &["report", "run", OTHER, "--format", "json"],
    ];
    for (change, words) in changes {
        let (folder, store) = rehearsed();
        let asked = |args: &[&str]| folder.run(&[args, &["--sandbox"]].concat());
        for args in reports {
            let (code, out, err) = asked(args);
            assert!(code == 0 && !err.contains("BROKEN"), "{args:?}: {code}: {out}{err}");
        }
        assert!(tamper(&store, &change) > 0);
        for args in reports {
            let (code, out, err) = asked(args);
            assert!(code == 1 && err.contains(&words), "{args:?}: {code}: {out}{err}");
        }
    }
}
