//! Secrets of the environment, of channels and of command output must not appear in anything that a real run prints or stores.

use std::process::Output;

use super::{Estate, FAILOVER, IN_THE_ENVIRONMENT, keeps_its_secrets};
use crate::secrets::encodings::found;
use crate::support::inboxes::Inbox;

const TOKEN: &str = "planted-session-token-51c0";
const HOOK: &str = "planted-hook\"secret\\9f6e";
const PATH: &str = "/planted-path-of-a-webhook-77";

/// Prints each secret as it is, in a login header, in digits, and truncated.
const TELLS: &str = r#"env
for secret in "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$HOOK_SECRET"; do
    for before in '' a ab; do printf '%s%s' "$before" "$secret" | base64 -w 0; echo; done
    printf '%s' "$secret" | od -An -v -tx1 | tr -d ' \n'; echo
    printf '%s' "$secret" | sed 's/["\\]/\\&/g'; echo
    printf '%s' "$secret" | cut -c 5-
done
exit $(cat code)
"#;

#[test]
fn nothing_that_is_told_of_a_run_repeats_a_secret() {
    let estate = Estate::new();
    let inbox = Inbox::new();
    // A command that prints all that it knows, in every way, and fails, so that its output is the reason of a stop.
    let hook = "hooks:\n  - {at: after.redirect, name: tells, step: {command: [/bin/sh, ./tells], idempotent: true, env: [AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, HOOK_SECRET, HOOK_URL]}}\n";
    estate.write_plan(hook, "1s");
    std::fs::write(estate.path().join("code"), "3").unwrap();
    std::fs::write(estate.path().join("tells"), TELLS).unwrap();
    let settings = estate.path().join("drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let notify =
        "notify: {channels: {hooks: {webhook: {url: \"env:HOOK_URL\", secret: \"env:HOOK_SECRET\"}}}}\n";
    std::fs::write(&settings, text + notify).unwrap();
    let planted = [IN_THE_ENVIRONMENT, TOKEN, HOOK, PATH];
    let run = |args: &[&str]| -> (i32, String) {
        let mut command = estate.command(args);
        command.env("AWS_SESSION_TOKEN", TOKEN).env("HOOK_URL", inbox.url(PATH)).env("HOOK_SECRET", HOOK);
        // Logs are checked too.
        command.env("RUST_LOG", "debug");
        let output: Output = command.output().unwrap();
        keeps_its_secrets(&estate.path(), &output);
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        let found = found(said.as_bytes(), &planted);
        assert!(found.is_none(), "{found:?} in {args:?}: {said}");
        (output.status.code().unwrap(), said)
    };
    let (code, said) = run(FAILOVER);
    assert!(said.contains("DEBUG") && said.contains("aws_"), "the SDK's logs are among them: {said}");
    assert!(code == 1 && said.contains("AWS_SESSION_TOKEN=[a secret]"), "{code} {said}");
    assert!(
        said.contains("HOOK_SECRET=[a secret]") && said.contains("AWS_SECRET_ACCESS_KEY=[a secret]"),
        "{said}"
    );
    let id = estate.only_run().unwrap();
    run(&["evidence", "export", &id, "--out", "stopped.tar"]);
    std::fs::write(estate.path().join("code"), "0").unwrap();
    let (code, said) = run(&["runs", "resume", &id]);
    assert_eq!(code, 5, "{said}");
    let out = |args: &[&str]| {
        let (code, said) = run(args);
        assert!(code == 0 || code == 5, "{args:?}: {code} {said}");
    };
    for format in ["md", "json", "html"] {
        out(&["report", "run", &id, "--format", format]);
    }
    for kind in ["rollback", "incident", "post-incident"] {
        out(&["report", "document", &id, "--kind", kind]);
    }
    for format in ["md", "json", "html", "csv"] {
        out(&["report", "compliance", "--format", format]);
    }
    for args in [
        &["audit", "export"][..],
        &["audit", "export", "--format", "cef"],
        &["evidence", "export", &id, "--out", "whole.tar"],
        &["kit", "export", "--out", "kit.json"],
        &["notify", "show", &id],
        &["notify", "test"],
        &["runs", "show", &id],
        &["runs", "replay", &id],
        &["runs", "export", &id],
        &["duties"],
        &["status"],
        &["schema", "event"],
    ] {
        out(args);
    }
    nowhere(&estate, &inbox, &planted);
}

/// Checks written files and sent messages.
fn nowhere(estate: &Estate, inbox: &Inbox, planted: &[&str]) {
    let mut looked = 0;
    for entry in std::fs::read_dir(estate.path()).unwrap().flatten().filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        let found = found(&bytes, planted);
        assert!(found.is_none(), "{found:?} in {}", entry.path().display());
        looked += 1;
    }
    assert!(looked >= 5, "bundles and the go-bag among them: {looked}");
    let came = inbox.came();
    let kinds: Vec<String> =
        came.iter().map(|c| c.json()["notice"]["kind"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.contains(&"escalation".to_owned()) && kinds.contains(&"resolved".to_owned()), "{kinds:?}");
    for came in came {
        let found = found(came.body.as_bytes(), planted);
        assert!(found.is_none(), "{found:?} in {}", came.body);
    }
}
