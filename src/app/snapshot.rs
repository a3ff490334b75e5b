//! The state of a server, for monitoring.

use crate::model::ids::PlanName;
use crate::model::plain::line;
use crate::model::readiness::Check;
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
    /// The time of a rehearsal; `None` for a live server.
    pub rehearsed_at: Option<Timestamp>,
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
    /// Why the server is unhealthy, in one line; `None` if it is healthy. `now` is the time of this machine. A rehearsal has its own.
    pub fn ill(&self, now: Timestamp) -> Option<String> {
        let now = self.rehearsed_at.unwrap_or(now);
        match (self.looked_at, &self.holding) {
            (Some(at), None) if now.since(at) <= STALE => self.settings.as_deref().map(line),
            (_, Some(_)) => self.settings.as_deref().map(line),
            (Some(at), None) => Some(format!("drctl serve has not read the schedules since {at}")),
            (None, None) => Some("drctl serve has not read the schedules yet".to_owned()),
        }
    }
}
