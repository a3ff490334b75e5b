//! What a database that was seen means for a step.

use super::waited;
use crate::inventory::active;
use crate::kinds::aws::aurora::{AddClusterInstance, Handover, NewMember, Takeover};
use crate::kinds::aws::rds::{NewReplica, Rename, SERVING};
use crate::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState};
use crate::kinds::shared::fence::{Fence, FenceStage, FenceState, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rebuild::{Diverged, JobStage, RebuildState};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::{Fact, Judged};
use crate::model::ids::ComponentName;
use crate::model::intent::Intent;
use crate::model::time::{Dur, Timestamp};
use crate::record::action::{Action, Check};
use crate::record::event::End;
use crate::run::decide::just_looked;
use crate::run::exposure;
use crate::run::state::{RunState, Status};

/// How long the last replayed commit is looked for before the exposure is called unknown.
const EXPOSURE_PATIENCE: Dur = Dur::secs(15);
/// How long a method of a pending fence has before the next one is tried as well.
const RUNG: Dur = Dur::secs(15);
/// Words for a replica that somebody may be promoting.
const CHANGING: [&str; 4] = ["modifying", "failing-over", "switching-over", "cancelling"];
/// How long an answer about an instance may be older than its new name.
const RENAMED: Dur = Dur::mins(2);

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
        Action::AddClusterInstance(AddClusterInstance { instance, .. }) => equipped(instance, seen),
        Action::Promote(Promote { takeover: Some(how), .. }) if taken_back(state, i, how, seen, now) => {
            let why = "the service reverted the switchover: one minute after it accepted the request, the state is the same as before";
            Judged::Wrong(format!("{why}; its events say why (aws rds describe-events)"))
        }
        Action::Promote(_) => promoted(seen),
        Action::Rename(_) => serving(seen),
        Action::Rejoin(Rejoin { db, replica: Some(replica), .. }) => {
            created(state, (i, now), (db, replica), seen)
        }
        _ => Judged::other(),
    }
}

/// What the proof of a fence means.
pub(super) fn fence(
    state: &RunState,
    i: usize,
    action: &Action,
    (proof, at): (&FenceState, Timestamp),
    now: Timestamp,
) -> Judged {
    let owed = state.step(i).debt || state.finished();
    match (action, proof.stage) {
        (Action::Fence(fence), _) if proof.proven => Judged::Done(vec![fenced(fence, at, proof)]),
        // Rebuilt since: it takes no writes. A source that is a replica is another matter: then the writer is a third one.
        (Action::Fence(fence), _) if owed && proof.replica => match state.finished() {
            true => Judged::Settled(format!("{} is now a replica", fence.db.id)),
            false => Judged::Done(vec![fenced(fence, at, proof)]),
        },
        (Action::Fence(fence), FenceStage::Open | FenceStage::Partial | FenceStage::Half)
            if state.finished() && !still_second(state, fence, now) =>
        {
            Judged::Unclear("it is not confirmed that the new primary still takes writes".to_owned())
        }
        (Action::Fence(fence), FenceStage::Open) if state.finished() => {
            // The order of the fence methods also matters here: the first one may show which writes came last, the others may not.
            let rung = state.rungs(&fence.db.component).iter().take_while(|&&r| r != i).count();
            let turn = state.taken_at + Dur(RUNG.millis() * u64::try_from(rung).unwrap_or(0));
            // A place that was dark and answers may now take writes, whichever method comes first.
            let woke = state.answered.get(&fence.db.place.name).is_some_and(|at| *at >= state.taken_at);
            match now < turn && !woke {
                true => Judged::Unclear("drctl tries an earlier fence method first".to_owned()),
                false => Judged::Before,
            }
        }
        // The name leads to the server from before still: on what a restore put in its place nobody left this word.
        (Action::Unfence(Unfence(fence)), _) if still_the_old_one(state, i, fence, proof) => {
            Judged::Unclear(format!("{} still points to the old server", fence.db.id))
        }
        (Action::Fence(_), FenceStage::Half) => Judged::Half(proof.proof.clone()),
        (Action::Fence(_), FenceStage::Ineffective) if !owed => Judged::Wrong(proof.proof.clone()),
        (_, FenceStage::UnderWay) | (Action::Fence(_), FenceStage::Ineffective) => {
            Judged::Unclear(proof.proof.clone())
        }
        (Action::Fence(_), FenceStage::Partial) => Judged::Partly(proof.proof.clone()),
        (Action::Unfence(_), FenceStage::Open) if !proof.proven => Judged::Done(Vec::new()),
        _ => Judged::Before,
    }
}

