//! What commands say about a bundle: the state of its run, how much of the run it contains, and that somebody changed it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::contract::{Folder, json};
use crate::planner::approval_policy::{asked, truststream};

const REHEARSE: &[&str] = &["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];

/// A folder with one rehearsal, and its only bundle.
fn rehearsed() -> (Folder, PathBuf) {
    let folder = Folder::with_plans();
    folder.ok(REHEARSE);
    let files = std::fs::read_dir(folder.path().join(".drctl/sandbox.db.evidence")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    (folder, files.remove(0))
}

/// The position of a byte in the signed manifest, and in the last file of a bundle.
fn places(bytes: &[u8]) -> [usize; 2] {
    let manifest = bytes.windows(11).position(|window| window == b"rollback_id").unwrap();
    [manifest, bytes.iter().rposition(|byte| *byte != 0).unwrap()]
}

#[test]
fn a_changed_bundle_is_no_fault_of_the_journal() {
    let (folder, file) = rehearsed();
    let whole = std::fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    // The status reads manifests only, so that it stays fast beside many bundles.
    for (at, in_status) in places(&whole).into_iter().zip([true, false]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let (code, out, err) = folder.run(&["status", "--sandbox"]);
        let told = out.lines().any(|line| line.starts_with("EVIDENCE BROKEN  ") && line.contains(name));
        assert!((code == 1, told) == (in_status, in_status), "{code}: {out}{err}");
        assert!(!out.contains("JOURNAL BROKEN"), "{out}");
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains("EVIDENCE BROKEN: 1 sandbox run, "), "{code}: {out}{err}");
        assert!(out.contains(", 0 faults in ") && out.contains("; 1 damaged file beside it"), "{out}");
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox", "--output", "json"]);
        let found = json(&out);
        assert!(code == 1 && found["faults"].as_array().unwrap().is_empty(), "{found:#}{err}");
        assert!(found["damaged"][0]["file"].as_str().unwrap().ends_with(name), "{found:#}");
    }
    std::fs::write(&file, whole).unwrap();
    assert!(!folder.run(&["status", "--sandbox"]).1.contains("BROKEN"));
    folder.ok(&["audit", "verify", "--sandbox"]);
}

#[test]
fn the_compliance_report_names_the_run_of_a_changed_bundle() {
    let (folder, file) = rehearsed();
    let mut bytes = std::fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let at = places(&bytes)[0];
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let compliance = ["report", "compliance", "--sandbox", "--format"];
    let (code, out, err) = folder.run(&[&compliance[..], &["json"]].concat());
    let report = json(&out);
    let words = format!(
        "bundle {name} was CHANGED after it was signed: manifest.json: it differs from the signed one"
    );
    assert!(code == 1 && err.contains(&format!("EVIDENCE BROKEN: {words}")), "{code}: {err}");
    let findings: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["section"] == "evidence").collect();
    assert_eq!(findings.len(), 1, "the bundle is not missing: {findings:#?}");
    let (found, run) = (findings[0], &report["runs"][0]);
    assert_eq!(found["text"], words);
    assert_eq!((&found["plan"], &found["run"], &found["at"]), (&run["plan"], &run["run"], &run["ended_at"]));
    assert!(!found["at"].is_null(), "{found:#}");
    let (code, page, _) = folder.run(&[&compliance[..], &["md"]].concat());
    assert!(code == 1 && page.contains(&format!("> **EVIDENCE BROKEN: {words}.**")), "{page}");
    let table = page.split("## Evidence").nth(1).unwrap();
    assert!(table.contains(&format!("| `{name}` | was CHANGED after it was signed")), "{table}");
    assert!(!table.contains("| none |"), "{table}");
}

#[test]
fn people_read_the_state_of_a_run_in_words_and_programs_its_outcome() {
    let folder = truststream();
    asked(&folder, &["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"]);
    let listed = folder.ok(&["evidence", "list", "--sandbox"]);
    assert!(listed.contains(".tar  waits for a person  SHA-256 "), "{listed}");
    let listed = json(&folder.ok(&["evidence", "list", "--sandbox", "--output", "json"]));
    assert_eq!(listed["bundles"][0]["outcome"], "halted", "{listed:#}");
    let file = listed["bundles"][0]["file"].as_str().unwrap();
    let shown = folder.ok(&["evidence", "verify", file, "--sandbox"]);
    assert!(shown.contains(", sandbox, waits for a person"), "{shown}");
}

const RUN: &str = "sandbox-truststream-failover-s1-1";
const COMPLIANCE: &[&str] = &["report", "compliance", "--sandbox", "--format"];

