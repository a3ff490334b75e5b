//! The binary against LocalStack, over the AWS SDK, with a proxy between them that can simulate network faults.
//!
//! `tests/run` starts LocalStack and names it in `DRCTL_TEST_LOCALSTACK`; a plain `cargo test` starts its own, and stops it afterwards.
//! Each test has its own accounts.

#[cfg(feature = "postgres")]
mod alarms;
mod aurora;
mod buckets;
#[cfg(feature = "postgres")]
mod client;
mod clients;
mod clock;
mod controls;
mod dark;
#[cfg(feature = "postgres")]
mod drills;
mod ecs;
mod endpoints;
mod faults;
#[cfg(feature = "postgres")]
mod fences;
mod fleet;
mod group_rules;
mod hooks;
mod independence;
#[cfg(feature = "postgres")]
mod killed_servers;
mod kills;
mod leaks;
#[cfg(feature = "postgres")]
mod lossy;
mod managed_restore;
#[cfg(feature = "postgres")]
mod objects;
mod operators;
#[cfg(feature = "postgres")]
mod own_late;
#[cfg(feature = "postgres")]
mod own_servers;
#[cfg(feature = "postgres")]
mod postgres;
mod ready;
mod restarts;
#[cfg(feature = "postgres")]
mod restored;
#[cfg(feature = "postgres")]
mod returns;
#[cfg(feature = "postgres")]
mod rungs;
mod serve;
#[cfg(feature = "gcp")]
mod sinks;
#[cfg(feature = "postgres")]
mod sql;
#[cfg(feature = "postgres")]
mod timings;
#[cfg(feature = "postgres")]
mod tls;
mod unread;
#[cfg(feature = "postgres")]
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::servers::{Call, Proxy};

/// The number of estates seeded at once: starting Python and loading its service models takes longer than seeding one.
const BATCH: usize = 4;

/// A secret in the environment that drctl signs AWS calls with.
const IN_THE_ENVIRONMENT: &str = "planted-in-the-environment";

/// The secrets of these tests, which drctl must not reveal.
const SECRETS: [&str; 5] =
    ["-of-world-", "not-a-secret-here", "it's \\ a secret", "it's \\\\ a secret", IN_THE_ENVIRONMENT];

/// Runs drctl in a folder. Returns its exit code, document and messages.
#[cfg(feature = "postgres")]
fn drctl(folder: &Path, args: &[&str]) -> (i32, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
    finished(folder, command.args(args).args(["--output", "json"]).current_dir(folder))
}

/// Checks that no output and no stored file contains a secret: journals, evidence, reports.
fn keeps_its_secrets(folder: &Path, output: &std::process::Output) {
    let told = |of: &str, bytes: &[u8]| {
        let found = crate::secrets::encodings::found(bytes, &SECRETS);
        assert!(found.is_none(), "{found:?} is in {of}");
    };
    told("stdout", &output.stdout);
    told("stderr", &output.stderr);
    let mut folders = vec![folder.join(".drctl"), folder.join("plans/.drctl")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                // Another process may just have removed its own file.
                false => told(
                    &entry.path().display().to_string(),
                    &std::fs::read(entry.path()).unwrap_or_default(),
                ),
            }
        }
    }
}

/// The same for any command.
#[cfg(feature = "postgres")]
fn finished(folder: &Path, command: &mut Command) -> (i32, Value, String) {
    let output = command.output().unwrap();
    keeps_its_secrets(folder, &output);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap_or(-1), value, words)
}

/// LocalStack as started by `tests/run`, or else one of this process.
pub fn localstack() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let url = std::env::var("DRCTL_TEST_LOCALSTACK").unwrap_or_else(|_| start_localstack());
        // Fast enough for a test, slow enough that every intermediate state can be observed.
        let settings = r#"{"promote_lag_before_modifying_ms": 200, "promote_modifying_ms": 600, "sg_apply_ms": 200,
            "db_reboot_ms": 1500, "insync_ms": 300, "instance_ready_ms": 40}"#;
        control(&url, "settings", settings);
        url
    })
}

