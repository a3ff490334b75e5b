//! One table for grey failures, when it is unclear whether to fail over: what users see, which parts of the source answer, what is ready,
//! what a failover would do, and what it would cost.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::critical_path;
use super::refusal::Refusal;
use crate::inventory::{Estate, NO_CREDENTIALS, Observation, targets};
use crate::kinds::cloud::RENEW;
use crate::kinds::{AnsweredBy, Role, State, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::plain::count;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::record::action::Action;
use crate::record::runbook::{Probe, ProbeRole, Runbook};

/// What to do if requests are signed with a wrong time.
pub const SET_CLOCK: &str = "set the clock (systemctl restart chronyd, or timedatectl set-ntp true)";

/// Why something was not observed. Invalid credentials have their own line.
fn why_not(seen: &Observation) -> String {
    match seen {
        Observation::Unauthenticated { clock: true, .. } => "the clock of this machine is wrong".to_owned(),
        Observation::Unauthenticated { .. } => NO_CREDENTIALS.to_owned(),
        other => other.why_not(),
    }
}

/// The assessment in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Not known. It never counts as good.
    Unknown,
    /// None of these: the line says what would be done.
    Says,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Line")]
pub struct AssessmentLine {
    /// `credentials`, `users`, `source_control_plane`, `source_data_plane`, `replica`, `capacity`, `failover`, `loss`, `refusal`.
    pub about: &'static str,
    /// The item.
    pub what: String,
    /// Its assessment.
    pub reads: Reads,
    /// In words.
    pub detail: String,
}

/// The question to assess.
#[derive(Debug)]
pub struct Question<'a> {
    /// The application.
    pub plan: &'a Plan,
    /// The latest observations.
    pub estate: &'a Estate,
    /// The site that a failover would leave.
    pub from: &'a SiteName,
    /// The recovery site.
    pub to: &'a SiteName,
    /// The place whose credentials are not valid, if no failover can start without them.
    pub closed: Option<&'a str>,
    /// The refusals of a failover.
    pub refusals: &'a [Refusal],
    /// The runbook of a failover, with all waivable refusals waived.
    pub runbook: Option<&'a Runbook>,
    /// The current time.
    pub now: Timestamp,
}

/// The table.
pub fn table(of: &Question<'_>) -> Vec<AssessmentLine> {
    let mut lines = of.users();
    lines.extend(of.credentials());
    lines.extend(of.source("source_control_plane", AnsweredBy::ControlPlane));
    lines.extend(of.source("source_data_plane", AnsweredBy::Itself));
    for component in of.plan.components.values() {
        match component.role() {
            Role::Store(spec) => {
                let db = spec.server(of.plan, &component.name, of.to);
                lines.extend(
                    db.into_iter().flat_map(|db| of.replica(component.name.as_str(), Target::Database(db))),
                );
            }
            Role::Capacity(spec) => {
                let target = spec.target(of.plan, &component.name, of.to);
                lines.extend(target.map(|target| of.capacity(&component.name, &target)));
            }
            Role::Traffic(_) | Role::Clients(_) | Role::Copy(_) | Role::Declared => {}
        }
    }
    lines.extend(of.failover());
    lines
}

/// What a failover would lose of each store, as far as it was observed.
pub fn losses(of: &Question<'_>) -> Vec<String> {
    let losses = table(of).into_iter().filter(|line| line.about == "loss");
    losses.map(|line| format!("possible loss of {}: {}", line.what, line.detail)).collect()
}

fn line(
    about: &'static str,
    what: impl Into<String>,
    reads: Reads,
    detail: impl Into<String>,
) -> AssessmentLine {
    AssessmentLine { about, what: what.into(), reads, detail: detail.into() }
}

