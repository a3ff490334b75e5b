//! Random plans by seed.

use std::fmt::Write as _;

use drctl::kinds::world::chance::roll;
use drctl::kinds::world::scenario::Scenario;
use drctl::kinds::world::scenario::{Applies, ByGroup, Events};
use drctl::model::time::Dur;

/// How fences proceed, and writers other than clients. A planned move has a fence that a census can prove.
pub fn random_fences(seed: u64, of: &mut Scenario) {
    of.applies = match roll(seed, &["applies"], 10) {
        0 | 1 => Applies::Ends(Dur(roll(seed, &["worker ends"], 15_000))),
        2 if of.loses_home => Applies::Stays,
        _ => Applies::Nothing,
    };
    if of.loses_home && roll(seed, &["by group"], 3) != 0 {
        *of = with_surprises(seed, of.clone());
    }
}

/// Fences by security group with surprises: restarts are reported soon, late or never, and somebody else may have restarted the server.
pub fn with_surprises(seed: u64, of: Scenario) -> Scenario {
    let events = match roll(seed, &["events"], 12) {
        0 => Events::Never,
        1..=5 => Events::Late(Dur::secs(45)),
        _ => Events::Soon,
    };
    let others = (roll(seed, &["others"], 2) == 0).then(|| Dur(roll(seed, &["others restart"], 300_000)));
    let groups_pass = roll(seed, &["groups pass"], 12) == 0;
    Scenario { by_group: ByGroup::Roughly { events, others }, groups_pass, ..of }
}

/// Fence methods of planned moves, the first of which a census proves, and additional ones for failovers.
const OWN: [&str; 7] = [
    "[sql]",
    "[allow_connections]",
    "[pg_hba]",
    "[sql, pg_hba]",
    "[stop]",
    "[sql, pg_hba, stop]",
    "[allow_connections, stop]",
];
const MANAGED: [&str; 7] = [
    "[sql, security_group]",
    "[sql]",
    "[allow_connections, security_group]",
    "[sql, allow_connections, security_group]",
    "[security_group, sql]",
    "[security_group]",
    "[security_group, allow_connections]",
];

/// A plan derived from the seed: up to three databases, three groups and two zones that need some of them. A planned move has a fence by
/// SQL.
pub fn random_plan(seed: u64, moves: bool) -> String {
    let die = |what: &str, below: u64| roll(seed, &[what], below);
    let mut text = String::from(
        "plan: random\nobjectives: {rto: 20m, rpo: 5m}\nsites:\n  west: {region: us-west-2}\n  east: {region: us-east-1}\nconnections:\n  dns: {}\nhome: west\ncomponents:\n",
    );
    // A failover nearly always has something to promote.
    let dbs = if moves || die("dbs", 8) == 0 { die("dbs", 4) } else { 1 + die("dbs", 3) };
    let (groups, zones) = (die("groups", 4), 1 + die("zones", 2));
    let ladder = |i: u64, of: &[&'static str; 7]| {
        of[usize::try_from(die(&format!("ladder{i}"), if moves { 4 } else { 7 })).unwrap()]
    };
    for i in 0..dbs {
        let needs = if i > 0 && die(&format!("dbneeds{i}"), 2) == 0 {
            format!("\n    needs: [db{}]", i - 1)
        } else {
            String::new()
        };
        let verify =
            if die(&format!("verify{i}"), 4) > 0 { "\n    verify: {sql_write: {table: canary}}" } else { "" };
        if die(&format!("own{i}"), if moves { 2 } else { 4 }) == 0 {
            let at = |site: &str| {
                format!(
                    "{{endpoint: \"db{i}-{site}:5432/app\", admin: {{secret: \"file:x\"}}, host: {{run: [ssh], data: /d, replication: {{secret: \"file:y\"}}, backups: {{list: l, fetch: f, archive_get: \"cp %f %p\"}}}}}}"
                )
            };
            let _ = writeln!(
                text,
                "  db{i}:\n    kind: postgres{needs}{verify}\n    fence: {}\n    at:\n      west: {}\n      east: {}",
                ladder(i, &OWN),
                at("w"),
                at("e")
            );
            continue;
        }
        if die(&format!("global{i}"), 5) == 0 {
            random_cluster(&mut text, i, &format!("{needs}{verify}"), &die);
            continue;
        }
        let ladder = ladder(i, &MANAGED);
        let _ = writeln!(
            text,
            "  db{i}:\n    kind: aws.rds{needs}{verify}\n    fence: {ladder}\n    at:\n      west: {{id: db{i}-w, fence_group: sg-w, admin: {{secret: \"file:y\"}}}}\n      east: {{id: db{i}-e, fence_group: sg-e, admin: {{secret: \"file:y\"}}}}"
        );
    }
    for i in 0..groups {
        let floor = 1 + die(&format!("floor{i}"), 6);
        let _ = writeln!(
            text,
            "  group{i}:\n    kind: aws.autoscaling\n    at:\n      west: {{group: g{i}-w}}\n      east: {{group: g{i}-e, capacity_floor: {floor}, proceed_at: 60%}}"
        );
    }
    random_clients(&mut text, dbs, &die);
    for i in 0..zones {
        random_zone(&mut text, i, (dbs, groups), &die);
    }
    if dbs > 1 && die("grouped", 2) == 0 {
        text.push_str("groups:\n  both: {components: [db0, db1], gate: together}\n");
    }
    text.push_str(
        "probes:\n  - {name: public, role: public, http: \"https://a.example\", every: 5s, timeout: 3s}\n",
    );
    if die("writeprobe", 2) == 0 {
        text.push_str(
            "  - {name: orders, role: write, http: \"https://a.example/write\", every: 5s, timeout: 3s}\n",
        );
    }
    text.push_str("watch: {for: 5m}\n");
    text
}

