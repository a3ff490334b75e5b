//! `plan show --as-commands`: a valid shell script, in which everything that is not a command is a comment.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cli::contract::Folder;

/// Every plan of the tests, so that every kind of call is in a script.
fn folder() -> Folder {
    let folder = Folder::with_plans();
    let plans = [
        ("everything", include_str!("../../fixtures/everything.yaml").to_owned()),
        ("globals", crate::kinds::clusters::PLAN.replacen("plan: shop", "plan: globals", 1)),
        ("clients", crate::kinds::clients::text().replacen("plan: shop", "plan: clients", 1)),
    ];
    for (name, text) in plans {
        std::fs::write(folder.path().join(format!("plans/{name}.yaml")), text).unwrap();
    }
    folder
}

/// The shell's syntax check of a script.
pub fn syntax(script: &str) -> Result<(), String> {
    shell("bash -n", script)
}

/// Runs a script with stubs for every allowed program, which read their input and do nothing; any other program is not found. A stub that
/// left its input unread would sometimes end the `printf` before it by SIGPIPE.
fn run(script: &str) -> Result<(), String> {
    let variables = "CHANGE_ID= ETAG= TOKEN= SERVER= KEY= READ_VERSION=".replace('=', "=x");
    let stubs = "set -euo pipefail; PATH=/nonexistent
        for p in aws psql dig lead restart; do eval \"$p() { while read -r _; do :; done; }\"; done";
    let hosts = script.split("${").skip(1).filter_map(|rest| rest.split_once(":?")).map(|(name, _)| name);
    let named: String = hosts.map(|name| format!("{name}=x; ")).collect();
    shell("bash", &format!("{stubs}; export {variables}; {named}\n{script}"))
}

/// Runs a line of shell with a script in a file and no input.
fn shell(line: &str, script: &str) -> Result<(), String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(script.as_bytes()).unwrap();
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    let out = command.args(words).arg(file.path()).stdin(Stdio::null()).output().unwrap();
    match out.status.success() {
        true => Ok(()),
        false => Err(format!("{}\n{}", out.status, String::from_utf8_lossy(&out.stderr))),
    }
}

/// The lines of a script that are neither empty nor comments.
fn commands(script: &str) -> Vec<&str> {
    script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn a_paper_runbook_is_a_script_of_commands_and_comments() {
    let folder = folder();
    let (mut shown, mut first) = (0, std::collections::BTreeSet::new());
    for (plan, here, there) in [
        ("truststream", "us-west-2", "us-east-1"),
        ("everything", "west", "east"),
        ("globals", "west", "east"),
        ("clients", "west", "east"),
    ] {
        for (intent, scenario, to) in [
            ("failover", "region-lost", there),
            ("failover", "region-dies", there),
            ("failover", "calm", there),
            ("switchover", "calm", there),
            ("failback", "after-failover", here),
            ("reprotect", "after-failover", here),
        ] {
            let sandbox = format!("--sandbox={scenario}");
            let args = ["plan", "show", plan, "--intent", intent, "--to", to, "--as-commands", &sandbox];
            let (code, script, err) = folder.run(&args);
            let context = format!("{plan} {intent} {scenario}");
            assert!(code == 0 || code == 3, "{context}: {code} {err}");
            if code == 3 {
                continue;
            }
            shown += 1;
            syntax(&script).unwrap_or_else(|e| panic!("{context}: {e}\n{script}"));
            run(&script).unwrap_or_else(|e| panic!("{context}: {e}\n{script}"));
            for line in commands(&script) {
                first.insert(line.split(' ').next().unwrap().to_owned());
                let command = line.split("   # ").next().unwrap();
                assert!(!command.contains('<'), "{context}: what is to be filled in stops the shell: {line}");
            }
        }
    }
    assert!(shown > 12, "{shown}");
    // Programs that people have, and those that plans name.
    let known = ["aws", "dig", "lead", "printf", "psql", "restart", "true"];
    let other: Vec<_> = first.iter().filter(|word| !known.contains(&word.as_str())).collect();
    assert!(other.is_empty() && first.len() > 4, "{other:?} {first:?}");
}

/// Proves that the checks detect what they should.
#[test]
fn a_line_that_is_no_command_does_not_run() {
    assert!(syntax("aws route53 get-change --id <id from the answer>   # until INSYNC").is_err());
    assert!(run("on its host: pg_ctl stop").is_err());
    assert!(run("aws rds describe-db-instances").is_ok());
}
