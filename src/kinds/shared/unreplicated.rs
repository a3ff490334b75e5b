//! What a primary has and its physical standbys do not (PostgreSQL documentation, «CREATE TABLE», UNLOGGED; «Logical Replication
//! Failover»; «Write-Ahead Log»).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing that a promoted standby lacks, or that a promotion leaves locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreplicated {
    /// What happens to it.
    pub what: Lost,
    /// Its name: of a table with its database and schema.
    pub name: String,
    /// More about it, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What happens to something that is not replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// An unlogged table with rows: a standby has it empty.
    Rows,
    /// An unlogged table with rows that the plan calls expendable.
    Expendable,
    /// A logical slot: its consumer finds none on the new primary, and changes may be missed.
    Slot,
    /// A prepared transaction: it stays open with its locks until somebody ends it.
    Locked,
    /// A database that could not be looked at.
    Unseen,
    /// A file outside the data folder, or rows that another server keeps: no base backup and no log has it.
    Outside,
}

impl Unreplicated {
    /// Whether rows may be lost with it that no position of a log tells of.
    pub const fn loses_rows(&self) -> bool {
        matches!(self.what, Lost::Rows | Lost::Unseen)
    }

    /// What a person has to know of it, as a sentence.
    pub fn words(&self) -> String {
        let Self { name, detail, .. } = self;
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        match self.what {
            Lost::Rows => format!(
                "unlogged table {name} has rows{detail}: it is empty on a standby, so a promotion loses them"
            ),
            Lost::Expendable => format!(
                "unlogged table {name} has rows{detail}: a promotion loses them, which the plan allows (`expendable`)"
            ),
            Lost::Slot => format!(
                "logical slot {name}{detail} does not exist on a standby: after a promotion its consumer finds no slot and may miss changes"
            ),
            Lost::Locked => format!(
                "prepared transaction {name}{detail} stays open with its locks, also on the new primary, until somebody commits it or rolls it back there"
            ),
            Lost::Unseen => {
                format!("{name} was not read{detail}: it is unknown whether it has unlogged tables with rows")
            }
            Lost::Outside => {
                format!("{name}{detail} is outside the data folder: a standby has its own copy or none")
            }
        }
    }
}
