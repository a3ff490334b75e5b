//! A server that a job on its host makes a standby of another one, and what only that server had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::database::server::DatabaseState;
use crate::kinds::shared::wal::WalPoint;
use crate::model::time::Timestamp;

/// The progress of a server towards being a standby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildState {
    /// Its state, if it answers.
    #[serde(default)]
    pub server: Option<DatabaseState>,
    /// The job on its host.
    pub stage: JobStage,
    /// The last lines of the job's log.
    #[serde(default)]
    pub tail: String,
    /// What was committed only there.
    #[serde(default)]
    pub diverged: Option<Diverged>,
}

/// A job on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// It was never started.
    None,
    /// It is running.
    Running,
    /// It was started, but is no longer running and has recorded no result.
    Gone,
    /// It has ended.
    Ended {
        /// Its exit code.
        exit: i32,
    },
    /// The host does not answer.
    Unseen,
}

/// What an old primary committed after the new one left its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diverged {
    /// The number of transactions that changed rows of tables; `None` if they were not counted.
    #[serde(default)]
    pub transactions: Option<u64>,
    /// Where the histories diverge, if known.
    #[serde(default)]
    pub fork: Option<WalPoint>,
    /// The time of the first commit, by that server's clock.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// The time of the last commit.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// Where their WAL, or all previous data, is kept on that host.
    pub kept: String,
    /// The changed rows by table; tables with exported rows come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<DivergedTable>,
    /// How many tables are missing here, and the file on that host that lists all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// The rows of a table that were changed only on an old primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DivergedTable {
    /// The table with its schema, as that server names it; a file if it no longer has a name.
    pub table: String,
    /// Rows inserted, according to the WAL.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted. They can be counted but not exported.
    pub deleted: u64,
    /// The number of exported rows, if the plan lists the table under `reconcile:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<u64>,
    /// The file on that host (CSV with a header).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl DivergedTable {
    /// A description.
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
