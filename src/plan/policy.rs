//! `policy:` in `drctl.yaml`: each key that it sets replaces its default; every other key keeps its default.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::shape::{Field, Record, Shape, opt, req};
use super::windows::{FREEZE, RawFreeze, RawWindow, WINDOW};
use crate::model::duty::{Duties, Rung};
use crate::model::policy::{Change, Policy, Severity};
use crate::model::runbook::Intent;
use crate::model::time::Dur;

/// Nobody is told more often, and nothing is due sooner.
const SHORTEST: Dur = Dur::secs(10);

const SEATS: Shape = Shape::List(&Shape::Text);
const SEVERITY: Record = Record {
    name: "severity",
    fields: &[
        opt("respond_within", Shape::Duration, "how soon somebody answers for it"),
        opt("by", SEATS, "roles that authorise what is done then; `dba or cto` where either will do"),
    ],
};
const CHANGE: Record = Record {
    name: "change",
    fields: &[
        opt("by", SEATS, "roles that have to agree, each by a person of its own; none: nobody has to"),
        opt("override_with", SEATS, "roles that have to agree at once where that is overridden"),
    ],
};
const NAMED: Shape = Shape::OneOf(&["P0", "P1", "P2", "P3"]);
const OVERRIDE: Record = Record {
    name: "override",
    fields: &[
        opt("by", SEATS, "roles of whoever may override; incident-commander if absent"),
        opt("at", Shape::List(&NAMED), "severities at which that may be done; P0 if absent, none: never"),
        opt("approve_within", Shape::Duration, "how soon the approvals have to follow; 4h if absent"),
    ],
};
const fn rule(key: &'static str, about: &'static str) -> Field {
    opt(key, Shape::Record(&SEVERITY), about)
}
const SEVERITIES: Record = Record {
    name: "severities",
    fields: &[
        rule("P0", "no service, or data at risk"),
        rule("P1", "major functionality impaired"),
        rule("P2", "minor functionality impaired"),
        rule("P3", "cosmetic, or planned"),
    ],
};
const fn change(key: &'static str, about: &'static str) -> Field {
    opt(key, Shape::Record(&CHANGE), about)
}
const CHANGES: Record = Record {
    name: "changes",
    fields: &[
        change("database", "another server takes writes, or data are put in place of others"),
        change("dns", "names lead elsewhere"),
        change("configuration", "clients are led elsewhere by secrets and settings"),
        change("deployment", "a hook has the version run again that ran before"),
        change("older_deployment", "a hook has an older version run"),
        change("policy", "a hook changes rules of who may do what"),
        change("state", "a hook puts an application's own snapshot back"),
    ],
};
const SEVERITY_OF: Record = Record {
    name: "severity_of",
    fields: &[
        opt("failover", NAMED, "P0 if absent"),
        opt("restore", NAMED, "P1 if absent"),
        opt("switchover", NAMED, "P2 if absent"),
        opt("failback", NAMED, "P2 if absent"),
        opt("reprotect", NAMED, "P2 if absent"),
        opt("drill", NAMED, "of a drill that moves users; P3 if absent"),
    ],
};
const DUTIES: Record = Record {
    name: "duties",
    fields: &[
        opt("update_every", Shape::Duration, "how often people are told where it stands; 15m if absent"),
        opt("monitor", Shape::Duration, "how long it is watched afterwards; 2h if absent"),
        opt("report_within", Shape::Duration, "how soon the incident report is there; 24h if absent"),
        opt("review_within", Shape::Duration, "how soon the post-mortem was held; 48h if absent"),
        opt(
            "at",
            Shape::List(&NAMED),
            "severities of incidents that owe it; P0 and P1 if absent, none: none do",
        ),
    ],
};
const RUNG: Record = Record {
    name: "rung",
    fields: &[
        req("after", Shape::Duration, "how long nobody answered"),
        req("role", Shape::Name, "the role that is called then"),
        opt(
            "tell",
            Shape::List(&Shape::Name),
            "channels that reach it; all that escalations go to if absent",
        ),
    ],
};
const WINDOWS: Shape = Shape::List(&Shape::Record(&WINDOW));
/// `policy:`.
pub const POLICY: Record = Record {
    name: "policy",
    fields: &[
        opt("severities", Shape::Record(&SEVERITIES), "who authorises what, by how bad it is"),
        opt("changes", Shape::Record(&CHANGES), "who agrees to what, by what is changed"),
        opt("severity_of", Shape::Record(&SEVERITY_OF), "the severity of a run that is given none"),
        opt("includes", Shape::Map(&Shape::List(&Shape::Name)), "roles that a role stands for, too"),
        opt("override", Shape::Record(&OVERRIDE), "who may let a run go on before that, in an emergency"),
        opt("expires_after", Shape::Duration, "how long the question stands; 30m if absent"),
        opt("keep_to_windows", Shape::List(&NAMED), "severities of runs that can wait; P2 and P3 if absent"),
        opt("windows", WINDOWS, "when those may begin; always if absent"),
        opt("blackouts", WINDOWS, "when those may not begin"),
        opt("freeze", Shape::Record(&FREEZE), "while it is there, those do not begin at all"),
        opt(
            "apart",
            Shape::Duration,
            "how long nothing moves an application by itself after it was moved; 1h if absent",
        ),
        opt("duties", Shape::Record(&DUTIES), "what is owed after an incident"),
        opt(
            "escalation",
            Shape::List(&Shape::Record(&RUNG)),
            "who is called when nobody answers; the first rung first",
        ),
        opt(
            "on_stop",
            Shape::List(&Shape::Name),
            "roles that are called at once when a run stops; engineering-lead and on-call-engineer if absent",
        ),
    ],
};

