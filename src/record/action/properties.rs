//! What the rules of a run ask of an action, whatever kind of thing it acts on.
//!
//! Every verb answers every question. There is no default and no wildcard here, so that a new verb does not compile until somebody has
//! decided what consent it needs, what becomes of it when people stop the run, and when it is undone.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::kinds::Op;
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::restore::{Part, RestoreStep};
use crate::model::properties::{Consent, Felt, LOOKS, OnStop, Properties, QUIET, STRICT, UndoRank};
use crate::record::action::{Action, Check, Gate, Write};

impl Action {
    /// What the rules of a run ask of it.
    pub fn properties(&self) -> Properties {
        match self {
            Self::Check(check) => Properties { safety: is_safety(check), ..LOOKS },
            Self::Gate(Gate::Fenced { .. } | Gate::Exposure { .. } | Gate::Approval { .. }) => {
                Properties { safety: true, ..LOOKS }
            }
            Self::Wait { .. } => LOOKS,
            Self::Fence(Fence { .. }) => Properties {
                consent: Consent::WhereUsersAreServed,
                on_stop: OnStop::GoesOnInAFailover,
                undo_rank: UndoRank::Fence,
                made_up_for: true,
                ..STRICT
            },
            // It lets in who was kept out.
            Self::Unfence(_) => Properties { consent: Consent::Always, ..QUIET },
            Self::Promote(_) => STRICT,
            Self::Withdraw(_) | Self::AddClusterInstance(_) => QUIET,
            Self::Rejoin(_) => Properties { consent: Consent::Always, grave: true, ..QUIET },
            Self::Rename(_) => Properties { consent: Consent::Always, ..QUIET },
            Self::Restore(RestoreStep { part, .. }) => restore(*part),
            Self::Scale(op) => op.properties(),
            Self::Switch(op) => op.properties(),
            Self::SetHealthObject(op) => op.properties(),
            Self::SetRoutingControls(op) => op.properties(),
            Self::UpdateClientSecret(op) => op.properties(),
            Self::Write(Write::Canary { .. } | Write::ReleaseGuard { .. }) => {
                Properties { safety: true, ..QUIET }
            }
            // That the database takes writes is proven before; this one may fail for reasons of the clients' login alone.
            Self::Write(Write::Through { .. }) => QUIET,
            Self::Write(Write::Guard { .. }) => {
                Properties { safety: true, undo_rank: UndoRank::Guard, ..QUIET }
            }
            Self::Run(_) => {
                Properties { consent: Consent::WhereUsersAreMoved, felt: Felt::FromTheFenceOn, ..QUIET }
            }
        }
    }
}

/// Whether nobody may skip a look.
const fn is_safety(check: &Check) -> bool {
    match check {
        Check::Exposure { .. }
        | Check::Identity { .. }
        | Check::Promotable { .. }
        | Check::CaughtUp { .. }
        | Check::Guard { .. } => true,
        Check::Available { .. }
        | Check::Evidence { .. }
        | Check::Compare(_)
        | Check::Follows { .. }
        | Check::Answers { .. }
        | Check::Probe { .. } => false,
    }
}

const fn restore(part: Part) -> Properties {
    let beside =
        Properties { consent: Consent::Never, felt: Felt::Never, undo_rank: UndoRank::Copy, ..STRICT };
    match part {
        Part::CreateCopy | Part::Verify | Part::Loss | Part::Destroy => beside,
        // Users reach the copy from then on.
        Part::Swap => Properties { undo_rank: UndoRank::Traffic, ..STRICT },
        // It undoes what people agreed to, and is undone by nothing.
        Part::Revert => Properties { felt: Felt::Always, ..beside },
    }
}
