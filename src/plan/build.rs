//! From a tree to types. What the shape already refused is left out here, so that lint can look at the rest.

mod clients;
pub mod probes;

use std::collections::BTreeMap;

use super::settings::Settings;
use super::types::{
    Autoscaling, Buckets, Component, Database, DatabaseAt, GateSpec, GroupAt, Hook, Plan, Policy, Record,
    RecordAt, Route53, SecretRef, Site, Spec, SwitchBy, SwitchControls, SwitchObject,
};
use crate::kinds::aws::route53::RecordAnswer;
use crate::kinds::shared::database::{Engine, Harmless, Host};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restore::{Backups, Expect, Invariant};
use crate::model::document::{Node, Spanned, Value};
use crate::model::finding::Finding;
use crate::model::ids::{ComponentName, Digest, PlanName, SiteName};
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::shape::percent;
use crate::model::time::Dur;
use crate::record::runbook::{OnFailure, Phase};

/// Builds the plan, or nothing if the parts that everything hangs on are missing.
pub fn plan(
    file: &str,
    bytes: &[u8],
    tree: &Node,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Option<Plan> {
    let text = std::str::from_utf8(bytes).ok()?;
    let name = PlanName::new(tree.get("plan")?.text()?);
    let home = tree.get("home")?;
    let tier = tree.get("tier").and_then(spanned_text);
    not_yet(file, tree, findings);
    let objectives = objectives_of_plan(file, tree, tier.as_ref(), settings, findings);
    let components = map(tree, "components", |key, node| {
        component(ComponentName::new(key), node).map(|c| (ComponentName::new(key), c))
    });
    Some(Plan {
        file: file.to_owned(),
        text: text.to_owned(),
        digest: Digest::of(bytes),
        name,
        owner: tree.get("owner").and_then(Node::text).map(str::to_owned),
        tier,
        objectives,
        after: tree
            .get("after")
            .map(names::<PlanName>)
            .unwrap_or_default()
            .into_iter()
            .map(|n| n.value)
            .collect(),
        sites: map(tree, "sites", |key, node| Some((SiteName::new(key), site(key, node)))),
        connections: map(tree, "connections", |key, node| Some((key.to_owned(), place(key, node, "global")))),
        home: Spanned { value: SiteName::new(home.text()?), span: home.span },
        declared: tree
            .get("components")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|(k, _)| ComponentName::new(&*k.text))
            .collect(),
        components,
        probes: probes::probes(file, tree, findings),
        groups: map(tree, "groups", |key, node| {
            Some((key.to_owned(), node.get("components").map(names).unwrap_or_default()))
        }),
        gates: map(tree, "gates", |key, node| gate(node).map(|g| (key.to_owned(), g))),
        watch: tree.get("watch").and_then(|w| w.get("for")).and_then(dur),
        hooks: tree
            .get("hooks")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|n| hook(file, n, findings))
            .collect(),
    })
}

/// What the format has a place for and drctl cannot do: refused, never ignored.
fn not_yet(file: &str, tree: &Node, findings: &mut Vec<Finding>) {
    let active_active = tree.get("mode").filter(|m| m.text() == Some("active_active"));
    let procedures = tree.get("procedures").filter(|p| !p.entries().is_empty());
    for (node, what) in active_active
        .map(|n| (n, "`mode: active_active`"))
        .into_iter()
        .chain(procedures.map(|n| (n, "`procedures`")))
    {
        findings.push(
            Finding::error(
                "plan-not-yet",
                file,
                Some(node.span),
                format!("drctl does not support {what} yet"),
            )
            .because(
                "the format reserves this key, but drctl would ignore it and the plan would promise too much",
            )
            .fix("remove it until a version of drctl supports it"),
        );
    }
}

