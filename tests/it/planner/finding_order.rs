//! Findings have one order everywhere: the worst first, then by component.

use drctl::model::finding::Severity;
use drctl::plan::{self, Settings};

use crate::cli::contract::{Folder, json};
use crate::support::rig::truststream;

fn rank(standing: &serde_json::Value) -> usize {
    let ranks = [&["not_ready"][..], &["unknown", "degraded"], &["ready"]];
    ranks.iter().position(|of| of.contains(&standing.as_str().unwrap())).unwrap()
}

#[test]
fn the_worst_check_of_readiness_comes_first() {
    let folder = Folder::with_plans();
    let (_, out, err) =
        folder.run(&["ready", "truststream", "--sandbox=replica-lagging", "--output", "json"]);
    let told = json(&out);
    let keys: Vec<_> = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (rank(&check["standing"]), check["about"].as_str().unwrap().to_owned()))
        .collect();
    assert!(keys.is_sorted(), "{keys:#?}\n{err}");
    assert!(keys.iter().any(|(rank, _)| *rank == 1) && keys.iter().any(|(rank, _)| *rank == 2), "{keys:#?}");
    // The screen has the same order.
    let (_, screen, _) = folder.run(&["ready", "truststream", "--sandbox=replica-lagging"]);
    let last_open = screen.rfind("  degraded ").or_else(|| screen.rfind("  unknown ")).unwrap();
    assert!(last_open < screen.find("  ready ").unwrap(), "{screen}");
}

#[test]
fn the_worst_finding_of_an_auditor_comes_first() {
    let folder = Folder::with_plans();
    let accept = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"];
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=region-dark"];
    let (_, screen, err) = folder.run(&[&start[..], &accept].concat());
    // Of several plans, each accepted loss names its plan and its component.
    let subject = "unfenced-promotion for db of truststream, with an accepted loss of up to 5m of writes";
    assert!(screen.contains(&format!("waived   {subject}, by ")), "{screen}");
    assert!(err.contains("truststream: --waive unfenced-promotion is taken as "), "{err}");
    let (_, out, err) = folder.run(&["report", "compliance", "--sandbox", "--format", "json"]);
    let told = json(&out);
    let findings = told["findings"].as_array().unwrap();
    let ranks = ["blocking", "warning", "note"];
    let key = |finding: &serde_json::Value| {
        let weight = finding["weight"].as_str().unwrap();
        let plan = finding["plan"].as_str().unwrap_or_default().to_owned();
        (ranks.iter().position(|rank| *rank == weight).unwrap(), plan)
    };
    let keys: Vec<_> = findings.iter().map(key).collect();
    assert!(keys.is_sorted() && keys.len() > 2, "{keys:#?}\n{err}");
    let accepted = findings.iter().find(|f| f["text"].as_str().unwrap().starts_with("accepted: ")).unwrap();
    assert_eq!(accepted["weight"], "note", "{accepted:#}");
    // The person is parted from the writes, as on the screen.
    let by = format!("{subject}, by ");
    assert!(accepted["text"].as_str().unwrap().contains(&by), "{accepted:#}");
    let report = folder.ok(&["report", "run", "sandbox-truststream-failover-s1-1", "--sandbox"]);
    assert!(report.contains(&by), "{report}");
}

/// The last line has the error, and an earlier one has the warning.
#[test]
fn the_errors_of_a_plan_come_before_its_warnings() {
    let text = format!("{}\nnonsense: true\n", truststream().text.replace(", capacity_floor: 4", ""));
    let found = plan::check("plan.yaml", text.as_bytes(), &Settings::default()).findings;
    let severities: Vec<_> = found.iter().map(|finding| finding.severity).collect();
    assert!(severities.contains(&Severity::Error) && severities.contains(&Severity::Warning), "{found:#?}");
    assert!(severities.is_sorted(), "{found:#?}");
}
