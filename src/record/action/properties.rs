//! The properties of an action that the rules of a run need, whatever it acts on.
//!
//! Every action states every property. There is no default and no wildcard, so a new action does not compile until somebody has decided
//! about its approval, its behaviour at a stop, and the order of its undo.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::kinds::Op as _;
use crate::model::properties::{LOOKS, Properties, QUIET, UndoRank};
use crate::record::action::{Action, Check, Gate, Write};

impl Action {
    /// Its properties for the rules of a run.
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
