//! The progress of an operation, and what an observation means for it.

use crate::kinds::facts::Fact;
use crate::kinds::shared::restart::Restart;
use crate::kinds::shared::wal::WalPoint;
use crate::kinds::target::Target;
use crate::model::time::{Dur, Timestamp};

/// What an observation means for one operation. Completion is positive evidence of the new state, never the absence of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The new state is reached.
    Done(Vec<Fact>),
    /// The old state: nothing has happened yet. What was there before the step's first call (`Progress::called`) belongs to it.
    Before,
    /// Neither the old state nor the new one; another call may help. The reason, in words. For a step it is like
    /// `Before`. An undo that begins makes its call, which it does not for `Before`.
    Partly(String),
    /// In progress, or not visible.
    Unclear(String),
    /// The first of two calls has taken effect, and the same action makes the second. The reason, in words.
    Half(String),
    /// It cannot be observed until a person renews the credentials, or sets this machine's clock.
    Locked {
        /// The answer of the service.
        why: String,
        /// Whether the clock is the cause.
        clock: bool,
    },
    /// The new state can never be reached.
    Wrong(String),
    /// What was started has ended without reaching the new state. Another attempt starts another job.
    Over(String),
    /// The replica to promote is already the writer.
    Promoted,
    /// A finished run with no pending fence.
    Settled(String),
}

impl Judged {
    /// `Done` if the state is as requested, otherwise `Before`.
    pub fn stands(as_asked: bool) -> Self {
        if as_asked { Self::Done(Vec::new()) } else { Self::Before }
    }

    /// The target does not exist.
    pub fn missing(target: &Target) -> Self {
        Self::Wrong(format!("{target} does not exist"))
    }

    /// The answer is about something else, so it means nothing here.
    pub fn other() -> Self {
        Self::Unclear("the answer was for a different target".to_owned())
    }
}

/// The progress of a step, for the `judge` of its operation.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The time of the judgement.
    pub now: Timestamp,
    /// When the target was observed.
    pub observed_at: Timestamp,
    /// When the step started in this process; `None` before that.
    pub began: Option<Timestamp>,
    /// Whether the step has made at least one call.
    pub called: bool,
    /// When the call was accepted, while the step waits for its effect.
    pub answered_at: Option<Timestamp>,
    /// The token in the service's answer to that call.
    pub token: Option<&'a str>,
    /// Whether the operation is the undo of a step.
    pub undo: bool,
    /// Whether the run abandons the step, so that its effects will be undone.
    pub leaving: bool,
    /// Whether the next call is the first one of that undo.
    pub undoing: bool,
    /// Whether the run is being undone.
    pub unwinds: bool,
    /// Whether users are served at the site that is left, so that a promotion can be given up.
    pub planned: bool,
    /// Whether the run has ended. It then acts only on pending items.
    pub finished: bool,
    /// Whether it is a pending item, of an earlier run or of this one after its end.
    pub owed: bool,
    /// What the run has established about the operation's store.
    pub store: Store<'a>,
}

/// What a run has established about one store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store<'a> {
    /// Whether this run promoted its replica.
    pub promoted: bool,
    /// Whether the old primary is proven to be fenced.
    pub fenced: bool,
    /// Whether this run set a fence on it that was not there before.
    pub fenced_by_run: bool,
    /// The word that the fence left on it, and on each of its replicas.
    pub fence_token: Option<&'a str>,
    /// The end of its WAL when it was proven to be fenced.
    pub fenced_end: Option<WalPoint>,
    /// Whether the run replaces its data with a copy.
    pub restores: bool,
    /// The name under which its old instance was set aside.
    pub aside: Option<&'a str>,
}

impl Progress<'_> {
    /// Whether the step has waited at least this long.
    pub fn waited(&self, patience: Dur) -> bool {
        self.began.is_none_or(|began| self.now >= began + patience)
    }
}

/// The call of a step, for the `watch` of its operation.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// The token in the service's answer.
    pub token: Option<&'a str>,
    /// The key of the call.
    pub key: &'a str,
    /// The restart that a fence requested.
    pub restart: Restart,
}

impl Called<'_> {
    /// The state before the call.
    pub const NOT_YET: Self = Self { token: None, key: "", restart: Restart::NONE };
}
