//! What is restored and from where, its parts, and what is observed of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::wal::WalPoint;
use crate::model::time::{Dur, Timestamp};

/// How to reach the backups of a self-managed server, according to its plan. `sh` on its host runs the commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Backups {
    /// Prints one line for each backup: name, begin, end (RFC 3339, UTC), bytes, and the first segment if known.
    pub list: String,
    /// Puts the files of `$DRCTL_BACKUP` into the empty folder `$DRCTL_FOLDER`.
    pub fetch: String,
    /// The same as `restore_command`, with `%f` and `%p`.
    pub archive_get: String,
    /// Bytes that stay free for the live server.
    pub reserve_bytes: u64,
    /// The libraries that the copy preloads. If absent: those of the live server, without those that start background work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<String>,
}

/// The source of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A self-managed server: its backups and WAL, reached from its host.
    Own(Backups),
    /// A managed instance: its service creates another one. The settings are `None` while its backups are being listed.
    Managed(Option<Box<NewInstance>>),
}

/// The complete settings of a managed instance to create from backups of another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NewInstance {
    /// Its name while it is beside the live one.
    pub id: String,
    /// The new name of the live one when it is set aside.
    pub aside: String,
    /// The settings of the live one.
    pub like: InstanceSettings,
    /// The security groups that let the live one's clients in.
    pub security_groups: Vec<String>,
}

/// The tag with the name under which a copy was created. drctl deletes, or puts in place, only instances with this tag.
pub const COPY_TAG: &str = "drctl:copy";

/// The status in which a provider reports that the copy of a managed server has the name that users reach.
pub const IN_PLACE: &str = "InPlace";

/// A condition that a copy must meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// The database; if absent, that of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// A query with a single value.
    pub sql: String,
    /// The expected value.
    pub expect: Expect,
}

/// An expected value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Exactly this text.
    Is(String),
    /// At least this number.
    AtLeast(String),
    /// The plan gives no value, so the condition never holds.
    Nothing,
}

/// The input of all jobs of one restore.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Restore {
    /// The live server.
    pub db: DatabaseRef,
    /// The name of the restore, in the names of its files and folders: hexadecimal digits.
    pub name: String,
    /// The time to restore. The copy has every transaction whose commit has this time or an earlier one.
    pub to_time: Timestamp,
    /// The backup to start from; `None` while backups are being listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// The timeline that a person chose. Otherwise the live one, or its parent if only that has the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// The maximum amount of WAL to replay after the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_bytes: Option<u64>,
    /// The speed of the last restore, in bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// The snapshot of a managed instance that a person chose. Otherwise its WAL is replayed up to the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The source of the data.
    pub source: Source,
    /// The conditions that the copy must meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invariants: Vec<Invariant>,
    /// Tables whose rows are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// The table of drctl's own rows, which do not count as lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

impl Restore {
    /// The copy of a managed instance, if one is made.
    pub fn instance(&self) -> Option<&NewInstance> {
        match &self.source {
            Source::Managed(new) => new.as_deref(),
            Source::Own(_) => None,
        }
    }

    /// The server that the copy of a managed instance is while it is beside the live one.
    pub fn beside(&self) -> Option<DatabaseRef> {
        let id = self.instance()?.id.clone();
        Some(DatabaseRef { id, endpoint: None, ..self.db.clone() })
    }

    /// The location of the copy, in words.
    pub fn copy(&self) -> String {
        match self.instance() {
            Some(new) => self.copy_at(&new.id),
            None => {
                let data = self.db.host.as_ref().map_or("DATA", |h| h.data.as_str());
                self.copy_at(&format!("{data}.restored-{}", self.name))
            }
        }
    }

    /// The same for any copy, by its folder or its instance.
    pub fn copy_at(&self, name: &str) -> String {
        match &self.source {
            Source::Managed(_) => format!("DB instance {name} in {}", self.db.place.region),
            Source::Own(_) => format!("{name} on the host of {}", self.db.id),
        }
    }
}

/// The speed of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Bytes of a backup fetched in a second.
    pub fetched_per_s: u64,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Its name.
    pub name: String,
    /// When it ended. Earlier times cannot be restored from it.
    pub ended: Timestamp,
    /// Its size.
    pub bytes: u64,
}

