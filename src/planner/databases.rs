//! The steps of a database: fence, measure, approve, promote, verify.

use std::collections::BTreeMap;

use super::form::{all, step};
use super::refusal::Refusal;
use super::servers::{self, Store};
use super::steps::Draft;
use super::{clocks, clusters, safety};
use crate::inventory::{Observation, active};
use crate::kinds::shared::canary::CanaryWrite;
use crate::kinds::shared::database::{
    Database, DatabaseRef, DatabaseRole, DatabaseState, Promotable, SourceBy, StandbyBy,
};
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::{Fact, Operation, Role, State, Target};
use crate::model::ids::{ComponentName, RunId, SiteName, StepId};
use crate::model::intent::Intent;
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::Component;
use crate::record::action::{Action, Gate};
use crate::record::runbook::{Inherited, Phase};

/// Fences, measures, asks for approval and promotes.
pub(super) fn promote_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    let mut stores = Vec::new();
    for component in plan.components.values() {
        let Role::Store(spec) = component.role() else { continue };
        match store(draft, component, spec) {
            PromotionDecision::ToPromote(store) => stores.push((store, spec)),
            PromotionDecision::Writer(store) => {
                fence_old_primary(draft, store, spec, &guards[&component.name])
            }
            PromotionDecision::Refused => {}
        }
    }
    if stores.is_empty() {
        return;
    }
    let mut fenced = Vec::new();
    for (store, spec) in &stores {
        fenced.push(fence(draft, store, spec, &guards[&store.component.name]));
    }
    let measured: BTreeMap<_, _> =
        stores.iter().map(|(s, _)| (s.component.name.clone(), measure(draft, s, &fenced))).collect();
    let approvals = draft.approvals(Phase::Promote);
    let gates = loss_gates(draft, &measured);
    let order = order(draft, stores.into_iter().map(|(s, _)| s).collect());
    for store in &order {
        ready(draft, store, &guards[&store.component.name]);
    }
    for store in order {
        promote(draft, store, &gates, &approvals, guards);
    }
}

/// The target was promoted before this run. The old primary is still fenced before traffic moves to the new one, unless it is known to take
/// no writes.
fn fence_old_primary(draft: &mut Draft<'_>, store: Store<'_>, spec: &Database, guard: &[StepId]) {
    let input = draft.input;
    let name = &store.component.name.clone();
    let Some(from) = draft.from.clone() else {
        let facts = format!("{} takes writes, and the source site is unknown", store.target.id);
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "use --from SITE"));
        return;
    };
    let Some(old) = spec.server(input.plan, name, &from) else { return };
    let harmless = match input.estate.now(&Target::Database(old.clone())) {
        Some(Observation::NotFound { .. }) => true,
        // The service reports a cluster as a secondary before it has become one.
        Some(Observation::Value { state: State::Database(d), .. }) => {
            d.is_replica()
                && !(old.engine.operator().standby_by() == StandbyBy::Service && d.streaming == Some(false))
        }
        _ => false,
    };
    // If an earlier run left that fence pending, this one tries to set it. If an earlier run proved it, and the site has been dark since,
    // it is still valid.
    let dark = input.estate.now(&Target::Database(old.clone())).is_none_or(|seen| seen.state().is_none());
    let held = dark && input.kept_out.iter().any(|db| db.is(&old));
    let shut = active::is_fenced(input.estate, &store.target, spec);
    let proven = active::is_fenced(input.estate, &old, spec) && !safety::may_write(draft, &old, spec);
    let kept = harmless || held || input.owes(&old) || old.is(&store.target) || proven;
    if kept && !shut {
        return;
    }
    let mut last = ready(draft, &store, guard);
    if !kept {
        last = fence(draft, &store, spec, &[last]);
    }
    match shut {
        true => unfence(draft, store, last),
        false => verify(draft, store, last),
    }
}

