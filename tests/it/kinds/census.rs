//! The census of a PostgreSQL server: whatever is not known to be harmless is a writer.

use drctl::adapters::postgres::may_write;
use drctl::kinds::Role;
use drctl::kinds::shared::database::{DatabaseRef, Engine, Harmless};
use drctl::model::ids::ComponentName;
use serde_json::{Value, json};

use crate::support::rig::truststream;

/// The server's own processes on PostgreSQL 14 to 18.
const OWN: [&str; 14] = [
    "archiver",
    "autovacuum launcher",
    "autovacuum worker",
    "background writer",
    "checkpointer",
    "io worker",
    "logical replication launcher",
    "parallel worker",
    "slotsync worker",
    "startup",
    "walreceiver",
    "walsummarizer",
    "walwriter",
    "walsender",
];

fn db(harmless: Vec<Harmless>) -> DatabaseRef {
    let plan = truststream();
    let name = ComponentName::new("db");
    let Role::Store(spec) = plan.components[&name].role() else { panic!() };
    let db = spec.server(&plan, &name, &plan.home.value).unwrap();
    DatabaseRef { engine: Engine::Postgres, harmless, ..db }
}

fn process(kind: Value, role: &str, subscription: Option<i64>) -> Value {
    json!({
        "pid": 7, "kind": kind, "role": role, "application": "", "state": "", "database": "app", "superuser": false,
        "replicates": true, "subscription": subscription,
    })
}

/// A fenced server with additional processes and subscriptions.
fn census(processes: &[Value], subscriptions: &Value) -> Value {
    let own = OWN.iter().map(|kind| process(json!(kind), "", None));
    let all: Vec<Value> = own.chain(processes.iter().cloned()).collect();
    json!({
        "replica": false, "own": "admin", "superuser": false, "creates": true, "here": "app", "promotes": true,
        "databases": [{"oid": 1, "name": "app", "open": true, "template": false, "ours": false}], "signals": true, "marked": true, "note": null, "fenced": ["app"],
        "logins": [], "processes": all, "subscriptions": subscriptions, "prepared": [], "ended": 1, "open": false, "last": null,
        "now": 1,
    })
}

fn left(census: &Value, harmless: Vec<Harmless>) -> Vec<String> {
    may_write(&census.to_string(), &db(harmless)).unwrap()
}

#[test]
fn a_server_with_its_own_processes_has_no_writer() {
    assert_eq!(left(&census(&[], &json!([])), Vec::new()), Vec::<String>::new());
}

#[test]
fn whatever_is_not_known_is_a_writer() {
    for kind in
        ["pg_cron launcher", "TimescaleDB Background Worker Scheduler", "pglogical apply", "WALWRITER", ""]
    {
        let census = census(&[process(json!(kind), "", None)], &json!([]));
        let words = left(&census, Vec::new());
        assert!(
            words.len() == 1 && words[0].contains("is not listed under `harmless:`"),
            "{kind}: {words:?}"
        );
        // A person may declare it harmless.
        assert_eq!(left(&census, vec![Harmless::Process(kind.to_owned())]), Vec::<String>::new());
    }
    // A process that the login may not see may be anything.
    let words = left(&census(&[process(Value::Null, "", None)], &json!([])), Vec::new());
    assert!(words.len() == 1 && words[0].contains("GRANT pg_monitor TO admin"), "{words:?}");
    let session = left(&census(&[process(json!("client backend"), "app", None)], &json!([])), Vec::new());
    assert!(session.len() == 1 && session[0].starts_with("a session of app"), "{session:?}");
}

#[test]
fn an_apply_worker_writes_until_it_is_gone_whatever_became_of_its_subscription() {
    let worker = [process(json!("logical replication apply worker"), "app", Some(5))];
    let of = |enabled: bool, ours: bool| json!([{"oid": 5, "name": "feed", "database": "app", "owner": "app", "enabled": enabled, "ours": ours}]);
    // Enabled, while its worker is running or being restarted.
    for ours in [true, false] {
        for processes in [&worker[..], &[]] {
            let words = left(&census(processes, &of(true, ours)), Vec::new());
            assert!(words.len() == 1 && words[0].contains("subscription feed"), "{ours}: {words:?}");
        }
    }
    // Disabled with its worker still running, or the subscription is gone.
    for subscriptions in [of(false, true), json!([])] {
        let words = left(&census(&worker, &subscriptions), Vec::new());
        assert!(words.len() == 1 && words[0].contains("apply worker (process 7)"), "{words:?}");
    }
    assert_eq!(left(&census(&[], &of(false, true)), Vec::new()), Vec::<String>::new());
}
