//! What a job of a restore means for its step.

use super::{leaving, undoing_now};
use crate::kinds::shared::rebuild::JobStage;
use crate::kinds::shared::restore::{Part, Restore, RestoreState};
use crate::kinds::{Exposure, Fact, Judged};
use crate::model::measure::{Basis, Figure};
use crate::model::plain::count;
use crate::model::time::Timestamp;
use crate::run::state::RunState;

/// What a job means.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    (part, of): (Part, &Restore),
    seen: &RestoreState,
    now: Timestamp,
) -> Judged {
    let tail = seen.tail.lines().last().unwrap_or_default();
    let last = match of.instance() {
        Some(new) => format!("{}: {tail}", new.id),
        None => format!("on its host: {tail}"),
    };
    match seen.stage {
        JobStage::None => Judged::Before,
        // Whoever removes the copy ends its job.
        JobStage::Running if undoing_now(state, i) && part != Part::Swap => Judged::Done(Vec::new()),
        JobStage::Running if leaving(state, i) && part != Part::Swap => {
            Judged::Wrong(format!("stopped; {last}"))
        }
        JobStage::Running => Judged::Unclear(last),
        JobStage::Unseen => Judged::Unclear(format!("the host of {} does not answer: {tail}", of.db.id)),
        // Whatever it left must be undone.
        JobStage::Gone | JobStage::Ended { .. } if undoing_now(state, i) => Judged::Done(Vec::new()),
        JobStage::Gone => Judged::Partly(format!("its job on the host was interrupted: {tail}")),
        JobStage::Ended { exit: 0 } => {
            let mut found = seen.found.clone();
            match (part, of.instance()) {
                (Part::Swap, Some(new)) => {
                    found.kept = Some(format!("DB instance {} in {}", new.aside, of.db.place.region));
                }
                (Part::CreateCopy, Some(_)) => {
                    let automated = || format!("automated backups of {}", of.db.id);
                    found.backup = Some(of.snapshot.clone().unwrap_or_else(automated));
                }
                _ => {}
            }
            let mut facts =
                vec![Fact::Restore { component: of.db.component.clone(), part, found: Box::new(found) }];
            if part == Part::Loss && state.fenced(&of.db.component).is_none() {
                facts.push(Fact::Exposure(so_far(of, seen, now)));
            }
            Judged::Done(facts)
        }
        JobStage::Ended { exit } => {
            let why = seen.found.failed.clone().unwrap_or_else(|| seen.tail.clone());
            match of.instance() {
                Some(_) => Judged::Over(why),
                None => Judged::Over(format!("the job on its host ended with exit code {exit}: {why}")),
            }
        }
    }
}

/// Before writes have ended: everything since the time, and more with every moment.
fn so_far(of: &Restore, seen: &RestoreState, now: Timestamp) -> Exposure {
    let because = match &seen.found.loss {
        Some(loss) => format!(
            "{} {} changed rows since {} so far",
            loss.basis.replace('_', " "),
            count(loss.transactions, "transaction"),
            of.to_time
        ),
        None => format!("all writes since {}", of.to_time),
    };
    Exposure {
        component: of.db.component.clone(),
        figure: Figure::new(now.since(of.to_time), Basis::UpperBound),
        last_instant: Some(now),
        because,
        last_replayed: Some(of.to_time),
        last_replayed_there: Some(of.to_time),
        taken_at: now,
        grows: true,
        beside: Vec::new(),
    }
}