pub(super) enum PromotionDecision<'p> {
    ToPromote(Store<'p>),
    /// Somebody promoted it before this run.
    Writer(Store<'p>),
    Refused,
}

pub(super) fn store<'p>(
    draft: &mut Draft<'p>,
    component: &'p Component,
    spec: &Database,
) -> PromotionDecision<'p> {
    let (input, name) = (draft.input, &component.name);
    let to = input.request.to.clone();
    let Some(db) = spec.server(input.plan, name, &to) else {
        let facts = format!("`{name}` has no instance in {to}");
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "add its replica under `at:`"));
        return PromotionDecision::Refused;
    };
    let target = Target::Database(db.clone());
    if !safety::must_answer(draft, name, &target) {
        return PromotionDecision::Refused;
    }
    let Some(state) = input.estate.database(&target, input.now).value() else {
        return PromotionDecision::Refused;
    };
    let db = db.reached_at(state.endpoint.as_ref());
    let down = ["failed", "deleting", "stopped", "storage-full"].contains(&state.status.as_str());
    if down {
        let facts = format!("{} is `{}`", db.id, state.status);
        draft.refuse(Refusal::new(
            Rule::TargetDown,
            Some(name),
            facts,
            "wait until the instance is `available`",
        ));
    }
    if state.endpoint_mismatch {
        let at = db.endpoint.as_deref().unwrap_or("its endpoint");
        let facts = format!("{} is a replica, but {at} points to a server that takes writes", db.id);
        let what = "use an endpoint that leads to the replica itself. Otherwise drctl would lift a fence on the wrong server";
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return PromotionDecision::Refused;
    }
    match (&state.role, spec.engine.operator().source_by()) {
        (DatabaseRole::Writer, _) => {
            if active::is_fenced(input.estate, &db, spec) && !came_over(draft, &db, state) {
                old_primary(draft, name, &db, spec);
                return PromotionDecision::Refused;
            }
            draft.notes.push(format!("{} is already the writer", db.id));
            let store = Store { component, target: db, canary: spec.canary_table.clone() };
            return if down { PromotionDecision::Refused } else { PromotionDecision::Writer(store) };
        }
        (DatabaseRole::Replica { .. }, SourceBy::Lineage) => {
            if let Some(facts) = safety::other_lineage(draft, name, spec, &db, state) {
                let what = "name the primary of this standby in the source site of the plan";
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
                return PromotionDecision::Refused;
            }
        }
        (DatabaseRole::Replica { source }, SourceBy::Name) => {
            let ours = safety::follows_what_is_fenced(draft, name, spec, &db, source);
            if !ours || !clusters::can_take_over(draft, &db, spec) {
                return PromotionDecision::Refused;
            }
        }
    }
    if down {
        return PromotionDecision::Refused;
    }
    PromotionDecision::ToPromote(Store { component, target: db, canary: spec.canary_table.clone() })
}

/// Whether a fence of another server reached this one by replication: the promotion happened, and writes are not admitted yet.
fn came_over(draft: &Draft<'_>, db: &DatabaseRef, seen: &DatabaseState) -> bool {
    let Some(word) = seen.fence_token.as_deref() else { return false };
    let set = |(of, _, w): &&(DatabaseRef, RunId, Option<String>)| {
        w.as_deref() == Some(word) && of.component == db.component
    };
    let mut servers = draft.input.fenced.iter().filter(set).map(|(of, ..)| of).peekable();
    servers.peek().is_some() && servers.all(|of| !of.is(db))
}

/// Refuses an old primary: it was fenced, writes may have continued elsewhere, and it lacks them.
fn old_primary(draft: &mut Draft<'_>, name: &ComponentName, db: &DatabaseRef, spec: &Database) {
    let by = draft.input.fenced.iter().rev().find(|(of, ..)| of.is(db));
    let fence = match by {
        Some((_, run, _)) => format!("was fenced by run {run} and takes no writes"),
        None if active::has_proof(draft.input.estate, db, spec) => {
            "was fenced by somebody and takes no writes".to_owned()
        }
        None => "has a fence that no run proved, so it may still take writes".to_owned(),
    };
    let facts = format!("{} {fence}. It is an old primary, not a replica", db.id);
    let (plan, at) = (&draft.input.plan.name, &db.place.name);
    let first = db.lacks().map_or_else(String::new, |lacks| format!(" (before that, {})", lacks.what));
    let what = format!(
        "make it a standby first: drctl reprotect {plan} --to {at}{first}. If this is the server to use, cancel that run, or lift the fence by hand and run drctl observe"
    );
    draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
}

