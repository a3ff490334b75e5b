//! What a primary has and its physical standbys lack (PostgreSQL documentation, «CREATE TABLE», UNLOGGED; «Logical Replication Failover»;
//! «Write-Ahead Log»).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a promoted standby lacks, or that stays locked after a promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreplicated {
    /// What happens to it.
    pub what: Lost,
    /// Its name; for a table, with its database and schema.
    pub name: String,
    /// Details.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What happens to something that is not replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// An unlogged table with rows: on a standby it is empty.
    Rows,
    /// An unlogged table with rows that the plan declares expendable.
    Expendable,
    /// A logical replication slot: its consumer does not find it on the new primary, and may miss changes.
    Slot,
    /// A logical replication slot with `failover`: a standby has it only if it synchronizes slots (`sync_replication_slots`).
    Failover,
    /// A prepared transaction: it stays open with its locks until somebody ends it.
    Locked,
    /// A database that could not be inspected.
    Unseen,
    /// A file outside the data folder, or rows on another server: neither a base backup nor the WAL has it.
    Outside,
}

impl Unreplicated {
    /// Whether its rows may be lost without any trace in the WAL.
    pub const fn loses_rows(&self) -> bool {
        matches!(self.what, Lost::Rows | Lost::Unseen)
    }

    /// What of this a promotion of one standby loses; `None` if nothing. `synced` are the slots that the standby has synchronized, if that
    /// is known.
    pub fn on(&self, standby: &str, synced: Option<&[String]>) -> Option<Self> {
        match (self.what, synced) {
            (Lost::Failover, Some(synced)) if synced.contains(&self.name) => None,
            (Lost::Failover, Some(_)) => {
                let why = format!("it has `failover`, but {standby} has not synchronized it");
                let detail = [self.detail.as_str(), &why].into_iter().filter(|part| !part.is_empty());
                let detail = detail.collect::<Vec<_>>().join("; ");
                Some(Self { what: Lost::Slot, detail, ..self.clone() })
            }
            _ => Some(self.clone()),
        }
    }

    /// Whether others name the same thing. The details of a table change.
    pub fn is_among(&self, others: &[Self]) -> bool {
        others.iter().any(|other| other.what == self.what && other.name == self.name)
    }

    /// What a person must know about it, as a sentence.
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
            Lost::Failover => format!(
                "logical slot {name}{detail} has `failover`: after a promotion its consumer finds it only if the standby has synchronized it"
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
