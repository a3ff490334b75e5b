//! Makes an old primary a standby: by a job on its host, or, if it is managed, by a new replica with its name.

use super::clusters;
use super::form::{all, step};
use super::refusal::Refusal;
use super::servers::{aside, groups, settings};
use super::steps::Draft;
use crate::inventory::Observation;
use crate::kinds::shared::database::{DatabaseRef, Lacks, ReplicaOf, StandbyBy};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::{NewReplica, Rejoin};
use crate::kinds::{Operation, Role, Target};
use crate::model::ids::StepId;
use crate::model::waiver::Rule;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase, Step};

/// Whether drctl can make a server a standby.
pub(super) fn possible(draft: &Draft<'_>, db: &DatabaseRef) -> bool {
    match db.engine.operator().standby_by() {
        StandbyBy::Job => db.host.is_some(),
        StandbyBy::Replica => settings(draft, db).is_some() && !groups(draft, db).is_empty(),
        StandbyBy::Service => true,
    }
}

/// Refuses, with what is missing for that.
pub(super) fn refuse(draft: &mut Draft<'_>, db: &DatabaseRef) {
    let operator = db.engine.operator();
    let lacks = match operator.standby_by() {
        StandbyBy::Job => Lacks::Host,
        StandbyBy::Replica | StandbyBy::Service if settings(draft, db).is_none() => {
            let why = draft.input.estate.now(&Target::Database(db.clone()));
            Lacks::State(why.map_or_else(|| "not observed".to_owned(), Observation::why_not))
        }
        StandbyBy::Replica | StandbyBy::Service => Lacks::Groups,
    };
    draft.refuse(Refusal::unmet(&db.component, operator.no_standby(db, &lacks)));
}

/// The steps that make a server a standby of another one. Its own data are kept aside.
pub(super) fn rejoin(
    draft: &mut Draft<'_>,
    db: &DatabaseRef,
    source: &DatabaseRef,
    needs: &[StepId],
    on_failure: OnFailure,
) -> Option<StepId> {
    let name = db.component.clone();
    if db.is(source) {
        let facts = format!("{} cannot be a standby of itself", db.id);
        let what = "name two different servers in the plan";
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&name), facts, what));
        return None;
    }
    let by = db.engine.operator().standby_by();
    if by == StandbyBy::Service {
        clusters::follow(draft, db, source, needs, on_failure);
        return None;
    }
    if !possible(draft, db) {
        refuse(draft, db);
        return None;
    }
    let mut needs = needs.to_vec();
    let mut replica = None;
    if by == StandbyBy::Replica {
        let new = new_replica(draft, db, source)?;
        needs = set_aside(draft, db, &needs, on_failure);
        replica = Some(Box::new(new));
    }
    let reconcile = match draft.input.plan.components.get(&name).map(|c| c.role()) {
        Some(Role::Store(spec)) if by == StandbyBy::Job => spec.reconcile.clone(),
        _ => Vec::new(),
    };
    let action =
        Action::Op(Operation::Rejoin(Rejoin { db: db.clone(), source: source.clone(), replica, reconcile }));
    let mut step = step(&format!("rejoin.{name}.{}", db.place.name), Phase::Protect, Some(&name), action);
    step.needs = all(&needs);
    step.on_failure = on_failure;
    Some(draft.push(step))
}

/// Renames the old instance, which keeps its data. The replica then gets the name in the plan, so the plan stays correct.
fn set_aside(
    draft: &mut Draft<'_>,
    db: &DatabaseRef,
    needs: &[StepId],
    on_failure: OnFailure,
) -> Vec<StepId> {
    let seen = draft.input.estate.now(&Target::Database(db.clone()));
    if matches!(seen, Some(Observation::NotFound { .. })) {
        return needs.to_vec();
    }
    let to = aside(&db.id, &draft.input.request.run);
    let Some(operation) = db.engine.operator().set_aside(db, &to) else { return needs.to_vec() };
    let mut step = step(
        &format!("retire.{}.{}", db.component, db.place.name),
        Phase::Protect,
        Some(&db.component),
        Action::Op(operation),
    );
    step.needs = all(needs);
    step.on_failure = on_failure;
    step.notes = vec![set_aside_note(db, &to)];
    vec![draft.push(step)]
}

/// What a rename means for the renamed server.
pub(super) fn set_aside_note(db: &DatabaseRef, to: &str) -> String {
    format!(
        "drctl renames {} to {to}, and does not lift its fence. It costs money until somebody deletes it",
        db.id
    )
}

fn new_replica(draft: &mut Draft<'_>, db: &DatabaseRef, source: &DatabaseRef) -> Option<NewReplica> {
    let like = settings(draft, db)?;
    let of_source = settings(draft, source);
    let promotes =
        |s: &Step| matches!(&s.action, Action::Op(Operation::Promote(Promote { db, .. })) if db.is(source));
    let of = ReplicaOf {
        db,
        like: &like,
        source,
        source_like: of_source.as_ref(),
        promoted: draft.steps().iter().any(promotes),
        groups: groups(draft, db),
    };
    match db.engine.operator().replica(&of) {
        Ok(found) => {
            let (replica, note) = found?;
            draft.notes.extend(note);
            Some(replica)
        }
        Err(unmet) => {
            draft.refuse(Refusal::unmet(&db.component, unmet));
            None
        }
    }
}
