//! The properties of an action that the rules of a run need, whatever it acts on.

use crate::model::time::Dur;

/// The properties of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Whether it changes anything outside drctl.
    pub mutates: bool,
    /// Whether it is a safety step: it cannot be skipped and its failure cannot be ignored; only a waiver lifts it.
    pub safety: bool,
    /// Whether people must approve it first, if the policy asks for that.
    pub consent: Consent,
    /// How it moves users.
    pub moves: Moves,
    /// Whether users of the current site notice it while it happens.
    pub felt: Felt,
    /// What it does while a stop of the run waits for a decision.
    pub on_stop: OnStop,
    /// The order of its undo.
    pub undo_rank: UndoRank,
    /// Whether a later cancel needs a confirmation, because the action affected users or the server that takes their writes.
    pub grave: bool,
    /// Whether other steps or a person compensate for it while its call is in doubt. Then its timeout ends it.
    pub made_up_for: bool,
    /// Whether the state is observed before a call.
    pub looks: Looks,
}

/// When a run observes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Before each call: a change that is already there is not made again.
    BeforeEachCall,
    /// Before each call but the first one, which itself is refused if something has changed.
    AfterTheFirstCall,
    /// Only after a call: before it there is nothing to observe.
    AfterTheCall,
}

/// Whether people must approve an action first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Never.
    Never,
    /// Always.
    Always,
    /// If users are still served. In an outage it does not wait.
    WhereUsersAreServed,
    /// If it is part of the phase that moves users to another site.
    WhereUsersAreMoved,
}

/// How an action moves users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// It does not.
    Nobody,
    /// Users follow a DNS name to another site. Nothing else shows that they are served, so nobody may skip it.
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
    /// From the fence on: a command may show a maintenance page.
    FromTheFenceOn,
}

/// What an action does while a stop of the run waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It continues in a failover, and waits otherwise: it takes nothing from users who are not served, and it can be undone.
    GoesOnInAFailover,
    /// It does not start. If it has started, it continues to its end.
    DoesNotBegin,
    /// It neither starts nor calls again.
    Waits,
}

/// The order in which effects are undone: earlier ranks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UndoRank {
    /// The changes that moved users, including a copy that replaced the data and that users reach.
    Traffic,
    /// Changes that nothing else waits for.
    Rest,
    /// Fences: lifted when no traffic of the run is left.
    Fence,
    /// TTLs: they keep nobody out, and a step that moved users restores the TTL that it found.
    Ttl,
    /// Copies beside the data: removed after users are let in.
    Copy,
    /// Guards: released last, when nothing else of the run is left.
    Guard,
}

/// What to do about a call with an unknown result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// Wait this long, observe, and act only if the effect is proven absent.
    ObserveAfter(Dur),
    /// Repeat the call; that is always safe.
    Repeat,
    /// A person decides.
    Ask,
}

/// How long after its call an operation may still take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// As long as its result may be unknown.
    Settles,
    /// The started work continues on its own until it ends, perhaps for hours. Only an observation can show its result.
    RunsOn,
    /// Without limit: only a withdrawal ends the wait.
    Outlasts,
}

/// The undo of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo<T> {
    /// There is nothing to undo.
    Nothing,
    /// The operation that undoes it.
    By(T),
    /// It cannot be undone.
    PointOfNoReturn {
        /// Why.
        because: &'static str,
    },
}

impl<T> Undo<T> {
    /// Converts the operation in it.
    pub fn map<U>(self, carry: impl FnOnce(T) -> U) -> Undo<U> {
        match self {
            Self::Nothing => Undo::Nothing,
            Self::By(undo) => Undo::By(carry(undo)),
            Self::PointOfNoReturn { because } => Undo::PointOfNoReturn { because },
        }
    }
}

/// For actions that only observe or wait.
pub const LOOKS: Properties = Properties {
    mutates: false,
    safety: false,
    consent: Consent::Never,
    moves: Moves::Nobody,
    felt: Felt::Never,
    on_stop: OnStop::DoesNotBegin,
    undo_rank: UndoRank::Rest,
    grave: false,
    made_up_for: false,
    looks: Looks::BeforeEachCall,
};

/// The strictest properties of a change. Each action states where it is less strict.
pub const STRICT: Properties = Properties {
    mutates: true,
    safety: true,
    consent: Consent::Always,
    moves: Moves::Nobody,
    felt: Felt::Always,
    on_stop: OnStop::Waits,
    undo_rank: UndoRank::Rest,
    grave: true,
    made_up_for: false,
    looks: Looks::BeforeEachCall,
};

/// A change that users do not notice and that needs no approval.
pub const QUIET: Properties =
    Properties { safety: false, consent: Consent::Never, felt: Felt::Never, grave: false, ..STRICT };

/// A change that moves users to another server or site.
pub const LEADS: Properties = Properties { safety: false, undo_rank: UndoRank::Traffic, ..STRICT };
