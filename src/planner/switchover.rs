//! Switchover and failback: planned, with zero loss. Reprotect: makes standbys and moves nothing.
//!
//! Both sites answer. All slow work happens while users are served. Then writes end, the standby catches up to the last position of the log
//! and is promoted. The old primary follows it at the end, so that the way back works the same way.

use std::collections::BTreeMap;

use super::buckets::compare_all;
use super::capacity::{scale_all, stays};
use super::databases::{self, PromotionDecision};
use super::failover::guards;
use super::form::{all, step};
use super::refusal::Refusal;
use super::servers::Store;
use super::steps::Draft;
use super::traffic::redirect_all;
use super::{clients, clusters, rebuild, safety, ttl};
use crate::inventory::{Knowledge, Observation, active};
use crate::kinds::shared::database::{CaughtUp, Database, DatabaseRef, DatabaseState, StandbyBy};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::intent::{Drill, Intent};
use crate::model::waiver::Rule;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase, ProbeRole, Step};

type Guards = BTreeMap<ComponentName, Vec<StepId>>;

/// Derives the steps of a move.
pub fn derive(draft: &mut Draft<'_>) {
    no_waivers(draft);
    // On the way back users may fail, because that may be its reason.
    if draft.input.request.drill == Some(Drill::Live) && !draft.input.request.returns {
        watched(draft);
    }
    let identities = draft.identities();
    let guards = guards(draft, &identities);
    draft.evidence();
    ttl::lower_all(draft, &guards);
    scale_all(draft, &guards);
    stays(draft);
    move_all(draft, &guards);
    compare_all(draft);
    redirect_all(draft, &guards);
    follow_all(draft);
}

/// Derives the steps that make a standby of every server in the target site.
pub fn reprotect(draft: &mut Draft<'_>) {
    let identities = draft.identities();
    let guards = guards(draft, &identities);
    draft.evidence();
    let (plan, to) = (draft.input.plan, draft.input.request.to.clone());
    let Some(from) = draft.from.clone() else { return };
    if from == to {
        let facts = format!("{to} is the active site, so its servers are the primaries");
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            None,
            facts,
            "name the site of the new standbys with --to",
        ));
        return;
    }
    for component in plan.components.values() {
        let Role::Store(spec) = component.role() else { continue };
        let at = |site: &SiteName| spec.server(plan, &component.name, site);
        let (Some(standby), Some(primary)) = (at(&to), at(&from)) else { continue };
        if streams(draft, &standby, &primary) && !clusters::shut(draft, &standby) {
            continue;
        }
        if writes(draft, component, spec, &primary) {
            let mut needs = guards[&component.name].clone();
            if safety::may_write(draft, &standby, spec) {
                // Its extra writes are counted and kept, and it takes no more of them meanwhile.
                needs = vec![databases::keep_from_writing(draft, component, spec, &to, &needs)];
            }
            rebuild::rejoin(draft, &standby, &primary, &needs, OnFailure::Halt);
        }
    }
    clients::lead_back(draft, &from, &guards);
}

/// Refuses waivers: a planned move has time to meet all rules.
fn no_waivers(draft: &mut Draft<'_>) {
    let loses = [Rule::UnfencedPromotion, Rule::ExposureAboveRpo, Rule::ExposureUnknown, Rule::OtherSource];
    for rule in loses {
        if draft.input.request.waivers.iter().any(|w| w.rule == rule) {
            let facts =
                format!("a {} allows no data loss, so {rule} cannot be waived", draft.input.request.intent);
            let (plan, to) = (&draft.input.plan.name, &draft.input.request.to);
            let what = format!("if you must accept a loss, run drctl failover {plan} --to {to}");
            draft.refuse(Refusal::new(Rule::NotRecoverable, None, facts, what));
        }
    }
}

