//! Effects that come late: for how long an action that was asked for may still take effect.

use crate::kinds::shared::database::Engine;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::RestoreStep;
use crate::model::properties::InDoubt;
use crate::model::time::Dur;
use crate::record::action::{Action, Undo};

impl Action {
    /// How long after its call its effect may still come; none where only what is then seen, or a withdrawal, tells.
    pub fn settles(&self) -> Option<Dur> {
        match self {
            _ if self.outlasts() => None,
            // A job on a host continues until it ends.
            Self::Rejoin(Rejoin { replica: None, .. }) => None,
            Self::Restore(RestoreStep { of, .. }) if of.instance().is_none() => None,
            Self::Run(command) if !command.idempotent => None,
            _ => match self.in_doubt() {
                InDoubt::ObserveAfter(settle) => Some(settle),
                InDoubt::Repeat | InDoubt::Ask => Some(Dur::secs(20)),
            },
        }
    }

    /// Whether nothing takes it back once it was accepted: no clock ends the wait for it then.
    pub fn is_final(&self) -> bool {
        matches!(self.undo(), Undo::PointOfNoReturn { .. })
    }

    /// Whether its absence, however long, does not prove that it will not come. A standby that took the request to promote ends its recovery
    /// when its WAL receiver has ended, which may hang for as long as it likes (PostgreSQL, `ShutdownWalRcv` in `walreceiverfuncs.c`).
    pub fn outlasts(&self) -> bool {
        matches!(self, Self::Promote(Promote { db, .. }) if db.engine == Engine::Postgres)
    }
}
