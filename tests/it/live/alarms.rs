//! Alarms of CloudWatch (LocalStack's) that prevent the start of a live drill of real servers, and end its stay.

use std::process::Command;

use serde_json::Value;

use super::own_servers::World;
use super::{localstack, until};

const LIVE: &[&str] = &["drill", "orders", "--mode", "live", "--yes"];
const ALARM: &str = "orders-5xx";

/// Each test has its own account, because alarms belong to an account.
struct Watched {
    world: World,
    account: &'static str,
}

impl Watched {
    fn new(account: &'static str) -> Self {
        let world = World::new();
        let folder = world.folder.path();
        let file = folder.join("plans/orders.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        let alarm = format!(
            "  - {{name: errors, role: alarm, every: 1s, at: {{users: {{cloudwatch: {ALARM}}}}}}}\nconnections: {{users: {{region: us-east-1}}}}\n"
        );
        std::fs::write(&file, plan.replace("watch:", &format!("{alarm}watch:"))).unwrap();
        let settings = format!(
            "environment: test\nsql: {{tls: \"off\"}}\nendpoints: {{cloudwatch: \"{}\"}}\n",
            localstack()
        );
        std::fs::write(folder.join("drctl.yaml"), settings).unwrap();
        Self { world, account }
    }

    fn drctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
        command
            .args(args)
            .env("AWS_ACCESS_KEY_ID", self.account)
            .env("AWS_SECRET_ACCESS_KEY", super::IN_THE_ENVIRONMENT)
            .current_dir(self.world.folder.path());
        command
    }

    fn drill(&self, more: &[&str]) -> (i32, Value, String) {
        super::finished(self.world.folder.path(), self.drctl(LIVE).args(["--output", "json"]).args(more))
    }

    /// Calls CloudWatch directly.
    fn cloudwatch(&self, action: &str, fields: &str) {
        let auth = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0",
            self.account
        );
        let body = format!("Action={action}&Version=2010-08-01&AlarmName={ALARM}&{fields}");
        let done =
            Command::new("curl").args(["-sSf", "-H", &auth, "-d", &body, localstack()]).output().unwrap();
        assert!(done.status.success(), "{action}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn make(&self) {
        self.cloudwatch(
            "PutMetricAlarm",
            "MetricName=errors&Namespace=orders&Statistic=Sum&Period=86400&EvaluationPeriods=1&Threshold=1&ComparisonOperator=GreaterThanThreshold&TreatMissingData=ignore",
        );
    }

    fn set(&self, state: &str) {
        self.cloudwatch("SetAlarmState", &format!("StateValue={state}&StateReason=tried"));
    }
}

fn facts(told: &Value) -> (&str, &str) {
    let of = |key| told["refusals"][0][key].as_str().unwrap_or_default();
    (of("rule"), of("facts"))
}

#[test]
fn a_live_drill_does_not_begin_while_an_alarm_is_on_or_nobody_knows_of_it() {
    let watched = Watched::new("000000000871");
    let tried = |why: &str| {
        let (code, told, words) = watched.drill(&[]);
        let (rule, facts) = facts(&told);
        assert!(code == 3 && rule == "drill-blocked" && facts.contains(why), "{code} {told:#}\n{words}");
    };
    watched.world.under_load(|| {
        tried("the state of alarm errors@users is unknown: users has no alarm orders-5xx");
        watched.make();
        watched.set("ALARM");
        tried("alarm errors@users is on");
    });
}

#[test]
fn an_alarm_that_goes_off_takes_users_back_from_a_live_drill() {
    let watched = Watched::new("000000000872");
    watched.make();
    // Without data it counts as off.
    watched.set("INSUFFICIENT_DATA");
    let world = &watched.world;
    let ((code, told, words), truth) = world.under_load(|| {
        std::thread::scope(|scope| {
            let drill = scope.spawn(|| watched.drill(&["--hold", "10m"]));
            until("users were moved, and it stays there", || world.stays_there());
            watched.set("ALARM");
            drill.join().unwrap()
        })
    });
    assert_eq!(code, 1, "{told:#}\n{words}");
    let [there, back] = told["runs"].as_array().unwrap().as_slice() else { panic!("{told:#}\n{words}") };
    assert_eq!((&there["to"], &back["to"]), (&Value::from("east"), &Value::from("west")));
    let verdict = back["verdict"].to_string();
    assert!(verdict.contains("called off: errors@users has failed since"), "{verdict}");
    let lost = [world.pair.primary, world.pair.standby].map(|port| world.missing(&truth, port));
    assert!(lost.iter().all(Vec::is_empty), "{lost:?}");
}

