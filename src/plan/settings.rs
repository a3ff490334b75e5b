//! `drctl.yaml`, then `DRCTL_*` variables, then flags.

mod read;

pub use super::secrets::hide as hide_secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::retention::Reports;
use crate::kinds::aws::services::{SERVICES, Service};
use crate::model::authority::Authority;
use crate::model::document::{self, Node, Value};
use crate::model::environment::Environment;
use crate::model::fault::place;
use crate::model::finding::{Finding, Span};
use crate::model::notice::Notify;
use crate::model::objectives::Objectives;
use crate::model::place::Place;
use crate::model::policy::Policy;
use crate::model::schedule::Schedule;
use crate::model::sink::Keeping;
use crate::model::telemetry::Traces;
use crate::model::time::Dur;

/// Settings that environment variables may set: those of one person or one machine. All other settings are read only from the file, because
/// starting a process must not decide about permissions, objectives, messages or endpoints.
pub const ENVIRONMENT: [&str; 6] =
    ["key", "key_passphrase_file", "operator", "readiness_every", "sql.ca_file", "store"];

/// The name and the tree of `drctl.yaml`, for findings about it.
#[derive(Clone, Debug)]
pub struct Written {
    /// The name of the file.
    pub file: String,
    /// Its tree; null if there is no file or it could not be parsed.
    pub tree: Node,
}

impl Written {
    /// Parses as much as possible.
    pub fn parse(file: &str, bytes: &[u8]) -> Self {
        let nothing = Node { span: Span::default(), value: Value::Null };
        Self { file: file.to_owned(), tree: document::parse(file, bytes).unwrap_or(nothing) }
    }

    /// The position of a key. If the key is missing, the position of its last existing parent.
    pub fn place<S: AsRef<str>>(&self, at: &[S]) -> Option<Span> {
        place(&self.tree, &at.iter().map(|key| key.as_ref().to_owned()).collect::<Vec<_>>())
    }
}

/// The settings for all plans.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The declared environment.
    pub environment: Environment,
    /// Recovery classes.
    pub tiers: BTreeMap<String, Tier>,
    /// The folder of the plans, as written.
    pub plans: String,
    /// The file of the journal, if it is set.
    pub store: Option<String>,
    /// The operator's name, if it is set.
    pub operator: Option<String>,
    /// The operators and their keys.
    pub authority: Authority,
    /// The approval policy.
    pub policy: Policy,
    /// The file of the user's private key, as written.
    pub key: Option<String>,
    /// The file of the key's passphrase.
    pub key_passphrase_file: Option<String>,
    /// The maximum age of an observation of a site that answers. The default of 5 minutes is drctl's own choice: a change by hand is seen
    /// soon, and the observations of one command serve the next one.
    pub observation_max_age: Dur,
    /// How often `drctl serve` checks the readiness of recoveries. The default of one hour is drctl's own choice: drift is found on the
    /// same day, and the checks stay far below the limits of the APIs.
    pub readiness_every: Dur,
    /// How many samples in a row make a turn. The default is that of Route 53's health checks (Amazon Route 53 Developer Guide, «Values that
    /// you specify when you create or update health checks», failure threshold).
    pub probe_consecutive: u32,
    /// The place of guards.
    pub guard: Option<Place>,
    /// Scheduled drills.
    pub schedules: Vec<Schedule>,
    /// The retention time and the places of evidence.
    pub evidence: Option<Keeping>,
    /// The names in reports.
    pub reports: Reports,
    /// The channels for messages.
    pub notify: Notify,
    /// The collector for traces of live runs.
    pub traces: Option<Traces>,
    /// Other endpoints of services.
    pub endpoints: BTreeMap<String, String>,
    /// Rate limits of services.
    pub limits: BTreeMap<String, Limit>,
    /// Additional AWS regions that this version does not know.
    pub regions: Vec<String>,
    /// The connections to databases.
    pub sql: SqlSettings,
    /// Resolvers that are checked besides this machine's own, after names were moved.
    pub resolvers: Vec<core::net::IpAddr>,
    /// The session name of assumed roles: the command and its user. It is not set in a file.
    pub session: String,
    /// Keys with unreadable parts, for commands that list mistakes. Settings that depend on them are not checked.
    pub unread: BTreeSet<String>,
}

/// A token bucket: the calls that a service accepts from one account in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Limit {
    /// Its size, in calls.
    pub burst: u32,
    /// Its refill rate, in calls per second.
    pub per_second: u32,
}

/// The connections to databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlSettings {
    /// Whether the server's certificate is verified.
    pub tls: SqlTls,
    /// A file with certificate authorities to trust in addition to those of the system, as the settings name it.
    pub ca_file: Option<String>,
    /// Where that file is.
    pub ca_path: Option<PathBuf>,
}

/// Whether a database's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlTls {
    /// The connection is encrypted, and the certificate must match the host.
    #[default]
    Verify,
    /// No encryption and no verification. For servers on this machine.
    Off,
}

/// One recovery class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its objectives.
    pub objectives: Objectives,
    /// How often a drill must prove it.
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

/// The published limits of services, each for one account in one region.
fn default_limits() -> BTreeMap<String, Limit> {
    let limit = |of: &Service| {
        let (burst, per_second) = of.limit?;
        Some((of.name.to_owned(), Limit { burst, per_second }))
    };
    SERVICES.iter().filter_map(limit).collect()
}

/// The default recovery classes; `drctl.yaml` can change them. Times and quarterly drills are drctl's own examples: objectives come from a
/// business impact analysis (NIST SP 800-34 Rev. 1, 3.2).
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

/// Secrets in `drctl.yaml`. Commands that check or export the file refuse them; others, such as a cancel, still work.
pub fn secrets_in(name: &str, bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = String::from_utf8_lossy(bytes);
    match document::parse(name, bytes) {
        Ok(tree) => super::secrets::find(name, &text, &tree, &mut findings),
        Err(_) => super::secrets::find_in_text(name, &text, &mut findings),
    }
    findings
}

/// The prefix of values that `drctl init` cannot know. No bucket, account or name can start with it.
pub const PLACEHOLDER: &str = "REPLACE-WITH-";

/// Placeholders left in `drctl.yaml`. A placeholder must not become the name of a guard, because the bucket could belong to a stranger.
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
