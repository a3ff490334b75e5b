//! What an operation looks at, and what the look means for it.

use crate::kinds::facts::Fact;
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::target::Target;
use crate::model::time::{Dur, Timestamp};

/// What an observation means for one operation. Completion is positive evidence of the new state, never the absence of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The new state is there.
    Done(Vec<Fact>),
    /// The old state is there: nothing has happened yet.
    Before,
    /// Neither the old state nor the new one: calling again may help. In words.
    Partly(String),
    /// On its way, or not visible.
    Unclear(String),
    /// The first of two calls has had its effect. In words.
    Half(String),
    /// Nobody may look until somebody renews the credentials, or sets this machine's clock.
    Locked {
        /// What the service answered.
        why: String,
        /// Whether it is the clock.
        clock: bool,
    },
    /// It can never become the new state.
    Wrong(String),
    /// What was started has ended, without the new state: another attempt is another job.
    Over(String),
    /// The replica that would be promoted is the writer already.
    Promoted,
    /// A finished run with no pending fence.
    Settled(String),
}

impl Judged {
    /// Done if it is as asked, else not begun.
    pub fn stands(as_asked: bool) -> Self {
        if as_asked { Self::Done(Vec::new()) } else { Self::Before }
    }

    /// What it is about does not exist.
    pub fn missing(target: &Target) -> Self {
        Self::Wrong(format!("{target} does not exist"))
    }

    /// The answer is about something else: nothing follows from it.
    pub fn other() -> Self {
        Self::Unclear("the answer was for a different target".to_owned())
    }
}

/// How far the step of an operation is, for its `judge`.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The time of the judgement.
    pub now: Timestamp,
    /// When the target was observed.
    pub observed_at: Timestamp,
    /// When the step began in this process; none before it began.
    pub began: Option<Timestamp>,
    /// Whether the step called at least once.
    pub called: bool,
    /// When the call was accepted, while the step waits for its effect.
    pub answered_at: Option<Timestamp>,
    /// What the service called its answer to that call.
    pub token: Option<&'a str>,
    /// Whether the operation is the undo of a step.
    pub undo: bool,
    /// Whether the run leaves the step, so that whatever there is of it will be undone.
    pub leaving: bool,
    /// Whether the first call of that undo comes next.
    pub undoing: bool,
    /// Whether the run is being undone.
    pub unwinds: bool,
    /// Whether users are served at the site that is left, so that nothing has to be promoted at any price.
    pub planned: bool,
    /// Whether the run is over. What it still does it owes.
    pub finished: bool,
    /// Whether it is a debt: of a run before this one, or of this one after its end.
    pub owed: bool,
    /// What the run established about the store that the operation is about.
    pub store: Store<'a>,
}

/// What a run established about one store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store<'a> {
    /// Whether this run promoted its replica.
    pub promoted: bool,
    /// Whether the old primary is proven fenced.
    pub fenced: bool,
    /// Whether this run set a fence on it, so that the fence was not there before.
    pub fenced_by_run: bool,
    /// What the fence left there, and on every replica of it.
    pub fence_token: Option<&'a str>,
    /// Where its log ended when it was proven fenced.
    pub fenced_end: Option<WalPoint>,
    /// Whether the run puts a copy in the place of its data.
    pub restores: bool,
    /// The name that its old instance was set aside with.
    pub aside: Option<&'a str>,
}

impl Progress<'_> {
    /// Whether the step has waited for that long.
    pub fn waited(&self, patience: Dur) -> bool {
        self.began.is_none_or(|began| self.now >= began + patience)
    }
}

/// What is known of the call of a step, for its `watch`.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// What the service called its answer.
    pub token: Option<&'a str>,
    /// Identifies the call.
    pub key: &'a str,
    /// The restart that a fence asked for.
    pub restart: Restart,
}

impl Called<'_> {
    /// Before the call.
    pub const NOT_YET: Self = Self { token: None, key: "", restart: Restart::NONE };
}