/// A drill that moves users is undone if they fail. So a probe must show that they are served before it starts.
fn watched(draft: &mut Draft<'_>) {
    let users: Vec<_> =
        [ProbeRole::Public, ProbeRole::Write].into_iter().flat_map(|role| draft.probes(role)).collect();
    let refuse = |draft: &mut Draft<'_>, facts: String, what: &str| {
        draft.refuse(Refusal::new(Rule::DrillBlocked, None, facts, what.to_owned()));
    };
    if users.is_empty() {
        let facts = "no probe checks what users see, so nothing would stop the drill if users fail";
        let what = "add a probe with role `public` to the plan";
        return draft.refuse(Refusal::new(Rule::NotRecoverable, None, facts.to_owned(), what.to_owned()));
    }
    for probe in users {
        let key = probe.key();
        let facts = match draft.input.estate.probes.get(&key).and_then(|h| h.good) {
            Some(true) => continue,
            Some(false) => format!("{key} is bad: users already fail"),
            None => format!("{key} has no result yet"),
        };
        refuse(draft, facts, "start the drill when the probes are good");
    }
    for alarm in draft.probes(ProbeRole::Alarm) {
        let key = alarm.key();
        let health = draft.input.estate.probes.get(&key);
        let unasked = health.and_then(|h| h.unasked.as_deref()).unwrap_or("not enough samples");
        let facts = match health.and_then(|h| h.good) {
            Some(true) => continue,
            Some(false) => format!("alarm {key} is on"),
            None => format!("the state of alarm {key} is unknown: {unasked}"),
        };
        refuse(draft, facts, "make sure that the alarm exists, that drctl may read it, and that it is off");
    }
}

fn move_all(draft: &mut Draft<'_>, guards: &Guards) {
    let (plan, Some(from)) = (draft.input.plan, draft.from.clone()) else { return };
    let to = draft.input.request.to.clone();
    if from == to {
        draft.notes.push(format!("{to} is already active"));
        return;
    }
    let mut moved = Vec::new();
    for component in plan.components.values() {
        let Role::Store(spec) = component.role() else { continue };
        let Some(old) = spec.server(plan, &component.name, &from) else { continue };
        let first = returning(draft, component, spec, &old, &guards[&component.name]);
        let store = match first {
            Some(standby) => {
                let target = standby.clone();
                Some(Store { component, target, canary: spec.canary_table.clone() })
            }
            None => match databases::store(draft, component, spec) {
                PromotionDecision::ToPromote(store) => Some(store),
                PromotionDecision::Writer(store) => {
                    both_write(draft, &store, spec, &old);
                    None
                }
                PromotionDecision::Refused => None,
            },
        };
        if let Some(store) = store
            && can_move(draft, &store, spec, &old, first_rejoined(draft, component).is_some())
        {
            moved.push((store, spec));
        }
    }
    quiesce_and_promote(draft, moved, guards);
}

/// The target already takes writes. There is nothing to move, unless the other server takes writes, too.
fn both_write(draft: &mut Draft<'_>, store: &Store<'_>, spec: &Database, old: &DatabaseRef) {
    if safety::may_write(draft, old, spec) {
        let facts = format!("{} and {} both take writes", old.id, store.target.id);
        let what = format!(
            "fence one of them and make it a standby: drctl reprotect {} --from SITE --to {}",
            draft.input.plan.name, old.place.name
        );
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&store.component.name), facts, what));
    }
}

/// The target was a primary once and has its own history, so it first becomes a standby of the active server.
fn returning(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Database,
    active: &DatabaseRef,
    guard: &[StepId],
) -> Option<DatabaseRef> {
    let old = spec.server(draft.input.plan, &component.name, &draft.input.request.to)?;
    let seen = draft.input.estate.now(&Target::Database(old.clone()))?;
    let kept_out = match seen.state() {
        // It may be down. The job on its host finds that out; for a managed server a person must check.
        None => old.host.is_some() && !matches!(seen, Observation::Refused { .. }),
        Some(State::Database(d)) => !d.is_replica() && active::is_fenced(draft.input.estate, &old, spec),
        Some(_) => false,
    };
    // The service cannot make a standalone cluster a secondary.
    let possible = old.engine.operator().standby_by() != StandbyBy::Service && rebuild::possible(draft, &old);
    if !kept_out || !possible || !writes(draft, component, spec, active) {
        return None;
    }
    let mut needs = guard.to_vec();
    if safety::may_write(draft, &old, spec) {
        needs = vec![databases::keep_from_writing(draft, component, spec, &draft.input.request.to, guard)];
    }
    let made = rebuild::rejoin(draft, &old, active, &needs, OnFailure::Halt);
    if let Some(step) = made.and_then(|id| draft.step_mut(&id)) {
        step.notes.push(format!(
            "{} is not a standby. This run first makes it one, while users are served",
            old.id
        ));
    }
    Some(old)
}

