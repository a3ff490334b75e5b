//! What a finished step established. Facts are journalled with the result; gates and reports read nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::State;
use crate::kinds::aws::s3::ComparedState;
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::shared::restore::{Found, Part};
use crate::kinds::shared::unreplicated::Unreplicated;
use crate::kinds::shared::wal::WalPoint;
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
        /// How.
        method: FenceMethod,
        /// From when on it is proven.
        at: Timestamp,
        /// The old primary's last commit, where the method could see it.
        last_commit: Option<Timestamp>,
        /// The same by that server's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_commit_there: Option<Timestamp>,
        /// That clock, read with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<ClockReading>,
        /// Where its write-ahead log ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wal: Option<WalPoint>,
        /// What the fence left: a replica that has it is one of this very server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<String>,
        /// What was found.
        proof: String,
        /// Why the last commit in the log may not be the last one, if that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unexplained: Option<String>,
        /// What the old primary had that its standbys do not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unreplicated: Vec<Unreplicated>,
    },
    /// How many writes may be lost.
    Exposure(Exposure),
    /// Instances in service.
    Capacity {
        /// The component.
        component: ComponentName,
        /// How many are in service.
        in_service: u32,
        /// How many were wanted.
        wanted: u32,
    },
    /// The credentials.
    Identity {
        /// The place.
        place: String,
        /// The principal.
        arn: String,
    },
    /// Name servers were asked.
    Answered {
        /// How many answered as they should.
        right: u32,
        /// Resolvers that keep the old answer although its time is over.
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
        /// The provider's id of the change; none if it was found in place.
        change: Option<String>,
        /// How long resolvers may keep the old answer.
        old_ttl_ms: Dur,
    },
    /// What was there.
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
        /// What was committed there and nowhere else, and where that is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diverged: Option<Diverged>,
    },
    /// A part of a restore.
    Restore {
        /// The component.
        component: ComponentName,
        /// Which part.
        part: Part,
        /// What it found.
        found: Box<Found>,
    },
    /// Objects were compared with their copies.
    Compared {
        /// The component.
        component: ComponentName,
        /// The bucket of the copies.
        copy: String,
        /// What was found.
        found: ComparedState,
    },
    /// A command's end.
    Ran {
        /// The last lines of its output.
        tail: String,
    },
}

/// The writes that may be lost with one store: last instant the old primary can have acknowledged one, minus the last commit
/// replayed at the target. Lag is not exposure: exposure grows with the outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// The store.
    pub component: ComponentName,
    /// The figure when it was taken.
    pub figure: Figure,
    /// The last instant at which the old primary can have acknowledged a write.
    pub last_instant: Option<Timestamp>,
    /// How that instant is known, in words.
    pub because: String,
    /// The last commit replayed at the target.
    pub last_replayed: Option<Timestamp>,
    /// The same by the clock of the old primary, which made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_replayed_there: Option<Timestamp>,
    /// When the figure was taken.
    pub taken_at: Timestamp,
    /// True while nothing stops the old primary from acknowledging more: the figure then grows with time.
    pub grows: bool,
    /// Rows that are lost besides, which no log has: a sentence for each table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
}

impl Exposure {
    /// The figure at `now`, with what is lost besides.
    pub fn at(&self, now: Timestamp) -> Figure {
        self.with_what_is_beside(self.logged_at(now))
    }

    /// What no log has makes a figure of the log a part of the loss: nobody measured the rest.
    pub fn with_what_is_beside(&self, logged: Figure) -> Figure {
        match logged.basis {
            _ if self.beside.is_empty() => logged,
            Basis::Measured | Basis::LowerBound => Figure { basis: Basis::LowerBound, ..logged },
            Basis::UpperBound | Basis::Unknown | Basis::NotApplicable => Figure::UNKNOWN,
        }
    }

    /// How old the last commit in the log is, at `now`, which is compared with the RPO.
    pub fn logged_at(&self, now: Timestamp) -> Figure {
        match self.figure.value_ms {
            Some(value) if self.grows => Figure {
                value_ms: Some(value.plus(now.since(self.taken_at))),
                // Of what was taken before an unknown time went by no end is known.
                basis: if self.figure.basis == Basis::LowerBound {
                    Basis::LowerBound
                } else {
                    Basis::UpperBound
                },
                ..self.figure
            },
            _ => self.figure,
        }
    }
}
