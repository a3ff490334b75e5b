//! `evidence:` in `drctl.yaml`: how long bundles are kept, by which rule, and where.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::fault::Fault;
use crate::model::place::{CloudProvider, Place};
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::sink::{Keeping, Lock, Sink};
use crate::model::time::Dur;

const DAY: u64 = 24 * 60 * 60;
/// The maximum retention time of S3 (Amazon S3 API Reference, `DefaultRetention`: 36,500 days).
const LONGEST: Dur = Dur::secs(36_500 * DAY);

/// The profiles, with their minimum retention time if they define one.
///
/// HIPAA: six years (45 CFR 164.316(b)(2)(i)). PCI DSS: twelve months (version 4.0, requirement 10.5.1). The others leave it to the
/// certified organisation.
const PROFILES: [(&str, Option<Dur>); 7] = [
    ("hipaa", Some(Dur::secs(2_192 * DAY))),
    ("pci", Some(Dur::secs(365 * DAY))),
    ("soc2", None),
    ("iso27001", None),
    ("iso22301", None),
    ("dora", None),
    ("own", None),
];

const fn profile(key: &'static str, about: &'static str) -> Field {
    opt(key, Shape::Duration, about)
}
const RETAIN: Keys = Keys {
    name: "retain",
    fields: &[
        profile("hipaa", "at least six years (2192d)"),
        profile("pci", "at least twelve months (365d)"),
        profile("soc2", "the period that your auditors expect; the standard sets none"),
        profile("iso27001", "the period that your auditors expect; the standard sets none"),
        profile("iso22301", "the period that your auditors expect; the standard sets none"),
        profile("dora", "the period that your authority expects"),
        profile("own", "your own retention period"),
    ],
};
const SINK: Keys = Keys {
    name: "sink",
    fields: &[
        req("url", Shape::Text, "s3://bucket/prefix or gs://bucket/prefix; the bucket must lock objects"),
        req(
            "region",
            Shape::Name,
            "the region of the bucket; choose one that is not lost with the application",
        ),
        opt("account", Shape::Text, "the account that must own the bucket (S3)"),
        opt("role", Shape::Text, "the role to assume there (S3)"),
        opt("external_id", Shape::Text, "the external id that the role requires"),
        opt(
            "lock",
            Shape::OneOf(&["compliance", "governance"]),
            "compliance (default): nobody can shorten the retention, including you",
        ),
    ],
};
/// `evidence:`.
pub const EVIDENCE: Keys = Keys {
    name: "evidence",
    fields: &[
        req(
            "retain",
            Shape::Keys(&RETAIN),
            "how long to keep bundles, by profile; the longest period applies",
        ),
        req("sinks", Shape::Map(&Shape::Keys(&SINK)), "where drctl stores bundles"),
    ],
};

/// `reports:`.
pub const REPORTS: Keys = Keys {
    name: "reports",
    fields: &[
        opt("prepared_by", Shape::Prose, "who prepares compliance reports: a name, and a role after a comma"),
        opt("reviewed_by", Shape::Prose, "who reviews them, likewise"),
    ],
};

/// The names in reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// Who prepares the reports.
    pub prepared_by: Option<String>,
    /// Who reviews the reports.
    pub reviewed_by: Option<String>,
}

/// The values as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEvidence {
    retain: BTreeMap<String, String>,
    sinks: BTreeMap<String, RawSink>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    url: String,
    region: String,
    account: Option<String>,
    role: Option<String>,
    external_id: Option<String>,
    #[serde(default)]
    lock: Lock,
}

impl RawEvidence {
    /// Converts it.
    ///
    /// # Errors
    /// If the retention time is too short, or there is no place for evidence.
    pub fn read(self) -> Result<Keeping, Vec<Fault>> {
        let mut longest: Option<(Dur, String)> = None;
        let mut faults = Vec::new();
        for (profile, text) in self.retain {
            let at = ["evidence", "retain", &profile];
            let retain = Dur::parse(&text).map_err(|why| Fault::said(&at, why))?;
            let least = PROFILES.iter().find(|(name, _)| *name == profile).ok_or_else(|| {
                let all = PROFILES.map(|(n, _)| n).join(", ");
                Fault::said(&at[..2], format!("`{profile}` is not a profile; choose one of {all}"))
                    .key(&profile)
            })?;
            let least = least.1.unwrap_or(Dur::secs(DAY));
            if !(least..=LONGEST).contains(&retain) {
                let why =
                    format!("evidence.retain.{profile} is {text}, but must be from {least} to {LONGEST}");
                faults.push(Fault::new(at, why));
                continue;
            }
            if longest.as_ref().is_none_or(|(of, _)| *of < retain) {
                longest = Some((retain, profile));
            }
        }
        if longest.is_none() && faults.is_empty() {
            let why = "evidence.retain is empty: set how long to keep evidence, for example {own: 400d}";
            faults
                .push(Fault::new(["evidence", "retain"], why).fix("add a profile, for example {own: 400d}"));
        }
        if self.sinks.is_empty() {
            let fix = "add a bucket under `sinks:`, or remove `evidence:`";
            faults.push(Fault::new(["evidence", "sinks"], "evidence.sinks is empty").fix(fix));
        }
        let mut sinks = Vec::new();
        for (name, raw) in self.sinks {
            match raw.read(name) {
                Ok(sink) => sinks.push(sink),
                Err(fault) => faults.push(fault),
            }
        }
        match longest {
            Some((retain, profile)) if faults.is_empty() => Ok(Keeping { retain, profile, sinks }),
            _ => Err(faults),
        }
    }
}

impl RawSink {
    fn read(self, name: String) -> Result<Sink, Fault> {
        let at = ["evidence", "sinks", &name];
        // The name becomes part of a file name.
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            let why = format!("`{name}` is not a valid name; use letters, digits, - and _");
            return Err(Fault::said(&at[..2], why).key(&name));
        }
        let bad = |why: &str| Fault::said(&at, why).key("url");
        let (scheme, rest) = self
            .url
            .split_once("://")
            .ok_or_else(|| bad("the url must be s3://bucket/prefix or gs://..."))?;
        let cloud = match scheme {
            "s3" => CloudProvider::Aws,
            "gs" => CloudProvider::Gcp,
            other => return Err(bad(&format!("unknown scheme `{other}`; use s3 or gs"))),
        };
        let rest = rest.trim_end_matches('/');
        let odd = |part: &str| {
            part.is_empty() || part.starts_with('.') || part.contains(['?', '#', '%', '\\', ' ', '@'])
        };
        if rest.split('/').any(odd) || rest.chars().any(char::is_control) {
            return Err(bad("the url must be a bucket and a plain prefix, s3://bucket/prefix"));
        }
        if cloud == CloudProvider::Gcp
            && (self.account.is_some() || self.role.is_some() || self.external_id.is_some())
        {
            let why = "account, role and external_id are only for AWS; for Google, drctl uses the application default credentials";
            return Err(Fault::said(&at, why).fix("remove account, role and external_id"));
        }
        let place = Place {
            name: self.url.trim_end_matches('/').to_owned(),
            cloud,
            region: self.region,
            account: self.account,
            role: self.role,
            external_id: self.external_id,
        };
        Ok(Sink { name, place, lock: self.lock })
    }
}
