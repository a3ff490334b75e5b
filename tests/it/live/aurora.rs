//! An Aurora global database over the AWS SDK: the writer there and back, a secondary without instances, and a dark region.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Estate, control, localstack, mutating, state_folder};
use crate::servers::{Fault, Rule};

pub const TO_EAST: &[&str] =
    &["failover", "orders", "--to", "us-east-1", "--yes", "--outage-began", "2026-01-01T00:00:00Z"];
const WAIVED: &[&str] = &["--waive", "unfenced-promotion:db", "--accept-data-loss", "5m", "--reason", "dark"];

/// The estate with a global database, and a plan of that alone.
pub struct Orders {
    pub estate: Estate,
}

impl Orders {
    pub fn new() -> Self {
        let estate = Estate::new();
        let (account, dns) = (estate.account().to_owned(), estate.seed["accounts"]["dns"].as_str().unwrap());
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("localstack/seed"))
            .args(["--endpoint", localstack(), "--aurora"])
            .args(["--accounts", &format!("{account},{account},{dns}")])
            .env("DRCTL_LOCALSTACK_DIR", state_folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "seed: {}", String::from_utf8_lossy(&output.stderr));
        let text = |path: &str| estate.seed.pointer(path).and_then(Value::as_str).unwrap();
        let (west, east) = (text("/west/fence_group"), text("/east/fence_group"));
        let plan = format!(
            r#"plan: orders
objectives: {{rto: 20m, rpo: 5m}}
sites:
  us-west-2: {{account: "{account}", role: drctl-west}}
  us-east-1: {{account: "{account}", role: drctl-east}}
home: us-west-2
components:
  db:
    kind: aws.aurora_global
    global_cluster: orders-global
    fence: [security_group]
    at:
      us-west-2: {{id: orders-west, fence_group: {west}}}
      us-east-1: {{id: orders-east, fence_group: {east}, instance_class: db.r6g.xlarge}}
watch: {{for: 1s}}
"#
        );
        std::fs::remove_file(estate.path().join("plans/truststream.yaml")).unwrap();
        std::fs::write(estate.path().join("plans/orders.yaml"), plan).unwrap();
        Self { estate }
    }

    /// Sets the behavior of the secondary.
    fn knob(&self, more: &Value) {
        let mut body =
            json!({"account": self.estate.account(), "region": "us-east-1", "cluster": "orders-east"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        control(localstack(), "aurora", &body.to_string());
    }

    /// The observed state of a cluster.
    fn cluster(&self, region: &str, id: &str) -> Value {
        let (_, seen) = self.estate.json(&["observe"]);
        seen["estate"]["entries"][format!("database/{region}/{id}")]["now"]["state"].clone()
    }

    /// Mutating calls in order, without those for guards and roles.
    fn calls(&self) -> Vec<String> {
        let calls = self.estate.proxy.take_calls();
        let rds = mutating(&calls).into_iter().filter(|c| c.service == "rds");
        rds.map(|c| format!("{} {}", c.region, c.operation)).collect()
    }

    fn moves(&self, args: &[&str]) -> Value {
        let (code, report) = self.estate.json(args);
        assert_eq!(report["outcome"], "recovered", "{code}: {report:#}\n{}", self.estate.words());
        report
    }
}

/// The secondary has no instance and gets one in parallel with the fence. The old writer then follows, and gets its groups back.
#[test]
fn a_failover_to_a_headless_secondary_and_the_way_back() {
    let orders = Orders::new();
    let old = orders.cluster("us-west-2", "orders-west");
    assert_eq!((&old["role"], &old["status"]), (&json!("writer"), &json!("available")), "{old:#}");
    let headless = orders.cluster("us-east-1", "orders-east");
    assert_eq!(headless["status"], "no-instance", "{headless:#}");
    assert_eq!(headless["last_commit_source"], "replica_lag", "{headless:#}");
    let groups = old["security_groups"].clone();
    orders.estate.proxy.take_calls();

    let report = orders.moves(TO_EAST);
    assert_eq!(
        (&report["fence"]["state"], &report["rpo"]["basis"]),
        (&json!("proven"), &json!("upper_bound"))
    );
    assert_eq!(report["protection"]["state"], "UNPROTECTED", "{report:#}");
    let mut calls = orders.calls();
    assert_eq!(calls.pop().as_deref(), Some("us-east-1 FailoverGlobalCluster"), "{calls:?}");
    calls.sort();
    let before = ["us-east-1 CreateDBInstance", "us-west-2 ModifyDBCluster", "us-west-2 RebootDBInstance"];
    assert_eq!(calls, before);

    // The service makes the old writer a secondary; drctl observes that, and lifts the fence from it.
    let (code, report) = orders.estate.json(&["reprotect", "orders", "--to", "us-west-2", "--yes"]);
    assert!(code == 0 && report["protection"]["state"] == "protected", "{code}: {report:#}");
    assert_eq!(orders.calls(), ["us-west-2 ModifyDBCluster"]);
    let left = orders.cluster("us-west-2", "orders-west");
    assert_eq!((&left["security_groups"], &left["streaming"]), (&groups, &json!(true)), "{left:#}");
    let source = left["role"]["replica"]["source"].as_str().unwrap();
    assert!(source.ends_with(":cluster:orders-east"), "{left:#}");

    let report = orders.moves(&["failback", "orders", "--to", "us-west-2", "--yes"]);
    let rpo = (&report["rpo"]["achieved_s"], &report["rpo"]["basis"]);
    assert_eq!(rpo, (&json!(0.0), &json!("upper_bound")), "{report:#}");
    assert_eq!(report["protection"]["state"], "protected", "{report:#}");
    let class = "orders-west uses instance class db.r6g.large, and the writer uses db.r6g.xlarge. It may not carry the load";
    assert!(report["notes"].as_array().unwrap().contains(&json!(class)), "{report:#}");
    // The writer is asked to hand over.
    assert_eq!(orders.calls(), ["us-east-1 SwitchoverGlobalCluster"]);
    assert_eq!(orders.cluster("us-west-2", "orders-west")["role"], "writer");
}

/// The answer to the switchover is lost: its effect is observed, and it is requested only once.
#[test]
fn a_handover_whose_answer_is_lost_is_not_asked_for_twice() {
    let orders = Orders::new();
    orders.estate.proxy.rule(Rule::new(Fault::LoseAnswer).operation("SwitchoverGlobalCluster").times(1));
    orders.moves(&["switchover", "orders", "--to", "us-east-1", "--yes"]);
    assert_eq!(orders.estate.carried_out("SwitchoverGlobalCluster"), 1);
    assert_eq!(orders.cluster("us-east-1", "orders-east")["role"], "writer");
}

/// All calls go to the region that takes over, which knows the writer even if the writer's region is dark.
#[test]
fn a_dark_region_is_left_on_a_waiver_and_owes_nothing_once_it_follows() {
    let orders = Orders::new();
    let args = [TO_EAST, WAIVED, &["--from", "us-west-2"]].concat();
    assert_eq!(orders.estate.run(&["observe"]).0, 0);
    let dark = orders.estate.proxy.black_hole("us-west-2");
    let (code, out, err) = orders.estate.run(&[TO_EAST, &["--from", "us-west-2"]].concat());
    assert!(
        code == 3 && format!("{out}{err}").contains("--waive unfenced-promotion:db"),
        "{code}: {out}{err}"
    );
    orders.estate.proxy.take_calls();
    let report = orders.moves(&args);
    assert_eq!(report["fence"]["state"], "pending", "{report:#}");
    let calls = orders.calls();
    assert!(calls.contains(&"us-east-1 FailoverGlobalCluster".to_owned()), "{calls:?}");
    assert!(!calls.iter().any(|c| c.starts_with("us-west-2 ModifyDBCluster")), "{calls:?}");
    // By then the service has made it a secondary, so it takes no writes and nothing is pending.
    orders.estate.proxy.remove(dark);
    let run = report["run_id"].as_str().unwrap();
    let (_, after) = orders.estate.json(&["runs", "resume", run]);
    assert_eq!(after["fence"]["state"], "settled", "{after:#}");
}

/// Neither a move nor a failover to it is possible: AWS would refuse, and with the writer fenced nobody could write.
#[test]
fn a_secondary_that_is_made_anew_is_no_target() {
    let orders = Orders::new();
    orders.knob(&json!({"synchronization": "pending-resync"}));
    let east = orders.cluster("us-east-1", "orders-east");
    assert_eq!((&east["streaming"], &east["last_commit"]), (&json!(false), &Value::Null), "{east:#}");
    orders.estate.proxy.take_calls();
    for args in [TO_EAST, &["switchover", "orders", "--to", "us-east-1", "--yes"]] {
        let (code, out, err) = orders.estate.run(args);
        let words = format!("{out}{err}");
        assert!(code == 3 && words.contains("is being rebuilt (pending-resync)"), "{code}: {words}");
    }
    assert_eq!(orders.calls(), Vec::<String>::new());
}

/// A cluster that is not in the list does not count as the writer, and nothing is fenced because of it.
#[test]
fn a_misspelt_global_database_is_named_and_nothing_is_touched() {
    let orders = Orders::new();
    let path = orders.estate.path().join("plans/orders.yaml");
    let plan = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, plan.replace("orders-global", "order-global")).unwrap();
    let (code, out, err) = orders.estate.run(&[TO_EAST, &["--from", "us-west-2"]].concat());
    let words = format!("{out}{err}");
    assert!(
        code == 3 && words.contains("is not a member of a global database order-global"),
        "{code}: {words}"
    );
    assert_eq!(orders.calls(), Vec::<String>::new());
}

