//! What the ledger of a store holds beside the heads of runs. Each entry follows from the one before it, as events do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{Digest, PlanName, RunId};
use super::notice::Kind;
use super::readiness::{Check, Standing};
use super::schedule::{Definition, Fate};
use super::time::Timestamp;

/// The namespace of signatures of checkpoints (PROTOCOL.sshsig of OpenSSH): none of a person's is ever taken for one.
pub const NAMESPACE: &str = "drctl-checkpoint";

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
    /// What became of a drill that was due.
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
    /// What became of a piece of news at one channel: that it was taken there, or that it was not and another one was told.
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
    /// Somebody can be shown what stood here then.
    Checkpoint(Signed),
}

/// An operator as the ledger knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// The SHA-256 fingerprint of the key.
    pub key: String,
    /// Roles, as they are written.
    pub roles: Vec<String>,
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
    /// A run begins, or is carried on: nothing was done yet.
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
