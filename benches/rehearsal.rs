//! The duration of a rehearsal with a thousand components: the binary itself, from its start to its end.
//!
//! `cargo bench --no-default-features --bench rehearsal`. Goals: under a second and under 200 MB.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, prints, and stops when something is wrong"
)]

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const APPLICATIONS: usize = 333;
const RUNS: usize = 5;

/// A database, a group and a name for each application, and one independent group: 1,000 components.
fn plan() -> String {
    let mut text =
        "plan: thousand\ntier: critical\nsites: {us-west-2: {}, us-east-1: {}}\nconnections: {dns: {}}\n\
        home: us-west-2\ncomponents:\n"
            .to_owned();
    let group = |text: &mut String, name: &str| {
        write!(
            text,
            "  {name}:\n    kind: aws.autoscaling\n    at:\n      us-west-2: {{group: {name}}}\n      \
             us-east-1: {{group: {name}-dr, capacity: 100%, capacity_floor: 2, proceed_at: 80%, timeout: 10m}}\n"
        )
        .unwrap();
    };
    for n in 0..APPLICATIONS {
        write!(
            text,
            "  db-{n}:\n    kind: aws.rds\n    fence: [security_group]\n    at:\n      us-west-2: {{id: db-{n}, fence_group: sg-0a}}\n      \
             us-east-1: {{id: db-{n}-dr, fence_group: sg-0b}}\n"
        )
        .unwrap();
        group(&mut text, &format!("nodes-{n}"));
        write!(
            text,
            "  www-{n}:\n    kind: aws.route53\n    via: dns\n    needs: [db-{n}, nodes-{n}]\n    zone: Z{n}\n    records:\n      \
             - {{name: www-{n}.example, type: A, ttl: 60s, at: {{us-west-2: [192.0.2.1], us-east-1: [198.51.100.1]}}}}\n"
        )
        .unwrap();
    }
    group(&mut text, "batch");
    text += "probes:\n  - {name: public, role: public, http: \"https://www-0.example/health\", expect: {status: 200}, every: 5s, timeout: 3s}\n\
        watch: {for: 30m}\n";
    text
}

/// The duration of one rehearsal, and its peak memory in MB.
fn rehearse(folder: &std::path::Path) -> (Duration, u64) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_drctl"))
        .args(["failover", "--sandbox", "--to", "us-east-1", "--yes", "--output", "json"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    let mut peak_kb = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak_kb = peak.unwrap_or(0).max(peak_kb);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = began.elapsed();
    let report = reader.join().unwrap();
    assert!(report.contains("\"outcome\": \"recovered\""), "exit {ended}: {report:.600}");
    (took, peak_kb / 1_024)
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/thousand.yaml"), plan()).unwrap();
    std::fs::write(
        folder.path().join("drctl.yaml"),
        "tiers:\n  critical: {rto: 30m, rpo: 5m, drill_every: 90d}\nguard: {url: \"s3://guard/bench\", region: us-east-2}\n",
    )
    .unwrap();
    let mut runs: Vec<_> = (0..RUNS)
        .map(|_| {
            // Each in a store of its own, so that no earlier rehearsal is read.
            let _ = std::fs::remove_dir_all(folder.path().join(".drctl"));
            rehearse(folder.path())
        })
        .collect();
    runs.sort();
    let (took, memory) = (runs[RUNS / 2].0, runs.iter().map(|r| r.1).max().unwrap_or(0));
    let met = took < Duration::from_secs(1) && memory < 200;
    println!("1,000 components, {RUNS} runs: {:.2} s, at most {memory} MB", took.as_secs_f64());
    println!("  goal 1 s and 200 MB: {}", if met { "met" } else { "MISSED" });
}
