//! What the rules of a run ask of an action, whatever kind of thing it acts on.
//!
//! Every action answers every question. There is no default and no wildcard here, so that a new one does not compile until somebody has
//! decided what consent it needs, what becomes of it when people stop the run, and when it is undone.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::kinds::Op as _;
use crate::model::properties::{LOOKS, Properties, QUIET, UndoRank};
use crate::record::action::{Action, Check, Gate, Write};

impl Action {
    /// What the rules of a run ask of it.
    pub fn properties(&self) -> Properties {
        match self {
            Self::Op(op) => op.properties(),
            Self::Check(Check::Exposure { .. } | Check::Identity { .. } | Check::Guard { .. }) => {
                Properties { safety: true, ..LOOKS }
            }
            Self::Check(Check::Evidence { .. } | Check::Probe { .. }) => LOOKS,
            Self::Gate(Gate::Fenced { .. } | Gate::Exposure { .. } | Gate::Approval { .. }) => {
                Properties { safety: true, ..LOOKS }
            }
            Self::Wait { .. } => LOOKS,
            Self::Write(Write::ReleaseGuard { .. }) => Properties { safety: true, ..QUIET },
            Self::Write(Write::Guard { .. }) => {
                Properties { safety: true, undo_rank: UndoRank::Guard, ..QUIET }
            }
        }
    }
}
