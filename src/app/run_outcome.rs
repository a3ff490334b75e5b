//! What became of a run.

use super::exit;
use crate::adapters::sandbox::Truth;
use crate::executor::Ended;
use crate::model::intent::Intent;
use crate::model::time::{Dur, Timestamp};
use crate::plan::Plan;
use crate::planner::critical_path;
use crate::record::event::Outcome;
use crate::record::runbook::ProbeRole;
use crate::report::summary;
use crate::run::state::Mode;
use crate::run::{RunState, Stop};

/// The durations of a command, and what really happened.
pub struct RunTiming {
    /// Elapsed real time.
    pub real: Dur,
    /// Elapsed virtual time, in a rehearsal.
    pub passed: Option<Dur>,
    /// What really happened in the rehearsal.
    pub truth: Option<Truth>,
    /// When the first sample of the public probe was due, and its interval, in a rehearsal.
    pub phase: Option<(Timestamp, Dur)>,
    /// Whether a process drives the run, or just did.
    pub driven: bool,
}

impl RunTiming {
    /// Of a run that is only displayed.
    pub const fn shown(driven: bool) -> Self {
        Self { real: Dur::ZERO, passed: None, truth: None, phase: None, driven }
    }
}

/// When the first sample of the public probe was due, and its interval.
pub fn phase(state: &RunState) -> Option<(Timestamp, Dur)> {
    let probe = state.runbook.probes.iter().find(|p| p.role == ProbeRole::Public)?;
    state.turns.get(&probe.key())?.first().map(|t| (t.since, probe.every_ms))
}

/// The exit code.
pub fn code(ended: &Ended) -> u8 {
    code_of(&ended.state, &ended.stop)
}

/// The exit code of a run that was read from the journal.
pub fn code_of(state: &RunState, stop: &Stop) -> u8 {
    match (&state.mode, stop) {
        // A tabletop review proves nothing, but shows whether the prediction meets the objective.
        (Mode::Finished(Outcome::Read), _) => {
            let critical = critical_path::critical(&state.runbook);
            let wait = critical.users.map_or(critical.expected, |(users, _)| users);
            let in_time = wait <= state.runbook.promised_rto().0;
            if in_time { exit::DONE } else { exit::RECOVERED_BUT }
        }
        (Mode::Finished(Outcome::Recovered), _) => {
            let report = summary::report(state, state.last_at);
            // A failover leaves a single server. After a planned move there are two, or something went wrong.
            let alone = state.runbook.intent != Intent::Failover && !report.protection.unprotected.is_empty();
            let owed = state.owed().next().is_some() || alone;
            if !state.runbook.intent.has_rto() {
                return if state.proves_no_objective().is_some() { exit::RECOVERED_BUT } else { exit::DONE };
            }
            if report.rto.holds() && report.rpo.holds() && !owed { exit::DONE } else { exit::RECOVERED_BUT }
        }
        (Mode::Finished(_), _) => exit::NOT_RECOVERED,
        (_, Stop::Approval(_) | Stop::Paused) => exit::WAITING,
        (_, Stop::Failed(_)) if state.guard_is_held() => exit::HELD,
        _ => exit::NOT_RECOVERED,
    }
}

/// Whether nothing of the plan is moved by drctl: a provider replicates it, or others are responsible.
pub fn nothing_moves(plan: &Plan) -> bool {
    !plan.components.values().any(|c| c.role().is_changed())
}

/// The message if there is nothing to do.
pub fn idle(plan: &Plan, intent: Intent, to: &str) -> String {
    let name = &plan.name;
    if nothing_moves(plan) {
        return format!(
            "{name}: nothing to do. The provider replicates its buckets, and others move the rest; `drctl ready {name}` shows the replication delay"
        );
    }
    let words = match intent {
        Intent::Reprotect => "a standby of every store is in",
        _ => "everything is in",
    };
    format!("{name}: nothing to do: {words} {to} already")
}