/// The folder for LocalStack's files, which also has the Python environment for `seed`.
fn state_folder() -> PathBuf {
    let named = std::env::var("DRCTL_LOCALSTACK_DIR").map(PathBuf::from);
    named.unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join(".localstack"))
}

fn start_localstack() -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("localstack");
    let port = crate::support::ports::free();
    let up = Command::new(scripts.join("up"))
        .arg(state_folder())
        .env("DRCTL_LOCALSTACK_PORT", port.to_string())
        .output()
        .unwrap();
    assert!(up.status.success(), "localstack/up: {}", String::from_utf8_lossy(&up.stderr));
    // A test binary has no exit hook: this script waits for its end and then stops what was started here.
    #[expect(clippy::zombie_processes, reason = "it outlives this process, and is meant to")]
    Command::new("sh")
        .args(["-c", "while kill -0 $0 2>/dev/null; do sleep 1; done; exec \"$1\" \"$2\""])
        .arg(std::process::id().to_string())
        .arg(scripts.join("down"))
        .arg(state_folder())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    String::from_utf8_lossy(&up.stdout).lines().last().unwrap_or_default().trim().to_owned()
}

/// Calls LocalStack's control interface.
pub fn control(url: &str, path: &str, body: &str) -> Value {
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--max-time", "60"])
        .args(if body.is_empty() { vec![] } else { vec!["-d", body] })
        .arg(format!("{url}/_drctl/{path}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn seeded() -> Value {
    static POOL: Mutex<(u64, Vec<Value>)> = Mutex::new((0, Vec::new()));
    let mut pool = POOL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if pool.1.is_empty() {
        if pool.0 == 0 {
            // Accounts that no earlier test run on the same server has used.
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            pool.0 = 100_000_000_000 + (seconds % 80_000_000) * 10_000;
        }
        let (west, dns) = (pool.0, pool.0 + 1);
        pool.0 += 2 * BATCH as u64;
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("localstack/seed"))
            .args(["--endpoint", localstack(), "--accounts", &format!("{west},{west},{dns}")])
            .args(["--copies", &BATCH.to_string()])
            .env("DRCTL_LOCALSTACK_DIR", state_folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "seed: {}", String::from_utf8_lossy(&output.stderr));
        pool.1 = serde_json::from_slice(&output.stdout).unwrap();
    }
    pool.1.pop().unwrap()
}

/// A two-region estate in its own accounts, a proxy in front of it, and a folder to run in.
pub struct Estate {
    pub seed: Value,
    pub proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Estate {
    pub fn new() -> Self {
        let address: SocketAddr = localstack().trim_start_matches("http://").parse().unwrap();
        let estate =
            Self { seed: seeded(), proxy: Proxy::start(address), folder: tempfile::tempdir().unwrap() };
        estate.write_plan("", "5s");
        estate
    }

    pub fn account(&self) -> &str {
        self.seed["accounts"]["west"].as_str().unwrap()
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Writes the plan of the estate. `more` is appended, for example probes.
    pub fn write_plan(&self, more: &str, watch: &str) {
        let s = |path: &str| self.seed.pointer(path).and_then(Value::as_str).unwrap().to_owned();
        let (account, dns) = (s("/accounts/west"), s("/accounts/dns"));
        let (west, east, zone) = (s("/west/fence_group"), s("/east/fence_group"), s("/dns/zone_id"));
        let plan = format!(
            r#"plan: truststream
tier: critical
sites:
  us-west-2: {{account: "{account}", role: drctl-west}}
  us-east-1: {{account: "{account}", role: drctl-east}}
connections:
  dns: {{account: "{dns}", role: drctl-dns, external_id: ts}}
home: us-west-2
components:
  db:
    kind: aws.rds
    fence: [security_group]
    at:
      us-west-2: {{id: truststream-db, fence_group: {west}}}
      us-east-1: {{id: truststream-replica-1, fence_group: {east}}}
  nodes:
    kind: aws.autoscaling
    at:
      us-west-2: {{group: truststream-nodes}}
      us-east-1: {{group: truststream-nodes-dr, capacity: 100%, capacity_floor: 4, proceed_at: 80%, timeout: 10m}}
  www:
    kind: aws.route53
    via: dns
    needs: [db, nodes]
    zone: {zone}
    records:
      - {{name: www.truststream.example, type: A, ttl: 60s, at: {{us-west-2: [192.0.2.10], us-east-1: [198.51.100.10]}}}}
      - name: api.truststream.example
        type: A
        policy: weighted
        ttl: 30s
        at:
          us-west-2: {{set: west, values: [192.0.2.20], weight: 100}}
          us-east-1: {{set: east, values: [198.51.100.20], weight: 0}}
watch: {{for: {watch}}}
{more}
"#
        );
        let settings = format!(
            "environment: test\nguard: {{url: \"s3://{}/prod\", region: us-east-1, account: \"{account}\", role: drctl-east}}\n",
            s("/guard/bucket")
        );
        std::fs::create_dir_all(self.path().join("plans")).unwrap();
        std::fs::write(self.path().join("plans/truststream.yaml"), plan).unwrap();
        std::fs::write(self.path().join("drctl.yaml"), settings).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("AWS_ENDPOINT_URL", self.proxy.url())
            .env("AWS_ACCESS_KEY_ID", self.account())
            .env("AWS_SECRET_ACCESS_KEY", IN_THE_ENVIRONMENT)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().unwrap();
        keeps_its_secrets(&self.path(), &output);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    pub fn json(&self, args: &[&str]) -> (i32, Value) {
        let (code, out, err) = self.run(&[args, &["--output", "json"]].concat());
        let value = serde_json::from_str(&out);
        (code, value.unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}\n{err}")))
    }

    /// Starts a process whose output goes to a file in the folder.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("words.log"))
            .unwrap();
        self.command(args).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    pub fn words(&self) -> String {
        std::fs::read_to_string(self.path().join("words.log")).unwrap_or_default()
    }

    /// The events of the only run, for the message of a failing test.
    fn story(&self) -> String {
        let run = self.only_run().unwrap_or_default();
        self.run(&["runs", "replay", &run]).1
    }

    /// The only run, if one was created.
    pub fn only_run(&self) -> Option<String> {
        let (_, runs) = self.json(&["runs", "list"]);
        let runs = runs["runs"].as_array().cloned().unwrap_or_default();
        assert!(runs.len() <= 1, "{runs:?}");
        runs.first().map(|r| r["run_id"].as_str().unwrap().to_owned())
    }

    /// How often LocalStack performed an operation for the estate's accounts, for any caller.
    pub fn carried_out(&self, operation: &str) -> u64 {
        let calls = control(localstack(), "calls", "");
        let mut sum = 0;
        for account in [self.account(), self.seed["accounts"]["dns"].as_str().unwrap()] {
            sum += count(&calls, account, operation);
        }
        sum
    }

    /// Checks that everything is as after a finished failover, and that nothing was done twice.
    pub fn assert_recovered_once(&self) {
        // On a busy machine an observation may fail.
        let mut looks = (0..5).map(|_| self.json(&["observe"]).1);
        let whole = |seen: &Value| {
            let entries = seen["estate"]["entries"].as_object();
            entries.is_some_and(|all| all.values().all(|e| e["now"]["seen"] != "unobservable"))
        };
        let first = looks.next().unwrap();
        let seen = if whole(&first) { first } else { looks.find(whole).unwrap_or(first) };
        let entry = |key: &str| {
            let entries = seen["estate"]["entries"].as_object().unwrap();
            entries.get(key).unwrap_or_else(|| panic!("{key}: {seen:#}"))["now"]["state"].clone()
        };
        let db = entry("database/us-east-1/truststream-replica-1");
        assert!(
            db["role"] == "writer" && db["status"] == "available",
            "{db}: {}",
            seen["estate"]["entries"]["database/us-east-1/truststream-replica-1"]
        );
        let old = entry("database/us-west-2/truststream-db");
        assert_eq!(old["security_groups"], serde_json::json!([self.seed["west"]["fence_group"]]));
        let nodes = entry("group/us-east-1/truststream-nodes-dr");
        assert_eq!(nodes["size"], serde_json::json!({"min": 4, "desired": 4, "max": 8}));
        let zone = self.seed["dns"]["zone_id"].as_str().unwrap();
        let sets = entry(&format!("records/dns/{zone}/www"))["sets"].to_string();
        assert!(sets.contains("198.51.100.10") && !sets.contains("192.0.2.10"), "{sets}");
        for guard in ["db", "nodes", "www"] {
            let holder = entry(&format!("guard/{guard}"))["holder"].clone();
            assert!(holder.is_null(), "{guard} is still held\n{}", self.story());
        }
        for (operation, times) in [
            ("PromoteReadReplica", 1),
            ("ModifyDBInstance", 1),
            ("ChangeResourceRecordSets", 2), // the seed's own and one more
        ] {
            assert_eq!(self.carried_out(operation), times, "{operation}\n{}", self.words());
        }
        // A call whose answer was lost is repeated, because its event cannot be distinguished from somebody else's restart.
        assert!(self.carried_out("RebootDBInstance") >= 1, "{}", self.words());
        let (code, _, err) = self.run(&["audit", "verify"]);
        assert_eq!(code, 0, "{err}");
    }
}

/// Calls of an operation that took effect.
fn count(calls: &Value, account: &str, operation: &str) -> u64 {
    let rows = calls["calls"].as_array().or_else(|| calls.as_array()).cloned().unwrap_or_default();
    let of = |r: &&Value| r["account"] == account && r["operation"] == operation;
    rows.iter().filter(of).map(|r| r["calls"].as_u64().unwrap() - r["failed"].as_u64().unwrap()).sum()
}

/// Waits for a condition, up to two and a half minutes.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    for _ in 0..1_500 {
        if there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it did not come: {what}");
}

/// Mutating calls.
pub fn mutating(calls: &[Call]) -> Vec<&Call> {
    calls.iter().filter(|c| c.mutates).collect()
}

pub const FAILOVER: &[&str] =
    &["failover", "--to", "us-east-1", "--yes", "--outage-began", "2026-01-01T00:00:00Z"];

#[test]
fn a_failover_recovers_and_a_second_one_is_refused_without_a_probe() {
    let estate = Estate::new();
    let (code, report) = estate.json(FAILOVER);
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    // There are no external probes, so the RTO is not proven; everything else is.
    assert_eq!(code, 5, "{report:#}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert_eq!(report["rpo"]["basis"], "upper_bound", "{report:#}");
    let calls = estate.proxy.take_calls();
    let mut operations: Vec<_> = mutating(&calls).iter().map(|c| c.operation.clone()).collect();
    operations.sort();
    let expected = [
        "ChangeResourceRecordSets",
        "DeleteObject",
        "DeleteObject",
        "DeleteObject",
        "ModifyDBInstance",
        "PromoteReadReplica",
        "PutObject",
        "PutObject",
        "PutObject",
        "RebootDBInstance",
        "UpdateAutoScalingGroup",
    ];
    assert_eq!(operations, expected, "the exact calls and no other");
    estate.assert_recovered_once();
    let named = [&["failover", "truststream"], &FAILOVER[1..]].concat();
    let (code, again) = estate.json(&named);
    assert!(code == 3 && again["refusals"][0]["rule"] == "target-down", "{again:#}");
    assert!(mutating(&estate.proxy.take_calls()).is_empty());
}