fn objectives_of_plan(
    file: &str,
    tree: &Node,
    tier: Option<&Spanned<String>>,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Objectives {
    let own = tree.get("objectives").and_then(objectives);
    // A tier decides more than the objectives: drills, and which plans a failover of the tier takes.
    let of_tier = match tier {
        Some(tier) => match settings.tiers.get(&tier.value) {
            Some(found) => found.objectives,
            None => {
                let known: Vec<_> = settings.tiers.keys().map(String::as_str).collect();
                findings.push(
                    Finding::error(
                        "plan-unknown-tier",
                        file,
                        Some(tier.span),
                        format!("tier `{}` does not exist", tier.value),
                    )
                    .because(format!("the tiers of drctl.yaml are: {}", known.join(", ")))
                    .fix("choose one of them, or add the tier under `tiers:` in drctl.yaml"),
                );
                Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) }
            }
        },
        None if own.is_some() => Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) },
        None => {
            findings.push(
                Finding::error("plan-no-objectives", file, Some(tree.span), "the plan has no objectives")
                    .because("without an RTO and an RPO, drctl cannot plan for an objective or prove that a run met it")
                    .fix("add `tier:` or `objectives: {rto: 15m, rpo: 5m}`"),
            );
            Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) }
        }
    };
    own.unwrap_or(of_tier)
}

fn component(name: ComponentName, node: &Node) -> Option<Component> {
    let spec = match node.get("kind")?.text()? {
        "aws.rds" => Spec::Database(database(node, Engine::Rds)),
        "postgres" => Spec::Database(database(node, Engine::Postgres)),
        "aws.aurora_global" => Spec::Database(database(node, Engine::Aurora)),
        "aws.autoscaling" => Spec::Autoscaling(Autoscaling {
            at: map(node, "at", |key, n| group(n).map(|g| (SiteName::new(key), g))),
        }),
        "aws.route53" => Spec::Route53(Route53 {
            via: spanned_text(node.get("via")?)?,
            zone: node.get("zone")?.text()?.to_owned(),
            records: node
                .get("records")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(record)
                .collect(),
            switch: switch_by(node),
        }),
        "clients" => Spec::Clients(clients::clients(node)?),
        "aws.s3" => Spec::Buckets(buckets(node)),
        "external" => Spec::External(node.get("describe").and_then(Node::text).map(str::to_owned)),
        _ => return None,
    };
    Some(Component {
        name,
        span: node.get("kind").map_or(node.span, |k| k.span),
        needs: needs(node),
        objectives: node.get("objectives").and_then(objectives),
        spec,
    })
}

/// How many objects are compared where a plan does not say.
const SAMPLE: u32 = 20;

fn buckets(node: &Node) -> Buckets {
    let sample = node.get("sample").and_then(Node::int).and_then(|n| u32::try_from(n).ok());
    Buckets {
        at: map(node, "at", |key, n| Some((SiteName::new(key), spanned_text(n.get("bucket")?)?))),
        prefix: node.get("prefix").and_then(Node::text).unwrap_or_default().to_owned(),
        sample: sample.unwrap_or(SAMPLE),
    }
}

/// Whoever connects to a database cannot serve without it.
fn needs(node: &Node) -> Vec<Spanned<ComponentName>> {
    let mut needs: Vec<Spanned<ComponentName>> = node.get("needs").map(names).unwrap_or_default();
    let of = node.get("of").and_then(spanned_text);
    let of = of.map(|of| Spanned { value: ComponentName::new(of.value), span: of.span });
    needs.extend(of.filter(|of| !needs.iter().any(|n| n.value == of.value)));
    needs
}

/// Lint says what is missing.
fn switch_by(node: &Node) -> SwitchBy {
    let spanned = |key: &str| (node.get(key), node.get(key).map_or(node.span, |n| n.span));
    match node.get("switch").and_then(Node::text) {
        Some("health_object") => {
            let (object, span) = spanned("object");
            let text = |key: &str| object.and_then(|o| o.get(key)?.text()).unwrap_or_default().to_owned();
            let value = SwitchObject { url: text("url"), site: SiteName::new(text("site")) };
            SwitchBy::Object(Spanned { value, span })
        }
        Some("arc_routing_control") => {
            let (cluster, span) = spanned("cluster");
            let texts = |key: &str| {
                cluster
                    .map(|c| map(c, key, |k, n| Some((k.to_owned(), n.text()?.to_owned()))))
                    .unwrap_or_default()
            };
            let controls = texts("controls").into_iter().map(|(site, arn)| (SiteName::new(site), arn));
            let value = SwitchControls { endpoints: texts("endpoints"), controls: controls.collect() };
            SwitchBy::Controls(Spanned { value, span })
        }
        _ => SwitchBy::Record,
    }
}

