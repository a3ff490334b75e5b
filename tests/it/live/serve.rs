//! A server in real time: a drill that is due in the next minute, its evidence, and a kill in between.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Estate, until};

fn schedules(estate: &Estate) -> Value {
    estate.json(&["schedules"]).1
}

#[test]
fn a_drill_is_held_in_its_minute_by_a_server_that_was_killed_before() {
    let estate = Estate::new();
    let due = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC) + jiff::Span::new().seconds(75);
    let path = estate.path().join("drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = format!("{} {} * * *", due.minute(), due.hour());
    let more = format!(
        "schedules:\n  table: {{plan: truststream, drill: tabletop, at: \"{at}\", zone: UTC, late: 30m}}\n"
    );
    std::fs::write(&path, text + &more).unwrap();
    let mut first = estate.spawn(&["serve"]);
    until("the schedule is seen", || estate.words().contains("tabletop drill of truststream"));
    first.kill().unwrap();
    first.wait().unwrap();
    let address = format!("127.0.0.1:{}", crate::support::ports::free());
    let mut second = estate.spawn(&["serve", "--listen", &address]);
    let ask = |path: &str| {
        let asked =
            std::process::Command::new("curl").args(["-sS", &format!("http://{address}{path}")]).output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    };
    until("it is well", || ask("/healthz") == "ok\n");
    let passed = |n: u32| {
        format!(
            "drctl_drills_total{{schedule=\"table\",plan=\"truststream\",drill=\"tabletop\",fate=\"passed\"}} {n}\n"
        )
    };
    let before = ask("/metrics");
    let unverified = "drctl_plan_verification{plan=\"truststream\",status=\"needs_verification\"} 1";
    assert!(before.contains(&passed(0)) && before.contains(unverified), "{before}");
    // It checks readiness while nothing is due: once the roles have no permissions, which is reported only once.
    until("it looked ahead", || {
        ask("/metrics").contains("drctl_plan_readiness{plan=\"truststream\",area=\"permissions\"} 3\n")
    });
    let ahead = |area: &str, standing: u8| {
        let line = format!("drctl_plan_readiness{{plan=\"truststream\",area=\"{area}\"}} {standing}\n");
        assert!(ask("/metrics").contains(&line), "{line}{}", ask("/metrics"));
    };
    ahead("replica", 0);
    ahead("drift", 2);
    let fate = || schedules(&estate)["schedules"][0]["drills"][0]["is"].clone();
    until("the drill is over", || fate()["fate"] == "ended");
    assert!(fate()["passed"] == true, "{:#}\n{}", fate(), estate.words());
    until("the figures tell of it", || ask("/metrics").contains(&passed(1)));
    let stopped =
        std::process::Command::new("kill").args(["-TERM", &second.id().to_string()]).status().unwrap();
    assert!(stopped.success() && second.wait().unwrap().success(), "{}", estate.words());
    let run = estate.only_run().unwrap();
    assert!(run.ends_with("-truststream-drill-tabletop~table"), "{run}");
    let (code, list) = estate.json(&["evidence", "list"]);
    assert!(code == 0 && list["bundles"][0]["whole"] == true, "{list:#}");
    let (code, out, err) = estate.run(&["audit", "verify"]);
    assert!(code == 0 && !out.contains("NOT COVERED"), "{out}{err}");
    let exported = estate.run(&["audit", "export"]).1;
    let looks = exported.lines().filter(|line| line.contains("{\\\"ledger\\\":\\\"readiness\\\"")).count();
    assert_eq!(looks, 1, "what did not change is entered once: {exported}");
    // A tabletop drill proves nothing about the plan.
    let (_, status) = estate.json(&["status"]);
    assert_eq!(status["plans"][0]["verification"]["status"], "needs_verification", "{status:#}");
}

/// A thousand connections with half a request take no file descriptor that a drill needs, and a FIFO instead of drctl.yaml blocks nothing.
#[test]
fn half_sent_requests_and_a_fifo_for_settings_leave_a_due_drill_to_be_held() {
    let estate = Estate::new();
    let due = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC) + jiff::Span::new().seconds(75);
    let path = estate.path().join("drctl.yaml");
    let at = format!("{} {} * * *", due.minute(), due.hour());
    let table =
        format!("  table: {{plan: truststream, drill: tabletop, at: \"{at}\", zone: UTC, late: 30m}}\n");
    let text = std::fs::read_to_string(&path).unwrap() + "schedules:\n" + &table;
    std::fs::write(&path, &text).unwrap();
    let address = format!("127.0.0.1:{}", crate::support::ports::free());
    // A low limit of open files, as by default.
    let settings = estate.command(&["serve", "--listen", &address]);
    let mut server = Command::new("sh");
    server
        .args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""])
        .arg(settings.get_program())
        .args(settings.get_args());
    server.current_dir(estate.path()).env_clear();
    server.envs(settings.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ask = |path: &str| {
        let asked =
            Command::new("curl").args(["-sS", "-m", "5", &format!("http://{address}{path}")]).output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    };
    until("it is well", || ask("/healthz") == "ok\n");

    drop(Command::new("prlimit").args(["--pid", &std::process::id().to_string(), "--nofile=4096:"]).status());
    let half: Vec<_> = (0..1_000)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            // The server may already have closed it for the next.
            drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: "));
            stream
        })
        .collect();
    // Closed connections may not be gone yet.
    let files = format!("/proc/{}/fd", server.id());
    until("few files are open", || std::fs::read_dir(&files).unwrap().count() < 128);
    assert_eq!(ask("/healthz"), "ok\n", "{} connections are open", half.len());

    // Nobody ever writes to it.
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    until("it says so", || {
        let said = ask("/healthz");
        said.contains("the previous settings stay in effect: ") && said.contains("it is a FIFO")
    });
    let passed =
        "drctl_drills_total{schedule=\"table\",plan=\"truststream\",drill=\"tabletop\",fate=\"passed\"} 1\n";
    until("the drill was held", || ask("/metrics").contains(passed));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &text).unwrap();
    until("it is well again", || ask("/healthz") == "ok\n");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    until("it says so", || ask("/healthz").contains("it is a device"));
    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());
    until("it ends", || server.try_wait().unwrap().is_some());
    assert!(server.wait().unwrap().success());
    drop(half);
}
