//! The outcome of a run in one word for programs, with its meaning and what to do next.

use crate::model::intent::Intent;
use crate::record::event::Outcome;
use crate::run::RunState;
use crate::run::state::Mode;

/// The outcome of a run, or its state if it is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Users are served.
    Recovered,
    /// Users are served, and the watch is paused.
    WatchPaused,
    /// Not finished.
    Running,
    /// Stopped until a person decides.
    Halted,
    /// Cancelled, and undone.
    Cancelled,
    /// Cancelled, and not undone.
    Abandoned,
    /// A drill with copies that passed.
    Passed,
    /// A drill that only reads.
    Read,
    /// A drill that failed.
    Failed,
}

impl Word {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Recovered,
        Self::WatchPaused,
        Self::Running,
        Self::Halted,
        Self::Cancelled,
        Self::Abandoned,
        Self::Passed,
        Self::Read,
        Self::Failed,
    ];

    /// The word.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::WatchPaused => "watch_paused",
            Self::Running => "running",
            Self::Halted => "halted",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
            Self::Passed => "passed",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }

    /// Its meaning.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Recovered => "every step is done and confirmed; users are served",
            Self::WatchPaused => "users are served; the watch after the recovery is paused",
            Self::Running => "the run is not finished",
            Self::Halted => "a person must decide or answer",
            Self::Cancelled => "somebody cancelled the run, and drctl undid its changes",
            Self::Abandoned => {
                "somebody cancelled the run after a point of no return, or while another run held its guard. Its changes stay"
            }
            Self::Passed => "a drill that makes copies passed",
            Self::Read => "a tabletop drill: drctl computed the runbook and changed nothing",
            Self::Failed => "a drill found that the recovery would not have worked",
        }
    }

    /// What to do next; empty if there is nothing to do.
    pub const fn next(self) -> &'static str {
        match self {
            Self::Recovered => "`drctl reprotect` or `drctl failback`, `drctl duties`",
            Self::WatchPaused => "`drctl runs resume RUN`",
            Self::Running => "`drctl runs show RUN`",
            Self::Halted => "read `ways on` in the summary; `drctl runs show RUN`",
            Self::Abandoned => "`drctl status`",
            Self::Failed => "read the report",
            Self::Cancelled | Self::Passed | Self::Read => "",
        }
    }
}

/// The outcomes of a plan for which a command started no run: the word, its meaning and what to do next.
pub const WITHOUT_RUN: [(&str, &str, &str); 4] = [
    ("nothing_to_do", "everything already runs there", ""),
    (
        "refused",
        "safety or policy refused the run, or it could not begin",
        "read the fix; add the flag that it names",
    ),
    (
        "not_started",
        "a plan that this one names in `after:` does not serve its users, and the exit code is the one of that plan; or the plan has errors",
        "recover that plan first; `drctl check`",
    ),
    ("dry_run", "the command only showed the runbook", ""),
];

/// The outcome of a run.
pub fn of_run(state: &RunState) -> Word {
    match (&state.mode, &state.halted) {
        (Mode::Finished(Outcome::Recovered), _) if state.runbook.intent == Intent::Drill => Word::Passed,
        (Mode::Finished(Outcome::Recovered), _) => Word::Recovered,
        (Mode::Finished(Outcome::Read), _) => Word::Read,
        (Mode::Finished(Outcome::Cancelled), _) => Word::Cancelled,
        (Mode::Finished(Outcome::Failed), _) => Word::Failed,
        (Mode::Finished(Outcome::Abandoned), _) => Word::Abandoned,
        // Users are served, so this must not look like a recovery that stopped.
        _ if state.watch_paused() => Word::WatchPaused,
        (_, Some(_)) => Word::Halted,
        (_, None) => Word::Running,
    }
}
