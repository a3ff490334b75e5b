//! A server that is made a standby of another one by a job on its host, and what only that server had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::wal::WalPoint;
use crate::model::time::Timestamp;

/// How far a server is from being a standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildState {
    /// What it is, if it answers.
    #[serde(default)]
    pub server: Option<DatabaseState>,
    /// The job on its host.
    pub stage: JobStage,
    /// The last lines that the job wrote.
    #[serde(default)]
    pub tail: String,
    /// What was committed there and nowhere else.
    #[serde(default)]
    pub diverged: Option<Diverged>,
}

/// A job on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// Never started.
    None,
    /// Under way.
    Running,
    /// Broken off: it was started and runs no more, and did not say how it ended.
    Gone,
    /// Over.
    Ended {
        /// Its exit code.
        exit: i32,
    },
    /// Nobody can look: the host does not answer.
    Unseen,
}

/// What an old primary committed after the new one had left its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diverged {
    /// How many transactions that changed rows of tables; none where they were not counted.
    #[serde(default)]
    pub transactions: Option<u64>,
    /// Where the histories part, if that was found.
    #[serde(default)]
    pub fork: Option<WalPoint>,
    /// When the first was committed, by that server's clock.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// When the last was.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// Where their log, or all of the data from before, is kept on that host.
    pub kept: String,
    /// What they changed, by table; the tables whose rows were exported first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<DivergedTable>,
    /// How many tables are not among these, and the file on that host that has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// What was changed in a table on an old primary and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DivergedTable {
    /// With its schema, as that server calls it; a file where it has no name any more.
    pub table: String,
    /// Rows inserted, by the log.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted. They can only be counted.
    pub deleted: u64,
    /// How many rows were exported, where the plan lists it under `reconcile:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<u64>,
    /// The file on that host (CSV with a header).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl DivergedTable {
    /// In words.
    pub fn words(&self) -> String {
        let Self { table, inserted, updated, deleted, .. } = self;
        let changed = match inserted + updated + deleted {
            0 => "changed as a whole (emptied or rewritten), or before the histories diverged".to_owned(),
            _ => format!("{inserted} rows inserted, {updated} updated, {deleted} deleted"),
        };
        match (self.exported, &self.file) {
            (Some(rows), Some(file)) => format!("{table}: {changed}; {rows} exported to {file}"),
            _ => format!("{table}: {changed}; not compared: it is not under `reconcile:`"),
        }
    }
}