/// As written; absent means the default.
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
    /// The policy with what was written in the place of what was not.
    ///
    /// # Errors
    /// What is no duration or severity.
    pub fn over(self, mut policy: Policy) -> Result<Policy, String> {
        let duration = |text: Option<String>| text.as_deref().map(Dur::parse).transpose();
        for (name, raw) in self.severities {
            let Some(rule) = policy.severities.get_mut(&name.parse::<Severity>()?) else { continue };
            rule.respond_within = duration(raw.respond_within)?.or(rule.respond_within);
            put(&mut rule.by, raw.by);
        }
        for (change, raw) in self.changes {
            let Some(rule) = policy.changes.get_mut(&change) else { continue };
            put(&mut rule.by, raw.by);
            put(&mut rule.override_with, raw.override_with);
        }
        for (intent, severity) in self.severity_of {
            policy.severity_of.insert(intent, severity.parse()?);
        }
        policy.includes.extend(self.includes);
        policy.includes = all_below(&policy.includes)?;
        put(&mut policy.overriding.by, self.overriding.by);
        let severities =
            |named: Vec<String>| named.iter().map(|s| s.parse()).collect::<Result<BTreeSet<Severity>, _>>();
        if let Some(at) = self.overriding.at {
            policy.overriding.at = severities(at)?;
        }
        if let Some(keep) = self.keep_to_windows {
            policy.keep_to_windows = severities(keep)?;
        }
        let all = |raw: Vec<RawWindow>, key| {
            let each =
                |(n, raw): (usize, RawWindow)| raw.window().map_err(|e| format!("policy.{key}[{n}]: {e}"));
            (1..).zip(raw).map(each).collect::<Result<Vec<_>, _>>()
        };
        policy.windows = all(self.windows, "windows")?;
        policy.blackouts = all(self.blackouts, "blackouts")?;
        if let Some(apart) = self.apart {
            policy.apart = Dur::parse(&apart)?;
        }
        policy.freeze = self.freeze.map(RawFreeze::freeze).transpose()?;
        if let Some(within) = duration(self.overriding.approve_within)? {
            policy.overriding.approve_within = within;
        }
        self.duties.over(&mut policy.duties)?;
        if let Some(rungs) = self.escalation {
            policy.escalation = ladder(rungs)?;
        }
        put(&mut policy.on_stop, self.on_stop);
        policy.expires_after = duration(self.expires_after)?.unwrap_or(policy.expires_after);
        Ok(policy)
    }
}

/// Whoever stands for a role stands for those that it includes.
fn all_below(
    includes: &BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut whole = BTreeMap::new();
    for role in includes.keys() {
        let (mut below, mut next) = (BTreeSet::new(), vec![role]);
        while let Some(one) = next.pop() {
            next.extend(includes.get(one).into_iter().flatten().filter(|more| below.insert((*more).clone())));
        }
        if below.contains(role) {
            return Err(format!(
                "policy.includes: {role} includes itself, by way of others: none of them is above"
            ));
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
    fn over(self, duties: &mut Duties) -> Result<(), String> {
        let places = [
            ("update_every", self.update_every, &mut duties.update_every_ms),
            ("monitor", self.monitor, &mut duties.monitor_ms),
            ("report_within", self.report_within, &mut duties.report_within_ms),
            ("review_within", self.review_within, &mut duties.review_within_ms),
        ];
        for (key, text, place) in places {
            let Some(text) = text else { continue };
            *place = Dur::parse(&text)?;
            if *place < SHORTEST {
                return Err(format!("policy.duties.{key} is {text}; it is {SHORTEST} at least"));
            }
        }
        if let Some(at) = self.at {
            duties.at = at.iter().map(|s| s.parse()).collect::<Result<_, _>>()?;
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

/// Nobody is called before whoever stands below.
fn ladder(rungs: Vec<RawRung>) -> Result<Vec<Rung>, String> {
    let rung = |raw: RawRung| Ok(Rung { after: Dur::parse(&raw.after)?, role: raw.role, tell: raw.tell });
    let rungs = rungs.into_iter().map(rung).collect::<Result<Vec<Rung>, String>>()?;
    match rungs.windows(2).find(|pair| pair[0].after >= pair[1].after) {
        Some(pair) => Err(format!(
            "policy.escalation: {} is called after {} and {} after {}: each rung is later than the one before",
            pair[0].role, pair[0].after, pair[1].role, pair[1].after
        )),
        None => Ok(rungs),
    }
}

fn put(place: &mut Vec<String>, written: Option<Vec<String>>) {
    *place = written.unwrap_or_else(|| std::mem::take(place));
}