/// One job of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Part")]
pub enum RestoreJob {
    /// Fetches the backup into a folder beside the live data, and replays the WAL up to the time.
    CreateCopy,
    /// Checks the copy: invariants, foreign keys, every page.
    Verify,
    /// Counts what the live server has and the copy lacks.
    Loss,
    /// Replaces the live data with the copy. The live data is kept under another name.
    Swap,
    /// Restores the old data, unless rows were written since.
    Revert,
    /// Removes the copy, with proof.
    Destroy,
}

impl RestoreJob {
    /// Its name in the job on the host.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CreateCopy => "beside",
            Self::Verify => "verify",
            Self::Loss => "loss",
            Self::Swap => "swap",
            Self::Revert => "undo",
            Self::Destroy => "destroy",
        }
    }

    /// A description.
    pub fn words(self, of: &Restore) -> String {
        let (id, at) = (&of.db.id, of.to_time);
        match self {
            Self::CreateCopy => {
                let from = match (&of.source, &of.snapshot, &of.backup) {
                    (Source::Managed(_), None, _) => "its automated backups",
                    (_, _, Some(backup)) => backup.name.as_str(),
                    _ => "its backup",
                };
                format!("restore a copy of {id} as of {at}, from {from}")
            }
            Self::Verify if of.instance().is_some() => {
                format!("check the copy of {id}: invariants, foreign keys, every row")
            }
            Self::Verify => format!("check the copy of {id}: invariants, foreign keys, every page"),
            Self::Loss if of.instance().is_some() => {
                format!("compare the rows of {id} with its copy of {at}")
            }
            Self::Loss => format!("count what {id} has and its copy of {at} lacks"),
            Self::Swap => format!("replace {id} with the copy of {at}, and keep the previous data"),
            Self::Revert => format!("restore the previous data of {id}"),
            Self::Destroy => format!("remove the copy of {id}, with proof"),
        }
    }
}

/// A host's report on the backups from which a time can be restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupsState {
    /// Why the time cannot be restored.
    #[serde(default)]
    pub failed: Option<String>,
    /// The earliest and the latest time that a managed instance can be restored to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<(Timestamp, Timestamp)>,
    /// All backups, in the order of the list.
    #[serde(default)]
    pub all: Vec<Backup>,
    /// The newest one from which the time can be restored.
    #[serde(default)]
    pub chosen: Option<Backup>,
    /// The maximum amount of WAL to replay after it.
    #[serde(default)]
    pub replay_bytes: Option<u64>,
    /// Free space beside the live data.
    #[serde(default)]
    pub free_bytes: u64,
    /// Why a copy could not replace the live data.
    #[serde(default)]
    pub not_swappable: Option<String>,
    /// The timeline of the copy, and the live one.
    #[serde(default)]
    pub timelines: Option<(u32, u32)>,
    /// Existing copies: folders beside the data, or instances with the tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
}

/// The progress of a job of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreState {
    /// The job on its host.
    pub stage: JobStage,
    /// The last lines of its log.
    #[serde(default)]
    pub tail: String,
    /// Its results.
    #[serde(default)]
    pub found: RestoreResults,
}

/// The results of a job of a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Found")]
pub struct RestoreResults {
    /// Why it failed, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The backup that was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Its size on the disk, and how long fetching took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<(u64, Dur)>,
    /// Where recovery stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<WalPoint>,
    /// The last commit in the copy; `None` if there is none after its backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Timestamp>,
    /// The first commit that is not in it. With it, the server itself reports that it stopped at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_commit: Option<Timestamp>,
    /// The number of commits up to that time that come after a later one in the WAL. They are not in the copy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// The checks and their results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// What the live server has and the copy lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Where the old data is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Remarks for a person about archiving, logins and standbys, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// What was removed, with proof that nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroyed: Option<Destroyed>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A check of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// What was checked.
    pub what: String,
    /// `pass`, `fail`, `error`, or `unknown` if it could not be checked.
    pub result: String,
    /// The result in detail.
    #[serde(default)]
    pub found: String,
}

/// What the live server has and the copy lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// `exactly`, `at_most` or `at_least`.
    pub basis: String,
    /// The number of transactions that changed rows, without drctl's own.
    pub transactions: u64,
    /// The time of the first of these commits.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// The time of the last one.
    #[serde(default)]
    pub last: Option<Timestamp>,
}

/// A copy that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// Its folder.
    pub folder: String,
    /// The number of files that were in it.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}
