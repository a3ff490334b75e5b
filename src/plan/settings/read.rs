//! Reads `drctl.yaml`, then `DRCTL_*` variables, then flags into settings, and collects all faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use config::{Config, ConfigError};
use serde::Deserialize;

use super::{ENVIRONMENT, Limit, Settings, SqlSettings, SqlTls, Tier};
use crate::model::authority::{Authority, Operator};
use crate::model::document::{self, Node, Value};
use crate::model::environment::Environment;
use crate::model::fault::{Fault, leads};
use crate::model::finding::{Finding, Span};
use crate::model::notice::{Notify, Transport};
use crate::model::objectives::Objectives;
use crate::model::place::{CloudProvider, Place};
use crate::model::policy::Policy;
use crate::model::shape::{self, Shape, suggest};
use crate::model::sound::{sound, without};
use crate::model::time::Dur;
use crate::model::worst::worst_first;
use crate::plan::notify::RawNotify;
use crate::plan::policy::RawPolicy;
use crate::plan::retention::{RawEvidence, Reports};
use crate::plan::schedules::{RawSchedule, explain};
use crate::plan::shapes::SETTINGS;
use crate::plan::telemetry::RawTelemetry;

/// The shape of the whole file.
const FILE: Shape = Shape::Keys(&SETTINGS);
/// The maximum number of reported mistakes. A file with more is probably not a settings file.
const MOST: usize = 200;

