//! The settings for evidence sinks in drctl.yaml; `live::sinks` tests the buckets themselves.

use crate::cli::contract::{Folder, json};

/// A folder with these settings for evidence.
fn keeping(evidence: &str) -> Folder {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\nevidence: {evidence}\n")).unwrap();
    folder
}

const SINKS: &str = "sinks: {recovery: {url: \"s3://acme/drctl\", region: us-east-1}}";

#[test]
fn how_long_evidence_is_kept_is_said_and_is_as_long_as_its_profile_asks() {
    for (evidence, words) in [
        (format!("{{{SINKS}}}"), "no `retain`"),
        (format!("{{retain: {{}}, {SINKS}}}"), "evidence.retain is empty"),
        (format!("{{retain: {{hipaa: 365d}}, {SINKS}}}"), "hipaa is 365d, but must be from 2192d"),
        (format!("{{retain: {{own: 2192d, pci: 364d}}, {SINKS}}}"), "pci is 364d, but must be from 365d"),
        (format!("{{retain: {{own: 1h}}, {SINKS}}}"), "own is 1h, but must be from 1d"),
        (
            format!("{{retain: {{own: 40000d}}, {SINKS}}}"),
            "`40000d` is too long; the longest duration is 100 years (36500d)",
        ),
        (format!("{{retain: {{hippa: 2192d}}, {SINKS}}}"), "hipaa"),
        ("{retain: {own: 400d}, sinks: {}}".to_owned(), "evidence.sinks is empty"),
        ("{retain: {own: 400d}}".to_owned(), "no `sinks`"),
        (
            "{retain: {own: 400d}, sinks: {a: {url: \"ftp://x/y\", region: r}}}".to_owned(),
            "unknown scheme `ftp`",
        ),
        (
            "{retain: {own: 400d}, sinks: {a: {url: \"s3:///y\", region: r}}}".to_owned(),
            "a bucket and a plain prefix",
        ),
        ("{retain: {own: 400d}, sinks: {a: {url: \"s3://b/../y\", region: r}}}".to_owned(), "a plain prefix"),
        (
            "{retain: {own: 400d}, sinks: {a: {url: \"gs://x/y\", region: r, role: admin}}}".to_owned(),
            "are only for AWS",
        ),
    ] {
        let (code, out, err) = keeping(&evidence).run(&["check"]);
        assert!(code == 2 && format!("{out}{err}").contains(words), "{evidence}: {code}\n{out}{err}");
    }
    let whole = format!("{{retain: {{own: 400d, hipaa: 2192d, soc2: 365d}}, {SINKS}}}");
    keeping(&whole).ok(&["check"]);
}

#[test]
fn a_sink_in_the_region_that_is_lost_is_said_to_be() {
    let there = |region: &str| format!("{{url: \"s3://acme/{region}\", region: {region}}}");
    let (west, east) = (there("us-west-2"), there("us-east-1"));
    for (sinks, needs) in
        [(format!("{{a: {west}}}"), vec!["yes"]), (format!("{{a: {west}, b: {east}}}"), vec!["tried", "no"])]
    {
        let folder = keeping(&format!("{{retain: {{own: 400d}}, sinks: {sinks}}}"));
        let (_, out, _) =
            folder.run(&["doctor", "--assume-down", "us-west-2", "--sandbox", "--output", "json"]);
        let found = json(&out);
        let of_evidence = |f: &&serde_json::Value| f["kind"] == "evidence";
        let all: Vec<_> = found["findings"]
            .as_array()
            .or_else(|| found["plans"][0]["findings"].as_array())
            .unwrap()
            .iter()
            .filter(of_evidence)
            .map(|f| f["needs"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(all, needs, "{found:#}");
        let (_, checked, err) = folder.run(&["check"]);
        assert!(
            format!("{checked}{err}")
                .contains("the evidence sink is in us-west-2, the home of starter, truststream (a)"),
            "{checked}{err}"
        );
    }
}

#[test]
fn rehearsals_stay_here_and_nowhere_is_said_to_be_nowhere() {
    let folder = keeping(&format!("{{retain: {{own: 400d}}, {SINKS}}}"));
    let (code, _, err) =
        folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--reason", "x", "--sandbox"]);
    assert!(code == 0 && !err.contains("evidence:"), "{err}");
    let (code, _, err) = folder.run(&["evidence", "push", "--sandbox"]);
    assert!(code == 2 && err.contains("a rehearsal proves nothing about the real environment"), "{err}");
    let list = json(&folder.ok(&["evidence", "list", "--sandbox", "--output", "json"]));
    assert_eq!(list["bundles"][0]["not_at"], serde_json::json!([]), "{list:#}");
    // A store without any run has nothing to deliver.
    let said = folder.ok(&["evidence", "push"]);
    assert!(said.contains("every bundle is in all its sinks"), "{said}");
    let (code, _, err) = folder.run(&["evidence", "push", "20260101-nothing"]);
    assert!(code == 2 && err.contains("run 20260101-nothing has no bundle"), "{err}");
    let (code, _, err) = Folder::with_plans().run(&["evidence", "push"]);
    assert!(
        code == 2 && err.contains("does not configure evidence sinks") && err.contains("retain:"),
        "{err}"
    );
}
