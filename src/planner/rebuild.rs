//! Makes an old primary a standby: by a job on its host, or, if it is managed, by a new replica with its name.

use super::steps::{Draft, all, step};
use super::{Refusal, clusters};
use crate::inventory::Observation;
use crate::kinds::aws::rds::Rename;
use crate::kinds::shared::database::{DatabaseRef, Engine, InstanceSettings};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::{NewReplica, Rejoin};
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{Digest, RunId, StepId};
use crate::model::waiver::Rule;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase};

/// The maximum length of an instance identifier (Amazon RDS API Reference, `CreateDBInstance`).
const LONGEST_ID: usize = 63;
/// The part of it that identifies the run: its start to the second, and six characters that differ between servers.
const RUN_PART: usize = 21;

/// Whether drctl can make a server a standby.
pub(super) fn possible(draft: &Draft<'_>, db: &DatabaseRef) -> bool {
    match db.engine {
        Engine::Postgres => db.host.is_some(),
        Engine::Rds => settings(draft, db).is_some() && !groups(draft, db).is_empty(),
        Engine::Aurora => true,
    }
}

/// Refuses, with what is missing for that.
pub(super) fn refuse(draft: &mut Draft<'_>, db: &DatabaseRef) {
    let (facts, what) = match db.engine {
        Engine::Postgres => (
            format!("the plan gives no `host` for {}, so drctl cannot make it a standby", db.id),
            "add `host:` beside its endpoint (docs: plans/postgres.md)".to_owned(),
        ),
        Engine::Rds if settings(draft, db).is_none() => (
            format!("{} does not answer, so drctl cannot create a standby in its place", db.id),
            "wait until its region is back, check the credentials for it, then run drctl observe".to_owned(),
        ),
        Engine::Rds | Engine::Aurora => (
            format!(
                "{} has only its fence's security group, and no run in this store recorded its earlier groups",
                db.id
            ),
            format!(
                "make sure that nothing writes to it, then attach its own groups again: aws rds modify-db-instance --db-instance-identifier {} --vpc-security-group-ids ..",
                db.id
            ),
        ),
    };
    draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&db.component), facts, what));
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
    if db.engine == Engine::Aurora {
        clusters::follow(draft, db, source, needs, on_failure);
        return;
    }
    if !possible(draft, db) {
        refuse(draft, db);
        return;
    }
    let mut needs = needs.to_vec();
    let mut replica = None;
    if db.engine == Engine::Rds {
        let Some(new) = new_replica(draft, db, source) else { return };
        needs = set_aside(draft, db, &needs, on_failure);
        replica = Some(Box::new(new));
    }
    let reconcile = match draft.input.plan.components.get(&name).map(|c| c.role()) {
        Some(Role::Store(spec)) if db.engine == Engine::Postgres => spec.reconcile.clone(),
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
    draft.notes.push(format!(
        "{} is renamed to {to}, and drctl does not lift its fence. It costs money until somebody deletes it",
        db.id
    ));
    let mut step = step(
        &format!("retire.{}.{}", db.component, db.place.name),
        Phase::Protect,
        Some(&db.component),
        Action::Op(Operation::Rename(Rename { db: db.clone(), to })),
    );
    step.needs = all(needs);
    step.on_failure = on_failure;
    vec![draft.push(step)]
}

/// The new name of an instance that a run renames: letters, digits and single hyphens, as RDS requires. Its end distinguishes two instances
/// whose names start alike.
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
    let Some(of_source) = settings(draft, source) else {
        let facts = format!("{} was not observed, so its ARN is unknown", source.id);
        let what = "get credentials for its region, then try again".to_owned();
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&db.component), facts, what));
        return None;
    };
    // In these partitions the request needs a second one, signed for the source's region (Amazon RDS API Reference, `PreSignedUrl`).
    if db.place.region != source.place.region && !of_source.arn.starts_with("arn:aws:") {
        let facts = format!(
            "the AWS partition of {} creates cross-region replicas with a different request",
            source.id
        );
        let what = "create the replica by hand (in GovCloud and in China)".to_owned();
        draft.refuse(Refusal::new(Rule::NotImplemented, Some(&db.component), facts, what));
        return None;
    }
    // A server that this run promotes gets its backups from the promotion.
    let promoted = draft
        .steps()
        .iter()
        .any(|s| matches!(&s.action, Action::Op(Operation::Promote(Promote { db, .. })) if db.is(source)));
    if of_source.backup_days == 0 && !promoted {
        let facts = format!("{} has no automated backups, so RDS cannot create a replica of it", source.id);
        let what = format!(
            "turn on automated backups: aws rds modify-db-instance --region {} --db-instance-identifier {} --backup-retention-period 7 --apply-immediately",
            source.place.region, source.id
        );
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&db.component), facts, what));
        return None;
    }
    if let Some(parameters) =
        like.parameter_group.as_ref().filter(|p| like.is_postgres() && !p.starts_with("default."))
    {
        draft.notes.push(format!(
            "{}: RDS creates a PostgreSQL replica with the default parameter group of its region. Once the replica exists, run: aws rds modify-db-instance --region {} --db-instance-identifier {} --db-parameter-group-name {parameters}. Then reboot it",
            db.id, db.place.region, db.id
        ));
    }
    Some(NewReplica { source_arn: of_source.arn, like, security_groups: groups(draft, db) })
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
