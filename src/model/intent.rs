//! What a run is for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Unplanned: the source is lost or failing.
    Failover,
    /// Planned, with zero loss.
    Switchover,
    /// A switchover to the plan's home.
    Failback,
    /// Nothing moves: the servers of a site are made standbys of the active one.
    Reprotect,
    /// A database is brought back to a point in time.
    Restore,
    /// Nothing of production changes: a copy is made and checked, and removed.
    Drill,
}

impl Intent {
    /// Whether something is wrong when somebody asks for it.
    pub const fn is_incident(self) -> bool {
        matches!(self, Self::Failover | Self::Restore)
    }

    /// Whether a recovery time was promised for it. A standby that is made, or a copy beside the data, recovers nobody.
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

/// How far a drill goes. The word stands on everything that a drill leaves, and is part of the digest that people approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Drill {
    /// The runbook is computed and read, and nothing of it is done.
    Tabletop,
    /// The runbook runs in a sandbox that begins as everything was just observed.
    Rehearsal,
    /// A copy of the data is made, checked and removed.
    Isolated,
    /// A real switchover, and back.
    Live,
}

impl Drill {
    /// The word for it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Tabletop => "tabletop",
            Self::Rehearsal => "rehearsal",
            Self::Isolated => "isolated",
            Self::Live => "live",
        }
    }

    /// What it touches, and what it therefore proves.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Tabletop => "drctl computed the runbook. Nothing ran, so the drill proves no objective",
            Self::Rehearsal => {
                "a simulation that starts from the observed state. Nothing real changed, so the drill proves no objective"
            }
            Self::Isolated => {
                "a copy of the data beside production, without traffic or promotion. It proves that the data can be restored"
            }
            Self::Live => "production moved. The drill proves the time of a planned move, not of an outage",
        }
    }
}

impl fmt::Display for Drill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
