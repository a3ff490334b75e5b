//! Duties after an incident: updates while it lasts, then monitoring, a report and a review, each with its due time; and whom to call when
//! nobody responds.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::severity::Severity;
use crate::model::time::Dur;

/// The duties of people after an incident. A run keeps the rules from its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Duties {
    /// How often people get a status update.
    pub update_every_ms: Dur,
    /// How long the application is monitored after the end.
    pub monitor_ms: Dur,
    /// The due time of the incident report, counted from the end.
    pub report_within_ms: Dur,
    /// The due time of the post-mortem, counted from the end.
    pub review_within_ms: Dur,
    /// The severities of incidents with these duties.
    pub at: BTreeSet<Severity>,
}

/// drctl's own choice: a status update every quarter of an hour, two hours of monitoring, a report on the next day, and a review while
/// people still remember. Authorities may require others, which `duties:` in the policy sets.
impl Default for Duties {
    fn default() -> Self {
        Self {
            update_every_ms: Dur::mins(15),
            monitor_ms: Dur::mins(2 * 60),
            report_within_ms: Dur::mins(24 * 60),
            review_within_ms: Dur::mins(48 * 60),
            at: BTreeSet::from([Severity::P0, Severity::P1]),
        }
    }
}

/// A duty that a person confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// The application was monitored for a while after the end.
    Monitoring,
    /// The incident report is written.
    IncidentReport,
    /// The post-mortem was held.
    PostMortem,
}

impl Duty {
    /// All of them, in the order in which they are due.
    pub const ALL: [Self; 3] = [Self::Monitoring, Self::IncidentReport, Self::PostMortem];

    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Monitoring => "monitoring",
            Self::IncidentReport => "incident-report",
            Self::PostMortem => "post-mortem",
        }
    }

    /// How long after the end it is due.
    pub const fn within(self, duties: &Duties) -> Dur {
        match self {
            Self::Monitoring => duties.monitor_ms,
            Self::IncidentReport => duties.report_within_ms,
            Self::PostMortem => duties.review_within_ms,
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Duty {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|duty| duty.id() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a duty; choose one of {}", Self::ALL.map(Self::id).join(", "))
        })
    }
}

/// A person's decision about a run that stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Somebody corrects the cause of the failure, and the run continues.
    FixForward,
    /// Data are restored to a point in time.
    Restore,
    /// Users are moved to another site.
    Failover,
    /// The run is undone.
    TakeBack,
}

impl Decision {
    /// All decisions.
    pub const ALL: [Self; 4] = [Self::FixForward, Self::Restore, Self::Failover, Self::TakeBack];

    /// Its name on the command line.
    pub const fn id(self) -> &'static str {
        match self {
            Self::FixForward => "fix-forward",
            Self::Restore => "restore",
            Self::Failover => "failover",
            Self::TakeBack => "take-back",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|decision| decision.id() == text);
        found.ok_or_else(|| {
            format!("`{text}` is not a decision; choose one of {}", Self::ALL.map(Self::id).join(", "))
        })
    }
}

/// A level of the escalation: whom to call when nobody has responded for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The time since the event that needs a person.
    pub after: Dur,
    /// The role that is called.
    pub role: String,
    /// The channels that reach that role; if empty, all channels for escalations.
    pub tell: Vec<String>,
}

impl Rung {
    /// The default escalation.
    pub fn ladder() -> Vec<Self> {
        let rung =
            |minutes, role: &str| Self { after: Dur::mins(minutes), role: role.to_owned(), tell: Vec::new() };
        vec![
            rung(0, "on-call-engineer"),
            rung(5, "incident-commander"),
            rung(15, "team-lead"),
            rung(30, "engineering-manager"),
        ]
    }
}
