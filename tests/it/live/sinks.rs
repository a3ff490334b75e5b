//! Evidence in two clouds: S3 with Object Lock in LocalStack, and an emulator of Google Cloud Storage.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use drctl::model::ids::Digest;
use serde_json::{Value, json};

use super::{Estate, FAILOVER, localstack, state_folder, until};
use crate::servers::{BlackHole, Fault, Rule};

/// The emulator, once it is started. Its address is known before.
struct Gcs {
    port: u16,
    process: Option<Child>,
}

impl Gcs {
    fn later() -> Self {
        Self { port: crate::support::ports::free(), process: None }
    }

    fn started() -> Self {
        let mut gcs = Self::later();
        gcs.start();
        gcs
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self) {
        let need = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gcs/need");
        let found = Command::new(need).arg(state_folder().join("gcs")).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let program = String::from_utf8(found.stdout).unwrap();
        let address = format!("127.0.0.1:{}", self.port);
        let child = Command::new(program.trim())
            .args(["-scheme", "http", "-host", "127.0.0.1", "-port", &self.port.to_string()])
            .args(["-backend", "memory", "-public-host", &address, "-external-url", &self.url()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
        let url = format!("{}/storage/v1/b?project=test", self.url());
        until("a bucket of the emulator", || curl(&["-d", r#"{"name":"evidence"}"#, &url]).0 == 200);
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

/// Status and body.
fn curl(args: &[&str]) -> (u16, Vec<u8>) {
    let output = Command::new("curl").args(["-sS", "-w", "%{http_code}"]).args(args).output().unwrap();
    let (body, status) = output.stdout.split_at(output.stdout.len().saturating_sub(3));
    (String::from_utf8_lossy(status).parse().unwrap_or(0), body.to_owned())
}

/// The bucket of the recovery region, whose objects cannot be removed.
struct S3 {
    url: String,
    signed: String,
}

impl S3 {
    fn new(estate: &Estate, locked: bool) -> Self {
        let account = estate.account();
        let signed = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        let s3 = Self { url: format!("{}/evidence-{account}", localstack()), signed };
        let lock = format!("x-amz-bucket-object-lock-enabled: {locked}");
        assert_eq!(s3.ask("PUT", "", &["-H", &lock]).0, 200);
        s3
    }

    fn ask(&self, method: &str, path: &str, more: &[&str]) -> (u16, Vec<u8>) {
        let url = format!("{}{path}", self.url);
        curl(&[&["-X", method, "-H", self.signed.as_str()], more, &[&url]].concat())
    }
}

/// Adds the sinks to the estate's settings.
fn keeps(estate: &Estate, gcs: &str) {
    let account = estate.account();
    let path = estate.path().join("drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let more = format!(
        r#"endpoints: {{gcs: "{gcs}"}}
evidence:
  retain: {{hipaa: 2192d, own: 30d}}
  sinks:
    recovery: {{url: "s3://evidence-{account}/drctl", region: us-east-1, account: "{account}", role: drctl-east}}
    elsewhere: {{url: "gs://evidence/drctl/", region: europe-west1}}
"#
    );
    std::fs::write(path, text + &more).unwrap();
}

/// The only bundle.
fn bundle(estate: &Estate) -> PathBuf {
    let folder = estate.path().join(".drctl/drctl.db.evidence");
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|file| file.extension().is_some_and(|e| e == "tar"));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn key(file: &Path) -> String {
    format!("drctl/{}", file.file_name().unwrap().to_str().unwrap())
}

/// The emulator's metadata of an object, and its content.
fn of_google(gcs: &Gcs, key: &str) -> (Value, Vec<u8>) {
    let url = format!("{}/storage/v1/b/evidence/o/{}", gcs.url(), key.replace('/', "%2F"));
    let (status, body) = curl(&[&url]);
    assert_eq!(status, 200);
    let (status, content) = curl(&[&format!("{url}?alt=media")]);
    assert_eq!(status, 200);
    (serde_json::from_slice(&body).unwrap(), content)
}

fn told<'v>(pushed: &'v Value, sink: &str) -> &'v Value {
    let all = pushed["told"].as_array().unwrap();
    all.iter().find(|told| told["sink"] == sink).unwrap_or_else(|| panic!("{sink}: {pushed:#}"))
}

#[test]
fn both_clouds_hold_the_same_bundle_and_the_one_that_was_down_gets_it_later() {
    let (estate, mut gcs) = (Estate::new(), Gcs::later());
    let s3 = S3::new(&estate, true);
    keeps(&estate, &gcs.url());
    let (code, _, err) = estate.run(FAILOVER);
    // The same result as without it: there are no external probes, so the RTO is not proven.
    assert_eq!(code, 5, "{err}");
    let file = bundle(&estate);
    let own = format!(
        "is at recovery AT AN ENDPOINT OF YOUR OWN, {}, verified by reading it back, locked until 2032-",
        estate.proxy.url()
    );
    assert!(err.contains(&own), "{err}");
    assert!(err.contains("is NOT at elsewhere yet: ") && err.contains("drctl evidence push"), "{err}");
    let (code, list) = estate.json(&["evidence", "list"]);
    let row = &list["bundles"][0];
    assert_eq!((code, &row["not_at"]), (5, &json!(["elsewhere"])), "{list:#}");
    let (_, status) = estate.json(&["status"]);
    assert_eq!(status["evidence_owed"], 1, "{status:#}");

    gcs.start();
    let (code, pushed) = estate.json(&["evidence", "push"]);
    assert_eq!((code, &pushed["left"]), (0, &json!(0)), "{pushed:#}");
    assert_eq!(pushed["told"].as_array().unwrap().len(), 1, "what was seen there is left alone: {pushed:#}");
    let sha256 = Digest::of_bytes(&std::fs::read(&file).unwrap()).to_string();
    let (resource, content) = of_google(&gcs, &key(&file));
    assert_eq!(Digest::of_bytes(&content).to_string(), sha256);
    assert!(resource["retention"]["retainUntilTime"].as_str().unwrap().starts_with("2032-"), "{resource:#}");
    let (status, content) = s3.ask("GET", &format!("/{}", key(&file)), &[]);
    assert_eq!((status, Digest::of_bytes(&content).to_string()), (200, sha256.clone()));
    let (code, list) = estate.json(&["evidence", "list"]);
    let kept = list["bundles"][0]["kept_at"].as_array().unwrap();
    assert_eq!((code, kept.len()), (0, 2), "{list:#}");
    for receipt in kept {
        assert!(receipt["sha256"] == sha256 && receipt["lock"] == "compliance", "{receipt:#}");
    }
    eprintln!("both hold {sha256}");
    refused(&estate, &s3, &gcs, &file, kept);
    let (code, again) = estate.json(&["evidence", "push", "--check"]);
    assert_eq!((code, again["told"].as_array().unwrap().len()), (0, 2), "{again:#}");
}

/// A condition prevents overwriting, and in S3 nobody can remove it either.
fn refused(estate: &Estate, s3: &S3, gcs: &Gcs, file: &Path, kept: &[Value]) {
    let path = format!("/{}", key(file));
    let (status, _) = s3.ask("PUT", &path, &["-H", "If-None-Match: *", "-d", "something else"]);
    assert_eq!(status, 412);
    let version = kept.iter().find(|r| r["sink"] == "recovery").unwrap()["version"].as_str().unwrap();
    let (status, body) = s3.ask("DELETE", &format!("{path}?versionId={version}"), &[]);
    assert_eq!(status, 403, "{}", String::from_utf8_lossy(&body));
    let named = json!({"name": key(file)});
    let body = format!(
        "--x\r\nContent-Type: application/json\r\n\r\n{named}\r\n--x\r\nContent-Type: text/plain\r\n\r\nelse\r\n--x--"
    );
    let upload =
        format!("{}/upload/storage/v1/b/evidence/o?uploadType=multipart&ifGenerationMatch=0", gcs.url());
    let (status, _) = curl(&["-H", "Content-Type: multipart/related; boundary=x", "-d", &body, &upload]);
    assert_eq!(status, 412);
    // A write without a condition creates another version, which hides ours but does not replace it.
    assert_eq!(s3.ask("PUT", &path, &["-d", "something else"]).0, 200);
    let (code, pushed) = estate.json(&["evidence", "push", "--check"]);
    let differs = told(&pushed, "recovery");
    assert!(code == 1 && differs["differs"] == true && pushed["left"] == 1, "{pushed:#}");
    assert!(
        differs["why"].as_str().unwrap().contains("the bundle is intact behind it, as version"),
        "{pushed:#}"
    );
    let (status, content) = s3.ask("GET", &format!("{path}?versionId={version}"), &[]);
    assert_eq!((status, content), (200, std::fs::read(file).unwrap()));
    hidden_no_more(s3, &path);
    // A delete without a version hides it as well.
    assert_eq!(s3.ask("DELETE", &path, &[]).0, 204);
    let (code, pushed) = estate.json(&["evidence", "push", "--check"]);
    let why = told(&pushed, "recovery")["why"].as_str().unwrap();
    assert!(
        code == 1 && why.contains("it was there, but is gone now") && why.contains("as version"),
        "{pushed:#}"
    );
    let (_, markers) = s3.ask("GET", "?versions", &[]);
    let markers = String::from_utf8(markers).unwrap();
    let marker = markers.split("<DeleteMarker>").nth(1).unwrap();
    let id = marker.split("<VersionId>").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(s3.ask("DELETE", &format!("{path}?versionId={id}"), &[]).0, 204);
    forged(estate, file);
}

/// A receipt with a wrong digest or address is ignored, and one with a weaker lock does not weaken the requirement.
fn forged(estate: &Estate, file: &Path) {
    let folder = file.parent().unwrap();
    let receipts = || std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let receipt = receipts().find(|p| p.to_string_lossy().contains(".tar.recovery-")).unwrap();
    let text = std::fs::read_to_string(&receipt).unwrap();
    let sha256 = serde_json::from_str::<Value>(&text).unwrap()["sha256"].as_str().unwrap().to_owned();
    for (from, to) in
        [("s3://", "s3://elsewhere-"), ("\"compliance\"", "\"governance\""), (&sha256, &"0".repeat(64))]
    {
        std::fs::write(&receipt, text.replace(from, to)).unwrap();
        let (code, list) = estate.json(&["evidence", "list"]);
        assert_eq!((code, &list["bundles"][0]["not_at"]), (5, &json!(["recovery"])), "{list:#}");
    }
    std::fs::write(&receipt, "{").unwrap();
    let (code, pushed) = estate.json(&["evidence", "push"]);
    let why = told(&pushed, "recovery")["why"].as_str().unwrap();
    assert!(code == 5 && why.contains("is not a receipt of the bundle"), "{pushed:#}");
    std::fs::write(&receipt, text).unwrap();
    // Another address is a different sink: nothing was delivered there.
    let mut command = estate.command(&["evidence", "list", "--output", "json"]);
    let output = command.env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9").output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["bundles"][0]["not_at"], json!(["recovery"]), "{list:#}");
}

/// Removes the version that hides ours; it is not locked.
fn hidden_no_more(s3: &S3, path: &str) {
    let (_, head) = s3.ask("HEAD", path, &["-I"]);
    let head = String::from_utf8(head).unwrap();
    let named = |line: &&str| line.to_lowercase().starts_with("x-amz-version-id");
    let version = head.lines().find(named).unwrap().split_once(": ").unwrap().1.trim();
    assert_eq!(s3.ask("DELETE", &format!("{path}?versionId={version}"), &[]).0, 204);
}

#[test]
fn what_a_sink_says_is_held_against_what_it_gives_back() {
    let (estate, gcs) = (Estate::new(), Gcs::started());
    // A bucket without object locks: S3 rejects a locked object there, but LocalStack accepts it.
    S3::new(&estate, false);
    let (code, _, err) = estate.run(FAILOVER);
    assert_eq!(code, 5, "{err}");
    let file = bundle(&estate);
    keeps(&estate, &gcs.url());
    // Somebody else was first.
    let upload = format!(
        "{}/upload/storage/v1/b/evidence/o?uploadType=media&name={}",
        gcs.url(),
        key(&file).replace('/', "%2F")
    );
    assert_eq!(curl(&["-d", "a forgery", &upload]).0, 200);
    let (code, pushed) = estate.json(&["evidence", "push"]);
    assert_eq!((code, &pushed["left"]), (1, &json!(1)), "{pushed:#}");
    let (here, there) = (told(&pushed, "recovery"), told(&pushed, "elsewhere"));
    assert!(here["why"].as_str().unwrap_or_default().contains("so anybody can remove it"), "{pushed:#}");
    assert!(there["why"].as_str().unwrap().contains("another object is there"), "{pushed:#}");
    assert_eq!(of_google(&gcs, &key(&file)).1, b"a forgery", "nothing is written over");
    let folder = file.parent().unwrap();
    let receipts = std::fs::read_dir(folder)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"));
    assert_eq!(receipts.count(), 0, "no receipt for what was not seen");
}

/// The run ends and is reported before anybody waits for a sink, and then the wait is short.
#[test]
fn sinks_that_never_answer_hold_nothing_up() {
    let estate = Estate::new();
    S3::new(&estate, true);
    let hole = BlackHole::start();
    keeps(&estate, &hole.url());
    // After the writes for three guards.
    estate.proxy.rule(Rule::new(Fault::Hang).operation("PutObject").skip(3));
    let (code, report) = estate.json(FAILOVER);
    assert!(code == 5 && report["outcome"] == "recovered", "{report:#}");
    let (code, _, err) = estate.run(&["evidence", "push"]);
    assert!(code == 5 && err.matches("NOT at").count() == 2, "{code} {err}");
    estate.proxy.clear();
    let (_, pushed) = estate.json(&["evidence", "push"]);
    assert!(told(&pushed, "recovery")["receipt"].is_object(), "{pushed:#}");
}
