//! The metrics of a server in Prometheus' text format (Prometheus, «Exposition formats», version 0.0.4).

use std::fmt::Write as _;

use crate::app::snapshot::{Row, Snapshot};
use crate::model::plain::line;
use crate::model::readiness::{Area, Standing};
use crate::model::time::Timestamp;
use crate::report::verified::Status;

impl Snapshot {
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
        // No text of others has line breaks or other characters that act.
        let escaped = |text: &str| line(text).replace('\\', "\\\\").replace('"', "\\\"");
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
