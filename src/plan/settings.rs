//! `drctl.yaml`, then `DRCTL_*` variables, then flags.

use std::collections::BTreeMap;

use config::{Config, File, FileStoredFormat, Format};
use serde::Deserialize;

use super::notify::RawNotify;
use super::policy::RawPolicy;
use super::retention::{RawEvidence, Reports};
use super::schedules::RawSchedule;
use super::shapes::SETTINGS;
use super::telemetry::RawTelemetry;
use crate::model::authority::{Authority, Operator};
use crate::model::document::{Node, Value};
use crate::model::environment::Environment;
use crate::model::finding::{Finding, Span};
use crate::model::notice::{Notify, Transport};
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::shape::suggest;
use crate::model::sink::Keeping;
use crate::model::telemetry::Traces;
use crate::model::time::Dur;
use crate::model::{document, shape};

/// Settings that the environment may set: what is of one person or one machine. Whoever starts a process does not thereby say who may
/// do what, what was promised, who hears of it, or where calls go: everything else is read from the file alone.
pub const ENVIRONMENT: [&str; 6] =
    ["key", "key_passphrase_file", "operator", "readiness_every", "sql.ca_file", "store"];

/// What holds for all plans.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the estate is for.
    pub environment: Environment,
    /// Recovery classes.
    pub tiers: BTreeMap<String, Tier>,
    /// The folder of the plans, as it was written.
    pub plans: String,
    /// The file of the journal, if it was named.
    pub store: Option<String>,
    /// The operator's name, if it was given.
    pub operator: Option<String>,
    /// Whose word is taken.
    pub authority: Authority,
    /// Who has to say yes to what.
    pub policy: Policy,
    /// The file of the private key of whoever uses drctl, as it was written.
    pub key: Option<String>,
    /// The file of its passphrase.
    pub key_passphrase_file: Option<String>,
    /// How old an observation of a site that answers may be.
    pub observation_max_age: Dur,
    /// How often `drctl serve` looks whether recoveries would work; never if it is nothing.
    pub readiness_every: Dur,
    /// How many probes in a row make a turn.
    pub probe_consecutive: u32,
    /// Where guards are kept.
    pub guard: Option<Place>,
    /// Drills that are held by themselves.
    pub schedules: Vec<Schedule>,
    /// How long evidence is kept, and where.
    pub evidence: Option<Keeping>,
    /// Whose names stand under reports.
    pub reports: Reports,
    /// Whom drctl tells what.
    pub notify: Notify,
    /// Where traces of live runs are sent.
    pub traces: Option<Traces>,
    /// Other addresses of services.
    pub endpoints: BTreeMap<String, String>,
    /// Calls that services take.
    pub limits: BTreeMap<String, Limit>,
    /// Regions of AWS that are newer than this version.
    pub regions: Vec<String>,
    /// How databases are connected to.
    pub sql: SqlSettings,
    /// Resolvers that are asked beside this machine's own, after names were moved.
    pub resolvers: Vec<core::net::IpAddr>,
    /// How the sessions of roles are named: the command, and who gave it. It stands in no file.
    pub session: String,
}

/// A token bucket: what a service takes from one account in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Limit {
    /// Calls that it holds.
    pub burst: u32,
    /// Calls that it gets back a second.
    pub per_second: u32,
}

/// How databases are connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlSettings {
    /// Whether the server's certificate is checked.
    pub tls: SqlTls,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<String>,
}

/// Whether a database's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlTls {
    /// The connection is encrypted and the certificate is that of the host.
    #[default]
    Verify,
    /// Neither. For servers on this machine.
    Off,
}

/// One recovery class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// What it promises.
    pub objectives: Objectives,
    /// How often a drill has to prove it.
    pub drill_every: Option<Dur>,
}

/// As written; absent means the default.
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
    resolvers: Vec<core::net::IpAddr>,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: Environment::Production,
            tiers: default_tiers(),
            plans: "plans".to_owned(),
            store: None,
            operator: None,
            authority: Authority::default(),
            policy: Policy::default(),
            key: None,
            key_passphrase_file: None,
            observation_max_age: Dur::mins(5),
            readiness_every: Dur::mins(60),
            probe_consecutive: 3,
            guard: None,
            evidence: None,
            reports: Reports::default(),
            notify: Notify::default(),
            traces: None,
            schedules: Vec::new(),
            endpoints: BTreeMap::new(),
            limits: default_limits(),
            regions: Vec::new(),
            sql: SqlSettings::default(),
            resolvers: Vec::new(),
            session: "drctl".to_owned(),
        }
    }
}

