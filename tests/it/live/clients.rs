//! Clients that find their database by a secret: redirected, restarted, and proven by a write of theirs.

use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

#[cfg(feature = "postgres")]
use super::client::Client;
use super::world::{WAIVE, World, outage};
use super::{Estate, FAILOVER, localstack, until};
use crate::servers::{Fault, HoldPoint, Rule};

/// Calls Secrets Manager directly, like somebody else.
fn ask(account: &str, region: &str, operation: &str, body: &Value) -> Value {
    let scope = format!("{account}/20260101/{region}/secretsmanager/aws4_request");
    let mut body = body.clone();
    if operation.starts_with("Create") || operation.starts_with("Put") {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        body["ClientRequestToken"] = json!(format!("{nanos:032x}"));
    }
    let output = Command::new("curl")
        .args(["-sS", "--fail-with-body", "--max-time", "20", localstack(), "-d", &body.to_string()])
        .args([
            "-H",
            &format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        ])
        .args(["-H", "Content-Type: application/x-amz-json-1.1"])
        .args(["-H", &format!("X-Amz-Target: secretsmanager.{operation}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{operation}: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The content that clients read now.
fn read(account: &str, region: &str, name: &str) -> Value {
    let answer = ask(account, region, "GetSecretValue", &json!({"SecretId": name}));
    serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap()
}

/// Sets another password and keeps the rest, as a rotation does.
fn rotate(account: &str, region: &str, name: &str, password: &str) {
    let mut text = read(account, region, name);
    text["password"] = json!(password);
    ask(account, region, "PutSecretValue", &json!({"SecretId": name, "SecretString": text.to_string()}));
}

const NAME: &str = "truststream/db";

/// The estate with clients that read a secret in each region.
fn estate() -> Estate {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let file = estate.path().join("plans/truststream.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    let clients = format!(
        "  api:\n    kind: clients\n    of: db\n    at:\n      us-west-2: {{secret: {NAME}}}\n      us-east-1: {{secret: {NAME}, restart: [{{name: api, command: [touch, restarted], idempotent: true}}]}}\n  www:\n"
    );
    std::fs::write(&file, plan.replace("  www:\n", &clients).replace("[db, nodes]", "[api, nodes]")).unwrap();
    let text = json!({"username": "app", "password": "first-of-two", "host": "west.example", "port": "5432", "dbname": "ts"});
    for region in ["us-west-2", "us-east-1"] {
        let body = json!({"Name": NAME, "SecretString": text.to_string()});
        ask(estate.account(), region, "CreateSecret", &body);
    }
    estate
}

fn start(estate: &Estate) -> Child {
    match estate.only_run() {
        None => estate.spawn(FAILOVER),
        Some(run) => estate.spawn(&["runs", "resume", &run]),
    }
}

/// Checks the secrets of both regions.
fn led(estate: &Estate, password: &str) {
    for region in ["us-east-1", "us-west-2"] {
        let seen = read(estate.account(), region, NAME);
        let host = seen["host"].as_str().unwrap();
        assert!(host.starts_with("truststream-replica-1."), "{region}: {seen}\n{}", estate.words());
        // Text stays text, and other fields are unchanged.
        assert!(seen["port"].is_string() && seen["dbname"] == "ts", "{seen}");
        let wanted = if region == "us-east-1" { password } else { "first-of-two" };
        assert_eq!(seen["password"], wanted, "{region}");
    }
    assert!(estate.path().join("restarted").exists());
    let journal = std::fs::read(estate.path().join(".drctl/drctl.db")).unwrap();
    let within = |text: &[u8]| journal.windows(text.len()).any(|w| w == text);
    assert!(within(b"truststream-replica-1."), "what is known of the secret is not in the store");
    assert!(!within(b"-of-two"), "a password is in the store");
}

/// A rotation between the read and the move of the label is not undone.
#[test]
fn a_password_that_is_rotated_meanwhile_stays() {
    let estate = estate();
    let stage = "UpdateSecretVersionStage";
    let rule = Rule::new(Fault::Hold(HoldPoint::BeforeForward)).operation(stage).region("us-east-1").times(1);
    estate.proxy.rule(rule);
    let mut child = start(&estate);
    let held =
        estate.proxy.wait_held(Duration::from_secs(60)).unwrap_or_else(|| panic!("{}", estate.words()));
    rotate(estate.account(), "us-east-1", NAME, "second-of-two");
    held.release();
    until("the run", || child.try_wait().unwrap().is_some());
    led(&estate, "second-of-two");
    assert_eq!(estate.run(&["runs", "export", &estate.only_run().unwrap(), "--out", "run.jsonl"]).0, 0);
    let story = std::fs::read_to_string(estate.path().join("run.jsonl")).unwrap();
    assert!(story.contains("SecretChanged"), "{story}");
}

/// Killed around each of the two calls: the secret is changed once, and a resumed run has the same result as an undisturbed one.
#[test]
fn killed_around_the_change_of_a_secret() {
    std::thread::scope(|scope| {
        for operation in ["PutSecretValue", "UpdateSecretVersionStage"] {
            for point in [HoldPoint::BeforeForward, HoldPoint::AfterForward] {
                scope.spawn(move || {
                    let estate = estate();
                    let held_at =
                        Rule::new(Fault::Hold(point)).operation(operation).region("us-east-1").times(1);
                    let rule = estate.proxy.rule(held_at);
                    let mut child = start(&estate);
                    let held = estate.proxy.wait_held(Duration::from_secs(60));
                    let held = held.unwrap_or_else(|| panic!("{operation}\n{}", estate.words()));
                    child.kill().unwrap();
                    child.wait().unwrap();
                    held.drop_connection();
                    estate.proxy.remove(rule);
                    let mut child = start(&estate);
                    until("the second process", || child.try_wait().unwrap().is_some());
                    led(&estate, "first-of-two");
                    estate.assert_recovered_once();
                    let about = json!({"SecretId": NAME, "IncludeDeprecated": true});
                    let versions = ask(estate.account(), "us-east-1", "ListSecretVersionIds", &about);
                    assert_eq!(versions["Versions"].as_array().unwrap().len(), 2, "{versions}");
                });
            }
        }
    });
}

/// The plan of the world with clients that read a secret; those in the east are restarted by a signal.
#[cfg(feature = "postgres")]
fn with_clients(world: &World, client: &Client) -> String {
    let plan = std::fs::read_to_string(world.path("plans/shop.yaml")).unwrap();
    let restart = format!("[{{name: app, command: [kill, -HUP, \"{}\"], idempotent: true}}]", client.pid());
    let at = |site: &str| format!("      {site}: {{secret: shop/app, restart: {restart}}}\n");
    let clients = format!(
        "  app:\n    kind: clients\n    of: db\n    at:\n{}{}    verify: {{sql_write: {{table: client_canary}}}}\n  www:\n",
        at("west"),
        at("east")
    );
    plan.replace("  www:\n", &clients).replace("needs: [db]", "needs: [app]")
}

/// A region goes dark under load. A client that reads its secret only at its start continues in the other one, on the promoted server, and
/// every lost row is reported. The secret that could not be changed is changed when the region is back.
#[cfg(feature = "postgres")]
#[test]
fn clients_that_read_a_secret_follow_it_there_and_back() {
    let world = World::new();
    world.run("led", &[]);
    let account = world.aws["account"].as_str().unwrap().to_owned();
    let client = world.led("east", 1);
    client.writes_to("west");
    let plan = with_clients(&world, &client);
    std::fs::write(world.path("plans/shop.yaml"), &plan).unwrap();
    let (code, _, words) = world.drctl(&["observe"]);
    assert_eq!(code, 0, "{words}");
    let host = |region: &str| {
        let host = read(&account, region, "shop/app")["host"].as_str().unwrap().to_owned();
        ["west", "east"].into_iter().find(|site| host == world.of(site, "db")).unwrap()
    };
    world.run("fault", &["black-hole", "west"]);
    let (code, report, words) = world.drctl(WAIVE);
    assert!(code == 5 && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    client.writes_to("east");
    assert_eq!([host("us-east-1"), host("us-west-2")], ["east", "west"]);
    // Nothing that belongs only to the clients is stored here, and nothing of it is lost.
    assert_eq!(read(&account, "us-east-1", "shop/app")["owner"], "the shop");
    let step = |report: &Value, id: &str| {
        let steps = report["steps"].as_array().unwrap().iter();
        steps
            .filter(|s| s["id"] == id)
            .map(|s| s["state"].as_str().unwrap().to_owned())
            .next()
            .unwrap_or_default()
    };
    for id in ["point.app.east", "restart.app.app", "through.app"] {
        assert_eq!(step(&report, id), "done", "{id}: {report:#}");
    }
    let run = report["run_id"].as_str().unwrap().to_owned();
    world.run("fault", &["heal", "west"]);
    let endpoint_mismatch = || {
        let (_, status, _) = world.drctl(&["status"]);
        let advice = status["plans"][0]["advice"].as_array().unwrap().clone();
        advice.iter().filter(|a| a["why"].as_str().unwrap().contains("points app to")).count()
    };
    // It is kept from writing, and so follows.
    assert_eq!(world.drctl(&["runs", "resume", &run]).0, 5);
    assert_eq!(endpoint_mismatch(), 1, "nobody is told of the clients in the west");
    let (code, report, words) = world.drctl(&["reprotect", "shop", "--to", "west", "--yes"]);
    assert!(code == 0, "{code}: {report:#}\n{words}");
    assert_eq!([host("us-east-1"), host("us-west-2")], ["east", "east"], "{report:#}");
    assert_eq!(endpoint_mismatch(), 0);
    let (code, report, words) = world.drctl(&["failback", "shop", "--to", "west", "--yes"]);
    assert!(code == 0 && report["rpo"]["achieved_s"] == 0.0, "{code}: {report:#}\n{words}");
    client.writes_to("west");
    assert_eq!([host("us-east-1"), host("us-west-2")], ["west", "west"]);
    assert_eq!(std::fs::read_to_string(world.path("plans/shop.yaml")).unwrap(), plan);
    let client = client.stop();
    let truth = world.truth("west", &[&client]);
    eprintln!(
        "clients: {} rows acknowledged, {} lost with the region; the longest outage {} s",
        truth["acknowledged"],
        truth["lost"],
        outage(&truth, 0)
    );
}

/// PgBouncer, which runs each transaction on any free connection, and accepts no options from clients.
#[cfg(feature = "postgres")]
struct Pooler {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

#[cfg(feature = "postgres")]
impl Pooler {
    fn start(server: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = crate::support::ports::free();
        let of = |name: &str| folder.path().join(name).display().to_string();
        let ini = format!(
            "[databases]\ntruststream = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = md5\nauth_file = {}\npool_mode = transaction\nserver_login_retry = 1\n",
            of("users")
        );
        std::fs::write(of("ini"), ini).unwrap();
        std::fs::write(of("users"), "\"app\" \"app\"\n").unwrap();
        let script = format!(
            "#!/bin/sh\nsed -i \"s/^truststream .*/truststream = host=127.0.0.1 port=$1/\" {} && kill -HUP \"$2\" && sleep 1\n",
            of("ini")
        );
        std::fs::write(of("to"), script).unwrap();
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), readable).unwrap();
        let process = Command::new("pgbouncer").args(["-q", "-u", "postgres", &of("ini")]).spawn().unwrap();
        Self { process, folder, port }
    }

    /// The configuration that points it to a server.
    fn to(&self, server: u16) -> String {
        format!("[sh, {}, \"{server}\", \"{}\"]", self.folder.path().join("to").display(), self.process.id())
    }
}

#[cfg(feature = "postgres")]
impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command redirects the pooler, and a row through it arrives on the promoted server.
#[cfg(feature = "postgres")]
#[test]
fn clients_of_a_pooler_are_led_by_a_command() {
    let world = super::own_servers::World::new();
    let pooler = Pooler::start(world.pair.primary);
    let path = world.folder.path();
    std::fs::write(path.join("app.json"), r#"{"username": "app", "password": "app"}"#).unwrap();
    let at = |site: &str, server: u16| {
        format!("      {site}: {{switch: {{command: {}, idempotent: true}}}}\n", pooler.to(server))
    };
    let clients = format!(
        "  pool:\n    kind: clients\n    of: db\n    at:\n{}{}    verify: {{sql_write: {{table: client_canary, endpoint: \"127.0.0.1:{}/truststream\", login: {{secret: \"file:app.json\"}}}}}}\nprobes:\n",
        at("west", world.pair.primary),
        at("east", world.pair.standby),
        pooler.port
    );
    let file = path.join("plans/orders.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, plan.replace("probes:\n", &clients)).unwrap();
    let through = || {
        let text = "SELECT inet_server_port()";
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-h", "127.0.0.1", "-p", &pooler.port.to_string(), "-U", "app"])
            .args(["-d", "truststream", "-c", text])
            .env("PGPASSWORD", "app")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u16>().ok()
    };
    until("the pooler", || through() == Some(world.pair.primary));
    let (moved, _) = world.under_load(|| world.run(&["switchover", "orders", "--to", "east", "--yes"]));
    let (code, report, words) = moved;
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(through(), Some(world.pair.standby), "{report:#}");
    let count = |port: u16| world.pair.query(port, "SELECT count(*) FROM client_canary");
    assert_eq!(count(world.pair.standby), "1", "{report:#}");
}
