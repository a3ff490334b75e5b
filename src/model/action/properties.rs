//! What the rules of a run ask of an action, whatever kind of thing it acts on.
//!
//! Every verb answers every question. There is no default and no wildcard here, so that a new verb does not compile until somebody has
//! decided what consent it needs, what becomes of it when people stop the run, and when it is undone.
#![deny(clippy::wildcard_enum_match_arm)]

use super::{Action, Check, Fence, Gate, Switch, Write};
use crate::model::restore::Part;

/// The answers of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Whether it changes anything outside drctl.
    pub mutates: bool,
    /// Whether it is a safety step: it cannot be skipped and its failure cannot be ignored; only a waiver lifts it.
    pub safety: bool,
    /// Whether people agree before it begins, where the policy asks them.
    pub consent: Consent,
    /// How it moves users.
    pub moves: Moves,
    /// Whether users of the site that is left notice it while it happens.
    pub felt: Felt,
    /// What becomes of it while a stop of the run waits for an answer.
    pub on_stop: OnStop,
    /// When its effect is undone.
    pub undo_rank: UndoRank,
    /// Whether a cancel after it asks first: it touched users, or the server that takes their writes.
    pub grave: bool,
    /// Whether other steps, or a person, make up for its effect while its call is in doubt: its timeout ends it then.
    pub made_up_for: bool,
}

/// Whether people agree before an action begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It needs none.
    Never,
    /// They agree.
    Always,
    /// They agree where users are still served: in an outage it waits for nobody.
    WhereUsersAreServed,
    /// They agree if it is part of the phase that leads users to another site.
    WhereUsersAreMoved,
}

/// How an action moves users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// It does not.
    Nobody,
    /// Users follow a name to another site. Without it nothing shows that they are served, so nobody may skip it.
    ByName,
    /// Clients of one database follow a secret to another server.
    BySecret,
}

/// Whether users notice an action while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Felt {
    /// They do not.
    Never,
    /// They do.
    Always,
    /// They may from the fence on: a command may put a maintenance page up.
    FromTheFenceOn,
}

/// What becomes of an action while a stop of the run waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It goes on in a failover, and waits otherwise: it takes nothing from users who are not served, and it can be undone.
    GoesOnInAFailover,
    /// It does not begin; where it has begun, it goes on to its end.
    DoesNotBegin,
    /// It neither begins nor calls again.
    Waits,
}

/// When an effect is undone: earlier ranks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UndoRank {
    /// What led users here. A copy that was put in the place of the data is what users reach.
    Traffic,
    /// What nothing else waits for.
    Rest,
    /// Fences: lifted when no traffic of the run is left.
    Fence,
    /// TTLs: nobody is kept out for how long an answer is kept, and whoever moved users gives back the TTL that was found.
    Ttl,
    /// Copies beside the data: removed when users are let in.
    Copy,
    /// Guards: released last, when nothing of the run is left.
    Guard,
}

/// What only looks or waits.
const LOOKS: Properties = Properties {
    mutates: false,
    safety: false,
    consent: Consent::Never,
    moves: Moves::Nobody,
    felt: Felt::Never,
    on_stop: OnStop::DoesNotBegin,
    undo_rank: UndoRank::Rest,
    grave: false,
    made_up_for: false,
};

/// The strictest answers of what changes something: whatever is laxer has to be said where it is so.
const STRICT: Properties = Properties {
    mutates: true,
    safety: true,
    consent: Consent::Always,
    moves: Moves::Nobody,
    felt: Felt::Always,
    on_stop: OnStop::Waits,
    undo_rank: UndoRank::Rest,
    grave: true,
    made_up_for: false,
};

/// A change that users do not notice, and that needs nobody's consent.
const QUIET: Properties =
    Properties { safety: false, consent: Consent::Never, felt: Felt::Never, grave: false, ..STRICT };

/// A change that leads users to another server or site.
const LEADS: Properties = Properties { safety: false, undo_rank: UndoRank::Traffic, ..STRICT };

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
            Self::Promote { .. } => STRICT,
            Self::Withdraw { .. } | Self::AddClusterInstance { .. } => QUIET,
            Self::Rejoin { .. } => Properties { consent: Consent::Always, grave: true, ..QUIET },
            Self::Rename { .. } => Properties { consent: Consent::Always, ..QUIET },
            Self::Restore { part, .. } => restore(*part),
            Self::Scale(_) => Properties { on_stop: OnStop::GoesOnInAFailover, made_up_for: true, ..QUIET },
            Self::Switch(switch) => {
                Properties { moves: Moves::ByName, undo_rank: switch_rank(switch), ..LEADS }
            }
            Self::SetHealthObject(_) | Self::SetRoutingControls(_) => {
                Properties { moves: Moves::ByName, made_up_for: true, ..LEADS }
            }
            Self::UpdateClientSecret(_) => Properties { moves: Moves::BySecret, made_up_for: true, ..LEADS },
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

fn switch_rank(switch: &Switch) -> UndoRank {
    if switch.only_ttl().is_some() { UndoRank::Ttl } else { UndoRank::Traffic }
}
