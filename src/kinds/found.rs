//! What was read right before a call, where the runbook could not say it: it is kept with the intent, and an undo restores it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::route53::RecordSet;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Record sets that are about to change.
    Sets(Vec<FoundSet>),
    /// The fields of a secret that name a server.
    Fields(BTreeMap<String, String>),
}

/// A record set as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundSet {
    /// The position of its change in the action.
    pub change: u32,
    /// What was there; none where nothing was.
    pub set: Option<RecordSet>,
}

/// Everything that was read for the calls of one step: the last reading of each thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    sets: BTreeMap<u32, Option<RecordSet>>,
    fields: Option<BTreeMap<String, String>>,
}

impl Readings {
    /// Adds what was read for one call.
    pub fn take(&mut self, found: &Found) {
        match found {
            Found::Sets(sets) => self.sets.extend(sets.iter().map(|f| (f.change, f.set.clone()))),
            Found::Fields(fields) => self.fields = Some(fields.clone()),
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
}
