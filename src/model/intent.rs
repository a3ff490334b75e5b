//! The purpose of a run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Unplanned: the source is lost or failing.
    Failover,
    /// Planned, with zero loss.
    Switchover,
    /// A switchover to the plan's home.
    Failback,
    /// The servers of a site become standbys of the active one. Nothing moves.
    Reprotect,
    /// A database is restored to a point in time.
    Restore,
    /// A copy is made, checked and removed. Production does not change.
    Drill,
}

impl Intent {
    /// Whether a run with this intent means that something is wrong.
    pub const fn is_incident(self) -> bool {
        matches!(self, Self::Failover | Self::Restore)
    }

    /// Whether users may be served when it starts. Then everything that may change something waits for people, and in an outage fences,
    /// capacity and hooks do not.
    pub const fn starts_served(self) -> bool {
        match self {
            Self::Failover => false,
            Self::Switchover | Self::Failback | Self::Reprotect | Self::Restore | Self::Drill => true,
        }
    }

    /// Whether it has a recovery time objective. Making a standby or a copy recovers nobody.
    pub const fn has_rto(self) -> bool {
        match self {
            Self::Failover | Self::Switchover | Self::Failback | Self::Restore => true,
            Self::Reprotect | Self::Drill => false,
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Failback => "failback",
            Self::Reprotect => "reprotect",
            Self::Restore => "restore",
            Self::Drill => "drill",
        })
    }
}

/// The kind of a drill. It is shown in everything that a drill leaves, and is part of the digest that people approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Drill {
    /// People read the computed runbook. No step runs.
    Tabletop,
    /// The runbook runs in a sandbox that starts from the observed state.
    Rehearsal,
    /// A copy of the data is made, checked and removed.
    Isolated,
    /// A real switchover, and back.
    Live,
}

impl Drill {
    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Tabletop => "tabletop",
            Self::Rehearsal => "rehearsal",
            Self::Isolated => "isolated",
            Self::Live => "live",
        }
    }

    /// Whether it has the severity of a drill. The others compute what a failover would do, so they have the severity of that failover.
    pub const fn has_own_severity(self) -> bool {
        match self {
            Self::Tabletop | Self::Rehearsal => false,
            Self::Isolated | Self::Live => true,
        }
    }

    /// What it touches, and so what it proves.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Tabletop => "drctl computed the runbook. Nothing ran, so the drill proves no objective",
            Self::Rehearsal => {
                "a simulation that starts from the observed state. Nothing real changed, so the drill proves no objective"
            }
            Self::Isolated => {
                "a copy of the data beside production, without traffic or promotion: users are untouched. It proves that the data can be restored"
            }
            Self::Live => {
                "production moves in a live run, which proves the time of a planned move, not of an outage"
            }
        }
    }
}

impl fmt::Display for Drill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
