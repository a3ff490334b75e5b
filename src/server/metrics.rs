//! The metrics of a server in Prometheus' text format (Prometheus, «Exposition formats», version 0.0.4).

use std::fmt::Write as _;

use crate::model::ids::PlanName;
use crate::model::readiness::{Area, Check, Standing};
use crate::model::time::{Dur, Timestamp};
use crate::policy::schedules::Tally;
use crate::report::verified::Status;

/// A server is unhealthy if it has not checked its schedules for this long, unless it is running a drill.
pub const STALE: Dur = Dur::mins(2);

/// The state of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When it last checked for due drills.
    pub looked_at: Option<Timestamp>,
    /// Why it does not use the settings in the file; `None` if it uses them.
    pub settings: Option<String>,
    /// The schedule whose drill is running.
    pub holding: Option<String>,
    /// Its schedules.
    pub schedules: Vec<Row>,
    /// Each plan, whether it is verified, and until when.
    pub plans: Vec<(PlanName, Status, Option<Timestamp>)>,
    /// When the last readiness check ended; `None` before the first one.
    pub looked_ahead_at: Option<Timestamp>,
    /// The results of the last readiness check of each plan.
    pub readiness: Vec<(PlanName, Vec<Check>)>,
    /// The number of evidence bundles that are not at every sink yet.
    pub evidence_owed: usize,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub schedule: String,
    /// The plan.
    pub plan: PlanName,
    /// The mode of its drills.
    pub drill: &'static str,
    /// When its next drill is due.
    pub next_due: Option<Timestamp>,
    /// The results of its drills.
    pub drills: Tally,
}

impl Snapshot {
    /// Why the server is unhealthy; `None` if it is healthy.
    pub fn ill(&self, now: Timestamp) -> Option<String> {
        match (self.looked_at, &self.holding) {
            (Some(at), None) if now.since(at) <= STALE => self.settings.clone(),
            (_, Some(_)) => self.settings.clone(),
            (Some(at), None) => Some(format!("drctl serve has not read the schedules since {at}")),
            (None, None) => Some("drctl serve has not read the schedules yet".to_owned()),
        }
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = Text(String::new());
        text.head("drctl_build_info", "gauge", "The version of drctl.");
        text.sample("drctl_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        if let Some(at) = self.looked_at {
            text.head(
                "drctl_last_look_timestamp_seconds",
                "gauge",
                "Time when the server last checked what is due.",
            );
            text.sample("drctl_last_look_timestamp_seconds", &[], seconds(at));
        }
        text.head("drctl_drill_running", "gauge", "Whether the server is running a drill now.");
        text.sample("drctl_drill_running", &[], i64::from(self.holding.is_some()));
        text.head(
            "drctl_evidence_bundles_owed",
            "gauge",
            "Evidence bundles that are not in all their sinks yet.",
        );
        text.sample("drctl_evidence_bundles_owed", &[], count(self.evidence_owed));
        text.head("drctl_drills_total", "counter", "Drills of each schedule, by result.");
        for row in &self.schedules {
            for (fate, n) in
                [("passed", row.drills.passed), ("failed", row.drills.failed), ("missed", row.drills.missed)]
            {
                text.sample("drctl_drills_total", &[&row.labels()[..], &[("fate", fate)]].concat(), count(n));
            }
        }
        text.head("drctl_drills_open", "gauge", "Drills in progress: they run, or wait for a person.");
        for row in &self.schedules {
            text.sample("drctl_drills_open", &row.labels(), count(row.drills.open));
        }
        text.head("drctl_drill_next_due_timestamp_seconds", "gauge", "Time when the schedule is due next.");
        for (row, due) in self.schedules.iter().filter_map(|row| Some((row, row.next_due?))) {
            text.sample("drctl_drill_next_due_timestamp_seconds", &row.labels(), seconds(due));
        }
        self.of_plans(&mut text);
        text.0
    }

    /// Whether each plan is verified and ready.
    fn of_plans(&self, text: &mut Text) {
        text.head(
            "drctl_plan_verification",
            "gauge",
            "1 for the verification status of a plan: verified, needs_verification or failed.",
        );
        for (plan, status, _) in &self.plans {
            for (word, of) in [
                ("verified", Status::Verified),
                ("needs_verification", Status::NeedsVerification),
                ("failed", Status::Failed),
            ] {
                let labels = [("plan", plan.as_str()), ("status", word)];
                text.sample("drctl_plan_verification", &labels, i64::from(of == *status));
            }
        }
        if let Some(at) = self.looked_ahead_at {
            text.head(
                "drctl_readiness_looked_timestamp_seconds",
                "gauge",
                "Time of the last readiness check of this server.",
            );
            text.sample("drctl_readiness_looked_timestamp_seconds", &[], seconds(at));
        }
        text.head(
            "drctl_plan_readiness",
            "gauge",
            "Readiness of an area of a plan: 0 ready, 1 degraded, 2 unknown, 3 not ready.",
        );
        for (plan, checks) in &self.readiness {
            for area in Area::ALL {
                let of_area = checks.iter().filter(|check| check.area == area).map(|check| check.standing);
                let Some(worst) = of_area.max() else { continue };
                let rank = Standing::ALL.iter().position(|standing| *standing == worst).unwrap_or_default();
                let labels = [("plan", plan.as_str()), ("area", area.id())];
                text.sample("drctl_plan_readiness", &labels, count(rank));
            }
        }
        text.head(
            "drctl_plan_verified_until_timestamp_seconds",
            "gauge",
            "Time until which a plan is verified, if nothing changes.",
        );
        for (plan, until) in self.plans.iter().filter_map(|(plan, _, until)| Some((plan, (*until)?))) {
            text.sample(
                "drctl_plan_verified_until_timestamp_seconds",
                &[("plan", plan.as_str())],
                seconds(until),
            );
        }
    }
}

impl Row {
    fn labels(&self) -> [(&'static str, &str); 3] {
        [("schedule", &self.schedule), ("plan", self.plan.as_str()), ("drill", self.drill)]
    }
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

const fn seconds(at: Timestamp) -> i64 {
    at.millis() / 1_000
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
