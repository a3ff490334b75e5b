//! The entries of a store's ledger other than the heads of runs. They are chained, as events are.

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

/// The signature namespace of checkpoints (PROTOCOL.sshsig of OpenSSH), so that no other signature counts as one.
pub const NAMESPACE: &str = "drctl-checkpoint";

/// The error for stored bytes that another parser could read differently.
pub const REWRITTEN: &str =
    "drctl would write it differently: a key is added, repeated or moved, or a value is spelled differently";

/// The kind of a store. It is set when the store is created, and the store never contains anything of the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreWorld {
    /// Runs that touch real providers.
    Live,
    /// Rehearsals.
    Sandbox,
}

impl StoreWorld {
    /// The prefix of the names of its runs.
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

    /// What its commands do, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Live => "the real environment",
            Self::Sandbox => "a rehearsal (--sandbox)",
        }
    }
}

impl std::fmt::Display for StoreWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}

/// An entry that is not the head of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ledger", rename_all = "snake_case")]
pub enum Entry {
    /// From now on, checkpoints are signed with this key.
    Key {
        /// When.
        at: Timestamp,
        /// The public key, in the format of OpenSSH.
        public: String,
    },
    /// These settings apply from now on.
    Configuration {
        /// When drctl noticed them.
        at: Timestamp,
        /// The user who ran the command, according to the operating system.
        who: String,
        /// The operator whose key the command had, without a signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operator: Option<String>,
        /// The command that noticed them: `runs resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// Digest of `drctl.yaml`, byte by byte.
        settings: Digest,
        /// The operators, with the fingerprints of their keys and with their roles.
        operators: BTreeMap<String, RecordedOperator>,
    },
    /// From now on, drills are due by this schedule.
    Schedule {
        /// When drctl noticed it.
        at: Timestamp,
        /// Its name in `drctl.yaml`.
        name: String,
        /// The schedule; absent if it was removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is: Option<Definition>,
    },
    /// The result of a drill that was due.
    Drill {
        /// When.
        at: Timestamp,
        /// The schedule.
        schedule: String,
        /// The due time.
        due: Timestamp,
        /// The result.
        fate: Fate,
    },
    /// The readiness of a plan, if it changed.
    Readiness {
        /// When it was checked.
        at: Timestamp,
        /// The plan.
        plan: PlanName,
        /// The worst result of its checks.
        standing: Standing,
        /// All checks.
        checks: Vec<Check>,
    },
    /// The result of sending a message to one channel: the channel accepted it, or it did not and another one got the message.
    Notice {
        /// When.
        at: Timestamp,
        /// The key of the message: the run or the schedule, and the event.
        notice: String,
        /// Its kind.
        kind: Kind,
        /// Its run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The group of messages that it belongs to.
        thread: String,
        /// When it was due.
        due: Timestamp,
        /// The channel, by its name in `drctl.yaml`.
        channel: String,
        /// Whether the channel accepted it.
        delivered: bool,
        /// The answer of the receiver, or why it was not accepted.
        said: String,
    },
    /// The machine's clock is behind the last time in the ledger. Later entries have that last time until the clock has caught up.
    Clock {
        /// The ledger's last time.
        at: Timestamp,
        /// How far the clock is behind it.
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
    /// A run was imported. It is read-only until somebody adopts it.
    Imported {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// The user who ran the command, according to the operating system.
        who: String,
        /// The number of its events.
        events: u64,
        /// The hash of the last one.
        head: Digest,
    },
    /// An operator of this store adopted an imported run.
    Adopted {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// The operator, with the signed statement: an [`Adoption`].
        who: Person,
    },
    /// A person made a statement about a run, and the process that drives the run had not read it yet. That process reads it here.
    Statement {
        /// When.
        at: Timestamp,
        /// The run.
        run: RunId,
        /// The person, with the signature if there is one.
        who: Person,
        /// The request: a signal as JSON.
        says: String,
    },
    /// This store was created from a go-bag.
    Kit {
        /// When it was unpacked.
        at: Timestamp,
        /// The digest of its signed part.
        digest: Digest,
        /// When it was made, according to the go-bag.
        made_at: Timestamp,
        /// The fingerprint of the key that signed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed_by: Option<String>,
        /// The person who accepted an unsigned go-bag.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Accepted>,
    },
    /// A signed checkpoint. It can prove later what the ledger contained at that time.
    Checkpoint(Signed),
}

/// A person's acceptance of an unsigned go-bag. The identity is only claimed, because the known keys come from the bag itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The given name, and the user according to the operating system.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// An operator, as recorded in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Known")]
pub struct RecordedOperator {
    /// The SHA-256 fingerprint of the key.
    pub key: String,
    /// The roles.
    pub roles: Vec<String>,
}

impl Entry {
    /// Parses stored bytes, which must be exactly as drctl writes this entry.
    ///
    /// # Errors
    /// Why they are not valid. A key that another parser would read differently is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let same = serde_json::to_vec(&entry).is_ok_and(|written| written == bytes);
        if same { Ok(entry) } else { Err(REWRITTEN.to_owned()) }
    }

    /// Its time, as recorded in it.
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
            | Self::Statement { at, .. }
            | Self::Adopted { at, .. } => Some(*at),
            Self::Checkpoint(signed) => {
                serde_json::from_str::<Checkpoint>(&signed.statement).ok().map(|said| said.at)
            }
        }
    }

    /// The same entry with another time. A signed entry keeps its time.
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
            | Self::Statement { at, .. }
            | Self::Imported { at, .. } => *at = when,
            Self::Adopted { .. } | Self::Checkpoint(_) => {}
        }
        self
    }
}

/// The signature namespace of adoptions, so that no other statement of a person counts as one.
pub const ADOPTION: &str = "drctl-adoption";

/// The statement that an operator signs to adopt an imported run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adoption {
    /// The version of this format.
    pub drctl: u32,
    /// The run.
    pub run: RunId,
    /// Its last event at that time, so that the statement does not cover other events.
    pub head: Head,
    /// The last ledger entry at that time, so that the statement is valid for one store only.
    pub ledger: Head,
    /// Why.
    pub reason: String,
    /// The operator.
    pub by: String,
    /// When it was signed.
    pub at: Timestamp,
}

/// A valid adoption in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The digest of the entry.
    pub entry: Digest,
    /// Who adopted the run.
    pub by: String,
}

impl Adoption {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;
}

/// A checkpoint with its signature and the exact signed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The signed bytes: a [`Checkpoint`].
    pub statement: String,
    /// An OpenSSH signature over them (`ssh-keygen -Y verify -n drctl-checkpoint`).
    pub signature: String,
}

/// The state of the ledger at one time. Whoever keeps a checkpoint can detect later whether an earlier entry was changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The version of this format.
    pub drctl: u32,
    /// `live` or `sandbox`.
    pub store: String,
    /// The number of entries.
    pub entries: u64,
    /// The hash of the last one.
    pub head: Digest,
    /// When it was made, by the clock of the machine with the store.
    pub at: Timestamp,
    /// Why it was made.
    pub why: Why,
    /// The run that it was made for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl Checkpoint {
    /// The version that this build writes.
    pub const VERSION: u32 = 1;
}

/// The reason for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A run starts, or drctl continues it, before anything was done.
    Start,
    /// A process stopped driving a run.
    Seal,
    /// A person made a statement that waits for a process.
    Statement,
    /// Somebody asked for one, to keep it elsewhere.
    Asked,
    /// A scheduled drill ended or was missed.
    Schedule,
    /// The store was exported.
    Export,
}
