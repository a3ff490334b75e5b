//! A complete failover against a server that speaks the AWS protocols, enforces the published limits and has realistic durations.
//!
//! `cargo bench --bench failover -- [small|medium|large]`. Promotion takes 5 s, a group 3 s, a service of ECS 3 s, INSYNC 3 s, each with
//! 20 % jitter, and every call 20 ms. The bound is the longest path of those durations, plus the unavoidable waits for the services' rate
//! limits: two calls for a fence (RDS: 300, 12 a second in a region), one for a promotion, one for a group (Auto Scaling: 100, 20 a second,
//! assumed), one for a service (ECS: 50, 5 a second), and for each zone a change and one observation (Route 53: 50, 10 a second). Goal:
//! within 1.1 times the bound, and no throttled answer.
//!
//! No name follows a routing control here: a run waits until name servers give the new answer, and the server has none. A test of the server
//! calls its routing controls.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, prints, and stops when something is wrong"
)]

#[path = "../tests/support/stub/main.rs"]
#[allow(dead_code, reason = "its own main is for running it alone")]
mod stub;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The sizes: zones, record sets in total, databases, groups. Each zone also has a service of ECS, and clients with a secret.
const SIZES: &[(&str, [usize; 4])] =
    &[("small", [2, 100, 10, 10]), ("medium", [10, 1_000, 100, 100]), ("large", [50, 10_000, 500, 500])];
const SERVE: &str = "--serve-stub";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some(SERVE) {
        return stub::serve(arguments);
    }
    let wanted = first.unwrap_or_else(|| "large".to_owned());
    let Some((name, size)) = SIZES.iter().find(|(name, _)| *name == wanted) else {
        println!("one of small, medium, large");
        return ExitCode::from(2);
    };
    run(name, *size);
    ExitCode::SUCCESS
}

/// The stub as a separate process, so that its work does not count as drctl's.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start([zones, records, databases, groups]: [usize; 4]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([SERVE, "--port", "0", "--zones", &zones.to_string(), "--records", &records.to_string()])
            .args(["--databases", &databases.to_string(), "--groups", &groups.to_string()])
            .args(["--services", &zones.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { process, url: told["url"].as_str().unwrap().trim_end_matches('/').to_owned() }
    }

    fn ask(&self, path: &str) -> serde_json::Value {
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

/// The peak memory of a process, in MB, read while it is running.
fn peak_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1_024.0)
}

/// The processor time of a process in seconds. It is lost when the process ends; the last reading before that counts.
fn cpu_s(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

fn drctl(folder: &Path, server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("AWS_ENDPOINT_URL", &server.url)
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

fn run(name: &str, size: [usize; 4]) {
    let server = Server::start(size);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/bench.yaml"), stub::plan::plan(size)).unwrap();
    // The server enforces the published limits of every service, which are drctl's defaults.
    let settings = "guard: {url: \"s3://bench-guard/prod\", region: us-east-2}\n";
    std::fs::write(folder.path().join("drctl.yaml"), settings).unwrap();
    let arguments = [
        "failover",
        "bench",
        "--to",
        "us-east-1",
        "--yes",
        "--outage-began",
        "2026-01-01T00:00:00Z",
        "--output",
        "json",
    ];
    let report = std::fs::File::create(folder.path().join("report.json")).unwrap();
    let began = Instant::now();
    let mut process =
        drctl(folder.path(), &server, &arguments).stdout(report).stderr(Stdio::null()).spawn().unwrap();
    let (mut peak, mut cpu) = (0.0, 0.0);
    let status = loop {
        peak = peak_mb(process.id()).unwrap_or(peak);
        cpu = cpu_s(process.id()).unwrap_or(cpu);
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let whole = began.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["outcome"], "recovered", "{status}: {}", &text[..text.len().min(3_000)]);
    tell(name, size, &server, &report, [whole, cpu, peak]);
    let journal = std::fs::metadata(folder.path().join(".drctl/drctl.db")).unwrap().len();
    println!("  journal {:.1} MB", journal as f64 / 1e6);
}

fn tell(
    name: &str,
    size: [usize; 4],
    server: &Server,
    report: &serde_json::Value,
    [whole, cpu, peak]: [f64; 3],
) {
    let stats = server.ask("/_stub/stats");
    let longest = |what: &str| stats["durations_ms"][what]["longest"].as_f64().unwrap_or(0.0) / 1_000.0;
    let at = |key: &str| report[key].as_str().and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok());
    let ran = (at("ended_at").unwrap() - at("started_at").unwrap()).num_milliseconds() as f64 / 1_000.0;
    // A fence is a change of groups and a restart, a second each on the stub; then promotion, then DNS.
    let wait = |calls: usize, burst: f64, per_second: f64| (calls as f64 - burst).max(0.0) / per_second;
    let [zones, _, databases, groups] = size;
    // Fences are calls in the region that is left, promotions in the other one: the last promotion follows the last fence.
    let rds = wait(2 * databases, 300.0, 12.0).max(wait(databases, 300.0, 12.0));
    let moved = (2.0 + rds + longest("promotion"))
        .max(wait(groups, 100.0, 20.0) + longest("group"))
        .max(wait(zones, 50.0, 5.0) + longest("service"));
    let dns = wait(2 * zones, 50.0, 10.0);
    let bound = moved + dns + longest("insync");
    println!("{name}: {zones} zones, {} record sets, {databases} databases, {groups} groups", size[1]);
    println!("  {zones} services of ECS, {zones} client secrets");
    println!("  run {ran:.2} s, command {whole:.2} s (reading, looking and planning included)");
    println!(
        "  bound {bound:.2} s (RDS' bucket {rds:.2} s, Route 53's {dns:.2} s): {:.2} times",
        ran / bound
    );
    println!("  throttled {}, refused {}, calls {}", stats["throttled"], stats["refused"], stats["calls"]);
    println!(
        "  peak memory {peak:.0} MB, processor {cpu:.2} s, steps {}",
        report["steps"].as_array().map_or(0, Vec::len)
    );
}
