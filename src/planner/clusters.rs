//! Databases whose service moves the writer, and makes the former one a secondary again.

use super::form::{all, step};
use super::refusal::Refusal;
use super::servers::{self, Store};
use super::steps::Draft;
use crate::inventory::active;
use crate::kinds::shared::database::{
    ClusterState, Database, DatabaseRef, DatabaseState, Follows, Lacks, NewMember, Serves, StandbyBy,
    Successor,
};
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::{Handover, Takeover};
use crate::kinds::{Operation, Role, Target};
use crate::model::ids::StepId;
use crate::model::intent::Intent;
use crate::model::waiver::Rule;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase};

/// The request to the service: a switchover if the move is planned, otherwise a failover that gives up what the target lacks.
pub(super) fn takeover(draft: &Draft<'_>, db: &DatabaseRef) -> Option<Takeover> {
    let target_arn = seen(draft, db)?.arn.clone();
    let (by, at) = match draft.input.request.intent {
        Intent::Failover => (Handover::AllowDataLoss, db.place.clone()),
        _ => (Handover::Switchover, draft.input.plan.sites.get(draft.from.as_ref()?)?.place.clone()),
    };
    Some(Takeover { global: db.global.clone()?, target_arn, by, at })
}

fn state<'a>(draft: &Draft<'a>, db: &DatabaseRef) -> Option<&'a DatabaseState> {
    draft.input.estate.database(&Target::Database(db.clone()), draft.input.now).value()
}

fn seen<'a>(draft: &Draft<'a>, db: &DatabaseRef) -> Option<&'a ClusterState> {
    state(draft, db)?.cluster.as_deref()
}

/// Whether a cluster can take over as declared; refuses if not. Adds notes about known problems.
pub(super) fn can_take_over(draft: &mut Draft<'_>, db: &DatabaseRef, spec: &Database) -> bool {
    let from = draft.from.as_ref();
    let source = from.and_then(|site| spec.server(draft.input.plan, &db.component, site));
    let of = Successor {
        db,
        seen: state(draft, db),
        writer: source.as_ref().and_then(|source| state(draft, source)),
        shut_for_good: shut(draft, db) && servers::groups(draft, db).is_empty(),
    };
    match db.engine.operator().can_take_over(&of) {
        Ok(notes) => {
            draft.notes.extend(notes);
            true
        }
        Err(unmet) => {
            draft.refuse(Refusal::unmet(&db.component, unmet));
            false
        }
    }
}

/// Why no fence at a writer stops all writes, if that is so: sessions in other regions may write through their own readers.
pub(super) fn way_around(draft: &Draft<'_>, writer: &DatabaseRef, ladder: &[FenceMethod]) -> Option<String> {
    let there = seen(draft, writer)?;
    if !there.forwarding.is_empty() {
        return Some(format!(
            "sessions in {} may write to {} through their own readers (write forwarding). No login change and no security group stops them",
            there.forwarding.join(", "),
            writer.id
        ));
    }
    (there.data_api && !ladder.iter().any(|m| m.tells_the_end())).then(|| {
        format!("{} accepts statements over HTTPS (Data API), which no security group blocks", writer.id)
    })
}

/// Prepares a cluster to take over and serve. Returns its last steps.
pub(super) fn prepare(draft: &mut Draft<'_>, store: &Store<'_>, needs: &[StepId]) -> Vec<StepId> {
    let opened = shut(draft, &store.target).then(|| open(draft, &store.target, needs, OnFailure::Halt));
    let equipped = equip(draft, store, needs);
    opened.into_iter().flatten().chain(equipped).collect()
}

