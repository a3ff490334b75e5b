//! Facts that a finished step established. They are in the journal with its result; gates and reports read nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::buckets::ComparedState;
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::shared::restore::copy::{RestoreJob, RestoreResults};
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::state::State;
use crate::model::ids::ComponentName;
use crate::model::measure::{Basis, ClockReading, Figure};
use crate::model::time::{Dur, Timestamp};

/// One established fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// The old primary takes no writes.
    Fenced {
        /// The component.
        component: ComponentName,
        /// The method.
        method: FenceMethod,
        /// The time from which it is proven.
        at: Timestamp,
        /// The old primary's last commit, if the method can read it.
        last_commit: Option<Timestamp>,
        /// The same by the clock of that server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_commit_there: Option<Timestamp>,
        /// A reading of that clock, taken with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<ClockReading>,
        /// The end of its WAL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wal: Option<WalPoint>,
        /// The word that the fence left. A replica that has it replicates this very server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<String>,
        /// The proof.
        proof: String,
        /// Why the last commit in the WAL may not be the last write, if so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unexplained: Option<String>,
        /// What the old primary had and its standbys lack.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unreplicated: Vec<Unreplicated>,
    },
    /// The writes that may be lost.
    Exposure(Exposure),
    /// Instances in service.
    Capacity {
        /// The component.
        component: ComponentName,
        /// The number in service.
        in_service: u32,
        /// The number requested.
        wanted: u32,
    },
    /// The credentials.
    Identity {
        /// The place.
        place: String,
        /// The principal.
        arn: String,
    },
    /// The answers of name servers.
    Answered {
        /// The number of right answers.
        right: u32,
        /// Resolvers that keep the old answer after its TTL.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tail: Vec<String>,
        /// Servers that did not answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        silent: Vec<String>,
    },
    /// A row was written and read back.
    Wrote {
        /// The component.
        component: ComponentName,
        /// The server that took it.
        server: String,
    },
    /// A DNS change is on all authoritative servers.
    Switched {
        /// The provider's ID of the change; `None` if nothing had to change.
        change: Option<String>,
        /// The TTL of the old answer.
        old_ttl_ms: Dur,
    },
    /// An observation.
    Seen {
        /// The target's key.
        target: String,
        /// Its state.
        state: State,
    },
    /// A server is a standby again.
    Rejoined {
        /// The component.
        component: ComponentName,
        /// The server.
        server: String,
        /// What was committed only there, and where that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diverged: Option<Diverged>,
    },
    /// A part of a restore.
    Restore {
        /// The component.
        component: ComponentName,
        /// Which part.
        part: RestoreJob,
        /// The result.
        found: Box<RestoreResults>,
    },
    /// Objects were compared with their copies.
    Compared {
        /// The component.
        component: ComponentName,
        /// The bucket of the copies.
        copy: String,
        /// The result.
        found: ComparedState,
    },
    /// The end of a command.
    Ran {
        /// The last lines of its output.
        tail: String,
    },
}

/// The writes of one store that may be lost: those between the last commit replayed at the target and the last instant at which the old
/// primary may have acknowledged a write. Exposure is not lag: it grows during the outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// The store.
    pub component: ComponentName,
    /// The figure at the time of the reading.
    pub figure: Figure,
    /// The last instant at which the old primary may have acknowledged a write.
    pub last_instant: Option<Timestamp>,
    /// The source of that instant, in words.
    pub because: String,
    /// The last commit replayed at the target.
    pub last_replayed: Option<Timestamp>,
    /// The same by the clock of the old primary, which made the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_replayed_there: Option<Timestamp>,
    /// The time of the reading.
    pub taken_at: Timestamp,
    /// Whether the old primary may still acknowledge writes, so that the figure grows with time.
    pub grows: bool,
    /// Other rows that are lost because they are not in the WAL: a sentence for each table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
}

impl Exposure {
    /// The figure at `now`, including rows that are not in the WAL.
    pub fn at(&self, now: Timestamp) -> Figure {
        self.with_what_is_beside(self.logged_at(now))
    }

    /// If rows outside the WAL are lost as well, the figure from the WAL is only a part of the loss, and the rest is not measured.
    pub fn with_what_is_beside(&self, logged: Figure) -> Figure {
        match logged.basis {
            _ if self.beside.is_empty() => logged,
            Basis::Measured | Basis::LowerBound => Figure { basis: Basis::LowerBound, ..logged },
            Basis::Interval | Basis::UpperBound | Basis::Unknown | Basis::NotApplicable => Figure::UNKNOWN,
        }
    }

    /// The figure from the WAL at `now`, which is compared with the RPO.
    pub fn logged_at(&self, now: Timestamp) -> Figure {
        match self.figure.value_ms {
            Some(value) if self.grows => Figure {
                value_ms: Some(value.plus(now.since(self.taken_at))),
                basis: Basis::UpperBound,
                ..self.figure
            },
            _ => self.figure,
        }
    }
}
