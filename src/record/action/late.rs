//! Effects that come late: for how long an action that was asked for may still take effect.

use crate::model::properties::{InDoubt, Late};
use crate::model::time::Dur;
use crate::record::action::{Action, Undo};

impl Action {
    /// How long after its call its effect may still come; none where only what is then seen, or a withdrawal, tells.
    pub fn settles(&self) -> Option<Dur> {
        match (self.late(), self.in_doubt()) {
            (Late::RunsOn | Late::Outlasts, _) => None,
            (Late::Settles, InDoubt::ObserveAfter(settle)) => Some(settle),
            (Late::Settles, InDoubt::Repeat | InDoubt::Ask) => Some(Dur::secs(20)),
        }
    }

    /// Whether nothing takes it back once it was accepted: no clock ends the wait for it then.
    pub fn is_final(&self) -> bool {
        matches!(self.undo(), Undo::PointOfNoReturn { .. })
    }

    /// Whether its absence, however long, does not prove that it will not come.
    pub fn outlasts(&self) -> bool {
        self.late() == Late::Outlasts
    }
}