fn first_rejoined(draft: &Draft<'_>, component: &Component) -> Option<StepId> {
    let to = &draft.input.request.to;
    draft.steps().iter().find_map(|s| match &s.action {
        Action::Op(Operation::Rejoin(Rejoin { db, .. }))
            if db.component == component.name && db.place.name == to.as_str() =>
        {
            Some(s.id.clone())
        }
        _ => None,
    })
}

/// Checks what a move needs besides a standby: a primary that answers, a standby that keeps up, and a way to make the old primary follow.
fn can_move(
    draft: &mut Draft<'_>,
    store: &Store<'_>,
    spec: &Database,
    old: &DatabaseRef,
    rebuilt: bool,
) -> bool {
    let name = &store.component.name;
    let refused = draft.refusals.len();
    let mut refuse = |facts: String, what: &str| {
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what.to_owned()));
    };
    if !spec.fence.iter().any(|m| m.tells_the_end()) && !hands_over(store) {
        let facts =
            format!("`{name}` has no SQL fence. Only that fence tells where the WAL of the old primary ends");
        refuse(facts, "set fence: [sql]");
    }
    if !writes(draft, store.component, spec, old) {
        return false;
    }
    if !rebuilt && !streams(draft, &store.target, old) {
        let facts = format!("{} does not stream from {} and would never catch up", store.target.id, old.id);
        let (plan, to) = (&draft.input.plan.name, &store.target.place.name);
        let what = format!("use a standby that streams: run drctl reprotect {plan} --to {to}");
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
    }
    if !rebuild::possible(draft, old) {
        rebuild::refuse(draft, old);
    }
    draft.refusals.len() == refused
}

/// Whether a server was just observed to be the primary; refuses if not.
pub(super) fn writes(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Database,
    db: &DatabaseRef,
) -> bool {
    let target = Target::Database(db.clone());
    if !safety::must_answer(draft, &component.name, &target) {
        return false;
    }
    if active::takes_writes(draft.input.estate, db, spec) {
        return true;
    }
    let facts = format!("{} takes no writes now", db.id);
    let what = match draft.input.request.intent {
        Intent::Restore => "name the site whose server takes writes with --site",
        _ => "name the site whose server takes writes with --from",
    };
    draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&component.name), facts, what));
    false
}

/// Whether a server replicates from another one.
fn streams(draft: &Draft<'_>, db: &DatabaseRef, of: &DatabaseRef) -> bool {
    let known = draft.input.estate.database(&Target::Database(db.clone()), draft.input.now);
    matches!(known, Knowledge::Fresh(d) if d.follows_source(db.engine, of))
}