fn database(node: &Node, engine: Engine) -> Database {
    let method = |n: &Node| FenceMethod::of(n.text()?);
    let at = |key: &str, n: &Node| {
        let admin = n.get("admin").map(|a| Spanned { value: secret(a), span: a.span });
        let fence_group = n.get("fence_group").and_then(Node::text).map(str::to_owned);
        let endpoint = n.get("endpoint").and_then(Node::text).map(str::to_owned);
        let named = n.get("id").and_then(Node::text).map(str::to_owned);
        // A server of one's own is known by where it listens.
        // RDS keeps identifiers in lower case.
        let named = if engine == Engine::Aurora { named.map(|id| id.to_ascii_lowercase()) } else { named };
        let id = named.or_else(|| endpoint.clone().filter(|_| engine == Engine::Postgres))?;
        let login = n.get("host").and_then(|h| h.get("replication"));
        let replication = login.map(|r| Spanned { value: secret(r), span: r.span });
        let backups = n.get("host").and_then(|h| h.get("backups"));
        let backups = backups.and_then(|b| Some(Spanned { value: backups_of(b)?, span: b.span }));
        let host = n.get("host").and_then(host);
        let instance_class = n.get("instance_class").and_then(Node::text).map(str::to_owned);
        let at = DatabaseAt { id, instance_class, endpoint, fence_group, admin, host, replication, backups };
        Some((SiteName::new(key), at))
    };
    let list = |key: &str| node.get(key).map(Node::items).unwrap_or_default();
    let verify = |key: &str| node.get("verify").and_then(|v| v.get(key)).map(Node::items).unwrap_or_default();
    Database {
        engine,
        global: node.get("global_cluster").and_then(Node::text).map(str::to_ascii_lowercase),
        fence: node.get("fence").map(Node::items).unwrap_or_default().iter().filter_map(method).collect(),
        at: map(node, "at", at),
        canary_table: node
            .get("verify")
            .and_then(|v| v.get("sql_write")?.get("table")?.text())
            .map(str::to_owned),
        backup_every: node.get("backup_every").and_then(spanned_dur),
        invariants: verify("invariants").iter().filter_map(invariant).collect(),
        reconcile: list("reconcile").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
        rows: verify("rows").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
        harmless: node.get("harmless").map(harmless).unwrap_or_default(),
        expendable: list("expendable").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
    }
}

fn harmless(node: &Node) -> Vec<Harmless> {
    let list = |key: &str| {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|n| n.text().map(str::to_owned)).collect::<Vec<_>>()
    };
    let role = |(name, application)| Harmless::Role { name, application };
    let applications =
        map(node, "applications", |application, n| Some((application.to_owned(), n.text()?.to_owned())));
    let roles = list("roles").into_iter().map(|name| role((name, None)));
    let only = applications.into_iter().map(|(application, name)| role((name, Some(application))));
    roles.chain(only).chain(list("processes").into_iter().map(Harmless::Process)).collect()
}

fn invariant(node: &Node) -> Option<Spanned<Invariant>> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let expect = match (text("is"), node.get("at_least").and_then(Node::int)) {
        (None, Some(number)) => Expect::AtLeast(number.to_string()),
        // One that says neither, or both, holds for nothing; lint says so.
        (Some(value), None) => Expect::Is(value),
        _ => Expect::Nothing,
    };
    let value = Invariant { name: text("name")?, sql: text("sql")?, database: text("database"), expect };
    Some(Spanned { value, span: node.span })
}

