//! Several plans with one command.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Estate, FAILOVER};

/// A page that serves from the time that the records of two plans were moved.
fn serve_page(listener: &TcpListener, estate: &Estate, over: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    while !over.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let _ = stream.read(&mut [0; 1_024]);
        // The first change was made when the estate was created.
        let moved = estate.carried_out("ChangeResourceRecordSets") >= 3;
        let status = if moved { "200 OK" } else { "503 Service Unavailable" };
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

#[test]
fn a_plan_begins_when_the_one_that_it_needs_serves() {
    let estate = Estate::new();
    estate.write_plan("", "20s");
    let zone = estate.seed["dns"]["zone_id"].as_str().unwrap();
    let dns = estate.seed["accounts"]["dns"].as_str().unwrap();
    let page = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = page.local_addr().unwrap().port();
    let edge = format!(
        r#"plan: edge
after: [truststream]
objectives: {{rto: 15m, rpo: 5m}}
sites: {{us-west-2: {{}}, us-east-1: {{}}}}
connections:
  dns: {{account: "{dns}", role: drctl-dns, external_id: ts}}
home: us-west-2
probes:
  - {{name: page, role: public, http: "http://127.0.0.1:{port}/", every: 1s, timeout: 1s}}
components:
  names:
    kind: aws.route53
    via: dns
    zone: {zone}
    records:
      - {{name: edge.truststream.example, type: A, ttl: 60s, serves: static, at: {{us-west-2: [192.0.2.30], us-east-1: [198.51.100.30]}}}}
"#
    );
    std::fs::write(estate.path().join("plans/edge.yaml"), edge).unwrap();
    let (code, out, err) = estate.run(&["failover", "--from", "us-west-2", "--to", "us-east-1"]);
    assert!(code == 2 && err.contains("--yes"), "{code}: {out}{err}");
    let all = [FAILOVER, &["--from", "us-west-2"]].concat();
    let over = AtomicBool::new(false);
    let (code, report) = std::thread::scope(|scope| {
        scope.spawn(|| serve_page(&page, &estate, &over));
        let ended = estate.json(&all);
        over.store(true, Ordering::Relaxed);
        ended
    });
    assert_eq!(code, 5, "{report:#}");
    let run = |plan: &str| {
        let runs = report["runs"].as_array().unwrap();
        runs.iter().find(|r| r["plan"] == plan).unwrap_or_else(|| panic!("{plan}: {report:#}")).clone()
    };
    let at = |run: &serde_json::Value, key: &str| {
        run[key].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    let (first, second) = (run("truststream"), run("edge"));
    assert_eq!((&first["outcome"], &second["outcome"]), (&"recovered".into(), &"recovered".into()));
    let step = |id: &str| {
        let steps = first["steps"].as_array().unwrap();
        steps.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("{id}: {first:#}")).clone()
    };
    assert!(at(&second, "started_at") >= at(&step("switch.www"), "ended_at"), "it waited for traffic");
    assert!(at(&second, "started_at") < at(&step("watch"), "ended_at"), "it did not wait for the watch");
    // Its users were out from the beginning, also while it waited.
    let detected = second["clocks"]["detected"].as_str().unwrap_or_else(|| panic!("{second:#}"));
    let detected = detected.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(detected < at(&step("fence.db.security_group"), "ended_at"), "{detected}: {first:#}");
    // AWS's log names both runs by their sessions.
    let named = |run: &serde_json::Value| {
        let (_, events, _) = estate.run(&["runs", "export", run["run_id"].as_str().unwrap()]);
        let (_, rest) = events.split_once("/drctl-failover-fleet-").unwrap_or_else(|| panic!("{events}"));
        rest[..8].to_owned()
    };
    assert_eq!(named(&first), named(&second));
}
