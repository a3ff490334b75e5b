//! Calls that an environment variable or an SDK profile redirects to another service: what a run then proves.

use serde_json::Value;

use super::{Estate, FAILOVER, keeps_its_secrets};
use crate::cli::contract::json;

/// The estate as if it were production, without the declaration of a test.
fn undeclared() -> Estate {
    let estate = Estate::new();
    let path = estate.path().join("drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("environment: test\n", "")).unwrap();
    estate
}

/// The result of a failover, with its exit code, and the compliance report about it.
fn failover(estate: &Estate, command: impl Fn(&[&str]) -> std::process::Command) -> (i32, Value, Value) {
    let run = |args: &[&str]| {
        let output = command(args).output().unwrap();
        keeps_its_secrets(&estate.path(), &output);
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, out) = run(&[FAILOVER, &["--output", "json"]].concat());
    let report = json(&out);
    let (_, shown) = run(&["report", "run", report["run_id"].as_str().unwrap()]);
    assert!(
        shown.contains("this run proves nothing") && shown.contains("do not belong to the provider"),
        "{shown}"
    );
    let (_, compliance) = run(&["report", "compliance", "--format", "json"]);
    (code, report, json(&compliance))
}

fn proves_nothing((code, report, compliance): (i32, Value, Value)) {
    assert_eq!((code, &report["outcome"]), (5, &"recovered".into()), "{report:#}");
    assert!(report["rpo"]["achieved_s"].is_number() && report["rpo"]["met"] == false, "{report:#}");
    let foreign = report["terms"]["foreign_endpoints"].as_array().unwrap();
    let named = |service: &str| foreign.iter().any(|e| e["service"] == service && e["from"] == "sdk");
    assert!(["rds", "autoscaling", "route53", "s3", "sts"].into_iter().all(named), "{report:#}");
    let line = &compliance["runs"][0];
    assert_ne!(line["rpo"]["verdict"], "met", "{line:#}");
    assert!(line["counts_for_nothing"].as_str().unwrap().contains("rds at http://127.0.0.1:"), "{line:#}");
    assert_eq!(compliance["applications"][0]["status"], "needs_verification", "{compliance:#}");
}

#[test]
fn an_endpoint_of_the_environment_proves_no_objective() {
    let estate = undeclared();
    proves_nothing(failover(&estate, |args| estate.command(args)));
}

#[test]
fn an_endpoint_of_a_profile_proves_no_objective() {
    let estate = undeclared();
    let profile = estate.path().join("profile");
    std::fs::write(&profile, format!("[default]\nendpoint_url = {}\n", estate.proxy.url())).unwrap();
    proves_nothing(failover(&estate, |args| {
        let mut command = estate.command(args);
        command.env_remove("AWS_ENDPOINT_URL").env("AWS_CONFIG_FILE", &profile);
        command
    }));
}
