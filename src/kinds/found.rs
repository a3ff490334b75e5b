//! Values that were read right before a call because the runbook did not have them. They are recorded with the intent, and an undo restores
//! them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::capacity::size::Size;
use crate::kinds::shared::names::records::RecordSet;

/// The values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Found")]
pub enum FoundValues {
    /// Record sets that are about to be replaced.
    Sets(Vec<FoundSet>),
    /// The fields of a secret that contain the endpoint.
    Fields(BTreeMap<String, String>),
    /// The security groups that a fence is about to replace.
    Groups(Vec<String>),
    /// The sizes that are about to change.
    Size(Size),
}

/// A record set as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundSet {
    /// The position of its change in the action.
    pub change: u32,
    /// The set; `None` if none existed.
    pub set: Option<RecordSet>,
}

/// Everything that was read for the calls of one step. For each item, the last reading counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    sets: BTreeMap<u32, Option<RecordSet>>,
    fields: Option<BTreeMap<String, String>>,
    groups: Option<Vec<String>>,
    size: Option<Size>,
}

impl Readings {
    /// Adds the values that were read for a call.
    pub fn take(&mut self, found: &FoundValues) {
        match found {
            FoundValues::Sets(sets) => self.sets.extend(sets.iter().map(|f| (f.change, f.set.clone()))),
            FoundValues::Fields(fields) => self.fields = Some(fields.clone()),
            FoundValues::Groups(groups) => self.groups = Some(groups.clone()),
            FoundValues::Size(size) => self.size = Some(*size),
        }
    }

    /// The last reading of the record set at each position.
    pub const fn sets(&self) -> &BTreeMap<u32, Option<RecordSet>> {
        &self.sets
    }

    /// The last reading of the fields of a secret.
    pub const fn fields(&self) -> Option<&BTreeMap<String, String>> {
        self.fields.as_ref()
    }

    /// The last reading of the security groups.
    pub fn groups(&self) -> Option<&[String]> {
        self.groups.as_deref()
    }

    /// The last reading of the sizes.
    pub const fn size(&self) -> Option<Size> {
        self.size
    }
}
