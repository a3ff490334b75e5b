//! Limits of a drill: it does no more than its class allows, and affects users no longer than it must.

use super::state::{Mode, RunState, Status, Turn};
use crate::model::intent::Drill;
use crate::model::properties::{Felt, Moves};
use crate::model::time::Timestamp;
use crate::model::waiver::Person;
use crate::policy::signed::ABORTS;
use crate::record::event::{EventKind, Outcome, WorldKind};
use crate::record::runbook::{Phase, Probe, ProbeRole, Step};

/// The start of the reason if a live drill returns before its time is over.
const CALLED_OFF: &str = "called off:";

/// Ends a run that may change nothing: a tabletop drill, or a rehearsal that somebody continues with the real adapters.
pub fn only_read(state: &RunState) -> Option<EventKind> {
    let rehearsed_live =
        state.runbook.drill == Some(Drill::Rehearsal) && state.created.world == WorldKind::Live;
    let open = !matches!(state.mode, Mode::Finished(_));
    (open && (state.runbook.drill == Some(Drill::Tabletop) || rehearsed_live))
        .then_some(EventKind::RunFinished { outcome: Outcome::Read })
}

/// The abort condition of a live drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// Undo everything now, for this reason.
    Now(String),
    /// Abort at this time, unless users are served before then.
    At(Timestamp),
}

/// Whether drctl must undo the first half of a live drill that it can still undo: users fail although the drill has not affected them yet,
/// or they fail for longer than the objective. After the point of no return it is faster to finish, and the same applies to the return.
pub fn abort(state: &RunState, now: Timestamp) -> Option<Abort> {
    if !is_way_there(state) || state.mode != Mode::Running || state.past_return() {
        return None;
    }
    let (probe, since) = failing(state)?;
    if !felt(state) {
        return Some(Abort::Now(format!(
            "{probe} has failed since {since}, and the drill has not affected users yet"
        )));
    }
    let most = state.runbook.objectives.rto_ms;
    let due = state.by_this_clock(since) + most;
    Some(match now >= due {
        true => Abort::Now(format!("{probe} has failed since {since}, longer than the objective of {most}")),
        false => Abort::At(due),
    })
}

/// The event that starts the undo of a live drill.
pub fn call_off(why: &str) -> EventKind {
    let who = Person::claimed(ABORTS);
    EventKind::CancelRequested { who, reason: why.to_owned(), displaced_by: None }
}

/// Why a live drill returns early: users fail at the site.
pub fn cut_short(state: &RunState, i: usize) -> Option<String> {
    let stays = is_way_there(state) && state.step(i).phase == Phase::Watch;
    let (probe, since) = stays.then(|| failing(state))??;
    Some(format!("{CALLED_OFF} {probe} has failed since {since}"))
}

/// Whether the run is the first half of a live drill.
pub fn is_way_there(state: &RunState) -> bool {
    state.runbook.drill == Some(Drill::Live) && state.created.returns.is_none()
}

/// Why the first half of a live drill ended early, if it did.
pub fn called_off(state: &RunState) -> Option<&str> {
    let reasons = state.steps.iter().filter(|s| s.work.status == Status::Skipped);
    reasons.filter_map(|s| s.work.reason.as_deref()).find(|r| r.starts_with(CALLED_OFF))
}

/// Whether a step started that users notice.
pub fn felt(state: &RunState) -> bool {
    let feels = |step: &Step| match step.action.properties().felt {
        Felt::Never => false,
        // Lowering TTLs happens beforehand, and users do not notice it.
        Felt::Always => step.phase != Phase::Preflight,
        Felt::FromTheFenceOn => step.phase >= Phase::Fence,
    };
    any_begun(state, feels)
}

/// Whether a step started that moves something for good: a promotion, or users if there is nothing to promote.
pub fn moved(state: &RunState) -> bool {
    state.past_return() || any_begun(state, redirects)
}

/// What the drill of a run touches, and so what it proves. A live drill has not moved production before it did.
pub fn means(state: &RunState) -> Option<&'static str> {
    let drill = state.runbook.drill?;
    if drill != Drill::Live || state.created.world != WorldKind::Live {
        return Some(drill.means());
    }
    Some(match state.mode {
        Mode::Finished(Outcome::Cancelled) => "drctl undid the move, so the drill proves no objective",
        _ if moved(state) => {
            "production moved. The drill proves the time of a planned move, not of an outage"
        }
        Mode::Finished(_) => "production did not move, so the drill proves no objective",
        _ => {
            "production moves if the run continues. The drill proves the time of a planned move, not of an outage"
        }
    })
}

/// Lowering TTLs happens beforehand and does not redirect users.
fn redirects(step: &Step) -> bool {
    match step.action.properties().moves {
        Moves::Nobody => false,
        Moves::ByName | Moves::BySecret => step.phase != Phase::Preflight,
    }
}

fn any_begun(state: &RunState, which: impl Fn(&Step) -> bool) -> bool {
    let begun = |i: usize| state.work(i).attempts > 0 || state.work(i).status.in_flight();
    (0..state.steps.len()).any(|i| which(state.step(i)) && begun(i))
}

/// The user probe that has been failing for the longest time.
fn failing(state: &RunState) -> Option<(String, Timestamp)> {
    let users = |p: &&Probe| p.role != ProbeRole::Site;
    let bad = |p: &Probe| {
        let turn: &Turn = state.turns.get(&p.key())?.last()?;
        (!turn.good).then(|| (p.key(), turn.since))
    };
    state.runbook.probes.iter().filter(users).filter_map(bad).min_by_key(|(_, since)| *since)
}
