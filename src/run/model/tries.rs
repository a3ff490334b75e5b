//! What was tried for a pending fence after the end of a run.

use std::collections::BTreeMap;

use crate::model::ids::ComponentName;
use crate::model::time::Timestamp;

/// The tries for the pending fences of a run, by component.
pub type AfterEnd = BTreeMap<ComponentName, Tries>;

/// The tries for one pending fence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// The number of recorded looks at the new primary.
    pub looks: u32,
    /// The last one.
    pub last: Option<PrimaryReading>,
    /// The number of calls to fence the old primary.
    pub calls: u32,
}

/// A look at the new primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryReading {
    /// When it was recorded.
    pub at: Timestamp,
    /// Whether the new primary takes writes.
    pub writes: bool,
    /// What drctl observed.
    pub seen: String,
}