/// Starts a command, waits until it has said something, and runs a check before `kill -9`.
fn killed_after(folder: &Folder, (args, word): (&[&str], &str), check: impl Fn()) {
    let mut child = folder.start(args);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains(word)), "{args:?} never said {word}");
    check();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_bundle_says_how_much_it_contains_of_a_run_that_went_on() {
    let folder = Folder::with_plans();
    let short = ["failover", "truststream", "--sandbox=capacity-short", "--to", "us-east-1", "--yes"];
    assert_ne!(folder.run(&short).0, 0, "it stops, and seals a bundle");
    let report = || json(&folder.ok(&[COMPLIANCE, &["json"]].concat()));
    let before = report();
    assert_eq!(
        (&before["totals"]["beyond_evidence"], &before["runs"][0]["covers"]),
        (&0.into(), &Value::Null)
    );
    let resume = ["runs", "resume", RUN, "--sandbox", "--pace", "5"];
    killed_after(&folder, (&resume, "scale.nodes started"), || {
        let driven = report();
        assert_eq!(driven["totals"]["beyond_evidence"], 0, "the process will seal the rest: {driven:#}");
    });
    let after = report();
    let (totals, run) = (&after["totals"], &after["runs"][0]);
    assert_eq!(
        (&totals["beyond_evidence"], &totals["without_evidence"]),
        (&1.into(), &0.into()),
        "{totals:#}"
    );
    let file = run["bundle"].as_str().unwrap();
    let sealed: u64 = file.rsplit_once("-e").unwrap().1.trim_end_matches(".tar").parse().unwrap();
    assert!(run["covers"]["events"] == sealed && run["covers"]["of"].as_u64() > Some(sealed), "{run:#}");
    let words = format!("covers {sealed} of {} events", run["covers"]["of"]);
    let found = |f: &Value| {
        f["run"] == RUN && f["text"] == format!("the bundle {words}; the rest of the run is in no bundle")
    };
    assert!(after["findings"].as_array().unwrap().iter().any(found), "{:#}", after["findings"]);
    let csv = folder.ok(&[COMPLIANCE, &["csv"]].concat());
    assert!(
        csv.lines().any(|row| row.starts_with("run,") && row.contains(&format!("{file} ({words})"))),
        "{csv}"
    );
    let page = folder.ok(&[COMPLIANCE, &["md"]].concat());
    let table = page.split("## Evidence").nth(1).unwrap();
    assert!(table.lines().any(|row| row.contains(file) && row.contains(&words)), "{table}");
    assert!(page.contains("| Runs that went on after their last bundle | 1 |"), "{page}");
    let listed = folder.run(&["evidence", "list", "--sandbox"]).1;
    assert!(listed.contains(&format!("{file} ({words})")), "{listed}");
    let listed = json(&folder.run(&["evidence", "list", "--sandbox", "--output", "json"]).1);
    assert_eq!(listed["bundles"][0]["covers"], run["covers"], "{listed:#}");
}

#[test]
fn a_killed_run_without_a_bundle_is_named_and_counted() {
    let folder = Folder::with_plans();
    let none = folder.ok(&["evidence", "list", "--sandbox"]);
    assert!(
        none.starts_with("no run of this store has evidence yet (") && !none.contains("--sandbox"),
        "{none}"
    );
    let none = folder.ok(&["evidence", "list"]);
    assert!(none.contains("; for rehearsals, use --sandbox"), "{none}");
    let report = || json(&folder.ok(&[COMPLIANCE, &["json"]].concat()));
    let failover = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--pace", "60"];
    killed_after(&folder, (&failover, "fence."), || {
        let driven = report();
        assert_eq!(driven["totals"]["without_evidence"], 0, "its process will seal it: {driven:#}");
        folder.ok(&["evidence", "list", "--sandbox"]);
    });
    let after = report();
    assert_eq!(after["totals"]["without_evidence"], 1, "{:#}", after["totals"]);
    let found = |f: &Value| f["run"] == RUN && f["text"] == "no evidence bundle is available";
    assert!(after["findings"].as_array().unwrap().iter().any(found), "{:#}", after["findings"]);
    let (code, listed, _) = folder.run(&["evidence", "list", "--sandbox"]);
    let words =
        format!("missing, and no process drives the run; drctl --sandbox evidence export {RUN} creates one");
    assert!(code == 1 && listed.contains(&words), "{code}: {listed}");
    folder.ok(&["evidence", "export", RUN, "--out", "killed.tar", "--sandbox"]);
    folder.run(&["runs", "resume", RUN, "--sandbox"]);
    folder.ok(&["evidence", "list", "--sandbox"]);
    assert_eq!(report()["totals"]["without_evidence"], 0);
}