fn still_the_old_one(state: &RunState, i: usize, fence: &Fence, proof: &FenceState) -> bool {
    let component = &fence.db.component;
    // A step of its own lets users in; the undo of a fence is for the very server that was fenced.
    let lets_in = matches!(state.step(i).action, Action::Unfence(_));
    let same = proof.word.is_some() && proof.word.as_deref() == state.fence_token(component);
    // A fence that was there before is in the copy, too: then its log tells, which is another, or shorter.
    let by_this_run =
        state.rungs(component).iter().any(|&r| state.work(r).status == Status::Done(End::Performed));
    let as_long = || match (proof.wal, state.fenced_end(component)) {
        (Some(here), Some(end)) => here.covers(&end),
        _ => true,
    };
    lets_in && state.restores(component).is_some() && same && (by_this_run || as_long())
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

/// It streams from the server that it shall follow: whatever the job on its host says.
pub(super) fn rejoined(db: &DatabaseRef, source: &DatabaseRef, seen: &RebuildState) -> Judged {
    let follows = |s: &DatabaseState| {
        let there = source.endpoint.as_deref().map(|e| e.split('/').next().unwrap_or(e));
        s.is_replica() && s.streaming == Some(true) && (s.follows.is_none() || s.follows.as_deref() == there)
    };
    if seen.server.as_ref().is_some_and(follows) {
        return Judged::Done(vec![Fact::Rejoined {
            component: db.component.clone(),
            server: db.id.clone(),
            diverged: seen.diverged.clone(),
        }]);
    }
    let last = seen.tail.lines().last().unwrap_or_default();
    match seen.stage {
        JobStage::None | JobStage::Gone => Judged::Before,
        JobStage::Running => Judged::Unclear(format!("on its host: {last}")),
        JobStage::Ended { exit: 0 } => Judged::Unclear(format!("{last}; it does not stream yet")),
        JobStage::Ended { exit } => {
            Judged::Over(format!("the job on its host ended with exit code {exit}: {}", seen.tail))
        }
        JobStage::Unseen => Judged::Unclear(format!("the host of {} does not answer: {last}", db.id)),
    }
}

fn serving(db: &DatabaseState) -> Judged {
    match SERVING.contains(&db.status.as_str()) {
        true => Judged::Done(Vec::new()),
        false => Judged::Unclear(format!("the database is `{}`", db.status)),
    }
}

/// A read replica of that source, and no other instance of the name.
fn created(
    state: &RunState,
    (i, now): (usize, Timestamp),
    (db, replica): (&DatabaseRef, &NewReplica),
    seen: &DatabaseState,
) -> Judged {
    let of_source = match &seen.role {
        // An id within one region, an ARN across two.
        DatabaseRole::Replica { source } => {
            *source == replica.source_arn || replica.source_arn.ends_with(&format!(":{source}"))
        }
        // It gets its source while it is created.
        DatabaseRole::Writer => seen.status == "creating",
    };
    if !of_source && !waited(state, i, now, RENAMED) {
        // Right after the renaming the old one may be shown under its old name.
        return Judged::Unclear(format!("{} is still the renamed instance, or a different one", db.id));
    }
    if !of_source {
        let why = format!("{} exists but is not a read replica of {}", db.id, replica.source_arn);
        return Judged::Wrong(why);
    }
    if !SERVING.contains(&seen.status.as_str()) || !seen.is_replica() {
        return Judged::Unclear(format!("the replica is `{}`", seen.status));
    }
    // Where this run promoted the source with nothing missing, the instance that was set aside has nothing that the source lacks.
    let aside = state.runbook.steps.iter().find_map(|s| match &s.action {
        Action::Rename(Rename { db: old, to }) if old.is(db) => Some(to.clone()),
        _ => None,
    });
    let whole = state.promoted.contains(&db.component);
    let kept = |to| format!("DB instance {to} in {}", db.place.region);
    let diverged = aside.filter(|_| !whole).map(|to| Diverged {
        transactions: None,
        fork: None,
        first: None,
        last: None,
        kept: kept(to),
        tables: Vec::new(),
        more: None,
    });
    Judged::Done(vec![Fact::Rejoined { component: db.component.clone(), server: db.id.clone(), diverged }])
}

/// The source is gone and the status is one in which RDS serves. The status alone proves nothing: it reads `available` before `modifying`, too.
fn promoted(db: &DatabaseState) -> Judged {
    match (db.is_replica(), db.status.as_str()) {
        (false, status) if SERVING.contains(&status) => Judged::Done(Vec::new()),
        (true, "available") => Judged::Before,
        (_, status) => Judged::Unclear(format!("the database is `{status}`")),
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

fn equipped(instance: &NewMember, seen: &DatabaseState) -> Judged {
    let there = seen.cluster.iter().flat_map(|c| &c.instances).find(|i| i.id == instance.id);
    match there.map(|i| i.status.as_str()) {
        None => Judged::Before,
        Some(status) if SERVING.contains(&status) => Judged::Done(Vec::new()),
        Some(status) => Judged::Unclear(format!("{} is `{status}`", instance.id)),
    }
}

/// A handover that was accepted, and of which nothing is to be seen a minute later: every one that is asked for is an outage, and so a
/// person asks for the next.
fn taken_back(state: &RunState, i: usize, how: &Takeover, seen: &DatabaseState, now: Timestamp) -> bool {
    let Status::Awaiting { answered_at, .. } = state.work(i).status else { return false };
    let as_before = seen.is_replica() && seen.status == "available";
    how.by == Handover::Switchover && as_before && now >= answered_at + Dur::mins(1)
}

fn fenced(fence: &Fence, at: Timestamp, proof: &FenceState) -> Fact {
    Fact::Fenced {
        component: fence.db.component.clone(),
        method: fence.method,
        at,
        last_commit: proof.last_commit,
        last_commit_there: proof.last_commit_there,
        clock: proof.clock,
        wal: proof.wal,
        word: proof.word.clone(),
        proof: proof.proof.clone(),
        unexplained: proof.unexplained.clone(),
        unreplicated: proof.unreplicated.clone(),
    }
}
