//! What the engine asks of something to observe, whatever its kind.

use crate::model::time::Dur;

/// How long drctl usually waits for an answer.
pub const PATIENCE: Dur = Dur::secs(10);

/// What the kind of a target decides about it. A kind writes every field or starts from [`Targeted::ONLY_LOOKED_AT`], so that nobody adds a
/// target without a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targeted<'a> {
    /// Whether its state is kept as evidence before anything changes.
    pub is_evidence: bool,
    /// Whether a rehearsal begins with what was observed of it.
    pub seeds_rehearsal: bool,
    /// How long drctl waits for an answer about it.
    pub answers_within: Dur,
    /// What is observed together with it.
    pub polled: Polled,
    /// Which thing it is.
    pub identity: Identity<'a>,
}

impl Targeted<'_> {
    /// What is only looked at: it is no evidence, a rehearsal has its own, its service answers for all of them at once, and it is no
    /// server, group or service that two sites could share.
    pub const ONLY_LOOKED_AT: Self = Self {
        is_evidence: false,
        seeds_rehearsal: false,
        answers_within: PATIENCE,
        polled: Polled::WithItsService,
        identity: Identity::None,
    };
}

/// Who answers for a target, which decides what its silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The service that its provider runs for all of them. Its answer says nothing of the thing itself.
    ControlPlane,
    /// The thing itself or its host: by SQL, by a name server, by a command.
    Itself,
}

/// What is observed together with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// The targets of its service in an account and a region: one describe call covers all of them.
    WithItsService,
    /// The targets of this name in an account and a region.
    Under(&'static str),
    /// Nothing, so that it delays nothing else.
    Alone,
}

/// Which server, group or service a target is, whatever a plan calls its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// None of these, or unknown.
    None,
    /// A member of this database above the sites. All its members are one, because they move together.
    MemberOf(&'a str),
    /// The one with this name at its service, in an account and a region.
    Named(&'a str),
    /// The one with this name in an account and a region, which needs no service to be unique.
    Within(String),
    /// The one at this address, wherever it is.
    At(String),
}