impl Question<'_> {
    /// Probes from this machine; other places may get other results.
    fn users(&self) -> Vec<AssessmentLine> {
        let said = |probe: &Probe| {
            let key = &probe.key();
            // A standby site need not serve yet.
            let stands_by = probe.role == ProbeRole::Site && probe.site.as_ref() == Some(self.to);
            let health = self.estate.probes.get(key);
            let since = health
                .and_then(|h| h.since)
                .map_or_else(String::new, |s| format!(" in every sample from {s} on"));
            match health.and_then(|h| h.good) {
                Some(true) => {
                    line("users", key.clone(), Reads::Good, format!("good{since}, from this machine"))
                }
                Some(false) if stands_by => line(
                    "users",
                    key.clone(),
                    Reads::Says,
                    format!("bad{since}: this site does not serve users yet"),
                ),
                Some(false) => {
                    line("users", key.clone(), Reads::Bad, format!("bad{since}, from this machine"))
                }
                None => line("users", key.clone(), Reads::Unknown, "the latest samples disagree"),
            }
        };
        let asked = self.plan.probes.iter().filter(|p| p.value.role != ProbeRole::Alarm);
        asked.map(|p| said(&p.value)).collect()
    }

    /// Invalid credentials: shown once with what to do, and not for each thing that could not be observed.
    fn credentials(&self) -> Vec<AssessmentLine> {
        let said = |(why, clock, places): (&str, bool, BTreeSet<&str>)| {
            let places = places.into_iter().collect::<Vec<_>>().join(", ");
            let detail = match clock {
                true => format!("{why}; {SET_CLOCK}"),
                false => format!("{NO_CREDENTIALS}: {why}; {RENEW}"),
            };
            line("credentials", places, Reads::Bad, detail)
        };
        self.estate.locked_out().into_iter().map(said).collect()
    }

    /// The services of the source's region, or what answers there for itself, such as its databases.
    fn source(&self, about: &'static str, by: AnsweredBy) -> Vec<AssessmentLine> {
        let mut services: Vec<(&'static str, Vec<&Observation>)> = Vec::new();
        for target in targets::of_plan(self.plan, None) {
            let here = target.place().is_some_and(|p| p.name == self.from.as_str());
            let service = target.service();
            let Some(seen) = self.estate.now(&target).filter(|_| here && target.answered_by() == by) else {
                continue;
            };
            match services.iter_mut().find(|(name, _)| *name == service) {
                Some((_, all)) => all.push(seen),
                None => services.push((service, vec![seen])),
            }
        }
        services.into_iter().map(|(name, seen)| answers(about, name, &seen)).collect()
    }

    fn replica(&self, name: &str, target: Target) -> Vec<AssessmentLine> {
        let Some(seen) = self.estate.now(&target) else { return Vec::new() };
        let Some(State::Database(db)) = seen.state() else {
            return vec![line("replica", name, Reads::Unknown, why_not(seen))];
        };
        let what = format!("{name} in {}", self.to);
        if !db.is_replica() {
            return vec![line("replica", what, Reads::Bad, "not a replica: this server takes writes")];
        }
        let keeps_up = match db.streaming {
            Some(true) => (Reads::Good, "replication runs"),
            Some(false) => (Reads::Bad, "replication has stopped"),
            None => (Reads::Unknown, "the state of replication is unknown"),
        };
        let mut lines = vec![line(
            "replica",
            what.clone(),
            keeps_up.0,
            format!("{}; server status: {}", keeps_up.1, db.status),
        )];
        let how = db.last_commit_source.as_deref().unwrap_or("sql");
        lines.push(match db.last_commit {
            Some(at) => {
                let age = self.now.since(at);
                let cost = format!("up to {age} of writes if the old primary is not fenced first (last commit replayed at {at}, read by {how})");
                line("loss", what, Reads::Says, cost)
            }
            None => line("loss", what, Reads::Unknown, "the last replayed commit is unknown"),
        });
        lines
    }

    fn capacity(&self, name: &ComponentName, target: &Target) -> AssessmentLine {
        let what = format!("{name} in {}", self.to);
        let wanted = self.runbook.and_then(|book| {
            let scaled = book.steps.iter().filter(|s| s.component.as_ref() == Some(name));
            let to = |action: &Action| if let Action::Op(op) = action { op.scaled() } else { None };
            scaled.filter_map(|s| to(&s.action)).map(|(_, to, _)| to.desired).next()
        });
        let seen = self.estate.now(target);
        match seen.and_then(Observation::state).and_then(State::capacity) {
            Some(now) => {
                let wanted = wanted.map_or_else(String::new, |n| format!("; a failover needs {n}"));
                let failure = now
                    .last_failure
                    .as_deref()
                    .map_or_else(String::new, |f| format!("; the last scaling activity failed: {f}"));
                let reads = if now.last_failure.is_some() { Reads::Bad } else { Reads::Good };
                line("capacity", what, reads, format!("{} in service{wanted}{failure}", now.in_service))
            }
            None => line("capacity", what, Reads::Unknown, seen.map_or_else(String::new, why_not)),
        }
    }

    fn failover(&self) -> Vec<AssessmentLine> {
        if let Some(place) = self.closed {
            let words =
                format!("waiting for credentials for {place}: drctl failover begins nothing before that");
            return vec![line("failover", format!("to {}", self.to), Reads::Bad, words)];
        }
        let said = self.refusals.iter().map(|r| {
            let of = r.component.as_ref().map_or_else(String::new, |c| format!(":{c}"));
            let lifts = r.flag.as_ref().unwrap_or(&r.acceptable);
            line("refusal", format!("{}{of}", r.rule), Reads::Bad, format!("{}; {lifts}", r.facts))
        });
        let mut lines: Vec<_> = said.collect();
        let Some(book) = self.runbook else { return lines };
        if book.is_empty() {
            lines.push(line(
                "failover",
                "nothing",
                Reads::Says,
                "nothing to do: everything already runs there",
            ));
            return lines;
        }
        if lines.is_empty() {
            lines.push(line("refusal", "none", Reads::Good, "no rule refuses this failover now"));
        }
        let critical = critical_path::critical(book);
        let (promised, of) = book.promised_rto();
        let of = of.map_or_else(String::new, |component| format!(" of {component}"));
        let met = if critical.expected > promised { Reads::Bad } else { Reads::Says };
        let time = format!(
            "{}; expected time {}, {} if every step times out; the RTO objective is {promised}{of}",
            count(book.steps.len(), "step"),
            critical.expected,
            critical.worst
        );
        lines.push(line("failover", format!("to {}", self.to), met, time));
        let no_return = critical_path::points_of_no_return(book);
        lines.extend(no_return.iter().map(|(s, why)| {
            line("failover", s.id.as_str(), Reads::Says, format!("point of no return: {why}"))
        }));
        lines
    }
}

/// A refused observation is no evidence about the region, and neither are invalid credentials: the region may or may not work.
fn answers(about: &'static str, service: &str, seen: &[&Observation]) -> AssessmentLine {
    let says_nothing =
        |o: &&&Observation| matches!(o, Observation::Refused { .. } | Observation::Unauthenticated { .. });
    let silent = |o: &&&Observation| !o.answered() && !says_nothing(o);
    let there = seen.iter().filter(|o| o.answered() && !says_nothing(o)).count();
    let mut whys: Vec<String> = [seen.iter().find(silent), seen.iter().find(says_nothing)]
        .into_iter()
        .flatten()
        .map(|o| format!("; {}", why_not(o)))
        .collect();
    whys.dedup();
    let reads = match (seen.iter().any(|o| silent(&o)), seen.iter().any(|o| says_nothing(&o))) {
        (true, _) => Reads::Bad,
        (_, true) => Reads::Unknown,
        _ => Reads::Good,
    };
    line(about, service, reads, format!("{there} of {} observations answered{}", seen.len(), whys.concat()))
}
