//! `policy:` in `drctl.yaml`: each key that it sets replaces its default; every other key keeps its default.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::windows::{FREEZE, RawFreeze, RawWindow, WINDOW};
use crate::model::calendar::Window;
use crate::model::duty::{Duties, Rung};
use crate::model::fault::Fault;
use crate::model::intent::Intent;
use crate::model::policy::{Change, Policy};
use crate::model::severity::Severity;
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::time::Dur;

/// The minimum for intervals and due times.
const SHORTEST: Dur = Dur::secs(10);

const SEATS: Shape = Shape::List(&Shape::Text);
const SEVERITY: Keys = Keys {
    name: "severity",
    fields: &[
        opt("respond_within", Shape::Duration, "how soon somebody must respond"),
        opt("by", SEATS, "roles that authorise a run at this severity; `dba or cto` means either one"),
    ],
};
const CHANGE: Keys = Keys {
    name: "change",
    fields: &[
        opt(
            "by",
            SEATS,
            "roles that must approve, each by a different person; an empty list means no approval",
        ),
        opt("override_with", SEATS, "roles that must approve at once if the approval is overridden"),
    ],
};
const NAMED: Shape = Shape::OneOf(&["P0", "P1", "P2", "P3"]);
const OVERRIDE: Keys = Keys {
    name: "override",
    fields: &[
        opt("by", SEATS, "roles that may override; incident-commander if absent"),
        opt(
            "at",
            Shape::List(&NAMED),
            "severities that allow an override; P0 if absent, an empty list means never",
        ),
        opt("approve_within", Shape::Duration, "how soon the approvals must follow; 4h if absent"),
    ],
};
const fn rule(key: &'static str, about: &'static str) -> Field {
    opt(key, Shape::Keys(&SEVERITY), about)
}
const SEVERITIES: Keys = Keys {
    name: "severities",
    fields: &[
        rule("P0", "no service, or data at risk"),
        rule("P1", "major functionality impaired"),
        rule("P2", "minor functionality impaired"),
        rule("P3", "cosmetic, or planned"),
    ],
};
const fn change(key: &'static str, about: &'static str) -> Field {
    opt(key, Shape::Keys(&CHANGE), about)
}
const CHANGES: Keys = Keys {
    name: "changes",
    fields: &[
        change("database", "another server takes writes, or restored data replaces live data"),
        change("dns", "names point to another site"),
        change("configuration", "secrets and settings point clients to another server"),
        change("deployment", "a hook returns to the previous version"),
        change("older_deployment", "a hook deploys an older version"),
        change("policy", "a hook changes access rules"),
        change("state", "a hook restores a snapshot of the application"),
    ],
};
const SEVERITY_OF: Keys = Keys {
    name: "severity_of",
    fields: &[
        opt("failover", NAMED, "P0 if absent"),
        opt("restore", NAMED, "P1 if absent"),
        opt("switchover", NAMED, "P2 if absent"),
        opt("failback", NAMED, "P2 if absent"),
        opt("reprotect", NAMED, "P2 if absent"),
        opt("drill", NAMED, "the severity of a drill that moves users; P3 if absent"),
    ],
};
const DUTIES: Keys = Keys {
    name: "duties",
    fields: &[
        opt("update_every", Shape::Duration, "how often drctl sends a status update; 15m if absent"),
        opt("monitor", Shape::Duration, "how long to monitor the application afterwards; 2h if absent"),
        opt("report_within", Shape::Duration, "when the incident report is due; 24h if absent"),
        opt("review_within", Shape::Duration, "when the post-mortem is due; 48h if absent"),
        opt(
            "at",
            Shape::List(&NAMED),
            "severities of incidents with these duties; P0 and P1 if absent, an empty list means none",
        ),
    ],
};
const RUNG: Keys = Keys {
    name: "rung",
    fields: &[
        req("after", Shape::Duration, "how long nobody responded"),
        req("role", Shape::Name, "the role to call then"),
        opt(
            "tell",
            Shape::List(&Shape::Name),
            "channels to use; if absent, all channels that get escalations",
        ),
    ],
};
const WINDOWS: Shape = Shape::List(&Shape::Keys(&WINDOW));
/// `policy:`.
pub const POLICY: Keys = Keys {
    name: "policy",
    fields: &[
        opt("severities", Shape::Keys(&SEVERITIES), "who authorises a run, by severity"),
        opt("changes", Shape::Keys(&CHANGES), "who approves a run, by the kind of change"),
        opt("severity_of", Shape::Keys(&SEVERITY_OF), "the default severity of a run"),
        opt("includes", Shape::Map(&Shape::List(&Shape::Name)), "roles that another role includes"),
        opt("override", Shape::Keys(&OVERRIDE), "who may override an approval in an emergency"),
        opt("expires_after", Shape::Duration, "how long an approval request is valid; 30m if absent"),
        opt("keep_to_windows", Shape::List(&NAMED), "severities of runs that can wait; P2 and P3 if absent"),
        opt("windows", WINDOWS, "when those runs may start; always if absent"),
        opt("blackouts", WINDOWS, "when those runs may not start"),
        opt("freeze", Shape::Keys(&FREEZE), "while it is set, those runs do not start"),
        opt(
            "apart",
            Shape::Duration,
            "how long after a move drctl does not move the application again automatically; 1h if absent",
        ),
        opt("duties", Shape::Keys(&DUTIES), "what must follow an incident"),
        opt(
            "escalation",
            Shape::List(&Shape::Keys(&RUNG)),
            "whom to call when nobody responds; the first entry comes first",
        ),
        opt(
            "on_stop",
            Shape::List(&Shape::Name),
            "roles to call at once when a run stops; engineering-lead and on-call-engineer if absent",
        ),
    ],
};