/// A call that AWS refused is repeated when the run is resumed after the cause is gone.
#[test]
fn a_failover_that_aws_refused_goes_on() {
    let orders = Orders::new();
    let fault = json!({"service": "rds", "account": orders.estate.account(), "operation": "FailoverGlobalCluster", "code": "AccessDenied", "status": 403, "calls": 1});
    control(localstack(), "faults", &fault.to_string());
    let (code, report) = orders.estate.json(TO_EAST);
    assert!(code != 0 && report["outcome"] != "recovered", "{code}: {report:#}");
    let run = report["run_id"].as_str().unwrap();
    let (_, after) = orders.estate.json(&["runs", "resume", run]);
    assert_eq!(after["outcome"], "recovered", "{after:#}");
    assert_eq!(orders.estate.carried_out("FailoverGlobalCluster"), 1);
    assert_eq!(orders.estate.carried_out("RebootDBInstance"), 1);
}

/// Security groups do not block writes that sessions of the secondary forward to the old primary, so they are no fence.
#[test]
fn forwarded_writes_pass_by_the_group_and_so_the_fence_is_not_proven() {
    let orders = Orders::new();
    orders.knob(&json!({"forwards": true}));
    let (code, out, err) = orders.estate.run(TO_EAST);
    let words = format!("{out}{err}");
    assert!(
        code == 3 && words.contains("sessions in orders-east may write to orders-west"),
        "{code}: {words}"
    );
    assert!(words.contains("--waive unfenced-promotion:db"), "{words}");
    let (_, report) = orders.estate.json(&[TO_EAST, WAIVED].concat());
    // The fence is still tried once, but not called proven while sessions of the secondary may write through it. Once the secondary is the
    // writer, it forwards nothing.
    let of = |id: &str| report["steps"].as_array().unwrap().iter().find(|s| s["id"] == id).unwrap();
    assert_eq!(of("fenced.db")["state"], "waived", "{report:#}");
    let (fence, promotion) = (of("fence.db.security_group"), of("promote.db"));
    let proven_before =
        fence["state"] == "done" && fence["ended_at"].as_str() < promotion["ended_at"].as_str();
    assert!(promotion["state"] == "done" && !proven_before, "{report:#}");
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    assert_eq!(orders.estate.carried_out("RebootDBInstance"), 1);
}
