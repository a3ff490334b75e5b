//! Buckets that S3 replicates: a run does not change them or wait for them, but reports the state of the copies.

use serde_json::Value;

use crate::cli::contract::{Folder, json};

const SECTION: &str = "## Copies of uploads";

/// truststream with a pair of buckets.
pub fn plan_text() -> String {
    let plan = include_str!("../../../plans/truststream.yaml");
    let uploads = "  uploads:\n    kind: aws.s3\n    prefix: up/\n    sample: 10\n    at:\n      us-west-2: {bucket: ts-uploads-west}\n      us-east-1: {bucket: ts-uploads-east}\n  www:\n";
    let text = plan.replace("  www:\n", uploads);
    assert_ne!(text, plan);
    text
}

fn folder() -> Folder {
    let folder = Folder::with_plans();
    std::fs::write(folder.path().join("plans/truststream.yaml"), plan_text()).unwrap();
    folder
}

fn ran(folder: &Folder, verb: &str, scenario: &[&str]) -> (i32, Value) {
    let to = ["truststream", "--to", "us-east-1", "--yes", "--seed", "3", "--output", "json", "--sandbox"];
    let (code, out, err) = folder.run(&[&[verb], &to[..], scenario].concat());
    assert!(!out.is_empty(), "{err}");
    (code, json(&out))
}

fn rendered(folder: &Folder, report: &Value, format: &str) -> String {
    folder.ok(&["report", "run", report["run_id"].as_str().unwrap(), "--sandbox", "--format", format])
}

fn step<'a>(report: &'a Value, id: &str) -> Option<&'a Value> {
    report["steps"].as_array().unwrap().iter().find(|s| s["id"] == id)
}

#[test]
fn a_move_compares_objects_after_the_fence_and_no_step_waits_for_that() {
    let folder = folder();
    let (code, report) = ran(&folder, "switchover", &["calm"]);
    assert_eq!(code, 0, "{report:#}");
    let found = &report["buckets"]["uploads"];
    assert!(
        found["compared"]["compared"] == 10 && found["compared"]["gaps"] == Value::Array(vec![]),
        "{found:#}"
    );
    assert_eq!(found["found"][0], "compared 10 of 1000 objects: 10 identical", "{found:#}");
    let behind = found["arriving"][0]["behind_ms"].as_u64().unwrap();
    assert!(
        behind < 2_000 && found["text"][0].as_str().unwrap().contains("from ts-uploads-west by rule"),
        "{found:#}"
    );
    let shown = folder.ok(&["runs", "show", report["run_id"].as_str().unwrap(), "--sandbox"]);
    assert!(shown.contains("compare.uploads"), "{shown}");
    assert!(step(&report, "guard.uploads").is_none(), "nothing of it is changed, so nobody holds it");
    let plan = json(&folder.ok(&[
        "plan",
        "show",
        "truststream",
        "--intent",
        "switchover",
        "--to",
        "us-east-1",
        "--sandbox",
        "--output",
        "json",
    ]));
    let steps = plan["runbook"]["steps"].as_array().unwrap();
    let compare = steps.iter().find(|s| s["id"] == "compare.uploads").unwrap();
    let needs: Vec<_> =
        compare["needs"].as_array().unwrap().iter().map(|n| n["step"].as_str().unwrap()).collect();
    for id in ["fence.db.sql", "measure.db"] {
        assert!(needs.contains(&id), "{id} is not among {needs:?}");
    }
    assert!(compare["needs"].as_array().unwrap().iter().all(|n| n["settled"] == true), "{compare:#}");
    let waits: Vec<_> = steps
        .iter()
        .filter(|s| s["needs"].to_string().contains("compare.uploads"))
        .map(|s| &s["id"])
        .collect();
    assert!(
        waits.iter().all(|id| *id == "evidence.after" || id.as_str().unwrap().starts_with("release.")),
        "{waits:?}"
    );
    let (md, html) = (rendered(&folder, &report, "md"), rendered(&folder, &report, "html"));
    assert!(md.contains(SECTION) && md.contains("- compared 10 of 1000 objects"), "{md}");
    assert!(
        html.contains("<h2>Copies of uploads</h2>") && html.contains("<li>compared 10 of 1000 objects"),
        "{html}"
    );
}

