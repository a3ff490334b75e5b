//! A database brought back to a point in time: the copy that is made beside it, what is found of it, and what is lost with it.

mod calls;
mod op;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::rds::InstanceSettings;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::wal::WalPoint;
use crate::model::time::{Dur, Timestamp};

pub use op::RestoreStep;

/// How the backups of a server of one's own are reached, as its plan says. The texts are run by `sh` on its host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Backups {
    /// Prints a line a backup: name, begin, end (RFC 3339, UTC), bytes, and the first segment where that is known.
    pub list: String,
    /// Puts the files of `$DRCTL_BACKUP` into the empty folder `$DRCTL_FOLDER`.
    pub fetch: String,
    /// As `restore_command`, with `%f` and `%p`.
    pub archive_get: String,
    /// Bytes that stay free for the live server.
    pub reserve_bytes: u64,
    /// The libraries that the copy preloads; those of the live server, without those that act by themselves, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<String>,
}

/// Where a copy comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A server of one's own: backups and log, reached from its host.
    Own(Backups),
    /// A managed instance: its service makes another one; how, nobody says while it is asked for its backups.
    Managed(Option<Box<NewInstance>>),
}

/// A managed instance that is made from backups of another one, completely.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct NewInstance {
    /// Its name while it stands beside the live one.
    pub id: String,
    /// The live one's name once it is set aside.
    pub aside: String,
    /// As the live one is.
    pub like: InstanceSettings,
    /// The groups that let the live one's clients in.
    pub security_groups: Vec<String>,
}

/// The tag that tells whose copy an instance is: drctl deletes, and puts in place, only what bears it.
pub const COPY_TAG: &str = "drctl:copy";

/// What has to be true of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// The database; that of the endpoint if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// A query with one value.
    pub sql: String,
    /// What the value has to be.
    pub expect: Expect,
}

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Exactly this text.
    Is(String),
    /// A number, and no smaller one.
    AtLeast(String),
    /// The plan does not say: it never holds.
    Nothing,
}

/// Everything that the jobs of one restore get. All of them get the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Restore {
    /// The live server.
    pub db: DatabaseRef,
    /// Names what lies beside it: hexadecimal digits.
    pub name: String,
    /// The copy holds every transaction whose commit is stamped with this time or an earlier one.
    pub to_time: Timestamp,
    /// The backup that it begins with; none while the host is asked which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// A timeline that a person chose; otherwise the live one, or the one that it left where only that holds the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// Log that is replayed after the backup, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_bytes: Option<u64>,
    /// How fast the last restore was fetched and replayed, in bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// A snapshot that a person chose, of a managed instance; otherwise its log is replayed up to the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Where the data come from.
    pub source: Source,
    /// What has to be true of the copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invariants: Vec<Invariant>,
    /// Tables whose rows are counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// The table of drctl's own rows: they do not count as lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

impl Restore {
    /// The copy of a managed instance, where one is made.
    pub fn instance(&self) -> Option<&NewInstance> {
        match &self.source {
            Source::Managed(new) => new.as_deref(),
            Source::Own(_) => None,
        }
    }

    /// The server that the copy of a managed instance is while it stands beside the live one.
    pub fn beside(&self) -> Option<DatabaseRef> {
        let id = self.instance()?.id.clone();
        Some(DatabaseRef { id, endpoint: None, ..self.db.clone() })
    }

    /// Where the copy is made, in words.
    pub fn copy(&self) -> String {
        match self.instance() {
            Some(new) => self.copy_at(&new.id),
            None => {
                let data = self.db.host.as_ref().map_or("DATA", |h| h.data.as_str());
                self.copy_at(&format!("{data}.restored-{}", self.name))
            }
        }
    }

    /// The same of any copy there, by its folder or its instance.
    pub fn copy_at(&self, name: &str) -> String {
        match &self.source {
            Source::Managed(_) => format!("DB instance {name} in {}", self.db.place.region),
            Source::Own(_) => format!("{name} on the host of {}", self.db.id),
        }
    }
}

/// How fast a restore was.
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
    /// When it ended: no earlier time can be reached with it.
    pub ended: Timestamp,
    /// Its size.
    pub bytes: u64,
}

/// One job of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fetches the backup into a folder beside the live data and replays the log up to the time.
    CreateCopy,
    /// Checks the copy: invariants, foreign keys, every page.
    Verify,
    /// Counts what the live server holds and the copy does not.
    Loss,
    /// Puts the copy in the place of the live data, which are kept under another name.
    Swap,
    /// Puts the old data back, unless rows were written since.
    Revert,
    /// Removes the copy, with proof.
    Destroy,
}

impl Part {
    /// The word that the job on the host has for it.
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

    /// What it does, in words.
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

/// What a host reports about the backups that can be restored to a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupsState {
    /// Why the time cannot be reached.
    #[serde(default)]
    pub failed: Option<String>,
    /// The earliest and the latest time that a managed instance can be restored to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<(Timestamp, Timestamp)>,
    /// All of them, in the order of their list.
    #[serde(default)]
    pub all: Vec<Backup>,
    /// The newest that leads there.
    #[serde(default)]
    pub chosen: Option<Backup>,
    /// Log to replay after it, at most.
    #[serde(default)]
    pub replay_bytes: Option<u64>,
    /// Free room beside the live data.
    #[serde(default)]
    pub free_bytes: u64,
    /// Why a copy could not take the place of the live data.
    #[serde(default)]
    pub not_swappable: Option<String>,
    /// The timeline that the copy would follow, and the live one.
    #[serde(default)]
    pub timelines: Option<(u32, u32)>,
    /// Copies that are there already: folders beside the data, or instances that bear the tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
}

/// How far a job of a restore is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreState {
    /// The job on its host.
    pub stage: JobStage,
    /// The last lines that it wrote.
    #[serde(default)]
    pub tail: String,
    /// What it found.
    #[serde(default)]
    pub found: Found,
}

/// What a job of a restore found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// Why it failed, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The backup that was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Its bytes on the disk, and how long fetching them took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<(u64, Dur)>,
    /// Where recovery stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<WalPoint>,
    /// The last commit that is in the copy; none since its backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Timestamp>,
    /// The first commit that is not in it: with it the server itself says that it stopped at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_commit: Option<Timestamp>,
    /// Commits of that time or before that were logged behind a later one: not in the copy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// What was checked, each with its result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// What the live server has and the copy has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Where the old data are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// What a person should know: archiving, logins, standbys, each in a sentence.
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
    /// What.
    pub what: String,
    /// `pass`, `fail`, `error`, or `unknown` where it could not be made.
    pub result: String,
    /// What was found.
    #[serde(default)]
    pub found: String,
}

/// What the live server has and the copy has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// `exactly`, `at_most` or `at_least`.
    pub basis: String,
    /// Transactions that changed rows, but for drctl's own.
    pub transactions: u64,
    /// When the first of them was committed.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// When the last was.
    #[serde(default)]
    pub last: Option<Timestamp>,
}

/// A copy that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// Its folder.
    pub folder: String,
    /// Files that were in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