fn backups_of(node: &Node) -> Option<Backups> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let gib = node.get("reserve_gib").and_then(Node::int).and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
    let preload = node.get("preload").map(|list| {
        list.items().iter().filter_map(|n| n.text().map(str::to_owned)).collect::<Vec<_>>().join(",")
    });
    Some(Backups {
        list: text("list")?,
        fetch: text("fetch")?,
        archive_get: text("archive_get")?,
        reserve_bytes: gib << 30,
        preload,
    })
}

fn host(node: &Node) -> Option<Host> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let words = |key: &str| -> Vec<String> {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|i| i.text().map(str::to_owned)).collect()
    };
    let SecretRef::Ref(replication_secret) = secret(node.get("replication")?) else { return None };
    Some(Host {
        run: words("run"),
        // A slash at the end would put what the job keeps beside the data into it.
        data: text("data")?.trim_end_matches('/').to_owned(),
        bin: text("bin"),
        config: text("config"),
        stop: words("stop"),
        start: words("start"),
        replication_secret,
    })
}

fn secret(node: &Node) -> SecretRef {
    match &node.value {
        Value::Map(_) => {
            match (node.get("secret").and_then(Node::text), node.get("endpoint_of").and_then(Node::text)) {
                (Some(reference), _) => SecretRef::Ref(reference.to_owned()),
                (None, Some(component)) => SecretRef::EndpointOf(component.to_owned()),
                (None, None) => SecretRef::Literal,
            }
        }
        _ => SecretRef::Literal,
    }
}

fn group(node: &Node) -> Option<GroupAt> {
    let share = |key: &str| node.get(key).and_then(Node::text).and_then(percent).unwrap_or(100);
    Some(GroupAt {
        group: node.get("group")?.text()?.to_owned(),
        capacity_percent: share("capacity"),
        capacity_floor: node.get("capacity_floor").and_then(Node::int).and_then(|n| u32::try_from(n).ok()),
        proceed_percent: share("proceed_at"),
        timeout: node.get("timeout").and_then(dur),
    })
}

fn record(node: &Node) -> Option<Record> {
    let ttl = node.get("ttl").and_then(spanned_dur);
    let ttl_s = ttl.as_ref().map_or(0, |t| t.value.millis() / 1_000);
    Some(Record {
        name: node.get("name")?.text()?.trim_end_matches('.').to_ascii_lowercase(),
        rtype: node.get("type")?.text()?.to_owned(),
        ttl,
        policy: match node.get("policy").and_then(Node::text) {
            Some("weighted") => Policy::Weighted,
            Some("failover") => Policy::Failover,
            _ => Policy::Simple,
        },
        is_static: node.get("serves").is_some(),
        span: node.get("name")?.span,
        at: map(node, "at", |key, n| record_at(n, ttl_s).map(|at| (SiteName::new(key), at))),
    })
}

fn record_at(node: &Node, ttl_s: u64) -> Option<RecordAt> {
    let values = |n: &Node| {
        let mut values: Vec<_> = n.items().iter().filter_map(Node::text).map(str::to_owned).collect();
        values.sort();
        RecordAnswer::Values { ttl_s, values }
    };
    if matches!(node.value, Value::List(_)) {
        return Some(RecordAt {
            set: None,
            answer: values(node),
            weight: 0,
            primary: false,
            health_check: None,
        });
    }
    let answer = match (node.get("values"), node.get("alias")) {
        (Some(v), _) => values(v),
        (None, Some(alias)) => RecordAnswer::Alias {
            name: alias.get("name")?.text()?.trim_end_matches('.').to_ascii_lowercase(),
            zone: alias.get("zone")?.text()?.to_owned(),
            evaluate_health: matches!(
                alias.get("evaluate_health").map(|n| &n.value),
                Some(Value::Bool(true))
            ),
        },
        (None, None) => return None,
    };
    Some(RecordAt {
        set: node.get("set").and_then(Node::text).map(str::to_owned),
        answer,
        weight: node.get("weight").and_then(Node::int).and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
        primary: node.get("role").and_then(Node::text) == Some("primary"),
        health_check: node.get("health_check").and_then(Node::text).map(str::to_owned),
    })
}

