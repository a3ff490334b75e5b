//! What is recorded of people who answer: the command and the operator of a change, and the gate that an approval is for.

use crate::cli::contract::json;
use crate::evidence::signatures::{as_operator, folder, waiting};

/// The ledger and the auditor's report say which command noticed that drctl.yaml changed, and whose key it had.
#[test]
fn a_change_of_the_settings_names_the_command_and_the_operator() {
    let folder = folder();
    let run = waiting(&folder);
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + "# changed\n").unwrap();
    as_operator(&folder, "bob.key", &["runs", "resume", &run, "--sandbox"]);
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let changes = report["ledger"]["configurations"].as_array().unwrap();
    let told: Vec<_> = changes.iter().map(|of| (of["command"].as_str(), of["operator"].as_str())).collect();
    assert_eq!(told, [(Some("failover"), Some("ann")), (Some("runs resume"), Some("bob"))], "{changes:#?}");
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(md.contains("## Changes of drctl.yaml") && md.contains("| drctl runs resume | bob<br>"), "{md}");
}

/// The card says `drctl approve RUN`, and a plan may have only a gate of its own.
#[test]
fn an_approval_without_a_step_is_for_the_one_that_waits() {
    let folder = folder();
    let run = waiting(&folder);
    let (code, out, err) = as_operator(&folder, "eve.key", &["approve", "--yes", &run, "--sandbox"]);
    assert_eq!(code, 0, "{out}{err}");
    let run = waiting(&folder);
    let refused = ["reject", &run, "--reason", "not yet", "--sandbox"];
    let (code, out, err) = as_operator(&folder, "bob.key", &refused);
    assert_eq!(code, 0, "{out}{err}");
}