/// Clients of some databases, which the zones need.
fn random_clients(text: &mut String, dbs: u64, die: &impl Fn(&str, u64) -> u64) {
    for i in (0..dbs).filter(|i| die(&format!("clients{i}"), 3) == 0) {
        let verify =
            ["", "\n    verify: {sql_write: {table: canary}}"][usize::try_from(die("proven", 2)).unwrap()];
        let _ = writeln!(
            text,
            "  app{i}:\n    kind: clients\n    of: db{i}{verify}\n    at:\n      west: {{secret: app{i}, restart: [{{command: [x], idempotent: true}}]}}\n      east: {{secret: app{i}, restart: [{{command: [x], idempotent: true}}]}}"
        );
    }
}

/// A global database, whose secondary may have no instance.
fn random_cluster(text: &mut String, i: u64, more: &str, die: &impl Fn(&str, u64) -> u64) {
    let ladders = ["[sql, security_group]", "[security_group]", "[sql]"];
    let ladder = ladders[usize::try_from(die(&format!("ladder{i}"), 3)).unwrap()];
    let class = if die(&format!("headless{i}"), 2) == 0 { ", instance_class: db.r6g.large" } else { "" };
    let _ = writeln!(
        text,
        "  db{i}:\n    kind: aws.aurora_global\n    global_cluster: g{i}{more}\n    fence: {ladder}\n    at:\n      west: {{id: db{i}-w, fence_group: sg-w, admin: {{secret: \"file:y\"}}}}\n      east: {{id: db{i}-e{class}, fence_group: sg-e, admin: {{secret: \"file:y\"}}}}"
    );
}

/// A zone whose names need everything, moved by record sets, by an object, or by routing controls.
fn random_zone(text: &mut String, i: u64, (dbs, groups): (u64, u64), die: &impl Fn(&str, u64) -> u64) {
    let needs: Vec<_> =
        (0..dbs).map(|d| format!("db{d}")).chain((0..groups).map(|g| format!("group{g}"))).collect();
    let clients = (0..dbs).filter(|d| die(&format!("clients{d}"), 3) == 0).map(|d| format!("app{d}"));
    let needs: Vec<_> = needs.into_iter().chain(clients).collect();
    let ttl = 20 + die(&format!("ttl{i}"), 60);
    if die(&format!("controls{i}"), 4) == 0 {
        let arn =
            |n: u64| format!("arn:aws:route53-recovery-control::1:controlpanel/p/routingcontrol/{n}{i}");
        let _ = writeln!(
            text,
            "  zone{i}:\n    kind: aws.route53\n    via: dns\n    needs: [{}]\n    zone: Z{i}\n    switch: arc_routing_control\n    cluster: {{endpoints: {{us-east-1: \"https://e\"}}, controls: {{west: \"{}\", east: \"{}\"}}}}\n    records:\n      - {{name: a{i}.example, type: A, ttl: {ttl}s, policy: failover, at: {{west: {{set: w, values: [192.0.2.1], role: primary, health_check: h}}, east: {{set: e, values: [198.51.100.1], role: secondary, health_check: i}}}}}}",
            needs.join(", "),
            arn(1),
            arn(2),
        );
        return;
    }
    if die(&format!("object{i}"), 4) == 0 {
        let _ = writeln!(
            text,
            "  zone{i}:\n    kind: aws.route53\n    via: dns\n    needs: [{}]\n    zone: Z{i}\n    switch: health_object\n    object: {{url: \"s3://b{i}/k\", site: east}}\n    records:\n      - {{name: a{i}.example, type: A, ttl: {ttl}s, policy: failover, at: {{west: {{set: w, values: [192.0.2.1], role: primary, health_check: h}}, east: {{set: e, values: [198.51.100.1], role: secondary}}}}}}",
            needs.join(", ")
        );
        return;
    }
    let _ = writeln!(
        text,
        "  zone{i}:\n    kind: aws.route53\n    via: dns\n    needs: [{}]\n    zone: Z{i}\n    records:\n      - {{name: a{i}.example, type: A, ttl: {ttl}s, at: {{west: [192.0.2.1], east: [198.51.100.1]}}}}\n      - {{name: b{i}.example, type: A, ttl: {ttl}s, policy: weighted, at: {{west: {{set: w, values: [192.0.2.2], weight: 90}}, east: {{set: e, values: [198.51.100.2], weight: 0}}}}}}",
        needs.join(", ")
    );
}
