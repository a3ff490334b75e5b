//! Judges the observation of a database for a step.

use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::fence::Fence;
use crate::kinds::{Fact, Judged};
use crate::model::intent::Intent;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::{Action, Check};
use crate::run::exposure;
use crate::run::progress::waited;
use crate::run::state::RunState;

/// How long drctl looks for the last replayed commit before it records the exposure as unknown.
const EXPOSURE_PATIENCE: Dur = Dur::secs(15);
/// How long one method of a pending fence is tried before the next one starts as well.
const RUNG: Dur = Dur::secs(15);

/// Judges the observation of a database.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    action: &Action,
    seen: &DatabaseState,
    now: Timestamp,
) -> Judged {
    match action {
        // A single observation without it is not final: an unknown exposure would need a waiver.
        Action::Check(Check::Exposure { .. })
            if seen.last_commit.is_none()
                // The loss of a restore is known from its time and the fence, and users wait for it.
                && state.runbook.intent != Intent::Restore
                && !waited(state, i, now, EXPOSURE_PATIENCE) =>
        {
            Judged::Unclear("the last replayed commit is not known yet".to_owned())
        }
        Action::Check(Check::Exposure { db, .. }) => {
            Judged::Done(vec![Fact::Exposure(exposure::measure(state, &db.component, seen, now))])
        }
        _ => Judged::other(),
    }
}

/// A pending fence of a finished run. drctl sets it only right after it observed that the new primary takes writes. The methods run in
/// their order here, too, because the first one may show the last writes and the others may not.
pub(super) fn owed(state: &RunState, i: usize, fence: &Fence, judged: Judged, now: Timestamp) -> Judged {
    let calls = matches!(judged, Judged::Before | Judged::Partly(_) | Judged::Half(_));
    if calls && !still_second(state, fence, now) {
        return Judged::Unclear("it is not confirmed that the new primary still takes writes".to_owned());
    }
    let rung = state.rungs(&fence.db.component).iter().take_while(|&&r| r != i).count();
    let turn = state.taken_at + RUNG.times(u64::try_from(rung).unwrap_or(0));
    // A place that answers again after it was dark may now take writes, so every method runs at once.
    let woke = state.answered.get(&fence.db.place.name).is_some_and(|at| *at >= state.taken_at);
    match judged {
        Judged::Before if now < turn && !woke => {
            Judged::Unclear("drctl tries an earlier fence method first".to_owned())
        }
        other => other,
    }
}

/// Whether the old primary is still the second one. Long after a run it may be the only one again, so drctl fences it only right after it
/// observed that the new one takes writes.
fn still_second(state: &RunState, fence: &Fence, now: Timestamp) -> bool {
    let component = &fence.db.component;
    state.target_check(component).is_none() || state.writes_now(component, now)
}