/// Adds an instance to a cluster without instances. Returns the step.
fn equip(draft: &mut Draft<'_>, store: &Store<'_>, needs: &[StepId]) -> Option<StepId> {
    let db = &store.target;
    let state = state(draft, db).filter(|d| d.serves(db.engine) == Serves::NoInstance)?;
    let there = state.cluster.as_deref().filter(|c| c.instances.is_empty())?;
    let name = &store.component.name;
    let Some(class) = class(draft, store) else {
        let facts = format!("{} has no instance, and the instance class of the writer is unknown", db.id);
        let what = format!("set `instance_class:` for {}", db.place.name);
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return None;
    };
    let id = servers::created(&db.id, &draft.input.request.run);
    let instance = NewMember { id: id.clone(), class, engine: there.engine.clone() };
    let operation = db.engine.operator().add_instance(db, instance)?;
    let action = Action::Op(operation);
    let mut step = step(&format!("equip.{name}"), Phase::Scale, Some(name), action);
    step.notes = vec![format!("{id} stays in {} and costs money, whatever the outcome of the run", db.id)];
    if draft.input.request.intent == Intent::Failover {
        step.forecasts.push(format!(
            "{} takes over once {id} exists, in about {}. Without a fence, the bound on data loss grows until then",
            db.id, step.estimate.expected_ms
        ));
    }
    step.needs = all(needs);
    Some(draft.push(step))
}

/// The instance class from the plan, otherwise the last observed one of the writer.
fn class(draft: &Draft<'_>, store: &Store<'_>) -> Option<String> {
    let Role::Store(spec) = store.component.role() else { return None };
    let declared = spec.at.get(&draft.input.request.to).and_then(|at| at.instance_class.clone());
    declared.or_else(|| {
        let from = draft.from.as_ref()?;
        let source = spec.server(draft.input.plan, &store.component.name, from)?;
        seen(draft, &source)?.class().map(str::to_owned)
    })
}

/// The service makes it a secondary of the new writer. After that, it gets back what a fence removed, for the time when it becomes the
/// writer again.
pub(super) fn follow(
    draft: &mut Draft<'_>,
    db: &DatabaseRef,
    source: &DatabaseRef,
    needs: &[StepId],
    on_failure: OnFailure,
) {
    let (name, at) = (db.component.clone(), db.place.name.clone());
    // Without the server itself, the wait would never end.
    if let Some(why) = draft.input.estate.now(&Target::Database(db.clone())).filter(|o| o.state().is_none()) {
        let unmet = db.engine.operator().no_standby(db, &Lacks::State(why.why_not()));
        draft.refuse(Refusal::unmet(&name, unmet));
        return;
    }
    let check = Action::Op(Operation::CheckFollows(Follows { db: db.clone(), source: source.clone() }));
    let mut watch = step(&format!("rejoin.{name}.{at}"), Phase::Protect, Some(&name), check);
    watch.needs = all(needs);
    watch.on_failure = on_failure;
    let followed = draft.push(watch);
    if shut(draft, db) && open(draft, db, &[followed], on_failure).is_none() {
        draft.notes.push(format!(
            "{} has only its fence's security group, and no run in this store recorded its earlier groups. Attach them by hand",
            db.id
        ));
    }
}

/// Restores the security groups of a secondary, which takes no writes. A fence removed them when it was the writer.
fn open(draft: &mut Draft<'_>, db: &DatabaseRef, needs: &[StepId], on_failure: OnFailure) -> Option<StepId> {
    let groups_before = Some(servers::groups(draft, db)).filter(|groups| !groups.is_empty())?;
    let (name, at) = (&db.component, &db.place.name);
    let lift = Fence { db: db.clone(), method: FenceMethod::SecurityGroup, groups_before };
    let mut open = step(
        &format!("open.{name}.{at}"),
        Phase::Protect,
        Some(name),
        Action::Op(Operation::Unfence(Unfence(lift))),
    );
    open.needs = all(needs);
    open.on_failure = on_failure;
    Some(draft.push(open))
}

/// Whether only the fence's group is attached.
pub(super) fn shut(draft: &Draft<'_>, db: &DatabaseRef) -> bool {
    db.engine.operator().standby_by() == StandbyBy::Service
        && state(draft, db).is_some_and(|seen| active::is_shut(db, seen))
}
