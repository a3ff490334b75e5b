//! Recovery objectives: RTO and RPO.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::Dur;

/// Recovery objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Objectives {
    /// Recovery time objective.
    pub rto_ms: Dur,
    /// Recovery point objective.
    pub rpo_ms: Dur,
}