impl Watched {
    /// Live drills that are due in the next minute, and how late each may start.
    fn schedules(&self, of: &[(&str, &str)]) {
        let due = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC) + jiff::Span::new().seconds(65);
        let at = format!("{} {} * * *", due.minute(), due.hour());
        let line = |(name, late): &(&str, &str)| {
            format!(
                "  {name}: {{plan: orders, drill: live, at: \"{at}\", zone: UTC, late: {late}, hold: 1s}}\n"
            )
        };
        let path = self.world.folder.path().join("drctl.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}schedules:\n{}", of.iter().map(line).collect::<String>()))
            .unwrap();
    }

    /// A server with its output in `served`.
    fn serve(&self) -> Killed {
        let words = std::fs::File::create(self.world.folder.path().join("served")).unwrap();
        Killed(self.drctl(&["serve"]).stdout(words).stderr(std::process::Stdio::null()).spawn().unwrap())
    }

    fn served(&self) -> String {
        std::fs::read_to_string(self.world.folder.path().join("served")).unwrap_or_default()
    }
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An active alarm is not a failed drill: the drill waits until the alarm is off, or is missed because of it.
#[test]
fn a_server_waits_for_an_alarm_to_be_silent() {
    let watched = Watched::new("000000000873");
    watched.make();
    watched.set("ALARM");
    watched.schedules(&[("patient", "1h"), ("strict", "40s")]);
    let (_, truth) = watched.world.under_load(|| {
        let mut serve = watched.serve();
        let said = || watched.served();
        let fate = |name: &str| {
            let told = watched.world.run(&["schedules"]).1;
            let all = told["schedules"].as_array().cloned().unwrap_or_default();
            let of = all.into_iter().find(|schedule| schedule["schedule"] == name);
            of.unwrap_or_default()["drills"][0]["is"].clone()
        };
        let is = |name: &str, what: &str| {
            until(&format!("{name} is {what}: {}", said()), || fate(name)["fate"] == what)
        };
        is("strict", "missed");
        let why = fate("strict")["why"].to_string();
        assert!(why.contains("up to 40s late") && why.contains("alarm errors@users is on"), "{why}");
        assert!(
            fate("patient")["fate"] == "begun" && said().contains("alarm errors@users is on"),
            "{}",
            said()
        );
        watched.set("OK");
        is("patient", "ended");
        assert_eq!(fate("patient")["passed"], true, "{}\n{}", fate("patient"), said());
        Command::new("kill").args(["-TERM", &serve.0.id().to_string()]).status().unwrap();
        assert!(serve.0.wait().unwrap().success(), "{}", said());
    });
    assert!(watched.world.missing(&truth, watched.world.pair.primary).is_empty());
}

/// Users who were moved while the alarm was on are not moved again as soon as it is off.
#[test]
fn a_drill_that_waited_for_an_alarm_moves_nobody_who_was_just_moved() {
    let watched = Watched::new("000000000874");
    let world = &watched.world;
    watched.make();
    watched.set("ALARM");
    watched.schedules(&[("patient", "1h")]);
    world.under_load(|| {
        let _serve = watched.serve();
        until("it waits for the alarm", || watched.served().contains("alarm errors@users is on"));
        let (code, told, words) = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        assert_eq!((code, &told["outcome"]), (0, &Value::from("recovered")), "{told:#}\n{words}");
        watched.set("OK");
        until("it leaves them where they are", || {
            watched.served().contains("so drctl does not move it automatically before")
        });
    });
    assert_eq!(world.roles(), ["t", "f"], "{}", watched.served());
    let runs = world.run(&["runs", "list"]).1["runs"].as_array().unwrap().len();
    assert_eq!(runs, 1, "{}", watched.served());
}
