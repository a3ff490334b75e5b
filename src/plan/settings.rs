//! `drctl.yaml`, then `DRCTL_*` variables, then flags.

mod read;

pub use self::read::Written;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::retention::Reports;
use crate::model::authority::Authority;
use crate::model::document::{self, Node, Value};
use crate::model::environment::Environment;
use crate::model::finding::{Finding, Span};
use crate::model::notice::Notify;
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::sink::Keeping;
use crate::model::telemetry::Traces;
use crate::model::time::Dur;

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
    /// Keys of which something could not be read, where somebody looks for mistakes. What depends on them is not judged.
    pub unread: BTreeSet<String>,
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
            unread: BTreeSet::new(),
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
