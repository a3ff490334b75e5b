//! The terms of a run, from the settings at its start.

use std::collections::{BTreeMap, BTreeSet};

use ssh_key::{HashAlg, PublicKey};

use super::settings::{Settings, SqlTls};
use crate::model::authority::Authority;
use crate::model::environment::Endpoint;
use crate::model::ledger::RecordedOperator;
use crate::model::place::Place;
use crate::model::policy::Policy;
use crate::model::severity::Severity;
use crate::model::terms::{Promise, Terms};
use crate::model::time::Dur;

/// The operators as recorded: with the fingerprints of their keys.
pub fn known(authority: &Authority) -> BTreeMap<String, RecordedOperator> {
    let fingerprint =
        |line: &str| PublicKey::from_openssh(line).map(|key| key.fingerprint(HashAlg::Sha256).to_string());
    let known = authority.operators.iter().map(|(name, operator)| {
        let key = fingerprint(&operator.key).unwrap_or_default();
        (name.clone(), RecordedOperator { key, roles: operator.roles.iter().cloned().collect() })
    });
    known.collect()
}

impl Settings {
    /// The terms of a run with these operators and these configured endpoints.
    pub fn terms(&self, authority: &Authority, endpoints: BTreeSet<Endpoint>) -> Terms {
        let mut lines = Lines::default();
        lines.policy(&self.policy);
        lines.put("observation_max_age", self.observation_max_age.exact());
        lines.put("probe_consecutive", self.probe_consecutive);
        lines.put("guard", self.guard.as_ref().map_or_else(|| "none".to_owned(), place));
        lines.put("sql.tls", if self.sql.tls == SqlTls::Off { "off" } else { "verify" });
        lines.list("sql.ca_file", &self.sql.ca_file);
        lines.list("dns.resolvers", &self.resolvers);
        if let Some(keeping) = &self.evidence {
            lines.put("evidence.retain", format!("{} for {}", keeping.retain.exact(), keeping.profile));
            for sink in &keeping.sinks {
                let is = format!("{}, {:?}", place(&sink.place), sink.lock).to_lowercase();
                lines.put(&format!("evidence.sinks.{}", sink.name), is);
            }
        }
        let tiers = self.tiers.iter().map(|(name, tier)| {
            (name.clone(), Promise { objectives: tier.objectives, drill_every_ms: tier.drill_every })
        });
        Terms {
            environment: self.environment,
            operators: known(authority),
            tiers: tiers.collect(),
            settings: lines.0,
            endpoints,
        }
    }
}

fn place(of: &Place) -> String {
    let parts = [("account", &of.account), ("role", &of.role), ("external id", &of.external_id)];
    let said = parts.iter().filter_map(|(what, is)| Some(format!(", {what} {}", is.as_ref()?)));
    format!("{} in {}{}", of.name, of.region, said.collect::<String>())
}

/// Settings by name.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn put(&mut self, name: &str, is: impl ToString) {
        self.0.insert(name.to_owned(), is.to_string());
    }

    fn list<T: ToString>(&mut self, name: &str, of: impl IntoIterator<Item = T>) {
        let all: Vec<String> = of.into_iter().map(|one| one.to_string()).collect();
        self.put(name, if all.is_empty() { "none".to_owned() } else { all.join(", ") });
    }

    fn policy(&mut self, policy: &Policy) {
        for (severity, rule) in &policy.severities {
            self.list(&format!("policy.severities.{severity}.by"), &rule.by);
            self.list(
                &format!("policy.severities.{severity}.respond_within"),
                rule.respond_within.map(Dur::exact),
            );
        }
        for (change, rule) in &policy.changes {
            self.list(&format!("policy.changes.{change}.by"), &rule.by);
            self.list(&format!("policy.changes.{change}.override_with"), &rule.override_with);
        }
        for (intent, severity) in &policy.severity_of {
            self.put(&format!("policy.severity_of.{intent}"), severity);
        }
        for (role, below) in &policy.includes {
            self.list(&format!("policy.includes.{role}"), below);
        }
        self.list("policy.override.by", &policy.overriding.by);
        self.severities("policy.override.at", &policy.overriding.at);
        self.put("policy.override.approve_within", policy.overriding.approve_within.exact());
        self.put("policy.expires_after", policy.expires_after.exact());
        self.put("policy.apart", policy.apart.exact());
        self.severities("policy.keep_to_windows", &policy.keep_to_windows);
        for (name, windows) in [("windows", &policy.windows), ("blackouts", &policy.blackouts)] {
            let shown = windows.iter().map(|window| {
                let plans: Vec<&str> = window.plans.iter().map(|plan| plan.as_str()).collect();
                let of =
                    if plans.is_empty() { String::new() } else { format!(" of {}", plans.join(" and ")) };
                format!("{window}{of}")
            });
            self.list(&format!("policy.{name}"), shown);
        }
        let freeze = policy.freeze.as_ref().map(|freeze| match freeze.until {
            Some(until) => format!("{} until {until}", freeze.why),
            None => freeze.why.clone(),
        });
        self.list("policy.freeze", freeze);
        self.put("policy.duties.update_every", policy.duties.update_every_ms.exact());
        self.put("policy.duties.monitor", policy.duties.monitor_ms.exact());
        self.put("policy.duties.report_within", policy.duties.report_within_ms.exact());
        self.put("policy.duties.review_within", policy.duties.review_within_ms.exact());
        self.severities("policy.duties.at", &policy.duties.at);
        let rungs = policy.escalation.iter().map(|rung| {
            let by =
                if rung.tell.is_empty() { String::new() } else { format!(" by {}", rung.tell.join(" and ")) };
            format!("{} after {}{by}", rung.role, rung.after.exact())
        });
        self.list("policy.escalation", rungs);
        self.list("policy.on_stop", &policy.on_stop);
    }

    fn severities(&mut self, name: &str, of: &BTreeSet<Severity>) {
        self.list(name, of);
    }
}
