//! The consequences of earlier runs of a plan for the next one.

use std::collections::BTreeMap;

use super::context::Context;
use super::error::AppError;
use super::pending_fences;
use crate::executor::create;
use crate::inventory::Estate;
use crate::journal::Journal as _;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::restore::{Restore, RestoreJob, RestoreStep};
use crate::kinds::{Fact, Operation};
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::place::Place;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::planner::{Busy, Continued, Debt, Input, Request, Written};
use crate::record::action::Action;
use crate::record::event::{EventKind, WorldKind};
use crate::run::RunState;
use crate::run::continued::{continued, last_turns, seen_before, unled, written};
use crate::run::state::{Status, StepState, Turn};

/// The consequences of earlier runs.
#[derive(Default)]
pub struct PriorRuns {
    /// Components that unfinished runs hold.
    pub busy: BTreeMap<ComponentName, Busy>,
    /// Pending fences.
    pub debts: Vec<Debt>,
    /// Servers that were proven to take no writes.
    pub kept_out: Vec<DatabaseRef>,
    /// Servers that earlier runs proved to be fenced: the server, the run, and the word that the fence left.
    pub fenced: Vec<(DatabaseRef, RunId, Option<String>)>,
    /// Security groups that earlier runs detached from servers.
    pub groups_before: Vec<(DatabaseRef, Vec<String>)>,
    /// What runs have written to zones.
    pub written: Vec<Written>,
    /// Copies of ended runs that were not proven to be deleted.
    pub leaks: Vec<Restore>,
    /// Every copy that a run of this store made, as text.
    pub copies: Vec<String>,
    /// Clients that an unfinished run has started to redirect.
    pub unled: Vec<ComponentName>,
    /// The unfinished run that a failover replaces.
    pub continues: Option<Continued>,
    /// The last turn of each of its probes.
    turns: BTreeMap<String, Turn>,
}

impl PriorRuns {
    /// Locks the run that is continued, from before the runbook is shown until the new run has started.
    ///
    /// # Errors
    /// If another process drives it now.
    pub fn lock(&self, store: &SqliteJournal) -> Result<Option<RunLock>, AppError> {
        let old = self.continues.as_ref();
        Ok(old.map(|c| RunLock::take(&Context::lock_folder(store), &c.run)).transpose()?)
    }

    /// The planner's input.
    pub fn input<'a>(
        &'a self,
        context: &'a Context,
        plan: &'a Plan,
        (estate, now): (&'a Estate, Timestamp),
        request: &'a Request,
        guard: Option<&'a Place>,
    ) -> Input<'a> {
        Input {
            plan,
            estate,
            now,
            request,
            busy: &self.busy,
            debts: &self.debts,
            kept_out: &self.kept_out,
            continues: self.continues.as_ref(),
            groups_before: &self.groups_before,
            written: &self.written,
            leaks: &self.leaks,
            copies: &self.copies,
            unled: &self.unled,
            fenced: &self.fenced,
            guard,
            observation_max_age: context.settings.observation_max_age,
            probe_consecutive: context.settings.probe_consecutive,
            policy: (!context.authority().is_empty()).then_some(&context.settings.policy),
            closed: context.closed(
                &plan.name,
                (request.severity, request.intent, request.drill.is_some()),
                now,
            ),
        }
    }

    /// Turns of probes, preceded by those of the run that is continued.
    pub fn seen_before(&self, turns: Vec<EventKind>) -> Vec<EventKind> {
        seen_before(&self.turns, turns)
    }
}