/// Adds the fence methods and their gate. Returns the gate.
pub(super) fn fence(draft: &mut Draft<'_>, store: &Store<'_>, spec: &Database, guard: &[StepId]) -> StepId {
    let name = &store.component.name;
    let mut rungs = rungs(draft, name, spec, draft.from.as_ref());
    // A planned move waits for the end of the log. Fence methods that do not show it would only cause an outage.
    if draft.input.request.intent != Intent::Failover {
        rungs.retain(|r| r.method.tells_the_end());
    }
    if let Some(facts) = rungs.first().and_then(|r| clusters::way_around(draft, &r.db, &spec.fence)) {
        let what = "turn off write forwarding or the Data API, or have a named person accept the loss";
        let bound = draft.input.plan.objectives.rpo_ms.exact();
        draft.refuse(Refusal::new(Rule::UnfencedPromotion, Some(name), facts, what).with_bound(&bound));
    }
    let reachable = rungs.iter().any(|r| {
        draft.input.estate.now(&Target::fence(&r.db, r.method)).is_some_and(|o| o.state().is_some())
    });
    hindered(draft, name, &rungs);
    let inherited = inherit(draft, name, &rungs);
    if !reachable && !inherited {
        let source = draft.from.as_ref().map_or("the source", SiteName::as_str).to_owned();
        let facts = if rungs.is_empty() {
            format!("`{name}` has no fence in {source} that drctl could try")
        } else {
            unfenced(draft, &source, &rungs)
        };
        let what = "prove that the old primary takes no writes, or have a named person accept the loss";
        let bound = draft.input.plan.objectives.rpo_ms.exact();
        draft.refuse(Refusal::new(Rule::UnfencedPromotion, Some(name), facts, what).with_bound(&bound));
    }
    draft.fence(rungs, guard, false);
    let gate = Action::Gate(Gate::Fenced { component: name.clone() });
    let mut step = step(&format!("fenced.{name}"), Phase::Fence, Some(name), gate);
    step.needs = all(guard);
    draft.push(step)
}

/// Why none of the fence methods can work. A refused observation is an answer, but says nothing about the source.
fn unfenced(draft: &Draft<'_>, source: &str, rungs: &[Fence]) -> String {
    let refused = |r: &Fence| {
        let target = Target::fence(&r.db, r.method);
        draft.input.estate.now(&target).and_then(|seen| seen.refused(&target))
    };
    let refusals: Vec<_> = rungs.iter().filter_map(refused).collect();
    let tried: Vec<_> = rungs.iter().map(|r| r.method.id()).collect();
    let tried = tried.join(", ");
    match refusals.is_empty() {
        true => format!(
            "no fence method gets an answer from {source}, so the old primary cannot be fenced (tried: {tried})"
        ),
        false => format!("the old primary cannot be fenced (tried: {tried}): {}", refusals.join("; ")),
    }
}

/// Notes what can be known about a fence before it is set.
fn hindered(draft: &mut Draft<'_>, name: &ComponentName, rungs: &[Fence]) {
    for rung in rungs {
        if rung.method == FenceMethod::SecurityGroup && rung.groups_before.is_empty() {
            let id = &rung.db.id;
            draft.notes.push(format!(
                "`{name}`: the security groups of {id} were never observed. drctl reads them right before it replaces them"
            ));
        }
        let target = Target::fence(&rung.db, rung.method);
        let now = draft.input.estate.now(&target);
        if let Some(why) = now.and_then(|seen| seen.refused(&target)) {
            draft.notes.push(format!("`{name}`: {why}"));
        }
        let seen = now.and_then(|o| o.state());
        let Some(State::Fence(seen)) =
            seen.filter(|s| matches!(s, State::Fence(f) if !f.obstacles.is_empty()))
        else {
            continue;
        };
        let facts = seen.obstacles.join("; ");
        draft.notes.push(format!(
            "`{name}`: the fence of {} by {} could not be proven now: {facts}",
            rung.db.id,
            rung.method.id()
        ));
    }
}

