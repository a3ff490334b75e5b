//! The documents that people write after an incident: every field is there, filled from the journal or marked for a person.

use drctl::record::event::End;
use drctl::run::state::{Status, StepState};
use serde_json::Value;

use crate::cli::contract::{Folder, json};

/// The required fields of each document, according to the organizations whose templates these are.
const ROLLBACK: [&str; 20] = [
    "Issue",
    "Severity",
    "Impact",
    "Decision Time",
    "Start Time",
    "Completion Time",
    "Downtime",
    "Method Used",
    "Steps",
    "System Health",
    "Functionality",
    "Performance",
    "Monitoring",
    "Team notification completed",
    "Documentation updated",
    "Issue investigation initiated",
    "Re-migration plan developed",
    "What went well",
    "What could be improved",
    "Action items",
];
const INCIDENT: [&str; 8] = [
    "Incident Start Time",
    "Detection Method",
    "Initial Assessment",
    "Impact",
    "Root Cause",
    "Recovery Actions",
    "Resolution Time",
    "Lessons Learned",
];
const POST: [&str; 18] = [
    "Duration",
    "Impact",
    "Root Cause",
    "Resolution",
    "Recovery time",
    "Recovery point",
    "Detected",
    "Response team notified",
    "Recovery initiated",
    "Service restored",
    "Full resolution confirmed",
    "Asked for by",
    "Root Cause Analysis",
    "Immediate fixes",
    "Process improvements",
    "Monitoring enhancements",
    "Training requirements",
    "Prevention Measures",
];

fn fields(document: &Value) -> Vec<&Value> {
    document["sections"].as_array().unwrap().iter().flat_map(|s| s["fields"].as_array().unwrap()).collect()
}

#[test]
fn every_field_is_filled_from_the_journal_or_marked_as_for_a_person() {
    let folder = Folder::with_plans();
    let reason = "<b>boom</b> *x* [a](http://evil)";
    let run = [
        "failover",
        "truststream",
        "--sandbox",
        "region-lost",
        "--to",
        "us-east-1",
        "--yes",
        "--output",
        "json",
    ];
    let more = ["--reason", reason, "--severity", "P0", "--incident", "INC-412"];
    let report = json(&folder.run(&[&run[..], &more].concat()).1);
    let run = report["run_id"].as_str().unwrap();
    for (kind, labels) in [("rollback", &ROLLBACK[..]), ("incident", &INCIDENT), ("post-incident", &POST)] {
        let ask =
            |format| folder.ok(&["report", "document", run, "--kind", kind, "--format", format, "--sandbox"]);
        let document = json(&ask("json"));
        let there = fields(&document);
        let mut wanted = labels.to_vec();
        wanted.retain(|label| !there.iter().any(|f| f["label"] == *label));
        assert!(wanted.is_empty(), "{kind} lacks {wanted:?}");
        for field in &there {
            assert!(field["text"].is_string() || field["person"].is_string(), "{field:#}");
        }
        let open = there.iter().filter(|f| f["person"].is_string()).count();
        assert!(open > 0 && document["open"] == open, "{document:#}");
        let text = ask("md");
        assert!(
            text.contains("> **Rehearsal.**")
                && text.matches("to be filled in by a person: ").count() == open,
            "{text}"
        );
        assert!(!text.contains("<b>") && !text.contains("*x*"), "{text}");
    }
    let incident =
        json(&folder.ok(&["report", "document", run, "--kind", "incident", "--format", "json", "--sandbox"]));
    let of =
        |label: &str| fields(&incident).into_iter().find(|f| f["label"] == label).unwrap()["text"].clone();
    assert!(
        of("Detection Method").as_str().unwrap().starts_with("Monitoring: a drctl probe"),
        "{incident:#}"
    );
    assert_eq!(incident["title"], "Incident Record: INC-412");
    // Its start and end match the report.
    let began = report["clocks"]["detected"].as_str().unwrap();
    assert_eq!(of("Incident Start Time"), began);
    assert!(
        of("Resolution Time")
            .as_str()
            .unwrap()
            .ends_with(&format!("from {began} to {}", report["clocks"]["validated"].as_str().unwrap()))
    );
}

/// A form that lists what did not happen, or in another order, is worse than an empty one.
#[test]
fn actions_are_those_that_happened_in_their_order_and_statements_are_there() {
    let folder = Folder::with_plans();
    let to = ["failover", "truststream", "--sandbox", "region-dark", "--to", "us-east-1", "--yes"];
    let waived = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"];
    folder.run(&[&to[..], &waived].concat());
    let run = "sandbox-truststream-failover-s1-1";
    let state = crate::evidence::signatures::state_of(&folder, run);
    let steps = || state.runbook.steps.iter().zip(&state.steps).filter(|(step, _)| step.action.mutates());
    let noop = |at: &StepState| at.work.status == Status::Done(End::Noop);
    let nothing: Vec<_> = steps().filter(|(_, at)| noop(at)).map(|(s, _)| s.action.to_string()).collect();
    assert!(!nothing.is_empty(), "some steps had nothing to do");
    let ask = |run: &str, kind| {
        let args = ["report", "document", run, "--kind", kind, "--format", "json", "--sandbox"];
        json(&folder.ok(&args))
    };
    let incident = ask(run, "incident");
    let of =
        |label: &str| fields(&incident).into_iter().find(|f| f["label"] == label).unwrap()["text"].clone();
    let actions = of("Recovery Actions");
    let actions: Vec<_> = actions.as_str().unwrap().split("; ").collect();
    for action in &nothing {
        assert!(
            !actions.iter().any(|text| text.starts_with(&format!("{action} at "))),
            "{action}: {actions:#?}"
        );
    }
    let times: Vec<_> =
        actions.iter().filter_map(|text| text.rsplit_once(" at ")).map(|(_, at)| at).collect();
    assert!(times.len() > 2 && times.is_sorted(), "{actions:#?}");
    // Only a run that goes on can be acknowledged.
    let halts = [
        "failover",
        "truststream",
        "--sandbox=capacity-short",
        "--to",
        "us-east-1",
        "--yes",
        "--output",
        "json",
    ];
    let halted = json(&folder.run(&halts).1);
    let run = halted["run_id"].as_str().unwrap();
    folder.ok(&["runs", "ack", run, "--reason", "seen", "--sandbox"]);
    let after = ask(run, "post-incident");
    let mut said = fields(&after).into_iter().filter(|f| f["label"] == "Statement");
    assert!(said.any(|f| f["text"].as_str().unwrap().contains(" acknowledged the run: seen")), "{after:#}");
}
