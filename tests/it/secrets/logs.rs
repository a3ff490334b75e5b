//! Logs go to stderr, only on request, and never contain a secret.

use serde_json::Value;

use crate::cli::contract::{Folder, finish, json};

const RUN: [&str; 7] = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "region-lost"];

#[test]
fn what_is_done_is_logged_for_those_who_ask() {
    let folder = Folder::with_plans();
    let quiet = folder.run(&[&RUN[..], &["--output", "json"]].concat());
    assert!(quiet.0 == 0 && !quiet.2.contains("journalled"), "{}", quiet.2);
    let (code, out, err) = folder.run(&[&RUN[..], &["--output", "json", "-v", "--seed", "2"]].concat());
    assert_eq!((code, &json(&out)["outcome"]), (0, &"recovered".into()), "the document is alone on stdout");
    let line = err.lines().find(|l| l.contains("journalled step_finished") && l.contains("step=promote.db"));
    let line = line.unwrap_or_else(|| panic!("{err}"));
    assert!(line.contains(" INFO ") && line.contains("run{id=sandbox-truststream-failover-s2-"), "{line}");
    assert!(!err.contains("DEBUG") && !err.contains("TRACE"), "{err}");
}

#[test]
fn logs_are_json_on_request_with_the_run_and_the_step_of_each_line() {
    let folder = Folder::with_plans();
    let (code, out, err) =
        folder.run(&[&RUN[..], &["--output", "json", "-vv", "--log-format", "json"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    let lines: Vec<Value> = err.lines().filter(|l| l.starts_with("{\"")).map(json).collect();
    assert!(lines.len() > 30, "{err}");
    for line in &lines {
        assert!(line["target"].as_str().unwrap().starts_with("drctl"), "{line}");
        assert!(line["at"].is_string() && line["message"].is_string(), "{line}");
    }
    let called =
        lines.iter().find(|l| l["message"] == "called" && l["spans"][1]["fields"]["id"] == "promote.db");
    let called = called.unwrap_or_else(|| panic!("{err}"));
    assert_eq!(
        (&called["level"], &called["spans"][0]["span"], &called["spans"][1]["span"]),
        (&"DEBUG".into(), &"run".into(), &"step".into())
    );
    assert_eq!(called["spans"][1]["fields"]["attempt"], "1");
}

#[test]
fn the_filter_of_the_environment_is_taken_or_refused() {
    let folder = Folder::with_plans();
    let with = |filter: &str| finish(folder.command(&RUN).env("RUST_LOG", filter).output().unwrap());
    let (code, _, err) = with("drctl=loud");
    assert!(code == 2 && err.contains("RUST_LOG=drctl=loud is not valid"), "{code} {err}");
    assert!(with("drctl::executor=debug").2.contains("DEBUG"));
    assert!(!with("drctl::cli=debug").2.contains("DEBUG"));
}

/// An adapter says what it asked, and how that ended.
#[cfg(feature = "postgres")]
#[test]
fn what_a_database_answers_is_logged() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::empty();
    let file = folder.path().join("login.json");
    std::fs::write(&file, r#"{"username": "drctl", "password": "not-a-password-7c1"}"#).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = |port: u16| {
        format!("{{endpoint: \"127.0.0.1:{port}/orders\", admin: {{secret: \"file:{}\"}}}}", file.display())
    };
    let (west, east) = (server(1), server(2));
    let plan = format!(
        "plan: orders\nobjectives: {{rto: 5m, rpo: 1m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at: {{west: {west}, east: {east}}}\n"
    );
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/orders.yaml"), plan).unwrap();
    std::fs::write(folder.path().join("plans/drctl.yaml"), "environment: test\nsql: {tls: \"off\"}\n")
        .unwrap();
    let (_, _, err) = finish(folder.command(&["observe", "-vv"]).output().unwrap());
    let line = err.lines().find(|l| l.contains("sql{") && l.contains("answered"));
    let line = line.unwrap_or_else(|| panic!("{err}"));
    assert!(line.contains("failure=error connecting to server"), "{line}");
    assert!(!err.contains("not-a-password-7c1"), "{err}");
}
