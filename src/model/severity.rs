//! How severe an incident is.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::RunId;
use crate::model::time::Timestamp;

/// The severity of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// Users are not served at all, or data may be lost.
    P0,
    /// Major parts do not work.
    P1,
    /// Minor parts do not work, and there are workarounds.
    P2,
    /// Nothing is blocked.
    P3,
}

impl Severity {
    /// All severities, the most severe first.
    pub const ALL: [Self; 4] = [Self::P0, Self::P1, Self::P2, Self::P3];

    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }

    /// What it means.
    pub const fn means(self) -> &'static str {
        match self {
            Self::P0 => "critical: complete outage, or data at risk",
            Self::P1 => "high: major functionality impaired",
            Self::P2 => "medium: minor functionality impaired, with workarounds",
            Self::P3 => "low: cosmetic, or planned",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|s| s.id().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("`{text}` is not a severity; choose P0, P1, P2 or P3"))
    }
}

/// The severity that a run was decided under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The severity.
    pub severity: Severity,
    /// The default for a run of this kind (`severity_of`), by the policy at the start of the run.
    pub usual: Severity,
    /// The changes from the default, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Regraded>,
    /// A description.
    pub text: String,
}

/// A change of the severity of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regraded {
    /// The severity before.
    pub from: Severity,
    /// The severity afterwards.
    pub to: Severity,
    /// Who changed it; absent if drctl did, by the rule for continued runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether that person signed the request.
    pub signed: bool,
    /// When.
    pub at: Timestamp,
    /// The continued run whose severity counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<RunId>,
}

impl Decided {
    /// The severity after these changes.
    pub fn new(severity: Severity, usual: Severity, changes: Vec<Regraded>) -> Self {
        let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let text = match words.is_empty() {
            true => severity.to_string(),
            false => format!("{severity} (usually {usual}): {}", words.join("; ")),
        };
        Self { severity, usual, changes, text }
    }

    /// Whether it is less severe than usual. Then fewer people approve, and fewer duties follow.
    pub fn is_lowered(&self) -> bool {
        self.severity > self.usual
    }
}

impl fmt::Display for Regraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, at, .. } = self;
        let verb = if to > from { "lowered" } else { "raised" };
        write!(f, "{verb} from {from} to {to} at {at}")?;
        if let Some(run) = &self.kept_from {
            write!(f, " to keep the severity of run {run}, which this run continues")?;
        }
        match &self.by {
            Some(by) if self.signed => write!(f, " by {by}"),
            Some(by) => write!(f, " by {by} (unsigned)"),
            None => Ok(()),
        }
    }
}
