//! Late effects: how long a requested action may still take effect.

use crate::model::properties::{InDoubt, Late};
use crate::model::time::Dur;
use crate::record::action::{Action, Undo};

impl Action {
    /// How long after its call it may still take effect; none if only an observation or a withdrawal can tell.
    pub fn settles(&self) -> Option<Dur> {
        match (self.late(), self.in_doubt()) {
            (Late::RunsOn | Late::Outlasts, _) => None,
            (Late::Settles, InDoubt::ObserveAfter(settle)) => Some(settle),
            (Late::Settles, InDoubt::Repeat | InDoubt::Ask) => Some(Dur::secs(20)),
        }
    }

    /// Whether it cannot be undone once it was accepted. Then no timeout ends the wait for it.
    pub fn is_final(&self) -> bool {
        matches!(self.undo(), Undo::PointOfNoReturn { .. })
    }

    /// Whether the absence of its effect never proves that it will not come.
    pub fn outlasts(&self) -> bool {
        self.late() == Late::Outlasts
    }
}