/// The values as written; absent means the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    tiers: BTreeMap<String, RawTier>,
    plans: Option<String>,
    store: Option<String>,
    operator: Option<String>,
    #[serde(default)]
    operators: BTreeMap<String, Operator>,
    #[serde(default)]
    policy: RawPolicy,
    key: Option<String>,
    key_passphrase_file: Option<String>,
    observation_max_age: Option<String>,
    readiness_every: Option<String>,
    probe_consecutive: Option<u32>,
    guard: Option<RawGuard>,
    evidence: Option<RawEvidence>,
    #[serde(default)]
    reports: Reports,
    notify: Option<RawNotify>,
    telemetry: Option<RawTelemetry>,
    #[serde(default)]
    schedules: BTreeMap<String, RawSchedule>,
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    #[serde(default)]
    limits: BTreeMap<String, Limit>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    sql: RawSql,
    #[serde(default)]
    dns: RawDns,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDns {
    #[serde(default)]
    resolvers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSql {
    tls: Option<SqlTls>,
    ca_file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    rto: String,
    rpo: String,
    drill_every: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGuard {
    url: String,
    region: String,
    account: Option<String>,
    role: Option<String>,
    external_id: Option<String>,
}

/// A value from outside the file. It overrides the file.
struct Layer {
    key: String,
    value: String,
    /// The name of the variable or flag, for people.
    from: String,
}

impl Settings {
    /// Reads `drctl.yaml` (its name and bytes, if there is one), then `DRCTL_*` variables, then flags; later ones override earlier ones.
    /// Variables have their names from the environment.
    ///
    /// # Errors
    /// Every finding in the file, in the variables and in the flags.
    pub fn load(
        file: Option<(&str, &[u8])>,
        variables: BTreeMap<String, String>,
        flags: &[(&str, String)],
    ) -> Result<Self, Vec<Finding>> {
        let (settings, findings) = Self::read(file, variables, flags);
        if findings.is_empty() { Ok(settings) } else { Err(findings) }
    }

    /// The same, with everything that could be read: for commands that list mistakes, including those of the plans.
    pub fn read(
        file: Option<(&str, &[u8])>,
        variables: BTreeMap<String, String>,
        flags: &[(&str, String)],
    ) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let nothing = || Node { span: Span::default(), value: Value::Null };
        let name = file.map_or("drctl.yaml", |(name, _)| name);
        let parsed = file.map(|(name, bytes)| document::parse(name, bytes)).transpose();
        let legible = parsed.is_ok();
        let tree = parsed.unwrap_or_else(|finding| {
            findings.push(finding);
            None
        });
        let tree = tree.unwrap_or_else(nothing);
        if tree.value != Value::Null {
            shape::validate(name, &tree, &SETTINGS, &mut findings);
            explain(&tree, &mut findings);
        }
        let mut layers = Vec::new();
        for (variable, value) in variables {
            match from_environment(&variable) {
                Ok(key) => layers.push(Layer { key: key.to_owned(), value, from: variable }),
                Err(why) => findings.push(refused(&variable, why)),
            }
        }
        let flag = |(key, value): &(&str, String)| Layer {
            key: (*key).to_owned(),
            value: value.clone(),
            from: format!("--{key}"),
        };
        layers.extend(flags.iter().map(flag));
        let mut good = sound(&tree, &FILE).unwrap_or_else(nothing);
        let mut settings = soundest(name, (&tree, &mut good), &mut layers, &mut findings);
        settings.unread = unread(&tree, &good, legible);
        settings.tiers_of(&tree);
        findings.sort_by_key(|f| f.span.map(|s| s.offset));
        worst_first(&mut findings);
        (settings, findings)
    }

    /// A tier that exists and cannot be read has no objectives. A plan that names it still names an existing tier.
    fn tiers_of(&mut self, tree: &Node) {
        let nothing = Tier {
            objectives: Objectives { rto_ms: Dur(u64::MAX), rpo_ms: Dur(u64::MAX) },
            drill_every: None,
        };
        let Some(Value::Map(tiers)) = tree.get("tiers").map(|node| &node.value) else { return };
        for (name, _) in tiers {
            self.tiers.entry(name.text.clone()).or_insert(nothing);
        }
        self.unread.remove("tiers");
    }

    fn from_raw(raw: Raw) -> Result<Self, Vec<Fault>> {
        let defaults = Self::default();
        let mut all = Faults::default();
        let mut tiers = defaults.tiers;
        for (name, tier) in raw.tiers {
            tiers.extend(all.none_of(tier.read(&name)).map(|tier| (name, tier)));
        }
        let mut limits = defaults.limits;
        limits.extend(raw.limits);
        let policy = all.none_of(raw.policy.over(defaults.policy)).unwrap_or_default();
        let notify = raw.notify.map(RawNotify::read).and_then(|read| all.none_of(read)).unwrap_or_default();
        all.0.extend(reachable(&policy, &notify));
        let schedules = raw.schedules.into_iter().filter_map(|(name, raw)| all.none_of(raw.read(&name)));
        let schedules = schedules.collect();
        let authority = all.none_of(Authority::new(raw.operators, &policy.includes)).unwrap_or_default();
        let evidence = raw.evidence.and_then(|evidence| all.none_of(evidence.read()));
        let traces = raw.telemetry.and_then(|telemetry| all.none_of(telemetry.read()));
        let resolvers = (1..).zip(raw.dns.resolvers).filter_map(|(n, text)| all.none_of(resolver(n, &text)));
        let resolvers = resolvers.collect();
        let mut span = |text: Option<String>, key: &str, usual: Dur| {
            let read = text.as_deref().map(|text| Dur::parse(text).map_err(|why| Fault::said(&[key], why)));
            read.and_then(|read| all.none_of(read.map_err(Into::into))).unwrap_or(usual)
        };
        let readiness_every = span(raw.readiness_every, "readiness_every", defaults.readiness_every);
        let observation_max_age =
            span(raw.observation_max_age, "observation_max_age", defaults.observation_max_age);
        if !all.0.is_empty() {
            return Err(all.0);
        }
        Ok(Self {
            unread: BTreeSet::new(),
            schedules,
            environment: raw.environment,
            tiers,
            endpoints: raw.endpoints,
            limits,
            regions: raw.regions,
            sql: SqlSettings {
                tls: raw.sql.tls.unwrap_or_default(),
                ca_path: raw.sql.ca_file.as_ref().map(PathBuf::from),
                ca_file: raw.sql.ca_file,
            },
            resolvers,
            session: defaults.session,
            plans: raw.plans.unwrap_or(defaults.plans),
            store: raw.store,
            operator: raw.operator,
            authority,
            policy,
            key: raw.key,
            key_passphrase_file: raw.key_passphrase_file,
            readiness_every,
            observation_max_age,
            probe_consecutive: raw.probe_consecutive.unwrap_or(defaults.probe_consecutive),
            guard: raw.guard.map(|g| Place {
                name: g.url,
                cloud: CloudProvider::Aws,
                region: g.region,
                account: g.account,
                role: g.role,
                external_id: g.external_id,
            }),
            evidence,
            traces,
            reports: raw.reports,
            notify,
        })
    }
}

/// Collects the faults of several parts.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn none_of<T>(&mut self, read: Result<T, Vec<Fault>>) -> Option<T> {
        read.map_err(|faults| self.0.extend(faults)).ok()
    }
}

impl RawTier {
    fn read(self, name: &str) -> Result<Tier, Vec<Fault>> {
        let span =
            |key: &str, text: &str| Dur::parse(text).map_err(|why| Fault::said(&["tiers", name, key], why));
        let objectives = Objectives { rto_ms: span("rto", &self.rto)?, rpo_ms: span("rpo", &self.rpo)? };
        let drill_every = self.drill_every.map(|every| span("drill_every", &every)).transpose()?;
        Ok(Tier { objectives, drill_every })
    }
}

fn resolver(n: usize, text: &str) -> Result<core::net::IpAddr, Vec<Fault>> {
    let n = n.to_string();
    let why = |_| Fault::said(&["dns", "resolvers", &n], format!("`{text}` is not an IP address"));
    text.parse().map_err(|e| why(e).fix("write an address such as 9.9.9.9 or 2620:fe::fe").into())
}

