//! The observation that a simulation starts from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::ids::SiteName;
use crate::model::plain::count;
use crate::model::time::Timestamp;

/// The observation that a rehearsal starts from, by the names in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// When.
    pub at: Timestamp,
    /// The site where the application was active. The rehearsal loses this site.
    pub active: SiteName,
    states: BTreeMap<String, State>,
    missing: Vec<String>,
    unseen: Vec<String>,
}

/// What an observation found of a target.
#[derive(Clone, Debug)]
pub enum Fed {
    /// Its state.
    State(State),
    /// It does not exist.
    Missing,
    /// It could not be observed.
    Unseen,
}

impl Feed {
    /// Collects what was found of targets.
    pub fn new(active: SiteName, at: Timestamp, found: impl Iterator<Item = (Target, Fed)>) -> Self {
        let (mut states, mut missing, mut unseen) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (target, found) in found {
            match found {
                Fed::State(state) => drop(states.insert(target.key(), state)),
                Fed::Missing => missing.push(target.key()),
                Fed::Unseen => unseen.push(target.key()),
            }
        }
        Self { at, active, states, missing, unseen }
    }

    /// The state of a target.
    pub fn state(&self, target: &Target) -> Option<&State> {
        self.states.get(&target.key())
    }

    /// Whether a target did not exist.
    pub fn is_missing(&self, target: &Target) -> bool {
        self.missing.contains(&target.key())
    }

    /// Every state.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.states.values()
    }

    /// Notes for readers of the rehearsal about its start.
    pub fn notes(&self) -> Vec<String> {
        let first = format!(
            "starts with {} from {}; after that, all times are those of the virtual clock, and drctl simulates how long calls take and what else fails",
            count(self.states.len(), "observation"),
            self.at
        );
        let all =
            |what: &str, keys: &[String]| (!keys.is_empty()).then(|| format!("{what}: {}", keys.join(", ")));
        let missing = all("did not exist, and does not exist in the rehearsal", &self.missing);
        let unseen = all("could not be observed; the rehearsal uses the values in the plan", &self.unseen);
        std::iter::once(first).chain(missing).chain(unseen).collect()
    }

    /// Serializes it for the journal of the rehearsal.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads it back, if the rehearsal started from an observation.
    pub fn kept(notes: &[(Timestamp, Vec<u8>)]) -> Option<Self> {
        notes.iter().find_map(|(_, bytes)| serde_json::from_slice(bytes).ok())
    }
}
