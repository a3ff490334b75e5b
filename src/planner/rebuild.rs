//! Makes an old primary a standby: by a job on its host, or, if it is managed, by a new replica with its name.

use super::steps::{Draft, all, step};
use super::{Refusal, clusters};
use crate::inventory::Observation;
use crate::kinds::shared::database::{
    DatabaseRef, InstanceSettings, LONGEST_ID, Lacks, ReplicaOf, StandbyBy,
};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::{NewReplica, Rejoin};
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{Digest, RunId, StepId};
use crate::model::waiver::Rule;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase, Step};

/// The part of it that identifies the run: its start to the second, and six characters that differ between servers.
const RUN_PART: usize = 21;

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
) {
    let name = db.component.clone();
    if db.is(source) {
        let facts = format!("{} cannot be a standby of itself", db.id);
        let what = "name two different servers in the plan";
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&name), facts, what));
        return;
    }
    let by = db.engine.operator().standby_by();
    if by == StandbyBy::Service {
        clusters::follow(draft, db, source, needs, on_failure);
        return;
    }
    if !possible(draft, db) {
        refuse(draft, db);
        return;
    }
    let mut needs = needs.to_vec();
    let mut replica = None;
    if by == StandbyBy::Replica {
        let Some(new) = new_replica(draft, db, source) else { return };
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
    draft.push(step);
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
    draft.notes.push(format!(
        "{} is renamed to {to}, and drctl does not lift its fence. It costs money until somebody deletes it",
        db.id
    ));
    let mut step = step(
        &format!("retire.{}.{}", db.component, db.place.name),
        Phase::Protect,
        Some(&db.component),
        Action::Op(operation),
    );
    step.needs = all(needs);
    step.on_failure = on_failure;
    vec![draft.push(step)]
}

/// The new name of an instance that a run renames: letters, digits and single hyphens, as services require. Its end distinguishes two
/// instances whose names start alike.
pub(super) fn aside(id: &str, run: &RunId) -> String {
    let clean = |text: &str| {
        let dashed: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    };
    // The name of a live run starts with its start time, to the second.
    let second: String = run.as_str().chars().take_while(char::is_ascii_digit).take(14).collect();
    let second = if second.is_empty() { "set-aside".to_owned() } else { second };
    let digest = Digest::of_fields(&[id.as_bytes(), run.as_str().as_bytes()]);
    let id: String = clean(id).chars().take(LONGEST_ID - RUN_PART - 1).collect();
    clean(&format!("{id}-{second}-{}", &digest.as_str()[..6]))
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

/// The current settings of an instance, or the last known ones if it no longer exists.
pub(super) fn settings(draft: &Draft<'_>, db: &DatabaseRef) -> Option<InstanceSettings> {
    match seen(draft, db)? {
        State::Database(d) => d.instance.as_deref().cloned(),
        _ => None,
    }
}

fn seen<'a>(draft: &Draft<'a>, db: &DatabaseRef) -> Option<&'a State> {
    let target = Target::Database(db.clone());
    match draft.input.estate.now(&target)? {
        Observation::NotFound { .. } => draft.input.estate.last_seen(&target).map(|r| &r.state),
        now => now.state(),
    }
}

/// The groups for client access: the attached ones or, if the instance is fenced, those that the fence removed.
pub(super) fn groups(draft: &Draft<'_>, db: &DatabaseRef) -> Vec<String> {
    let attached: Vec<String> = match seen(draft, db) {
        Some(State::Database(d)) => d.security_groups.iter().cloned().collect(),
        _ => Vec::new(),
    };
    of_clients(draft, db, attached)
}

/// These attached groups or, if they are only the fence's, those that an earlier run recorded.
pub(super) fn of_clients(draft: &Draft<'_>, db: &DatabaseRef, attached: Vec<String>) -> Vec<String> {
    let own = |groups: &[String]| !groups.is_empty() && groups != db.fence_group.as_slice();
    if own(&attached) {
        return attached;
    }
    let before = draft.input.groups_before.iter().rev().find(|(of, groups)| of.is(db) && own(groups));
    before.map(|(_, groups)| groups.clone()).unwrap_or_default()
}