/// The settings without the invalid parts: reports and removes them until none is left.
fn soundest(
    file: &str,
    (tree, good): (&Node, &mut Node),
    layers: &mut Vec<Layer>,
    findings: &mut Vec<Finding>,
) -> Settings {
    while findings.len() < MOST {
        let faults = match attempt(good, layers) {
            Ok(settings) => return settings,
            Err(faults) => faults,
        };
        for fault in faults {
            let key = fault.path();
            if let Some(n) = layers.iter().rposition(|layer| layer.key == key) {
                let Layer { from, value, .. } = layers.remove(n);
                findings.push(refused(&from, format!("`{value}`: {}", fault.message)));
                continue;
            }
            // A reference to an existing but invalid part is not a fault of its own.
            if fault.missed.is_empty() || !leads(tree, &fault.missed) {
                findings.push(fault.finding(file, tree));
            }
            let nothing = Node { span: Span::default(), value: Value::Null };
            *good = without(good, &FILE, fault.spoils()).unwrap_or(nothing);
        }
    }
    Settings::default()
}

/// An invalid variable or flag.
fn refused(from: &str, why: String) -> Finding {
    Finding::error("settings-unreadable", from, None, format!("drctl cannot use {from}"))
        .because(why)
        .fix(format!("correct {from}, or remove it"))
}

fn attempt(good: &Node, layers: &[Layer]) -> Result<Settings, Vec<Fault>> {
    let bad = |e: ConfigError| Fault::new(Vec::<String>::new(), format!("invalid settings: {e}"));
    let mut builder = Config::builder().add_source(Tree(good.clone()));
    for Layer { key, value, .. } in layers {
        builder = builder.set_override(key, value.clone()).map_err(bad)?;
    }
    let raw: Raw = builder.build().and_then(Config::try_deserialize).map_err(bad)?;
    Settings::from_raw(raw)
}

/// The keys of the file with unreadable parts.
fn unread(tree: &Node, good: &Node, legible: bool) -> BTreeSet<String> {
    let known = || SETTINGS.fields.iter().map(|field| field.key);
    if !legible {
        return known().map(str::to_owned).collect();
    }
    let changed = tree.entries().iter().filter(|(key, value)| good.get(&key.text) != Some(value));
    changed.map(|(key, _)| suggest(&key.text, known()).unwrap_or(&key.text).to_owned()).collect()
}

/// The setting of an environment variable.
///
/// # Errors
/// If the environment may not set it.
fn from_environment(variable: &str) -> Result<&'static str, String> {
    let lower = variable.to_lowercase();
    let key = lower.strip_prefix("drctl_").unwrap_or(&lower).replace("__", ".");
    ENVIRONMENT.iter().copied().find(|allowed| *allowed == key).ok_or_else(|| {
        let names: Vec<_> = ENVIRONMENT
            .iter()
            .map(|key| format!("DRCTL_{}", key.to_uppercase().replace('.', "__")))
            .collect();
        let nearest = suggest(variable, names.iter().map(String::as_str));
        let meant = nearest.map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
        let may = names.join(", ");
        format!(
            "{variable} sets `{key}`, which drctl reads only from the file{meant}. The environment may set {may}"
        )
    })
}

/// Faults of escalation levels that name missing channels.
fn reachable(policy: &Policy, notify: &Notify) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, rung) in (1..).zip(&policy.escalation) {
        for (m, name) in (1..).zip(&rung.tell) {
            let at =
                ["policy", "escalation", &i32::to_string(&n), "tell", &i32::to_string(&m)].map(str::to_owned);
            let fault = |why: String| Fault::new(at, format!("policy.escalation: {why}"));
            match notify.channel(name).map(|channel| &channel.way) {
                None => faults.push(
                    fault(format!("notify.channels has no `{name}`")).misses(["notify", "channels", name]),
                ),
                Some(Transport::StatusPage { .. }) => {
                    faults.push(fault(format!("{name} is a public channel and cannot call anybody")));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// The tree as a source for `config`, so that there is only one YAML parser.
#[derive(Clone, Debug)]
struct Tree(Node);

impl config::Source for Tree {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, ConfigError> {
        Ok(self.0.entries().iter().map(|(k, v)| (k.text.clone(), config_value(None, v))).collect())
    }
}

fn config_value(uri: Option<&String>, node: &Node) -> config::Value {
    use config::ValueKind;
    let kind = match &node.value {
        Value::Null => ValueKind::Nil,
        Value::Bool(b) => ValueKind::Boolean(*b),
        Value::Int(n) => ValueKind::I64(*n),
        Value::Float(n) => ValueKind::Float(*n),
        Value::Text(s) => ValueKind::String(s.clone()),
        Value::List(items) => ValueKind::Array(items.iter().map(|i| config_value(uri, i)).collect()),
        Value::Map(entries) => {
            ValueKind::Table(entries.iter().map(|(k, v)| (k.text.clone(), config_value(uri, v))).collect())
        }
    };
    config::Value::new(uri, kind)
}