/// Ends writes after everything else is ready, first for stores that need others. Promotes each store after no store can lose anything.
fn quiesce_and_promote(draft: &mut Draft<'_>, moved: Vec<(Store<'_>, &Database)>, guards: &Guards) {
    if moved.is_empty() {
        return;
    }
    let capacity: Vec<StepId> = draft.ready.values().flatten().cloned().collect();
    let approvals = draft.approvals(Phase::Promote);
    let expired: Vec<StepId> = draft.lowered.values().flat_map(|(_, expired)| expired.clone()).collect();
    let mut ready = [capacity, approvals.clone(), expired.clone()].concat();
    for (store, _) in &moved {
        let rejoined = first_rejoined(draft, store.component);
        // After the approval, and right before writes end.
        let needs = [
            guards[&store.component.name].clone(),
            approvals.clone(),
            rejoined.into_iter().collect(),
            expired.clone(),
        ]
        .concat();
        ready.push(databases::ready(draft, store, &needs));
    }
    let specs: BTreeMap<ComponentName, &Database> =
        moved.iter().map(|(s, spec)| (s.component.name.clone(), *spec)).collect();
    let order = databases::order(draft, moved.into_iter().map(|(s, _)| s).collect());
    let (mut before, mut caught_up) = (ready, Vec::new());
    for store in order.iter().rev() {
        if hands_over(store) {
            continue;
        }
        let name = &store.component.name;
        let gate = databases::fence(draft, store, specs[name], &before);
        before = vec![gate.clone()];
        let check = Action::Op(Operation::CheckCaughtUp(CaughtUp { db: store.target.clone() }));
        let mut step = step(&format!("caught-up.{name}"), Phase::Measure, Some(name), check);
        step.needs = all(&[gate]);
        caught_up.push(draft.push(step));
    }
    let after = if caught_up.is_empty() { before } else { caught_up };
    let measured: BTreeMap<_, _> =
        order.iter().map(|s| (s.component.name.clone(), databases::measure(draft, s, &after))).collect();
    let gates = databases::loss_gates(draft, &measured);
    for store in order {
        databases::promote(draft, store, &gates, &approvals, guards);
    }
}

/// Whether the service stops writes itself, and moves the writer only if nothing is missing.
fn hands_over(store: &Store<'_>) -> bool {
    store.target.engine.operator().hands_over()
}

/// Whether a follower of the old primary will receive the new primary's writes. A self-hosted old primary passes them on once it is a
/// standby; a managed one is renamed and passes on nothing.
fn hands_on(draft: &Draft<'_>, other: &DatabaseRef) -> bool {
    let known = draft.input.estate.database(&Target::Database(other.clone()), draft.input.now);
    let streams = |d: &DatabaseState| d.is_replica() && d.streaming == Some(true);
    other.engine.operator().standby_by() == StandbyBy::Job
        && matches!(known, Knowledge::Fresh(d) if streams(d))
}

/// Makes the servers of the other sites follow the promoted ones.
fn follow_all(draft: &mut Draft<'_>) {
    let plan = draft.input.plan;
    // This does not wait for the watch. A client whose connection string names both servers is refused by the fenced one, and tries the
    // other only once the fenced one is a standby (PostgreSQL documentation, «Specifying Multiple Hosts»).
    let moved = |s: &&Step| matches!(s.phase, Phase::Verify | Phase::Redirect);
    let moved: Vec<StepId> = draft.steps().iter().filter(moved).map(|s| s.id.clone()).collect();
    let promoted: Vec<(StepId, DatabaseRef)> = draft
        .steps()
        .iter()
        .filter_map(|s| match &s.action {
            Action::Op(Operation::Promote(Promote { db, .. })) => Some((s.id.clone(), db.clone())),
            _ => None,
        })
        .collect();
    for (promotion, primary) in promoted {
        let Some(Role::Store(spec)) = plan.components.get(&primary.component).map(|c| c.role()) else {
            continue;
        };
        let sites: Vec<SiteName> =
            spec.at.keys().filter(|s| s.as_str() != primary.place.name).cloned().collect();
        let others = sites.iter().filter_map(|s| Some((s, spec.server(plan, &primary.component, s)?)));
        for (site, other) in others.collect::<Vec<_>>() {
            let left = draft.from.as_ref().is_some_and(|f| f.as_str() == other.place.name);
            if !left && safety::may_write(draft, &other, spec) {
                let facts = format!("{} also takes writes", other.id);
                let what = format!("fence it first: drctl reprotect {} --to {}", plan.name, other.place.name);
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(&other.component), facts, what));
            } else if (left || !hands_on(draft, &other)) && rebuild::possible(draft, &other) {
                let mut needs = [moved.as_slice(), std::slice::from_ref(&promotion)].concat();
                if left && other.engine.operator().standby_by() != StandbyBy::Service {
                    needs.extend(ttl::no_way_back(draft, &other, site, &needs));
                }
                // Users are served, so a failure here does not stop the run. It reports that the application is unprotected.
                rebuild::rejoin(draft, &other, &primary, &needs, OnFailure::Continue);
            }
        }
    }
}
