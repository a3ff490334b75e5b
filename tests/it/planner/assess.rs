//! `drctl assess`: the table for an hour in which the situation is unclear.

use serde_json::Value;

use crate::cli::contract::Folder;

/// Lines in the form `about what: reads`.
fn table(folder: &Folder, scenario: &str) -> Vec<(String, String, String, String)> {
    let args = ["assess", "truststream", "--from", "us-west-2", "--sandbox", scenario, "--output", "json"];
    let document: Value = serde_json::from_str(&folder.ok(&args)).unwrap();
    let text = |l: &Value, key: &str| l[key].as_str().unwrap().to_owned();
    let lines = document["lines"].as_array().unwrap().iter();
    lines.map(|l| (text(l, "about"), text(l, "what"), text(l, "reads"), text(l, "detail"))).collect()
}

fn reads(of: &[(String, String, String, String)], about: &str, what: &str) -> String {
    let found = of.iter().find(|(a, w, ..)| a == about && w.contains(what));
    found.map(|(.., reads, _)| reads.clone()).unwrap_or_else(|| panic!("no {about} {what}: {of:#?}"))
}

#[test]
fn each_kind_of_outage_reads_as_what_it_is() {
    let folder = Folder::with_plans();
    for (scenario, users, control, data, replica) in [
        ("calm", "good", "good", "good", "good"),
        // A gray failure: users are affected, although everything in the source answers.
        ("region-slow", "bad", "good", "good", "good"),
        ("region-lost", "bad", "good", "bad", "bad"),
        ("region-dark", "bad", "bad", "bad", "bad"),
    ] {
        let lines = table(&folder, scenario);
        let read = |about: &str, what: &str| reads(&lines, about, what);
        assert_eq!(
            [
                read("users", "public"),
                read("source_control_plane", "rds"),
                read("source_data_plane", "sql"),
                read("replica", "db")
            ],
            [users, control, data, replica],
            "{scenario}: {lines:#?}"
        );
        assert_eq!(read("users", "direct@us-east-1"), "says", "a standby need not serve: {lines:#?}");
        assert_eq!(read("failover", "promote.db"), "says", "what it would do is told in any case");
    }
}

#[test]
fn what_it_would_cost_and_what_stands_against_it_is_told() {
    let folder = Folder::with_plans();
    let calm = table(&folder, "calm");
    let refused = |of: &[(String, String, String, String)]| -> Vec<String> {
        of.iter().filter(|(a, w, ..)| a == "refusal" && w != "none").map(|(_, w, ..)| w.clone()).collect()
    };
    assert_eq!(refused(&calm), ["healthy-source"]);
    let dark = table(&folder, "region-dark");
    assert_eq!(refused(&dark), ["unfenced-promotion:db"]);
    let (.., cost) = dark.iter().find(|(a, ..)| a == "loss").unwrap();
    assert!(cost.contains("up to 1m") && cost.contains("not fenced first"), "{cost}");
    let lagging = table(&folder, "replica-lagging");
    let (.., cost) = lagging.iter().find(|(a, ..)| a == "loss").unwrap();
    assert!(cost.contains("up to 8m"), "eight minutes behind, and the outage: {cost}");
}

#[test]
fn assessing_changes_nothing() {
    let folder = Folder::with_plans();
    let _ = table(&folder, "region-dark");
    assert!(folder.ok(&["runs", "list", "--sandbox"]).contains("no runs"), "a table is no run");
}

/// A person who reads the table and then fails over meets no other refusal and no other question.
#[test]
fn what_stands_against_it_is_what_a_failover_says() {
    let folder = Folder::with_plans();
    for scenario in [
        "calm",
        "region-slow",
        "region-lost",
        "region-dies",
        "region-dark",
        "capacity-short",
        "after-failover",
    ] {
        let said: Vec<String> = table(&folder, scenario)
            .into_iter()
            .filter(|(about, what, ..)| about == "refusal" && what != "none")
            .map(|(_, what, ..)| what)
            .collect();
        let args = [
            "failover",
            "truststream",
            "--from",
            "us-west-2",
            "--to",
            "us-east-1",
            "--dry-run",
            "--output",
            "json",
        ];
        let (code, out, err) = folder.run(&[&args[..], &["--sandbox", scenario]].concat());
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{scenario}: {out}{err}"));
        let refusals = document["refusals"].as_array().cloned().unwrap_or_default();
        let of = |r: &Value| match r["component"].as_str() {
            Some(component) => format!("{}:{component}", r["rule"].as_str().unwrap()),
            None => r["rule"].as_str().unwrap().to_owned(),
        };
        let refused: Vec<String> = refusals.iter().map(of).collect();
        assert_eq!(said, refused, "{scenario}: {document:#}");
        assert_eq!(code == 3, !refused.is_empty(), "{scenario}: {code}");
    }
}

/// Credentials that are rejected everywhere are one fact with one fix, which a failover waits for as well.
#[cfg(feature = "aws")]
#[test]
fn without_credentials_it_says_so_once() {
    let folder = Folder::with_plans();
    let file = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    // Do not wait half a minute for probes that do not matter here.
    let (head, rest) = text.split_once("probes:\n").unwrap();
    let watch = &rest[rest.find("watch:").unwrap()..];
    std::fs::write(&file, format!("{head}{watch}")).unwrap();
    let (code, table, err) = folder.run(&["assess", "truststream", "--from", "us-west-2"]);
    assert_eq!(code, 0, "{table}{err}");
    for once in [
        "renew the credentials (aws sso login, or new keys)",
        "no valid credentials: ",
        "waiting for credentials for us-east-1",
    ] {
        let lines: Vec<&str> = table.lines().filter(|line| line.contains(once)).collect();
        assert_eq!(lines.len(), 1, "{once}: {table}");
    }
    assert!(!table.contains("refusal") && !table.contains("target-down"), "{table}");
    let (code, _, err) =
        folder.run(&["failover", "truststream", "--from", "us-west-2", "--to", "us-east-1", "--dry-run"]);
    assert!(code == 4 && err.contains("waiting for credentials for us-east-1"), "{code} {err}");
    assert!(err.contains("renew the credentials (aws sso login, or new keys)"), "{err}");
}