/// The values as written; absent means the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPolicy {
    #[serde(default)]
    severities: BTreeMap<String, RawSeverity>,
    #[serde(default)]
    changes: BTreeMap<Change, RawChange>,
    #[serde(default)]
    severity_of: BTreeMap<Intent, String>,
    #[serde(default)]
    includes: BTreeMap<String, BTreeSet<String>>,
    #[serde(default, rename = "override")]
    overriding: RawOverride,
    expires_after: Option<String>,
    keep_to_windows: Option<Vec<String>>,
    #[serde(default)]
    windows: Vec<RawWindow>,
    #[serde(default)]
    blackouts: Vec<RawWindow>,
    freeze: Option<RawFreeze>,
    apart: Option<String>,
    #[serde(default)]
    duties: RawDuties,
    escalation: Option<Vec<RawRung>>,
    on_stop: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeverity {
    respond_within: Option<String>,
    by: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChange {
    by: Option<Vec<String>>,
    override_with: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    by: Option<Vec<String>>,
    at: Option<Vec<String>>,
    approve_within: Option<String>,
}

impl RawPolicy {
    /// The policy with the written values in place of its defaults.
    ///
    /// # Errors
    /// Invalid durations and severities, and contradictions.
    pub fn over(self, mut policy: Policy) -> Result<Policy, Vec<Fault>> {
        let mut faults = Vec::new();
        for (name, raw) in self.severities {
            let at = ["policy", "severities", &name];
            let severity: Severity = name.parse().map_err(|why| Fault::said(&at, why))?;
            let Some(rule) = policy.severities.get_mut(&severity) else { continue };
            rule.respond_within =
                dur(raw.respond_within, &[&at[..], &["respond_within"]].concat())?.or(rule.respond_within);
            put(&mut rule.by, raw.by);
        }
        for (change, raw) in self.changes {
            let Some(rule) = policy.changes.get_mut(&change) else { continue };
            put(&mut rule.by, raw.by);
            put(&mut rule.override_with, raw.override_with);
        }
        for (intent, severity) in self.severity_of {
            let at = ["policy", "severity_of", &intent.to_string()];
            policy.severity_of.insert(intent, severity.parse().map_err(|why| Fault::said(&at, why))?);
        }
        policy.includes.extend(self.includes);
        policy.includes = all_below(&policy.includes)?;
        put(&mut policy.overriding.by, self.overriding.by);
        if let Some(at) = self.overriding.at {
            policy.overriding.at = severities(&at, &["policy", "override", "at"])?;
        }
        if let Some(keep) = self.keep_to_windows {
            policy.keep_to_windows = severities(&keep, &["policy", "keep_to_windows"])?;
        }
        policy.windows = windows(self.windows, "windows", &mut faults);
        policy.blackouts = windows(self.blackouts, "blackouts", &mut faults);
        if let Some(apart) = dur(self.apart, &["policy", "apart"])? {
            policy.apart = apart;
        }
        match self.freeze.map(RawFreeze::freeze).transpose() {
            Ok(freeze) => policy.freeze = freeze,
            Err(fault) => faults.push(fault),
        }
        if let Some(within) = dur(self.overriding.approve_within, &["policy", "override", "approve_within"])?
        {
            policy.overriding.approve_within = within;
        }
        self.duties.over(&mut policy.duties, &mut faults)?;
        if let Some(rungs) = self.escalation {
            policy.escalation = ladder(rungs, &mut faults)?;
        }
        put(&mut policy.on_stop, self.on_stop);
        policy.expires_after =
            dur(self.expires_after, &["policy", "expires_after"])?.unwrap_or(policy.expires_after);
        if faults.is_empty() { Ok(policy) } else { Err(faults) }
    }
}

fn dur(text: Option<String>, at: &[&str]) -> Result<Option<Dur>, Fault> {
    text.as_deref().map(Dur::parse).transpose().map_err(|why| Fault::said(at, why))
}

fn severities(named: &[String], at: &[&str]) -> Result<BTreeSet<Severity>, Fault> {
    named.iter().map(|name| name.parse().map_err(|why| Fault::said(at, why))).collect()
}

/// The valid windows; faults of the others are added.
fn windows(raw: Vec<RawWindow>, key: &str, faults: &mut Vec<Fault>) -> Vec<Window> {
    let mut good = Vec::new();
    for (n, raw) in (1..).zip(raw) {
        match raw.window(&["policy", key, &u32::to_string(&n)]) {
            Ok(window) => good.push(window),
            Err(more) => faults.extend(more),
        }
    }
    good
}

/// Adds indirect inclusions: a role includes everything that its included roles include.
fn all_below(
    includes: &BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let mut whole = BTreeMap::new();
    for role in includes.keys() {
        let (mut below, mut next) = (BTreeSet::new(), vec![role]);
        while let Some(one) = next.pop() {
            next.extend(includes.get(one).into_iter().flatten().filter(|more| below.insert((*more).clone())));
        }
        if below.contains(role) {
            let why = format!("policy.includes: {role} includes itself through other roles");
            return Err(Fault::new(["policy", "includes", role], why));
        }
        whole.insert(role.clone(), below);
    }
    Ok(whole)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDuties {
    update_every: Option<String>,
    monitor: Option<String>,
    report_within: Option<String>,
    review_within: Option<String>,
    at: Option<Vec<String>>,
}

impl RawDuties {
    fn over(self, duties: &mut Duties, faults: &mut Vec<Fault>) -> Result<(), Fault> {
        let places = [
            ("update_every", self.update_every, &mut duties.update_every_ms),
            ("monitor", self.monitor, &mut duties.monitor_ms),
            ("report_within", self.report_within, &mut duties.report_within_ms),
            ("review_within", self.review_within, &mut duties.review_within_ms),
        ];
        for (key, text, place) in places {
            let at = ["policy", "duties", key];
            let Some(text) = dur(text, &at)? else { continue };
            *place = text;
            if text < SHORTEST {
                let why = format!("policy.duties.{key} is {text}, but must be at least {SHORTEST}");
                faults.push(Fault::new(at, why));
            }
        }
        if let Some(at) = self.at {
            duties.at = severities(&at, &["policy", "duties", "at"])?;
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRung {
    after: String,
    role: String,
    #[serde(default)]
    tell: Vec<String>,
}

/// Each level must be later than the one before.
fn ladder(rungs: Vec<RawRung>, faults: &mut Vec<Fault>) -> Result<Vec<Rung>, Fault> {
    let after = |n: u32| ["policy".to_owned(), "escalation".to_owned(), n.to_string(), "after".to_owned()];
    let mut read: Vec<Rung> = Vec::new();
    for (n, raw) in (1..).zip(rungs) {
        let within = Dur::parse(&raw.after).map_err(|why| Fault::new(after(n), why))?;
        let rung = Rung { after: within, role: raw.role, tell: raw.tell };
        if let Some(below) = read.last().filter(|below| below.after >= rung.after) {
            let why = format!(
                "policy.escalation: {} is called after {}, and {} after {}; each entry must be later than the one before",
                below.role, below.after, rung.role, rung.after
            );
            faults.push(Fault::new(after(n), why).fix(format!("write more than {}", below.after)));
            continue;
        }
        read.push(rung);
    }
    Ok(read)
}

fn put(place: &mut Vec<String>, written: Option<Vec<String>>) {
    *place = written.unwrap_or_else(|| std::mem::take(place));
}