/// The consequences of earlier runs of a plan for one with this intent and target.
///
/// # Errors
/// If the store cannot be read.
pub fn held(
    store: &SqliteJournal,
    plan: &Plan,
    (intent, to): (Intent, &SiteName),
) -> Result<PriorRuns, AppError> {
    let mut states = Vec::new();
    let (mut lengths, mut copies) = (BTreeMap::new(), Vec::new());
    for row in store.runs()? {
        // Skip a run that cannot be read: its claims are in the store, so creating the new run still fails if they conflict.
        let Ok((state, events)) = store.read(&row.run).map_err(AppError::from).and_then(|r| {
            let state = create::replay(&row.run, &r).map_err(AppError::from)?;
            Ok((state, r.len() as u64))
        }) else {
            continue;
        };
        copies.extend(copies_of(&state).map(|(of, _)| of.copy()));
        if state.created.plan == plan.name {
            lengths.insert(row.run.clone(), events);
            states.push(state);
        }
    }
    // A tabletop review has changed nothing.
    states.retain(|s| s.runbook.drill != Some(Drill::Tabletop));
    let holds = |s: &&RunState| !s.finished() && s.runbook.intent != Intent::Drill;
    let unfinished: Vec<_> = states.iter().filter(holds).collect();
    let of = |s: &RunState, i: usize| match &*s.forward(i) {
        Action::Op(Operation::Fence(f)) => Some((f.db.clone(), f.groups_before.clone())),
        _ => None,
    };
    let fences = states.iter().flat_map(|s| (0..s.steps.len()).filter_map(move |i| of(s, i)));
    let mut fenced = Vec::new();
    for state in &states {
        for (step, at) in state.runbook.steps.iter().zip(&state.steps) {
            let Action::Op(Operation::Fence(fence)) = &step.action else { continue };
            for fact in &at.facts {
                if let Fact::Fenced { word, .. } = fact {
                    fenced.push((fence.db.clone(), state.created.run.clone(), word.clone()));
                }
            }
        }
    }
    let leaks = leaks(&states);
    let mut held = PriorRuns {
        leaks,
        copies,
        fenced,
        groups_before: fences.collect(),
        kept_out: pending_fences::kept_out(&states),
        debts: pending_fences::debts(&states),
        unled: unled(&states),
        written: states.iter().flat_map(written).collect(),
        ..PriorRuns::default()
    };
    for state in &unfinished {
        let run = &state.created.run;
        let facts = match may_continue(store, state, lengths[run], (intent, to)) {
            Ok(continued) if unfinished.len() == 1 => {
                held.turns = last_turns(state);
                held.continues = Some(continued);
                continue;
            }
            Ok(_) => format!("run {run} is not finished, and there are other unfinished runs"),
            Err(facts) => facts,
        };
        let changed = state.runbook.steps.iter().filter(|s| s.action.mutates());
        for component in changed.filter_map(|s| s.component.clone()) {
            held.busy.insert(component, Busy { run: run.clone(), facts: facts.clone() });
        }
    }
    Ok(held)
}

/// The copies that a live run requested, each with the state of its step.
fn copies_of(state: &RunState) -> impl Iterator<Item = (&Restore, &StepState)> {
    let live = state.created.world == WorldKind::Live;
    parts(state, RestoreJob::CreateCopy).filter(move |(_, at)| live && at.work.attempts > 0)
}

fn parts(state: &RunState, which: RestoreJob) -> impl Iterator<Item = (&Restore, &StepState)> {
    state.runbook.steps.iter().zip(&state.steps).filter_map(move |(step, at)| match &step.action {
        Action::Op(Operation::Restore(RestoreStep { part, of })) if *part == which => Some((of.as_ref(), at)),
        _ => None,
    })
}

/// Copies of ended runs that were not proven to be deleted.
fn leaks(states: &[RunState]) -> Vec<Restore> {
    let done = |at: &StepState| matches!(at.work.status, Status::Done(_));
    let undone = |at: &StepState| at.undo.as_ref().is_some_and(|u| matches!(u.status, Status::Done(_)));
    let mut gone = Vec::new();
    for state in states {
        let ended = parts(state, RestoreJob::Destroy)
            .chain(parts(state, RestoreJob::Swap))
            .filter(|(_, at)| done(at));
        let taken_back = copies_of(state).filter(|(_, at)| undone(at));
        gone.extend(ended.chain(taken_back).map(|(of, _)| of.copy()));
    }
    let over = states.iter().filter(|s| s.finished());
    over.flat_map(copies_of).filter(|(of, _)| !gone.contains(&of.copy())).map(|(of, _)| of.clone()).collect()
}

fn may_continue(
    store: &SqliteJournal,
    state: &RunState,
    events: u64,
    (intent, to): (Intent, &SiteName),
) -> Result<Continued, String> {
    let run = &state.created.run;
    if intent != Intent::Failover {
        return Err(format!("run {run} is not finished"));
    }
    if RunLock::is_held(&Context::lock_folder(store), run) {
        return Err(format!(
            "another process drives run {run} ({}). To take the run over with this command, stop that process with Ctrl-C",
            state.owner
        ));
    }
    if !store.waiting(state).is_ok_and(|letters| letters.is_empty()) {
        return Err(format!("run {run} has an unprocessed request"));
    }
    continued(state, events, to)
}
