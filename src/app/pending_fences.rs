//! The fences that runs left pending, and the servers that they proved to be fenced.

use crate::kinds::Operation;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{Fence, Unfence};
use crate::model::ids::ComponentName;
use crate::model::time::Timestamp;
use crate::planner::Debt;
use crate::record::action::Action;
use crate::record::event::WorldKind;
use crate::run::RunState;
use crate::run::state::Status;

/// Pending fences of one plan. A later run may have set what an earlier one left pending. Each rehearsal counts only for itself.
pub fn debts(runs: &[RunState]) -> Vec<Debt> {
    let paid_later = |state: &RunState, component: &ComponentName, since: Timestamp| {
        let live = state.created.world == WorldKind::Live;
        live && runs.iter().filter(|r| r.created.world == WorldKind::Live).any(|r| {
            let after = |at: Option<Timestamp>| at.is_some_and(|at| at > since);
            // A server that was promoted since is no longer an old primary.
            rungs(state, component).iter().any(|f| after(r.kept_out(&f.db)) || after(r.made_writer(&f.db)))
        })
    };
    let of = |state: &RunState| {
        let left = |c: &&ComponentName| state.debts.get(*c).is_some_and(|d| !paid_later(state, c, d.since));
        let owed = state.owed().filter(left).filter_map(|c| Some((c, state.debts.get(c)?)));
        owed.map(|(component, debt)| Debt {
            run: state.created.run.clone(),
            component: component.clone(),
            rungs: rungs(state, component),
            since: debt.since,
        })
        .collect::<Vec<_>>()
    };
    runs.iter().flat_map(of).collect()
}

fn rungs(state: &RunState, component: &ComponentName) -> Vec<Fence> {
    let rung = |action: &Action| match action {
        Action::Op(Operation::Fence(f)) if f.db.component == *component => Some(f.clone()),
        _ => None,
    };
    // Leaves out steps that set the pending fences of earlier runs: they concern other servers.
    state.runbook.steps.iter().filter(|s| !s.debt).filter_map(|s| rung(&s.action)).collect()
}

/// Servers that live runs proved to take no writes, and that no later run made a writer.
pub fn kept_out(runs: &[RunState]) -> Vec<DatabaseRef> {
    let live: Vec<_> = runs.iter().filter(|r| r.created.world == WorldKind::Live).collect();
    kept_out_in_one_world(&live)
}

/// The same of runs of one world.
pub fn kept_out_in_one_world(runs: &[&RunState]) -> Vec<DatabaseRef> {
    let fences = |r: &RunState| -> Vec<DatabaseRef> {
        let server = |action: &Action| match action {
            Action::Op(Operation::Fence(f)) => Some(f.db.clone()),
            _ => None,
        };
        r.runbook.steps.iter().filter_map(|s| server(&s.action)).collect()
    };
    let holds = |r: &RunState, db: &DatabaseRef| {
        r.kept_out(db).is_some_and(|at| {
            let after = |when: Option<Timestamp>| when.is_some_and(|when| when > at);
            !runs.iter().any(|later| after(later.made_writer(db)) || after(later.unfenced_at(db)))
        })
    };
    runs.iter()
        .copied()
        .flat_map(|r| fences(r).into_iter().filter(|db| holds(r, db)).collect::<Vec<_>>())
        .collect()
}

/// How to use a fenced server again. No advice names a cancel that is refused, or that undoes nothing.
pub fn to_use_again(runs: &[&RunState], db: &DatabaseRef) -> String {
    // The fence of another server may have come over by replication, and the run has still to lift it.
    let fences = |run: &&RunState| {
        run.runbook.steps.iter().zip(&run.steps).any(|(step, at)| match &step.action {
            Action::Op(Operation::Fence(of)) => of.db.is(db) && at.began().is_some() && !at.taken_back(),
            Action::Op(Operation::Unfence(Unfence(of))) => {
                of.db.is(db)
                    && run.promoted.contains(&db.component)
                    && !matches!(at.work.status, Status::Done(_))
            }
            _ => false,
        })
    };
    match runs.iter().rev().copied().find(fences) {
        None => {
            "to use that server again, cancel the run that fenced it (drctl runs cancel RUN --reason TEXT)"
                .to_owned()
        }
        Some(run) if run.finished() => format!("run {} fenced it and is over", run.created.run),
        Some(run) if run.called_off().past.is_some() => {
            format!(
                "run {} fenced it, and a cancel does not undo that; to continue it, run {}",
                run.created.run,
                run.to_go_on()
            )
        }
        Some(run) => {
            let cancel = run.created.command("runs cancel", " --reason TEXT");
            format!("to use that server again, cancel the run that fenced it ({cancel})")
        }
    }
}