/// Inherits the fences of the continued run. A proof stays valid if the server is dark and nobody has observed it without the fence since.
/// Returns whether there is a proof.
fn inherit(draft: &mut Draft<'_>, name: &ComponentName, rungs: &[Fence]) -> bool {
    let Some(continued) = draft.input.continues else { return false };
    let stands = |held: &Inherited| {
        let target = Target::fence(&held.fence.db, held.fence.method);
        match (draft.input.estate.now(&target), &held.fact) {
            // It answers, so this run must prove its own fence.
            (Some(seen), _) if seen.state().is_some() => false,
            // A later observation may show that the fence was lifted, so the server took writes again.
            (_, Some(Fact::Fenced { at, .. })) => match draft.input.estate.last_seen(&target) {
                Some(last) if last.observed_at > *at => {
                    matches!(&last.state, State::Fence(then) if then.proven)
                }
                _ => true,
            },
            _ => false,
        }
    };
    let of_this =
        |held: &&Inherited| rungs.iter().any(|r| r.db.is(&held.fence.db) && r.method == held.fence.method);
    let found: Vec<Inherited> = continued
        .fences
        .iter()
        .filter(of_this)
        .map(|held| Inherited { fact: held.fact.clone().filter(|_| stands(held)), ..held.clone() })
        .collect();
    let proven: Vec<_> = found.iter().filter(|held| held.fact.is_some()).collect();
    let notes = proven.iter().map(|held| {
        let (db, method) = (&held.fence.db.id, held.fence.method.id());
        format!("`{name}`: run {} fenced {db} by {method}, and its proof is still valid", held.run)
    });
    draft.notes.extend(notes);
    let any = !proven.is_empty();
    draft.inherits.extend(found);
    any
}

/// Ends the writes of a server that will follow another one. Returns the gate with the proof.
pub(super) fn keep_from_writing(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Database,
    site: &SiteName,
    needs: &[StepId],
) -> StepId {
    let name = &component.name;
    let rungs = rungs(draft, name, spec, Some(site));
    draft.fence(rungs, needs, false);
    let gate = Action::Gate(Gate::Fenced { component: name.clone() });
    let mut step = step(&format!("fenced.{name}"), Phase::Fence, Some(name), gate);
    step.needs = all(needs);
    draft.push(step)
}

fn rungs(draft: &Draft<'_>, name: &ComponentName, spec: &Database, site: Option<&SiteName>) -> Vec<Fence> {
    let Some(db) = site.and_then(|site| spec.server(draft.input.plan, name, site)) else {
        return Vec::new();
    };
    let known = draft.input.estate.database(&Target::Database(db.clone()), draft.input.now);
    let db = db.reached_at(known.value().and_then(|d| d.endpoint.as_ref()));
    let attached = || known.value().map(|d| d.security_groups.iter().cloned().collect());
    // The attached groups may be the fence of the continued run.
    let earlier = draft.input.continues.and_then(|c| c.fences.iter().find(|f| f.fence.db.is(&db)));
    let seen = earlier.map(|f| f.fence.groups_before.clone()).or_else(attached).unwrap_or_default();
    let groups_before = servers::of_clients(draft, &db, seen);
    spec.fence
        .iter()
        .map(|&method| Fence { db: db.clone(), method, groups_before: groups_before.clone() })
        .collect()
}