/// Published limits, each of an account in a region. Where a rate is published and no burst, the burst is what the rate gives in a second.
///
/// - Route 53: 50 requests, 10 back a second, of an account (AWS, Route 53 Developer Guide, «Throttling of API requests»).
/// - RDS and Aurora: 300 requests, 12 back a second (AWS, Amazon RDS User Guide, «Request throttling for the Amazon RDS API»).
/// - Auto Scaling: a bucket that all its calls share, whose size AWS publishes nowhere (EC2 Auto Scaling API Reference, «API request rate»).
///   It has what EC2 publishes for its describes, 100 requests and 20 back a second (Amazon EC2 Developer Guide, «Request throttling for the
///   Amazon EC2 API»); answers that say `Throttling` slow it down further.
/// - CloudWatch: 50 `GetMetricData` a second (Amazon CloudWatch User Guide, «CloudWatch service quotas»).
/// - STS: 600 requests a second (AWS, IAM User Guide, «IAM and AWS STS quotas»).
/// - S3: at least 3,500 requests that write, and 5,500 that read, a second for each prefix (Amazon S3 User Guide, «Best practices design
///   patterns: optimizing Amazon S3 performance»).
/// - Secrets Manager: 50 requests that write a second, and 10,000 that read; one bucket has both (AWS Secrets Manager User Guide, «Quotas»).
fn default_limits() -> BTreeMap<String, Limit> {
    let limit = |name: &str, burst, per_second| (name.to_owned(), Limit { burst, per_second });
    BTreeMap::from([
        limit("route53", 50, 10),
        limit("rds", 300, 12),
        limit("autoscaling", 100, 20),
        limit("cloudwatch", 50, 50),
        limit("sts", 600, 600),
        limit("s3", 3_500, 3_500),
        limit("secretsmanager", 50, 50),
    ])
}

/// The classes that hold unless `drctl.yaml` says otherwise.
fn default_tiers() -> BTreeMap<String, Tier> {
    let tier = |rto, rpo| Tier {
        objectives: Objectives { rto_ms: rto, rpo_ms: rpo },
        drill_every: Some(Dur::parse("90d").unwrap_or_default()),
    };
    BTreeMap::from([
        ("critical".to_owned(), tier(Dur::mins(15), Dur::mins(5))),
        ("important".to_owned(), tier(Dur::mins(30), Dur::mins(15))),
        ("standard".to_owned(), tier(Dur::mins(60), Dur::mins(30))),
    ])
}

/// Secrets that stand in `drctl.yaml`. Nobody is kept from calling a run off by one: it is asked for where the file is checked, or taken along.
pub fn secrets_in(name: &str, bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(tree) = document::parse(name, bytes) {
        super::secrets::find(name, &String::from_utf8_lossy(bytes), &tree, &mut findings);
    }
    findings
}

/// What `drctl init` writes where only its reader knows what belongs there. No bucket, account or name looks like that.
pub const PLACEHOLDER: &str = "REPLACE-WITH-";

