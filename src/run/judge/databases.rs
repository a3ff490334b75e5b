//! What a database that was seen means for a step.

use super::waited;
use crate::inventory::active;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::rebuild::Diverged;
use crate::kinds::{Fact, Judged};
use crate::model::ids::ComponentName;
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
/// Words for a replica that somebody may be promoting.
const CHANGING: [&str; 4] = ["modifying", "failing-over", "switching-over", "cancelling"];

/// What a database means.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    action: &Action,
    seen: &DatabaseState,
    now: Timestamp,
) -> Judged {
    match action {
        Action::Check(Check::Promotable { db }) if state.finished() && seen.is_replica() => {
            Judged::Settled(format!("{} is now a replica and does not take the writes", db.id))
        }
        Action::Check(Check::Promotable { .. }) if state.finished() => Judged::Done(Vec::new()),
        // A promotion by hand shows as `modifying` for minutes before it shows as a writer.
        Action::Check(Check::Promotable { .. }) if state.unwinds() => {
            match (seen.is_replica(), CHANGING.contains(&seen.status.as_str())) {
                (true, false) => Judged::Done(Vec::new()),
                (true, true) => Judged::Unclear(format!("the replica is `{}`", seen.status)),
                (false, _) => Judged::Promoted,
            }
        }
        // Writes end for a standby that replays, and for no other.
        Action::Check(Check::Promotable { db })
            if state.runbook.intent != Intent::Failover
                && seen.is_replica()
                && seen.streaming != Some(true) =>
        {
            Judged::Unclear(format!("{} does not stream, or does not replay the WAL that it receives", db.id))
        }
        Action::Check(Check::Promotable { .. }) => promotable(seen),
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
        // A backup, for example, ends on its own. Meanwhile RDS accepts no changes.
        Action::Check(Check::Available { db }) => match seen.status.as_str() {
            "available" => Judged::Done(Vec::new()),
            status => Judged::Unclear(format!("{} is `{status}`", db.id)),
        },
        Action::Check(Check::CaughtUp { db }) => caught_up(state, &db.component, seen),
        Action::Check(Check::Follows { db, source }) => follows(state, (db, source), seen),
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

fn promotable(db: &DatabaseState) -> Judged {
    match (db.is_replica(), db.status.as_str()) {
        (false, _) | (true, "available") => Judged::Done(Vec::new()),
        // AWS refuses a promotion during a backup, which ends on its own.
        (true, status) => Judged::Unclear(format!("the replica is `{status}`")),
    }
}

/// Zero loss is a position that was reached, never a lag that reads zero; and the fence itself has come over, or the replica is that
/// of another server with the same name.
fn caught_up(state: &RunState, component: &ComponentName, replica: &DatabaseState) -> Judged {
    let (Some(end), Some(word)) = (state.fenced_end(component), state.fence_token(component)) else {
        let why = "the end of the old primary's WAL is unknown; only the SQL fence reads it";
        return Judged::Wrong(why.to_owned());
    };
    let Some(there) = replica.wal else {
        return Judged::Unclear("the position of the replica is unknown".to_owned());
    };
    match (there.covers(&end), replica.fence_token.as_deref() == Some(word)) {
        (true, true) => Judged::Done(Vec::new()),
        (true, false) => Judged::Unclear(format!(
            "the replica is at {there}, but the fence of the old primary never reached it. It may be a replica of another server"
        )),
        (false, _) => Judged::Unclear(format!(
            "the WAL of the fenced old primary ends at {end}; the replica is at {there}"
        )),
    }
}

/// A secondary of that writer, which gets what is written there.
fn follows(state: &RunState, (db, source): (&DatabaseRef, &DatabaseRef), seen: &DatabaseState) -> Judged {
    if !active::follows(seen, db.engine, source) || seen.streaming != Some(true) {
        return Judged::Unclear(format!(
            "{} is `{}` and is not a secondary of {} yet",
            db.id, seen.status, source.id
        ));
    }
    // Storage is made as the new writer's: Aurora keeps a snapshot of what was there (Amazon Aurora User Guide, «Performing managed
    // failovers»).
    let kept = format!("snapshot rds:unplanned-global-failover-{}-.. in {}", db.id, db.place.region);
    let whole = state.promoted.contains(&db.component);
    let diverged = (!whole).then_some(Diverged {
        transactions: None,
        fork: None,
        first: None,
        last: None,
        kept,
        tables: Vec::new(),
        more: None,
    });
    Judged::Done(vec![Fact::Rejoined { component: db.component.clone(), server: db.id.clone(), diverged }])
}