fn gate(node: &Node) -> Option<GateSpec> {
    Some(GateSpec {
        phase: if node.get("at")?.text()? == "redirect" { Phase::Redirect } else { Phase::Promote },
        ask: node.get("approval")?.text()?.to_owned(),
        expires_after: node.get("expires_after").and_then(dur).unwrap_or(Dur::mins(30)),
        by: node.get("by").map_or_else(Vec::new, |n| n.items().iter().filter_map(spanned).collect()),
    })
}

fn spanned(node: &Node) -> Option<Spanned<String>> {
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}

fn hook(file: &str, node: &Node, findings: &mut Vec<Finding>) -> Option<Hook> {
    let at = node.get("at")?;
    let mut parts = at.text()?.splitn(3, '.');
    let when = parts.next().unwrap_or_default();
    let phase = parts.next().and_then(|p| Phase::ALL.into_iter().find(|known| known.id() == p));
    let (Some(phase), true) = (phase, ["before", "after"].contains(&when)) else {
        let phases: Vec<_> = Phase::ALL.iter().map(|p| p.id()).collect();
        findings.push(
            Finding::error(
                "plan-bad-hook",
                file,
                Some(at.span),
                format!("`{}` is not a valid position for a hook", at.text().unwrap_or_default()),
            )
            .because(format!("a hook runs before or after one of: {}", phases.join(", ")))
            .fix("write, for example, after.promote or before.redirect.www"),
        );
        return None;
    };
    let step = clients::task(node.get("step")?, 1)?;
    Some(Hook {
        name: node.get("name")?.text()?.to_owned(),
        after: when == "after",
        phase,
        component: parts.next().map(ComponentName::new),
        command: step.command,
        timeout: step.timeout,
        on_failure: match node.get("on_failure").and_then(Node::text) {
            Some("continue") => OnFailure::Continue,
            _ => OnFailure::Halt,
        },
        // What is none was said by the shape.
        change: node.get("change").and_then(Node::text).and_then(|change| change.parse().ok()),
        says: node.get("change").is_some(),
        span: at.span,
    })
}

fn site(key: &str, node: &Node) -> Site {
    let recovery = !matches!(node.get("recovery").map(|n| &n.value), Some(Value::Bool(false)));
    Site { place: place(key, node, key), recovery, span: node.span }
}

fn place(name: &str, node: &Node, default_region: &str) -> Place {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    Place {
        name: name.to_owned(),
        cloud: text("cloud").unwrap_or_else(|| "aws".to_owned()),
        region: text("region").unwrap_or_else(|| default_region.to_owned()),
        account: text("account"),
        role: text("role"),
        external_id: text("external_id"),
    }
}

fn objectives(node: &Node) -> Option<Objectives> {
    Some(Objectives { rto_ms: dur(node.get("rto")?)?, rpo_ms: dur(node.get("rpo")?)? })
}

fn dur(node: &Node) -> Option<Dur> {
    Dur::parse(node.text()?).ok()
}

fn spanned_dur(node: &Node) -> Option<Spanned<Dur>> {
    Some(Spanned { value: dur(node)?, span: node.span })
}

fn spanned_text(node: &Node) -> Option<Spanned<String>> {
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}

fn names<T: for<'a> From<&'a str>>(node: &Node) -> Vec<Spanned<T>> {
    node.items().iter().filter_map(|n| Some(Spanned { value: T::from(n.text()?), span: n.span })).collect()
}

fn map<K: Ord, V>(node: &Node, key: &str, build: impl Fn(&str, &Node) -> Option<(K, V)>) -> BTreeMap<K, V> {
    node.get(key)
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .filter_map(|(k, v)| build(&k.text, v))
        .collect()
}
