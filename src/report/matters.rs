//! What a run is for the recipients of its notifications, and why it alerts them.

use crate::model::intent::Drill;
use crate::model::time::Timestamp;
use crate::record::event::WorldKind;
use crate::run::RunState;

/// What a run is for the recipients of its notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// A failure.
    Incident,
    /// Planned work.
    Planned,
    /// A drill.
    Drill,
}

/// What the run is; `None` if nobody is notified.
pub fn matter(state: &RunState) -> Option<Matter> {
    if state.created.world != WorldKind::Live {
        return None;
    }
    match (state.runbook.drill, state.runbook.intent) {
        (Some(Drill::Tabletop | Drill::Rehearsal), _) => None,
        (Some(_), _) => Some(Matter::Drill),
        (None, intent) if intent.is_incident() => Some(Matter::Incident),
        (None, _) => Some(Matter::Planned),
    }
}

/// A reason to alert people.
pub struct Alarm {
    /// Its name within the run.
    pub id: String,
    /// Since when.
    pub at: Timestamp,
    /// The reason.
    pub why: String,
    /// What the person can do.
    pub fix: String,
    /// Whether somebody acknowledged it.
    pub seen: bool,
}
