//! A group, and its observed state.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::shared::capacity::size::Capacity;
use crate::kinds::targeted::{Identity, PATIENCE, Polled, Targeted};
use crate::model::ids::ComponentName;
use crate::model::place::Place;

/// A group of instances at one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GroupRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// The group's name.
    pub group: String,
}

impl GroupRef {
    pub(in crate::kinds) fn targeted(&self) -> Targeted<'_> {
        Targeted {
            is_evidence: true,
            seeds_rehearsal: true,
            answers_within: PATIENCE,
            polled: Polled::WithItsService,
            identity: Identity::Named(&self.group),
        }
    }
}

/// A group of instances as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupState {
    /// Its size, and what is in service.
    #[serde(flatten)]
    pub capacity: Capacity,
    /// Processes that are suspended, such as `Launch`.
    #[serde(default)]
    pub suspended: BTreeSet<String>,
    /// What its instances are launched from: a launch template and its version, or a launch configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launches: Option<String>,
}

impl GroupState {
    /// The attributes that no failover changes. Suspended processes are left out, because a recovery resumes them.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let launches = self.launches.iter().map(|is| ("launches".to_owned(), is.clone()));
        launches.chain([("maximum".to_owned(), self.capacity.size.max.to_string())]).collect()
    }
}