/// Measures the exposure of all stores after all fences and before the first promotion.
pub(super) fn measure(draft: &mut Draft<'_>, store: &Store<'_>, fenced: &[StepId]) -> StepId {
    let name = &store.component.name;
    let check = clocks::exposure(draft, store.component, &store.target);
    let mut step = step(&format!("measure.{name}"), Phase::Measure, Some(name), check);
    step.needs = all(fenced);
    draft.push(step)
}

/// Adds one gate for each store, and one for all stores of a group.
pub(super) fn loss_gates(
    draft: &mut Draft<'_>,
    measured: &BTreeMap<ComponentName, StepId>,
) -> BTreeMap<ComponentName, StepId> {
    let plan = draft.input.plan;
    let mut gates = BTreeMap::new();
    for name in measured.keys() {
        if gates.contains_key(name) {
            continue;
        }
        let group = plan.groups.iter().find(|(_, members)| members.iter().any(|m| m.value == *name));
        let (label, components): (String, Vec<ComponentName>) = match group {
            Some((label, members)) => (
                label.clone(),
                members.iter().map(|m| m.value.clone()).filter(|m| measured.contains_key(m)).collect(),
            ),
            None => (name.to_string(), vec![name.clone()]),
        };
        let rpo = |c: &ComponentName| {
            plan.components.get(c).and_then(|c| c.objectives).unwrap_or(plan.objectives).rpo_ms
        };
        let objective_ms = components.iter().map(rpo).min().unwrap_or(plan.objectives.rpo_ms);
        let needs: Vec<_> = components.iter().map(|c| measured[c].clone()).collect();
        let gate = Action::Gate(Gate::Exposure { components: components.clone(), objective_ms });
        let mut step = step(&format!("exposure.{label}"), Phase::Gate, group.is_none().then_some(name), gate);
        step.needs = all(&needs);
        let id = draft.push(step);
        gates.extend(components.into_iter().map(|c| (c, id.clone())));
    }
    gates
}

/// Stores in the order of their needs.
pub(super) fn order<'p>(draft: &Draft<'p>, mut stores: Vec<Store<'p>>) -> Vec<Store<'p>> {
    let plan = draft.input.plan;
    stores.sort_by_key(|s| (graph::reach(plan, &s.component.name).len(), s.component.name.clone()));
    stores
}

/// The id of the step that checks whether a store's replica can be promoted.
fn check(name: &ComponentName) -> StepId {
    StepId::new(format!("check.{name}"))
}

/// Adds the check that the replica can be promoted, once.
pub(super) fn ready(draft: &mut Draft<'_>, store: &Store<'_>, needs: &[StepId]) -> StepId {
    let name = &store.component.name;
    let action = Action::Op(Operation::CheckPromotable(Promotable { db: store.target.clone() }));
    let mut ready = step(check(name).as_str(), Phase::Preflight, Some(name), action);
    if draft.steps().iter().any(|s| s.id == ready.id) {
        return ready.id;
    }
    let prepared = clusters::prepare(draft, store, needs);
    ready.needs = all(&[needs, prepared.as_slice()].concat());
    draft.push(ready)
}

pub(super) fn promote(
    draft: &mut Draft<'_>,
    store: Store<'_>,
    gates: &BTreeMap<ComponentName, StepId>,
    approvals: &[StepId],
    guards: &BTreeMap<ComponentName, Vec<StepId>>,
) {
    let name = &store.component.name;
    ready(draft, &store, &guards[name]);
    // No store of a group is promoted before all of them can be.
    let together = gates.iter().filter(|(_, gate)| **gate == gates[name]).map(|(member, _)| check(member));
    let mut needs: Vec<StepId> = together.chain([gates[name].clone()]).collect();
    let takeover = clusters::takeover(draft, &store.target).map(Box::new);
    // A switchover by the service stops writes itself, and starts only after the target has all data.
    let handed_over = takeover.as_ref().is_some_and(|how| how.hands_over());
    let fenced = (!handed_over).then(|| StepId::new(format!("fenced.{name}")));
    needs.extend(fenced);
    needs.extend(approvals.iter().cloned());
    needs.extend(waits_for(draft, store.component));
    let needs = draft.hold(name, &needs);
    let mut promote = step(
        &format!("promote.{name}"),
        Phase::Promote,
        Some(name),
        Action::Op(Operation::Promote(Promote {
            db: store.target.clone(),
            backup_days: backup_days(draft, &store),
            takeover,
        })),
    );
    promote.needs = all(&needs);
    let last = draft.push(promote);
    if handed_over {
        verify(draft, store, last);
    } else {
        unfence(draft, store, last);
    }
}

