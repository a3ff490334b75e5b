//! What a database that was seen means for a step.

use super::waited;
use crate::kinds::shared::database::DatabaseState;
use crate::kinds::shared::fence::Fence;
use crate::kinds::{Fact, Judged};
use crate::model::intent::Intent;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::{Action, Check};
use crate::run::decide::just_looked;
use crate::run::exposure;
use crate::run::state::RunState;

/// How long the last replayed commit is looked for before the exposure is called unknown.
const EXPOSURE_PATIENCE: Dur = Dur::secs(15);
/// How long a method of a pending fence has before the next one is tried as well.
const RUNG: Dur = Dur::secs(15);

/// What a database means.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    action: &Action,
    seen: &DatabaseState,
    now: Timestamp,
) -> Judged {
    match action {
        // One look that missed is not the last word: without it the exposure is unknown, and only a waiver helps.
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

/// A fence that a finished run owes. It is set only while the new primary was just seen to take the writes, and its methods are tried in
/// their order here, too: the first one may show which writes came last, the others may not.
pub(super) fn owed(state: &RunState, i: usize, fence: &Fence, judged: Judged, now: Timestamp) -> Judged {
    let calls = matches!(judged, Judged::Before | Judged::Partly(_) | Judged::Half(_));
    if calls && !still_second(state, fence, now) {
        return Judged::Unclear("it is not confirmed that the new primary still takes writes".to_owned());
    }
    let rung = state.rungs(&fence.db.component).iter().take_while(|&&r| r != i).count();
    let turn = state.taken_at + Dur(RUNG.millis() * u64::try_from(rung).unwrap_or(0));
    // A place that was dark and answers may now take writes, whichever method comes first.
    let woke = state.answered.get(&fence.db.place.name).is_some_and(|at| *at >= state.taken_at);
    match judged {
        Judged::Before if now < turn && !woke => {
            Judged::Unclear("drctl tries an earlier fence method first".to_owned())
        }
        other => other,
    }
}

/// Long after a run the old primary may be the only one again: it is fenced only while the new one was just seen to take writes.
fn still_second(state: &RunState, fence: &Fence, now: Timestamp) -> bool {
    let Some(check) = state.target_check(&fence.db.component) else { return true };
    just_looked(state, check, now)
}
