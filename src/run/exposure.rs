//! How many writes may be lost with one store (DESIGN words: exposure).

use super::state::RunState;
use crate::model::facts::Exposure;
use crate::model::ids::ComponentName;
use crate::model::measure::{Basis, Figure};
use crate::model::runbook::{Probe, ProbeRole};
use crate::model::state::DatabaseState;
use crate::model::time::{Dur, Timestamp};

/// The last instant at which the old primary can have acknowledged a write, and how that is known.
struct LastInstant {
    at: Timestamp,
    because: String,
    basis: Basis,
    grows: bool,
}

/// Measures from what the target holds and what the run has established.
pub fn measure(
    state: &RunState,
    component: &ComponentName,
    target: &DatabaseState,
    now: Timestamp,
) -> Exposure {
    let last = last_instant(state, component, now);
    if let Some(because) = nothing_missing(state, component, target) {
        return Exposure {
            component: component.clone(),
            figure: Figure::new(Dur::ZERO, Basis::Measured),
            last_instant: Some(last.at),
            because,
            last_replayed: target.last_commit,
            taken_at: now,
            grows: false,
        };
    }
    let figure = match target.last_commit {
        Some(replayed) => Figure::new(last.at.since(replayed), last.basis),
        None => Figure::UNKNOWN,
    };
    Exposure {
        component: component.clone(),
        figure,
        last_instant: Some(last.at),
        because: last.because,
        last_replayed: target.last_commit,
        taken_at: now,
        grows: last.grows,
    }
}

/// The end of a fenced primary's log was replayed: whatever the clocks say, and however long it was idle before, no commit is missing.
fn nothing_missing(state: &RunState, component: &ComponentName, target: &DatabaseState) -> Option<String> {
    let (end, there) = (state.fenced_end(component)?, target.wal?);
    there.covers(&end).then(|| format!("replayed up to {there}; the old primary was fenced at {end}"))
}

fn last_instant(state: &RunState, component: &ComponentName, now: Timestamp) -> LastInstant {
    let fenced = state.fence_proof(component);
    // A clock that jumped turns what was measured across it into bounds.
    let exact = if state.clock_jumped { Basis::UpperBound } else { Basis::Measured };
    if let Some((_, Some(commit))) = fenced {
        return LastInstant {
            at: commit,
            because: "the old primary's last commit, read when it was fenced".to_owned(),
            basis: exact,
            grows: false,
        };
    }
    let writes = last_good_write(state);
    match (fenced, writes) {
        // The proof comes first: that a probe failed earlier says nothing about other clients.
        (Some((at, None)), _) => LastInstant {
            at,
            because: "the proven fence; writes may have ended earlier".to_owned(),
            basis: Basis::UpperBound,
            grows: false,
        },
        (_, Some((write, because))) => {
            LastInstant { at: write, because, basis: Basis::UpperBound, grows: false }
        }
        _ => LastInstant {
            at: now,
            because: "nothing stops the old primary from acknowledging writes, so now".to_owned(),
            basis: Basis::UpperBound,
            grows: true,
        },
    }
}

/// Where every write probe fails: when the first bad sample of the last to fail was sent. Assumes that clients fail as the probes
/// do, and says so. What an earlier owner saw says nothing about the time in which nobody asked.
fn last_good_write(state: &RunState) -> Option<(Timestamp, String)> {
    let probes: Vec<_> = state.runbook.probes.iter().filter(|p| p.role == ProbeRole::Write).collect();
    let mut last: Option<(Timestamp, &Probe)> = None;
    for probe in probes {
        let turn = state.turns.get(&probe.key())?.last()?;
        let unwatched = state.epoch > 1 && turn.since < state.taken_at;
        if turn.good || turn.last_other.is_none() || unwatched {
            return None;
        }
        if last.is_none_or(|(since, _)| turn.since > since) {
            last = Some((turn.since, probe));
        }
    }
    let (since, probe) = last?;
    let because =
        format!("write probe {} was bad from then on; assumes that clients fail as it does", probe.name);
    Some((since, because))
}