/// Lifts a fence that arrived by replication, and verifies with a real write.
pub(super) fn unfence(draft: &mut Draft<'_>, store: Store<'_>, mut last: StepId) {
    let name = &store.component.name;
    for admit in admits(&store) {
        let id = admit_id(name, admit.method);
        let mut admit = step(&id, Phase::Rewire, Some(name), Action::Op(Operation::Unfence(Unfence(admit))));
        admit.needs = all(&[last]);
        last = draft.push(admit);
    }
    verify(draft, store, last);
}

/// The backup retention of the former instance in days, if known. A service may give a promoted replica a shorter one.
fn backup_days(draft: &Draft<'_>, store: &Store<'_>) -> Option<u32> {
    let Role::Store(spec) = store.component.role() else { return None };
    let old = spec.server(draft.input.plan, &store.component.name, draft.from.as_ref()?)?;
    let days = |db: DatabaseRef| {
        let known = draft.input.estate.database(&Target::Database(db), draft.input.now);
        known.value().and_then(|d| d.instance.as_ref()).map(|i| i.backup_days)
    };
    // A replica that this run creates has no backups.
    let new = draft.steps().iter().any(
        |s| matches!(&s.action, Action::Op(Operation::Rejoin(Rejoin { db, .. })) if db.is(&store.target)),
    );
    let kept = if new { 0 } else { days(store.target.clone()).unwrap_or(0) };
    days(old).filter(|days| *days > kept)
}

/// Verifies with a real write if the plan names a table. Components that need the store wait for that.
fn verify(draft: &mut Draft<'_>, store: Store<'_>, mut last: StepId) {
    let name = &store.component.name;
    if let Some(table) = store.canary {
        let canary = Action::Op(Operation::WriteCanary(CanaryWrite { db: store.target, table }));
        let mut verify = step(&format!("verify.{name}"), Phase::Verify, Some(name), canary);
        verify.needs = all(&[last]);
        last = draft.push(verify);
    }
    draft.ready.insert(name.clone(), vec![last]);
}

/// Fences that may have arrived at the new primary: a physical replica also replays the catalog, with any fence that is stored there.
/// Databases are opened first, because lifting the other methods needs connections to them.
fn admits(store: &Store<'_>) -> Vec<Fence> {
    let Role::Store(spec) = store.component.role() else { return Vec::new() };
    let mut methods: Vec<_> = spec.fence.iter().copied().filter(|m| m.replicates()).collect();
    methods.retain(|_| store.target.admin_secret.is_some());
    methods.sort_unstable_by(|a, b| b.cmp(a));
    methods.dedup();
    let lift = |method| Fence { db: store.target.clone(), method, groups_before: Vec::new() };
    methods.into_iter().map(lift).collect()
}

/// The id of the step that lifts such a fence at the new primary.
pub(super) fn admit_id(name: &ComponentName, method: FenceMethod) -> String {
    match method {
        FenceMethod::Sql => format!("admit.{name}"),
        other => format!("admit.{name}.{}", other.id()),
    }
}

/// The last steps of everything that a component needs.
pub(super) fn waits_for(draft: &Draft<'_>, component: &Component) -> Vec<StepId> {
    graph::reach(draft.input.plan, &component.name)
        .iter()
        .filter_map(|n| draft.ready.get(n))
        .flatten()
        .cloned()
        .collect()
}
