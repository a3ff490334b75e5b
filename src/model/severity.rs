//! How severe an incident is.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
