//! The result of a call.

use super::locked;
use super::state::RunState;
use crate::kinds::Operation;
use crate::model::again::Again;
use crate::model::ids::StepId;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::Action;
use crate::record::event::{Direction, EventKind};

/// The result of one call, as an adapter reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The provider accepted it.
    Accepted {
        /// What drctl needs to observe completion.
        token: Option<String>,
    },
    /// The request was not sent: the connection failed before it was written.
    NotSent {
        /// Why.
        why: String,
    },
    /// The provider refused it; nothing was changed.
    Refused {
        /// The provider's code.
        code: String,
        /// In words.
        why: String,
        /// Whether trying again may help.
        again: Again,
    },
    /// The first of several calls was accepted, and a later one was not.
    Halfway {
        /// The result of the later one.
        why: String,
        /// Whether trying all of it again may help.
        again: Again,
    },
    /// It may or may not have had its effect.
    InDoubt {
        /// What happened instead of an answer.
        why: String,
    },
}

impl CallOutcome {
    /// Converts the outcome of a call that followed an accepted one: something was changed.
    #[must_use]
    pub fn halfway(self) -> Self {
        match self {
            Self::NotSent { why } => Self::Halfway { why, again: Again::Later },
            Self::Refused { code, why, again } => Self::Halfway { why: format!("{code}: {why}"), again },
            other => other,
        }
    }
}

/// The error code of a call without valid credentials.
pub const NO_CREDENTIALS: &str = "NoCredentials";
/// The error code of a call whose signature was rejected because of its time.
pub const CLOCK: &str = "Clock";

/// The outcome of a call that did not end in time. drctl then ends a command with all its processes, so an idempotent one has failed. What
/// came of any other call is unknown.
pub fn out_of_time(action: &Action, timeout: Dur) -> CallOutcome {
    match action {
        Action::Op(Operation::Run(command)) if command.idempotent => CallOutcome::Refused {
            code: "TimedOut".to_owned(),
            why: format!("it ran longer than {timeout}, and drctl ended it with all its processes"),
            again: Again::Never,
        },
        _ => CallOutcome::InDoubt { why: format!("the call hung for {timeout}") },
    }
}

/// The events that record the result of a call. `jitter` is any number; it spreads retries.
pub fn after_call(
    state: &RunState,
    i: usize,
    outcome: CallOutcome,
    now: Timestamp,
    jitter: u64,
) -> Vec<EventKind> {
    let step = state.step(i).id.clone();
    let retry_at = Some(now + backoff(state.work(i).attempts, jitter));
    match outcome {
        CallOutcome::Accepted { token } => vec![EventKind::CallAnswered { step, token }],
        CallOutcome::InDoubt { why } => vec![EventKind::CallInDoubt { step, why }],
        CallOutcome::NotSent { why } => {
            vec![EventKind::CallRefused { step, code: "not_sent".to_owned(), why, retry_at }]
        }
        CallOutcome::Refused { code, why, again: Again::Later } => {
            let clock = code == CLOCK;
            let locked = (clock || code == NO_CREDENTIALS).then(|| locked::refused(state, i, &why, clock));
            let refused = EventKind::CallRefused { step, code, why, retry_at };
            [refused].into_iter().chain(locked.flatten()).collect()
        }
        CallOutcome::Refused { code, why, again: Again::InParts }
            if state.action(i).op().and_then(Operation::switches).is_some() =>
        {
            let why = format!("{code}: {why}");
            vec![EventKind::CallRefused { step, code, why, retry_at: None }]
        }
        CallOutcome::Refused { code, why, again: Again::Never | Again::InParts } => {
            let failed = failed(state, i, format!("{code}: {why}"));
            vec![EventKind::CallRefused { step, code, why, retry_at: None }, failed]
        }
        CallOutcome::Halfway { why, again: Again::Later } => vec![EventKind::CallInDoubt { step, why }],
        CallOutcome::Halfway { why, again: Again::Never | Again::InParts } => {
            vec![EventKind::CallInDoubt { step, why: why.clone() }, failed(state, i, why)]
        }
    }
}

/// The event that records the result of a withdrawal.
pub fn withdrawn(step: StepId, outcome: CallOutcome) -> EventKind {
    match outcome {
        CallOutcome::Accepted { .. } => EventKind::Withdrawn { step },
        CallOutcome::Refused { code, why, .. } => {
            EventKind::WithdrawFailed { step, why: format!("{code}: {why}") }
        }
        CallOutcome::NotSent { why } | CallOutcome::Halfway { why, .. } | CallOutcome::InDoubt { why } => {
            EventKind::WithdrawFailed { step, why }
        }
    }
}

fn failed(state: &RunState, i: usize, reason: String) -> EventKind {
    let step = state.step(i).id.clone();
    match state.direction(i) {
        Direction::Do => EventKind::StepFailed { step, reason },
        Direction::Undo => EventKind::UndoFailed { step, reason },
    }
}

/// 1 s, 2 s, 4 s and so on up to 30 s, plus up to half of that as jitter.
fn backoff(attempt: u32, jitter: u64) -> Dur {
    let base = 1_000_u64 << attempt.saturating_sub(1).min(5);
    let base = base.min(30_000);
    Dur(base + jitter % (base / 2))
}
