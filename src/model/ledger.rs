//! What the ledger of a store holds beside the heads of runs. Each entry follows from the one before it, as events do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::evidence::Head;
use crate::model::ids::{Digest, PlanName, RunId};
use crate::model::notice::Kind;
use crate::model::readiness::{Check, Standing};
use crate::model::schedule::{Definition, Fate};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::Person;

/// The namespace of signatures of checkpoints (PROTOCOL.sshsig of OpenSSH): none of a person's is ever taken for one.
pub const NAMESPACE: &str = "drctl-checkpoint";

/// What a store is for. It is stamped when the store is made, and nothing of the other world ever comes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreWorld {
    /// Runs that touch real providers.
    Live,
    /// Rehearsals.
    Sandbox,
}

impl StoreWorld {
    /// How the names of its runs begin.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Sandbox => "sandbox-",
        }
    }

    /// `live` or `sandbox`, as runs have it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }

    /// What a command of this world does, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Live => "the real estate",
            Self::Sandbox => "a rehearsal (--sandbox)",
        }
    }
}

impl std::fmt::Display for StoreWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}

/// An entry that is no run's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ledger", rename_all = "snake_case")]
pub enum Entry {
    /// Checkpoints are signed with this key from here on.
    Key {
        /// When.
        at: Timestamp,
        /// Its public half, as OpenSSH writes it.
        public: String,
    },
    /// These settings hold from here on.
    Configuration {
        /// When it was noticed.
        at: Timestamp,
        /// By whose command: as the operating system says.
        who: String,
        /// Digest of `drctl.yaml`, byte by byte.
        settings: Digest,
        /// Whose word is taken, by the fingerprints of their keys, and with which roles.
        operators: BTreeMap<String, Known>,
    },
    /// Drills are due by this schedule from here on.
    Schedule {
        /// When it was noticed.
        at: Timestamp,
        /// Its name in `drctl.yaml`.
        name: String,
        /// What it says; nothing when it was taken out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is: Option<Definition>,
    },
    /// The result of a drill that was due.
    Drill {
        /// When.
        at: Timestamp,
        /// The schedule.
        schedule: String,
        /// The instant that it was due at.
        due: Timestamp,
        /// What.
        fate: Fate,
    },
    /// How a plan stands ready from here on, where that is another way than before.
    Readiness {
        /// When it was looked at.
        at: Timestamp,
        /// The plan.
        plan: PlanName,
        /// The worst of it.
        standing: Standing,
        /// Everything that was looked at.
        checks: Vec<Check>,
    },
    /// The result of a message at one channel: the channel accepted it, or did not, and another one got it.
    Notice {
        /// When.
        at: Timestamp,
        /// Its key: the run, or the schedule, and what of it.
        notice: String,
        /// What it is.
        kind: Kind,
        /// The run that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// What it belongs together with.
        thread: String,
        /// When it was to be told.
        due: Timestamp,
        /// The channel, as `drctl.yaml` names it.
        channel: String,
        /// Whether it was taken.
        delivered: bool,
        /// What the other side said, or why it was not taken.
        said: String,
    },
    /// The machine's clock is behind what the ledger knows: what follows is dated by the ledger's last time until the clock has caught up.
    Clock {
        /// The ledger's last time.
        at: Timestamp,
        /// By how much the clock is behind that.
        behind_ms: Dur,
    },
    /// A run starts, or drctl first continues it in this store, with these terms.
    Terms {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// Digest of the terms in its first event.
        terms: Digest,
    },
    /// A run came from a file. It is only read until somebody adopts it.
    Imported {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// By whose command: as the operating system says.
        who: String,
        /// How many events it had.
        events: u64,
        /// The hash of the last of them.
        head: Digest,
    },
    /// An operator of this store took an imported run over.
    Adopted {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// Who, with what they signed: an [`Adoption`].
        who: Person,
    },
    /// This store began with what a go-bag held.
    Kit {
        /// When it was unpacked.
        at: Timestamp,
        /// Digest of what was signed of it.
        digest: Digest,
        /// When it was made, as it says.
        made_at: Timestamp,
        /// The fingerprint of the key that signed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed_by: Option<String>,
        /// Who took it although nobody had signed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Accepted>,
    },
    /// Somebody can be shown what stood here then.
    Checkpoint(Signed),
}

/// A person's word for a go-bag that nobody had signed. It is claimed: whoever's keys are known stands in the bag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The name that was given, and who it was by the operating system.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// An operator as the ledger knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// The SHA-256 fingerprint of the key.
    pub key: String,
    /// Roles, as they are written.
    pub roles: Vec<String>,
}

impl Entry {
    /// When it was written, as it says itself.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Key { at, .. }
            | Self::Configuration { at, .. }
            | Self::Schedule { at, .. }
            | Self::Drill { at, .. }
            | Self::Readiness { at, .. }
            | Self::Notice { at, .. }
            | Self::Clock { at, .. }
            | Self::Terms { at, .. }
            | Self::Imported { at, .. }
            | Self::Kit { at, .. }
            | Self::Adopted { at, .. } => Some(*at),
            Self::Checkpoint(signed) => {
                serde_json::from_str::<Checkpoint>(&signed.statement).ok().map(|said| said.at)
            }
        }
    }

    /// The same, written at another time. What is signed keeps the time that was signed.
    #[must_use]
    pub fn dated(mut self, when: Timestamp) -> Self {
        match &mut self {
            Self::Key { at, .. }
            | Self::Configuration { at, .. }
            | Self::Schedule { at, .. }
            | Self::Drill { at, .. }
            | Self::Readiness { at, .. }
            | Self::Notice { at, .. }
            | Self::Clock { at, .. }
            | Self::Terms { at, .. }
            | Self::Kit { at, .. }
            | Self::Imported { at, .. } => *at = when,
            Self::Adopted { .. } | Self::Checkpoint(_) => {}
        }
        self
    }
}

/// The namespace of signatures of adoptions: none of a person's other words is ever taken for one.
pub const ADOPTION: &str = "drctl-adoption";

/// What an operator signs who takes an imported run over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The version of this shape.
    pub drctl: u32,
    /// The run.
    pub run: RunId,
    /// Its last event then: whoever puts others in its place was not given this.
    pub head: Head,
    /// The ledger's last entry then: it is said to one store.
    pub ledger: Head,
    /// Why.
    pub reason: String,
    /// The operator.
    pub by: String,
    /// When it was said.
    pub at: Timestamp,
}

impl Adoption {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;
}

/// A checkpoint with its signature. The bytes that were signed travel with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The exact bytes: a [`Checkpoint`].
    pub statement: String,
    /// An OpenSSH signature over them (`ssh-keygen -Y verify -n drctl-checkpoint`).
    pub signature: String,
}

/// What the ledger was at an instant. Whoever keeps one can tell later whether anything before it was changed, or left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The version of this shape.
    pub drctl: u32,
    /// `live` or `sandbox`.
    pub store: String,
    /// How many entries the ledger had.
    pub entries: u64,
    /// The hash of the last of them.
    pub head: Digest,
    /// When, by the clock of the machine that keeps the store.
    pub at: Timestamp,
    /// What it was made for.
    pub why: Why,
    /// The run that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl Checkpoint {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;
}

/// What a checkpoint is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A run starts, or drctl continues it: nothing was done yet.
    Start,
    /// A process let go of a run.
    Seal,
    /// Somebody asked for one, to keep it elsewhere.
    Asked,
    /// A drill that a schedule asks for ended, or was missed.
    Schedule,
    /// Everything up to here was written out.
    Export,
}