/// A comparison may take any time, so a hook after measuring waits only for what the RPO needs.
#[test]
fn a_hook_after_measuring_waits_for_no_comparison() {
    let hook =
        "hooks:\n  - {at: after.measure, name: flush, step: {command: [\"true\"], idempotent: true}}\n";
    let folder = folder();
    std::fs::write(folder.path().join("plans/truststream.yaml"), plan_text() + hook).unwrap();
    let show = ["plan", "show", "truststream", "--intent", "switchover", "--to", "us-east-1", "--sandbox"];
    let plan = json(&folder.ok(&[&show[..], &["--output", "json"]].concat()));
    let steps = plan["runbook"]["steps"].as_array().unwrap();
    let needs = |id: &str| {
        let step = steps.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("no {id}: {plan:#}"));
        step["needs"].as_array().unwrap().iter().map(|n| n["step"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(needs("hook.flush"), ["caught-up.db", "measure.db", "guard.db"]);
    assert!(!needs("compare.uploads").contains(&"hook.flush".into()), "{plan:#}");
}

/// If S3 replicates everything, there is nothing to move. The message says so, and where to see the copies.
#[test]
fn a_plan_of_buckets_alone_has_nothing_to_move() {
    let folder = folder();
    let text = "plan: files\nobjectives: {rto: 20m, rpo: 5m}\nsites:\n  west: {region: us-west-2}\n  east: {region: us-east-1}\nhome: west\ncomponents:\n  uploads:\n    kind: aws.s3\n    at:\n      west: {bucket: f-west}\n      east: {bucket: f-east}\n";
    std::fs::write(folder.path().join("plans/files.yaml"), text).unwrap();
    let (code, _, said) = folder.run(&["switchover", "files", "--to", "east", "--yes", "--sandbox", "calm"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("The provider replicates its buckets")
            && said.contains("`drctl --sandbox=calm ready files`"),
        "{said}"
    );
}

#[test]
fn what_a_dark_region_left_to_copy_is_told_as_it_was_published_last() {
    let folder = folder();
    let waive =
        ["region-dark", "--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "dark"];
    let (code, report) = ran(&folder, "failover", &waive);
    assert_eq!((code, report["fence"]["state"].as_str()), (5, Some("pending")), "{report:#}");
    let found = &report["buckets"]["uploads"];
    assert!(found["compared"].is_null(), "nobody can compare with what is dark: {found:#}");
    assert!(
        found["found"][0].as_str().unwrap().starts_with("not compared: the source did not answer"),
        "{found:#}"
    );
    let published: jiff::Timestamp = found["arriving"][0]["at"].as_str().unwrap().parse().unwrap();
    let began: jiff::Timestamp = report["started_at"].as_str().unwrap().parse().unwrap();
    assert!(published < began, "{published} {began}");
    let rpo = report["rpo"].to_string();
    assert!(!rpo.contains("uploads"), "a bucket has no part in the RPO: {rpo}");
    let md = rendered(&folder, &report, "md");
    assert!(md.contains(SECTION) && md.contains("published for"), "{md}");
    let notes = report["notes"].to_string();
    for words in [
        "do not count toward the RPO",
        "ts-uploads-west does not answer, so drctl does not compare the buckets",
    ] {
        assert!(notes.contains(words), "{notes}");
    }
}

#[test]
fn a_plan_with_buckets_fits_the_schema() {
    let schema = drctl::plan::schema::schema(&drctl::plan::shapes::PLAN, "plan");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value: Value = serde_saphyr::from_str(&plan_text()).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// What the comparison showed does not change because a later cancel lifts the fence.
#[test]
fn a_cancel_does_not_change_what_the_comparison_showed() {
    let folder = folder();
    let (code, before) = ran(&folder, "failover", &["replica-lagging"]);
    assert_ne!(code, 0);
    let run = before["run_id"].as_str().unwrap();
    let found = &before["buckets"]["uploads"]["found"];
    assert!(found[0].as_str().unwrap().starts_with("compared 10 of 1000 objects"), "{found:#}");
    folder.run(&["runs", "cancel", run, "--reason", "enough", "--sandbox", "--yes"]);
    let after = json(&rendered(&folder, &before, "json"));
    assert_eq!((&after["outcome"], &after["fence"]["state"]), (&"cancelled".into(), &"lifted".into()));
    assert_eq!(&after["buckets"]["uploads"]["found"], found, "the fence was proven at that time: {after:#}");
}