/// Placeholders that were left in `drctl.yaml`. Nobody else's bucket is taken for a guard because nobody had named one.
pub fn placeholders_in(name: &str, bytes: &[u8]) -> Vec<Finding> {
    fn find(node: &Node, at: &str, all: &mut Vec<(String, Span, String)>) {
        match &node.value {
            Value::Text(text) if text.contains(PLACEHOLDER) => {
                all.push((at.to_owned(), node.span, text.clone()))
            }
            Value::List(items) => items.iter().for_each(|item| find(item, at, all)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    let at = if at.is_empty() { key.text.clone() } else { format!("{at}.{}", key.text) };
                    find(value, &at, all);
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    if let Ok(tree) = document::parse(name, bytes) {
        find(&tree, "", &mut all);
    }
    let finding = |(at, span, text): (String, Span, String)| {
        Finding::error(
            "settings-placeholder",
            name,
            Some(span),
            format!("`{at}` is still a placeholder: {text}"),
        )
        .because(
            "anybody can create a bucket with a free name; the owner of that bucket would control your guard",
        )
        .fix("enter a bucket that you own and its account, or remove the line to run without a guard")
    };
    all.into_iter().map(finding).collect()
}

impl Settings {
    /// Reads `drctl.yaml` (its name and bytes, if there is one) below `DRCTL_*` variables below flags. Variables are named as they stand in
    /// the environment.
    ///
    /// # Errors
    /// Every finding in the file, or one that says which layer cannot be read.
    pub fn load(
        file: Option<(&str, &[u8])>,
        variables: BTreeMap<String, String>,
        flags: &[(&str, String)],
    ) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut builder = Config::builder();
        if let Some((name, bytes)) = file {
            let tree = document::parse(name, bytes).map_err(|f| vec![f])?;
            if tree.value != Value::Null {
                shape::validate(name, &tree, &SETTINGS, &mut findings);
            }
            if !findings.is_empty() {
                return Err(findings);
            }
            let text = String::from_utf8_lossy(bytes).into_owned();
            builder = builder.add_source(File::from_str(&text, Yaml));
        }
        let name = file.map_or("drctl.yaml", |(name, _)| name);
        let bad = |cause: String| {
            vec![
                Finding::error("settings-unreadable", name, None, "invalid settings")
                    .because(cause)
                    .fix("correct the file, the DRCTL_* variable or the flag"),
            ]
        };
        for (variable, value) in variables {
            let key = from_environment(&variable).map_err(bad)?;
            builder = builder.set_override(key, value).map_err(|e| bad(e.to_string()))?;
        }
        for (key, value) in flags {
            builder = builder.set_override(*key, value.clone()).map_err(|e| bad(e.to_string()))?;
        }
        let raw: Raw = builder.build().and_then(Config::try_deserialize).map_err(|e| bad(e.to_string()))?;
        Self::from_raw(raw).map_err(bad)
    }

    fn from_raw(raw: Raw) -> Result<Self, String> {
        let defaults = Self::default();
        let mut tiers = defaults.tiers;
        for (name, tier) in raw.tiers {
            let objectives = Objectives { rto_ms: Dur::parse(&tier.rto)?, rpo_ms: Dur::parse(&tier.rpo)? };
            let drill_every = tier.drill_every.as_deref().map(Dur::parse).transpose()?;
            tiers.insert(name, Tier { objectives, drill_every });
        }
        let mut limits = defaults.limits;
        limits.extend(raw.limits);
        let policy = raw.policy.over(defaults.policy)?;
        let notify = raw.notify.map(RawNotify::read).transpose()?.unwrap_or_default();
        reachable(&policy, &notify)?;
        let schedules = raw.schedules.into_iter().map(|(name, raw)| raw.read(&name));
        Ok(Self {
            schedules: schedules.collect::<Result<_, _>>()?,
            environment: raw.environment,
            tiers,
            endpoints: raw.endpoints,
            limits,
            regions: raw.regions,
            sql: SqlSettings { tls: raw.sql.tls.unwrap_or_default(), ca_file: raw.sql.ca_file },
            resolvers: raw.dns.resolvers,
            session: defaults.session,
            plans: raw.plans.unwrap_or(defaults.plans),
            store: raw.store,
            operator: raw.operator,
            authority: Authority::of(raw.operators, &policy.includes)?,
            policy,
            key: raw.key,
            key_passphrase_file: raw.key_passphrase_file,
            readiness_every: raw
                .readiness_every
                .map(|every| Dur::parse(&every))
                .transpose()?
                .unwrap_or(defaults.readiness_every),
            observation_max_age: raw
                .observation_max_age
                .as_deref()
                .map(Dur::parse)
                .transpose()?
                .unwrap_or(defaults.observation_max_age),
            probe_consecutive: raw.probe_consecutive.unwrap_or(defaults.probe_consecutive),
            guard: raw.guard.map(|g| Place {
                name: g.url,
                cloud: "aws".to_owned(),
                region: g.region,
                account: g.account,
                role: g.role,
                external_id: g.external_id,
            }),
            evidence: raw.evidence.map(RawEvidence::read).transpose()?,
            traces: raw.telemetry.map(RawTelemetry::read).transpose()?,
            reports: raw.reports,
            notify,
        })
    }
}

/// The setting that a variable of the environment sets.
///
/// # Errors
/// If none may come from there.
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

/// Rungs name channels that are there.
fn reachable(policy: &Policy, notify: &Notify) -> Result<(), String> {
    for name in policy.escalation.iter().flat_map(|rung| &rung.tell) {
        match notify.channel(name).map(|channel| &channel.way) {
            None => return Err(format!("policy.escalation: notify.channels has no `{name}`")),
            Some(Transport::StatusPage { .. }) => {
                return Err(format!("policy.escalation: {name} is a public channel and cannot call anybody"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The plan files' own YAML reader as a format of `config`, so that there is one YAML parser.
#[derive(Clone, Debug)]
struct Yaml;

impl Format for Yaml {
    fn parse(
        &self,
        uri: Option<&String>,
        text: &str,
    ) -> Result<config::Map<String, config::Value>, Box<dyn std::error::Error + Send + Sync>> {
        let name = uri.map_or("drctl.yaml", String::as_str);
        let tree = document::parse(name, text.as_bytes()).map_err(|f| f.message)?;
        Ok(tree.entries().iter().map(|(k, v)| (k.text.clone(), config_value(uri, v))).collect())
    }
}

impl FileStoredFormat for Yaml {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["yaml"]
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
