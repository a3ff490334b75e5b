//! What the rules of a run ask of an action, whatever kind of thing it acts on.

use crate::model::time::Dur;

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
    /// Whether what is there is looked at before a call.
    pub looks: Looks,
}

/// Whether a run looks at what is there before it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Before each call: what is done already is not done again.
    BeforeEachCall,
    /// Before each call but the first one, which checks the state itself: it is refused if something has changed.
    AfterTheFirstCall,
    /// After a call alone: there is nothing to see before it.
    AfterTheCall,
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

/// What to do about a call whose fate is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// Wait this long, look, and act only if the effect is proven absent.
    ObserveAfter(Dur),
    /// Calling again cannot hurt.
    Repeat,
    /// A person decides.
    Ask,
}

/// How long after its call the effect of an operation may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// As long as its fate may be unknown.
    Settles,
    /// What was started continues on its own until it ends, for hours maybe: only what is then seen tells.
    RunsOn,
    /// Its absence, however long, does not prove that it will not come: only a withdrawal ends the wait.
    Outlasts,
}

/// What takes an operation back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo<T> {
    /// There is nothing to undo.
    Nothing,
    /// This does.
    By(T),
    /// It cannot be undone.
    PointOfNoReturn {
        /// Why.
        because: &'static str,
    },
}

impl<T> Undo<T> {
    /// The same of what carries the operation.
    pub fn map<U>(self, carry: impl FnOnce(T) -> U) -> Undo<U> {
        match self {
            Self::Nothing => Undo::Nothing,
            Self::By(undo) => Undo::By(carry(undo)),
            Self::PointOfNoReturn { because } => Undo::PointOfNoReturn { because },
        }
    }
}

/// What only looks or waits.
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

/// The strictest answers of what changes something: whatever is laxer has to be said where it is so.
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

/// A change that users do not notice, and that needs nobody's consent.
pub const QUIET: Properties =
    Properties { safety: false, consent: Consent::Never, felt: Felt::Never, grave: false, ..STRICT };

/// A change that leads users to another server or site.
pub const LEADS: Properties = Properties { safety: false, undo_rank: UndoRank::Traffic, ..STRICT };
