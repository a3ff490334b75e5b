//! ECS services on a server with the API of ECS and ECR, and the limits of Application Auto Scaling on LocalStack.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Estate, FAILOVER, localstack, state_folder, until};

/// A server of this test process. It ends with the tests that use it.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        localstack();
        let port = crate::support::ports::free();
        let folder = state_folder().join("ecs");
        std::fs::create_dir_all(&folder).unwrap();
        let log = std::fs::File::create(folder.join("server.log")).unwrap();
        let child = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ecs/serve"))
            .arg(&folder)
            .arg(port.to_string())
            .env("DRCTL_LOCALSTACK_DIR", state_folder())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, url: format!("http://127.0.0.1:{port}") };
        until("the server of ECS", || {
            Command::new("curl")
                .args(["-sf", "-o", "/dev/null"])
                .arg(&server.url)
                .status()
                .is_ok_and(|s| s.success())
                || server.answers("ListClusters", json!({})).is_some()
        });
        server
    }

    fn answers(&self, operation: &str, body: Value) -> Option<Value> {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        asked(&self.url, ("us-east-1", "ecs"), &target, &body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Calls a service that speaks JSON.
fn asked(url: &str, (region, service): (&str, &str), target: &str, body: &Value) -> Option<Value> {
    let auth = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let done = Command::new("curl")
        .args(["-sf", "-X", "POST", "-H", &auth, "-H", &format!("X-Amz-Target: {target}")])
        .args(["-H", "Content-Type: application/x-amz-json-1.1", "-d", &body.to_string(), url])
        .output()
        .unwrap();
    done.status.success().then(|| serde_json::from_slice(&done.stdout).unwrap_or_default())
}

/// Two sites with a service each: three tasks in the west, none in the east.
struct Shop {
    estate: Estate,
    server: Server,
}

/// The registry of a region, as task definitions name it.
fn image(region: &str, tag: &str) -> String {
    format!("000000000000.dkr.ecr.{region}.amazonaws.com/shop:{tag}")
}

impl Shop {
    fn new(proceed_at: &str) -> Self {
        let shop = Self { estate: Estate::new(), server: Server::start() };
        for (region, count) in [("us-west-2", 3), ("us-east-1", 0)] {
            shop.ecs(region, "CreateCluster", json!({"clusterName": "shop"}));
            shop.defines(region, &image(region, "1.4"));
            let service = json!({"cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": count});
            shop.ecs(region, "CreateService", service);
            shop.ecr(region, "CreateRepository", json!({"repositoryName": "shop"}));
            let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}"#;
            shop.ecr(
                region,
                "PutImage",
                json!({"repositoryName": "shop", "imageTag": "1.4", "imageManifest": manifest}),
            );
        }
        let file = shop.estate.path().join("plans/truststream.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        let (head, rest) = plan.split_once("    kind: aws.autoscaling\n").unwrap();
        let (_, rest) = rest.split_once("  www:\n").unwrap();
        let services = format!(
            "    kind: aws.ecs\n    at:\n      us-west-2: {{cluster: shop, service: web}}\n      us-east-1: {{cluster: shop, service: web, capacity_floor: 2, proceed_at: {proceed_at}, timeout: 30s}}\n"
        );
        std::fs::write(&file, format!("{head}{services}  www:\n{rest}")).unwrap();
        let file = shop.estate.path().join("drctl.yaml");
        let settings = std::fs::read_to_string(&file).unwrap();
        let url = &shop.server.url;
        std::fs::write(&file, format!("{settings}endpoints: {{ecs: \"{url}\", ecr: \"{url}\"}}\n")).unwrap();
        shop
    }

    fn ecs(&self, region: &str, operation: &str, body: Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        asked(&self.server.url, (region, "ecs"), &target, &body)
            .unwrap_or_else(|| panic!("{operation} {body}"))
    }

    fn ecr(&self, region: &str, operation: &str, body: Value) {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        asked(&self.server.url, (region, "ecr"), &target, &body)
            .unwrap_or_else(|| panic!("{operation} {body}"));
    }

    fn defines(&self, region: &str, image: &str) {
        let container = json!({"name": "app", "image": image, "memory": 64});
        self.ecs(
            region,
            "RegisterTaskDefinition",
            json!({"family": "web", "containerDefinitions": [container]}),
        );
    }

    /// The limits of the service in the east.
    fn scaled(&self, operation: &str, more: &Value) -> Value {
        let mut body = json!({"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let account = self.estate.account();
        let auth = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/application-autoscaling/aws4_request, SignedHeaders=host, Signature=0"
        );
        let done = Command::new("curl")
            .args(["-sS", "--fail-with-body", "-H", &auth])
            .args(["-H", &format!("X-Amz-Target: AnyScaleFrontendService.{operation}")])
            .args(["-H", "Content-Type: application/x-amz-json-1.1", "-d", &body.to_string(), localstack()])
            .output()
            .unwrap();
        assert!(done.status.success(), "{operation}: {}", String::from_utf8_lossy(&done.stdout));
        serde_json::from_slice(&done.stdout).unwrap_or_default()
    }

    fn limits(&self) -> (u64, u64) {
        let found = self.scaled("DescribeScalableTargets", &json!({"ResourceIds": ["service/shop/web"]}));
        let target = &found["ScalableTargets"][0];
        (target["MinCapacity"].as_u64().unwrap(), target["MaxCapacity"].as_u64().unwrap())
    }

    fn counts(&self) -> (u64, u64) {
        let of = json!({"cluster": "shop", "services": ["web"]});
        let found = self.ecs("us-east-1", "DescribeServices", of);
        let service = &found["services"][0];
        (service["desiredCount"].as_u64().unwrap(), service["runningCount"].as_u64().unwrap())
    }

    fn ready(&self, about: &str) -> (String, String) {
        let (_, told) = self.estate.json(&["ready", "truststream"]);
        let all = told["checks"].as_array().unwrap();
        let of = |c: &&Value| c["area"] == "parity" && c["about"] == about;
        let check = all.iter().find(of).unwrap_or_else(|| panic!("{about}: {told:#}"));
        (check["standing"].as_str().unwrap().to_owned(), check["facts"].as_str().unwrap().to_owned())
    }

    fn report(&self) -> Value {
        self.estate.json(&["report", "run", &self.estate.only_run().unwrap()]).1
    }
}

/// The count follows the tasks that run in the west, and the minimum is raised with it. Without a probe, a second failover is refused.
#[test]
fn a_service_is_scaled_with_its_limits() {
    let shop = Shop::new("100%");
    let limits = json!({"ResourceId": "service/shop/web", "MinCapacity": 0, "MaxCapacity": 9});
    shop.scaled("RegisterScalableTarget", &limits);
    let (code, _, err) = shop.estate.run(FAILOVER);
    assert!([0, 5].contains(&code), "{code}\n{err}");
    assert_eq!(shop.report()["outcome"], "recovered", "{err}");
    assert_eq!((shop.counts(), shop.limits()), ((3, 3), (3, 9)), "{err}");
    let (code, again) = shop.estate.json(&[&["failover", "truststream"], &FAILOVER[1..]].concat());
    assert_eq!((code, &again["refusals"][0]["rule"]), (3, &json!("target-down")), "{again:#}");
    let (code, _, err) = shop.estate.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{err}");
}

/// Without Application Auto Scaling the count alone changes. If it does not answer, the runbook says what may follow.
#[test]
fn a_service_without_limits_and_one_whose_limits_nobody_tells() {
    let shop = Shop::new("100%");
    let (_, book, _) = shop.estate.run(&[FAILOVER, &["--dry-run"]].concat());
    assert!(book.contains("ecs:UpdateService") && !book.contains("RegisterScalableTarget"), "{book}");
    let file = shop.estate.path().join("drctl.yaml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let dead = format!("http://127.0.0.1:{}", crate::support::ports::free());
    std::fs::write(
        &file,
        settings.replace("endpoints: {", &format!("endpoints: {{application-autoscaling: \"{dead}\", ")),
    )
    .unwrap();
    let (code, _, err) = shop.estate.run(FAILOVER);
    assert!([0, 5].contains(&code), "{code}\n{err}");
    assert_eq!(shop.counts(), (3, 3), "{err}");
    let (_, story, _) = shop.estate.run(&["report", "run", &shop.estate.only_run().unwrap()]);
    assert!(story.contains("a policy may lower it again"), "{story}");
}

/// A deployment that failed is found before anything changes, and so are images that tasks could not pull.
#[test]
fn what_would_keep_tasks_from_starting_is_found_beforehand() {
    let shop = Shop::new("100%");
    let images = "images of nodes in us-east-1";
    assert_eq!(shop.ready("nodes in us-east-1").0, "ready");
    assert_eq!(
        shop.ready(images),
        ("ready".to_owned(), "every image exists in the registry of its region".to_owned())
    );
    for (image, standing, words) in [
        (image("us-east-1", "1.5"), "not_ready", "missing in its registry"),
        (image("us-west-2", "1.4"), "not_ready", "is pulled from us-west-2"),
        ("registry.example/shop:1.4".to_owned(), "unknown", "does not ask the registry"),
    ] {
        shop.defines("us-east-1", &image);
        shop.ecs(
            "us-east-1",
            "UpdateService",
            json!({"cluster": "shop", "service": "web", "taskDefinition": "web"}),
        );
        let (is, facts) = shop.ready(images);
        assert!(is == standing && facts.contains(words), "{image}: {is} {facts}");
    }
    // The plan names a service that does not exist.
    let file = shop.estate.path().join("plans/truststream.yaml");
    let plan = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        plan.replace("us-east-1: {cluster: shop, service: web,", "us-east-1: {cluster: shop, service: wbe,"),
    )
    .unwrap();
    let (code, _, err) = shop.estate.run(FAILOVER);
    assert!(code == 3 && err.contains("wbe"), "{code} {err}");
    assert_eq!(shop.estate.only_run(), None);
}
