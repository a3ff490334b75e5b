//! Regions that are really lost: network namespaces with real servers, names and recording clients (`tests/world`).
//!
//! drctl runs in the east. Its reports are compared with what the clients saw and what the servers have.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use drctl::model::ids::Digest;
use serde_json::Value;

use super::client::Client;
use super::{control, localstack};

pub(super) struct World {
    folder: tempfile::TempDir,
    made: Value,
    pub(super) aws: Value,
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/world").join(name)
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, made: Value::Null, aws: Value::Null };
        world.run("up", &[&["--localstack", localstack()], more].concat());
        world.run("aws", &[]);
        world.made = world.json("world.json");
        world.aws = world.json("aws.json");
        std::fs::create_dir(world.path("plans")).unwrap();
        std::fs::write(world.path("plans/shop.yaml"), world.plan()).unwrap();
        let ca = std::fs::read(world.made["ca"].as_str().unwrap()).unwrap();
        let settings = format!(
            "environment: test\nsql: {{tls: \"off\"}}\nendpoints: {{certificates: \"sha256://{}\"}}\n",
            Digest::of_fields(&[&ca])
        );
        std::fs::write(world.path("drctl.yaml"), settings).unwrap();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn output(&self, name: &str, args: &[&str]) -> Output {
        Command::new(script(name)).arg(self.folder.path()).args(args).stdin(Stdio::null()).output().unwrap()
    }

    pub(super) fn run(&self, name: &str, args: &[&str]) -> String {
        let output = self.output(name, args);
        assert!(output.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn of(&self, region: &str, key: &str) -> String {
        self.made["regions"][region][key].as_str().unwrap().to_owned()
    }

    /// Self-managed servers behind names of Route 53.
    fn plan(&self) -> String {
        let secret = |who: &str| self.made["logins"][who].as_str().unwrap().to_owned();
        let at = |region: &str| {
            format!(
                "{{endpoint: \"{}\", admin: {{secret: \"file:{}\"}}, host: {{run: [{}, {}, {region}], data: {}, replication: {{secret: \"file:{}\"}}}}}}",
                self.of(region, "endpoint"),
                secret("drctl"),
                script("host").display(),
                self.folder.path().display(),
                self.of(region, "data"),
                secret("repl"),
            )
        };
        let database = format!(
            "    kind: postgres\n    fence: [sql]\n    harmless: {{roles: [postgres]}}\n    reconcile: [ledger]\n    at:\n      west: {}\n      east: {}\n",
            at("west"),
            at("east")
        );
        self.plan_of(&database, ["cloud: none, region: us-west-2", "cloud: none, region: us-east-1"])
    }

    /// The same servers as RDS instances, with these fence methods.
    pub(super) fn managed(&self, fence: &str) -> String {
        let at = |region: &str| {
            let of = |key: &str| self.aws["sites"][region][key].as_str().unwrap();
            let login = self.made["logins"]["drctl"].as_str().unwrap();
            let (id, group) = (of("instance"), of("fence_group"));
            format!("{{id: {id}, fence_group: {group}, admin: {{secret: \"file:{login}\"}}}}")
        };
        let database = format!(
            "    kind: aws.rds\n    fence: [{fence}]\n    harmless: {{roles: [postgres]}}\n    at:\n      west: {}\n      east: {}\n",
            at("west"),
            at("east")
        );
        let account = self.aws["account"].as_str().unwrap();
        let site = |region: &str| format!("region: {region}, account: \"{account}\"");
        self.plan_of(&database, [&site("us-west-2"), &site("us-east-1")])
    }

    fn plan_of(&self, database: &str, [west, east]: [&str; 2]) -> String {
        let record = |name: &str, key: &str| {
            let name = self.made["names"][name].as_str().unwrap();
            let (west, east) = (self.of("west", key), self.of("east", key));
            format!("      - {{name: {name}, type: A, ttl: 5s, at: {{west: [{west}], east: [{east}]}}}}\n")
        };
        format!(
            "plan: shop\nobjectives: {{rto: 5m, rpo: 3m}}\nsites:\n  west: {{{west}}}\n  east: {{{east}}}\nconnections:\n  dns: {{cloud: aws, account: \"{}\"}}\nhome: west\ncomponents:\n  db:\n{database}    verify: {{sql_write: {{table: drctl_canary}}}}\n  www:\n    kind: aws.route53\n    via: dns\n    needs: [db]\n    zone: {}\n    records:\n{}{}probes:\n  - {{name: public, role: public, http: \"{}\", every: 1s, timeout: 3s}}\nwatch: {{for: 1s}}\n",
            self.aws["account"].as_str().unwrap(),
            self.aws["zone"].as_str().unwrap(),
            record("www", "web"),
            record("db", "db"),
            self.made["health"].as_str().unwrap(),
        )
    }

    /// As `plan`, with names that an object moves.
    pub(super) fn by_object(&self, made: &Value) -> String {
        let of = |key: &str| made[key].as_str().unwrap();
        let how = format!("health_object\n    object: {{url: \"{}\", site: east}}", of("url"));
        self.followed(&how, [Some(of("health_check")), None])
    }

    /// As `plan`, with names that routing controls move.
    pub(super) fn by_controls(&self, made: &Value) -> String {
        let how = format!(
            "arc_routing_control\n    cluster: {{endpoints: {}, controls: {}}}",
            made["endpoints"], made["controls"]
        );
        self.followed(&how, ["west", "east"].map(|region| made["health_checks"][region].as_str()))
    }

    /// With fixed record sets, each with its health check.
    fn followed(&self, how: &str, [west, east]: [Option<&str>; 2]) -> String {
        let plan = self.plan();
        let at = plan.find("  www:\n").unwrap();
        let (head, rest) = plan.split_at(at);
        let tail = &rest[rest.find("probes:").unwrap()..];
        let record = |name: &str, key: &str| {
            let set = |region: &str, role: &str, check: Option<&str>| {
                let check = check.map_or_else(String::new, |c| format!(", health_check: {c}"));
                format!(
                    "{region}: {{set: {region}, values: [{}], role: {role}{check}}}",
                    self.of(region, key)
                )
            };
            format!(
                "      - {{name: {}, type: A, ttl: 5s, policy: failover, at: {{{}, {}}}}}\n",
                self.made["names"][name].as_str().unwrap(),
                set("west", "primary", west),
                set("east", "secondary", east),
            )
        };
        format!(
            "{head}  www:\n    kind: aws.route53\n    via: dns\n    needs: [db]\n    zone: {}\n    switch: {how}\n    records:\n{}{}{tail}",
            self.aws["zone"].as_str().unwrap(),
            record("www", "web"),
            record("db", "db"),
        )
    }

    /// The number of calls of an operation in this world's account.
    pub(super) fn calls(&self, service: &str, operation: &str) -> u64 {
        let counts = control(localstack(), "calls", "");
        let of_this = |c: &&Value| {
            c["account"] == self.aws["account"] && c["service"] == service && c["operation"] == operation
        };
        counts["calls"].as_array().unwrap().iter().filter(of_this).filter_map(|c| c["calls"].as_u64()).sum()
    }

    /// drctl in the recovery region.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.for_people(args);
        command.args(["--output", "json"]);
        command
    }

    pub(super) fn for_people(&self, args: &[&str]) -> Command {
        let mut command = Command::new(script("in"));
        command
            .arg(self.folder.path())
            .args(["east", env!("CARGO_BIN_EXE_drctl")])
            .args(args)
            .env("SSL_CERT_FILE", self.made["ca"].as_str().unwrap())
            .env("AWS_ACCESS_KEY_ID", self.aws["account"].as_str().unwrap())
            .env("AWS_SECRET_ACCESS_KEY", super::IN_THE_ENVIRONMENT)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_ENDPOINT_URL")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(super) fn drctl(&self, args: &[&str]) -> (i32, Value, String) {
        super::finished(self.folder.path(), &mut self.command(args))
    }

    pub(super) fn client(&self, mode: &str, first: u64) -> Client {
        self.client_with(mode, first, &[])
    }

    /// A client that connects to the endpoint in a region's secret.
    pub(super) fn led(&self, region: &str, first: u64) -> Client {
        self.client_with("led", first, &["--secret", region, self.aws["account"].as_str().unwrap()])
    }

    fn client_with(&self, mode: &str, first: u64, more: &[&str]) -> Client {
        let file = self.path(&format!("{mode}.jsonl"));
        let process = Command::new(script("client"))
            .arg(self.folder.path())
            .args([
                "--mode",
                mode,
                "--out",
                file.to_str().unwrap(),
                "--first",
                &first.to_string(),
                "--rate",
                "10",
            ])
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Client::new(process, file)
    }

    /// The clients' records, compared with the rows on a region's server.
    pub(super) fn truth(&self, region: &str, clients: &[&Client]) -> Value {
        let mut args = vec!["--client"];
        args.extend(clients.iter().map(|c| c.file().to_str().unwrap()));
        args.extend(["--region", region]);
        serde_json::from_str(&self.run("truth", &args)).unwrap()
    }

    pub(super) fn password(&self, who: &str) -> String {
        let login = std::fs::read_to_string(self.made["logins"][who].as_str().unwrap()).unwrap();
        serde_json::from_str::<Value>(&login).unwrap()["password"].as_str().unwrap().to_owned()
    }

    /// A direct write of the application to one region's server, from the server's own host.
    pub(super) fn writes(&self, region: &str, n: u64) -> (bool, String) {
        let way = format!("host={} dbname=shop user=app", self.of(region, "db"));
        let text = format!("INSERT INTO ledger (n, at, via) VALUES ({n}, clock_timestamp(), 'by hand')");
        let output = Command::new(script("in"))
            .arg(self.folder.path())
            .args([region, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", &way, "-c", &text])
            .env("PGPASSWORD", self.password("app"))
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    fn records(&self) -> String {
        self.run("dns", &["show"])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let output = self.output("down", &[]);
        if !output.status.success() {
            eprintln!("down: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

pub(super) const WAIVE: &[&str] = &[
    "failover",
    "shop",
    "--to",
    "east",
    "--yes",
    "--waive",
    "unfenced-promotion:db",
    "--accept-data-loss",
    "2m",
    "--reason",
    "west is dark",
];

pub(super) fn now() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%3NZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn outage(truth: &Value, client: usize) -> f64 {
    truth["clients"][client]["longest_outage"]["s"].as_f64().unwrap()
}

/// A region goes dark under load. It is recovered elsewhere, returns, is kept out, follows, and users are moved back.
#[test]
fn a_region_goes_dark_under_load_comes_back_and_is_moved_back_to() {
    let world = World::new();
    let plan = std::fs::read(world.path("plans/shop.yaml")).unwrap();
    let (fresh, pooled) = (world.client("fresh", 1), world.client("pooled", 1_000_001));
    fresh.writes_to("west");
    pooled.writes_to("west");
    let (code, _, words) = world.drctl(&["observe"]);
    assert_eq!(code, 0, "{words}");
    let before = world.records();
    world.run("fault", &["black-hole", "west"]);
    let (dark, began) = (Instant::now(), now());

    let (code, refused, words) = world.drctl(&["failover", "shop", "--to", "east", "--yes"]);
    assert_eq!((code, &refused["outcome"]), (3, &"refused".into()), "{refused:#}\n{words}");
    assert_eq!(world.records(), before, "names were touched");
    let recovering = "SELECT pg_is_in_recovery()";
    assert_eq!(world.run("host", &["east", "psql", "-XAt", "-c", recovering]).trim(), "t", "it was promoted");

    let (code, report, words) = world.drctl(&[WAIVE, &["--outage-began", &began]].concat());
    assert_eq!((code, &report["fence"]["state"]), (5, &"pending".into()), "{report:#}\n{words}");
    assert_eq!(report["protection"]["state"], "UNPROTECTED");
    fresh.writes_to("east");
    pooled.writes_to("east");
    let truth = world.truth("east", &[&fresh, &pooled]);
    let (lost, span) = super::lossy::lost(&truth, &[&fresh, &pooled]);
    let bound = report["rpo"]["achieved_s"].as_f64().unwrap();
    let (rto, seen) = (report["rto"]["achieved_s"].as_f64().unwrap(), outage(&truth, 0));
    eprintln!(
        "dark: {} rows acknowledged, {} on the new primary, {lost} of {span:.2} s lost; RPO {} ({}); RTO {rto} s, the fresh client's outage {seen} s, the pooled one's {} s; whole test so far {} s",
        truth["acknowledged"],
        truth["present"],
        bound,
        report["rpo"]["basis"],
        outage(&truth, 1),
        dark.elapsed().as_secs()
    );
    assert_eq!(report["rpo"]["basis"], "upper_bound", "{report:#}");
    assert!(bound >= span, "{bound} s are told, and {span} s were lost");
    // Probe and client have separate resolvers, which keep the old answer for up to 5 s.
    super::lossy::is_near(rto, seen, 5.0);
    returns(&world, &report, &fresh, &pooled);
    moved_back(&world, &[&fresh, &pooled], &plan);
    let _ = (fresh.stop(), pooled.stop());
}

/// The old primary returns after drctl has exited: the writes that it takes until the fence are counted, and then it follows.
fn returns(world: &World, report: &Value, fresh: &Client, pooled: &Client) {
    world.run("fault", &["heal", "west"]);
    for n in 2_000_001..2_000_004 {
        assert!(world.writes("west", n).0, "nobody has fenced it yet");
    }
    let run = report["run_id"].as_str().unwrap();
    let (code, paid, words) = world.drctl(&["runs", "resume", run]);
    assert_eq!(paid["fence"]["state"], "fenced", "{code}: {paid:#}\n{words}");
    let (took, why) = world.writes("west", 2_000_009);
    assert!(!took && why.contains("not permitted to log in"), "{why}");
    // The rows that the network failure left on one side and those written by hand, without those of the fence or the server.
    let rows = |at: &str| world.ask(at, "SELECT n FROM ledger ORDER BY n::text COLLATE \"C\"");
    let (here, there) = (rows("west"), rows("east"));
    let only: Vec<_> = here.lines().filter(|n| !there.lines().any(|t| t == *n)).collect();
    let by_hand = only.iter().filter(|n| n.starts_with("200000")).count();
    assert!(only.len() <= 5 && by_hand == 3, "{only:?}");
    let (code, rejoined, words) = world.drctl(&["reprotect", "shop", "--to", "west", "--yes"]);
    assert_eq!((code, &rejoined["protection"]["state"]), (0, &"protected".into()), "{rejoined:#}\n{words}");
    let diverged = &rejoined["protection"]["diverged"]["db"][0];
    let many = u64::try_from(only.len()).unwrap();
    assert_eq!(diverged["transactions"], many, "{rejoined:#}");
    let kept = world.run("host", &["west", "ls", diverged["kept"].as_str().unwrap()]);
    assert!(kept.lines().count() >= 1, "their log is gone");
    // People decide what happens to them, and get them as a file.
    let table = &diverged["tables"][0];
    let counts = ["inserted", "updated", "deleted", "exported"].map(|key| table[key].as_u64());
    assert_eq!((&table["table"], counts), (&"public.ledger".into(), [many, 0, 0, many].map(Some)));
    let rows = world.run("host", &["west", "cat", table["file"].as_str().unwrap()]);
    let mut numbers: Vec<_> = rows.lines().skip(1).map(|l| l.split(',').next().unwrap().to_owned()).collect();
    numbers.sort();
    assert_eq!(numbers, only, "{rows}");
    let of = rejoined["run_id"].as_str().unwrap();
    let told = world.for_people(&["report", "run", of, "--format", "md"]).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("## Only on the old primary of db"), "{told}");
    assert!(told.contains(&format!("{many} rows: `")), "{told}");
    eprintln!("back: {diverged}");
    fresh.writes_to("east");
    pooled.writes_to("east");
}

/// A planned failback with zero loss and the original plan file.
fn moved_back(world: &World, clients: &[&Client], plan: &[u8]) {
    let lost_before = world.truth("east", clients)["lost"].as_array().unwrap().len();
    let (code, back, words) = world.drctl(&["failback", "shop", "--to", "west", "--yes"]);
    assert!([0, 5].contains(&code) && back["outcome"] == "recovered", "{code}: {back:#}\n{words}");
    assert_eq!(
        (&back["rpo"]["basis"], &back["rpo"]["achieved_s"]),
        (&"measured".into(), &0.0.into()),
        "{back:#}"
    );
    assert_eq!(back["protection"]["state"], "protected", "{back:#}\n{words}");
    clients.iter().for_each(|c| c.writes_to("west"));
    let truth = world.truth("west", clients);
    assert_eq!(truth["lost"].as_array().unwrap().len(), lost_before, "the failback lost rows");
    assert_eq!(std::fs::read(world.path("plans/shop.yaml")).unwrap(), plan);
    let (code, status, words) = world.drctl(&["status"]);
    assert!(code == 0 && status["plans"][0]["protection"] == "protected", "{status:#}\n{words}");
    assert_eq!(status["plans"][0]["fence_debts"], serde_json::json!([]), "{status:#}");
}

/// Packets from west do not reach east, and users notice nothing: not seeing a region does not mean that it failed.
#[test]
fn a_region_that_only_drctl_cannot_see_is_left_alone() {
    let world = World::new();
    let fresh = world.client("fresh", 1);
    fresh.writes_to("west");
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let before = world.records();
    world.run("fault", &["one-way", "west", "east"]);
    let (code, refused, words) = world.drctl(&["failover", "shop", "--to", "east", "--yes"]);
    assert_eq!(code, 3, "{refused:#}\n{words}");
    assert!(refused.to_string().contains("unfenced-promotion"), "{refused:#}");
    assert_eq!(world.records(), before);
    let fresh = fresh.stop();
    let truth = world.truth("west", &[&fresh]);
    assert!(truth["lost"] == serde_json::json!([]) && outage(&truth, 0) < 10.0, "{truth:#}");
}

/// A security group alone leaves a pooled client's session open; the fence ends it, and no acknowledged row is lost.
#[test]
fn a_fence_by_security_group_ends_the_sessions_of_a_pool() {
    let world = World::new();
    std::fs::write(world.path("plans/shop.yaml"), world.managed("security_group")).unwrap();
    let (fresh, pooled) = (world.client("fresh", 1), world.client("pooled", 1_000_001));
    fresh.writes_to("west");
    pooled.writes_to("west");
    let began = now();
    let (code, report, words) = world.drctl(&[
        "failover",
        "shop",
        "--to",
        "east",
        "--yes",
        "--outage-began",
        &began,
        "--waive",
        "healthy-source",
        "--reason",
        "its disks fail",
    ]);
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    fresh.writes_to("east");
    pooled.writes_to("east");
    let truth = world.truth("east", &[&fresh, &pooled]);
    assert_eq!(truth["lost"], serde_json::json!([]), "{truth:#}");
    let proven = report["fence"]["components"]["db"].as_str().unwrap().split(" at ").nth(1).unwrap();
    let proven = proven.split('Z').next().unwrap();
    let late = |a: &&Value| a["ok"] == true && a["site"] == "west" && a["done_at"].as_str().unwrap() > proven;
    for client in [&fresh, &pooled] {
        let lines = client.lines();
        assert_eq!(lines.iter().find(late), None, "a write was taken after {proven}");
    }
    let refused = |a: &&Value| a["ok"] == false;
    assert!(pooled.lines().iter().any(|a| refused(&a)), "the pool's session was never ended");
    let outages = [outage(&truth, 0), outage(&truth, 1)];
    eprintln!(
        "group: {} rows acknowledged, none lost; RPO {}; outages of the clients {outages:?} s, RTO {} s from the declared beginning",
        truth["acknowledged"], report["rpo"]["text"], report["rto"]["achieved_s"]
    );
}

/// The control plane of the failing region is down, but its database is not: the fence does not need the control plane.
#[test]
fn a_fence_by_sql_needs_no_control_plane() {
    let world = World::new();
    std::fs::write(world.path("plans/shop.yaml"), world.managed("security_group, sql")).unwrap();
    assert_eq!(world.drctl(&["observe"]).0, 0);
    let account = world.aws["account"].as_str().unwrap();
    let down = serde_json::json!({
        "service": "rds", "region": "us-west-2", "account": account, "code": "ServiceUnavailable", "status": 503,
        "calls": null,
    });
    control(localstack(), "faults", &down.to_string());
    let (fresh, pooled) = (world.client("fresh", 1), world.client("pooled", 1_000_001));
    fresh.writes_to("west");
    pooled.writes_to("west");
    let began = now();
    let waive = ["--waive", "healthy-source", "--reason", "its control plane is down"];
    let (code, report, words) = world.drctl(
        &[&["failover", "shop", "--to", "east", "--yes", "--outage-began", &began][..], &waive].concat(),
    );
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    let fence = report["fence"]["components"]["db"].as_str().unwrap();
    assert!(report["fence"]["state"] == "proven" && fence.starts_with("proven by sql"), "{report:#}");
    // An unknown transaction, such as one of the server's own maintenance, leads to a bound: the time between two observations.
    let (basis, rpo) = (&report["rpo"]["basis"], report["rpo"]["achieved_s"].as_f64().unwrap());
    assert!(basis == "measured" && rpo == 0.0 || basis == "upper_bound" && rpo < 5.0, "{report:#}");
    fresh.writes_to("east");
    pooled.writes_to("east");
    let truth = world.truth("east", &[&fresh, &pooled]);
    assert_eq!(truth["lost"], serde_json::json!([]), "{truth:#}");
    let (took, why) = world.writes("west", 9_000_001);
    assert!(!took && why.contains("not permitted to log in"), "{why}");
    eprintln!("sql: {} rows acknowledged, none lost; fence {fence}", truth["acknowledged"]);
}

/// There and back: each time, the old primary is set aside, and a replica of the new one gets the declared name.
#[test]
fn managed_instances_move_there_and_back_without_a_lost_row() {
    let world = World::new();
    let plan = world.managed("sql, security_group");
    std::fs::write(world.path("plans/shop.yaml"), &plan).unwrap();
    let (fresh, pooled) = (world.client("fresh", 1), world.client("pooled", 1_000_001));
    fresh.writes_to("west");
    pooled.writes_to("west");
    for (verb, to, from) in [("switchover", "east", "west"), ("failback", "west", "east")] {
        let (code, report, words) = world.drctl(&[verb, "shop", "--to", to, "--yes"]);
        assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
        assert_eq!(
            (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
            (&"measured".into(), &0.0.into()),
            "{report:#}"
        );
        assert_eq!(
            (&report["protection"]["state"], &report["protection"]["diverged"]),
            (&"protected".into(), &serde_json::json!({})),
            "{report:#}"
        );
        fresh.writes_to(to);
        pooled.writes_to(to);
        // The client keeps reconnecting while resolvers have the old answer, and would never leave a standby that accepts it.
        assert!(!pooled.story().contains("ReadOnly"), "{verb}: {}", pooled.story());
        let truth = world.truth(to, &[&fresh, &pooled]);
        assert_eq!(truth["lost"], serde_json::json!([]), "{verb}: {truth:#}");
        let backups = report["changed"].as_array().unwrap().iter();
        let mut backups = backups.filter(|c| c["attribute"] == "backup_retention_period");
        assert!(backups.any(|c| c["after"] == "7"), "they would be kept for a day: {report:#}");
        let renamed = report["changed"].as_array().unwrap().iter().find(|c| c["attribute"] == "identifier");
        let renamed = renamed.map(|c| (c["before"].as_str().unwrap(), c["after"].as_str().unwrap()));
        let (id, aside) = renamed.unwrap_or_else(|| panic!("{report:#}"));
        assert!(
            id == format!("shop-{from}") && aside.starts_with(&format!("shop-{from}-20")),
            "{id} {aside}"
        );
        eprintln!(
            "{verb}: {} rows acknowledged, none lost; outages of the clients {:?} s; {id} is kept as {aside}",
            truth["acknowledged"],
            [outage(&truth, 0), outage(&truth, 1)]
        );
    }
    let (_, status, _) = world.drctl(&["status"]);
    assert_eq!(status["plans"][0]["active"]["site"], "west", "{status:#}");
    assert_eq!(
        std::fs::read_to_string(world.path("plans/shop.yaml")).unwrap(),
        plan,
        "the plan is still true"
    );
}
