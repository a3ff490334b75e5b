//! Failover: the source is lost or failing. Fence and scale side by side, measure, promote, verify, switch, confirm.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Draft, all, step};
use super::{Refusal, safety};
use crate::inventory::{Known, Observation, active, targets};
use crate::model::action::{Action, Check, Fence, FenceMethod, Gate, RecordChange, Scale, Switch, Write};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::runbook::Phase;
use crate::model::state::{DatabaseRole, GroupSize, RecordAnswer, RecordSet, State};
use crate::model::target::{DatabaseRef, Engine, Target};
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::{Autoscaling, Component, Database, GroupAt, Route53, Spec};

/// Most `ResourceRecord` elements in one change batch (AWS, Route 53 Developer Guide, «Quotas»). A delete and a create count once each.
const BATCH_ELEMENTS: usize = 1_000;
/// Most characters of all values in one batch, from the same page.
const BATCH_CHARACTERS: usize = 32_000;

/// Derives the steps.
pub fn derive(draft: &mut Draft<'_>) {
    let identities = draft.identities();
    let guards = guards(draft, &identities);
    draft.evidence();
    scale_all(draft, &guards);
    promote_all(draft, &guards);
    debts(draft);
    redirect_all(draft, &guards);
}

/// Takes the guard of every component that drctl recovers, before the first change.
pub fn guards(draft: &mut Draft<'_>, needs: &[StepId]) -> BTreeMap<ComponentName, Vec<StepId>> {
    let plan = draft.input.plan;
    let names = plan.components.values().filter(|c| !matches!(c.spec, Spec::External(_))).map(|c| &c.name);
    // The first guard decides between two operators; taken all at once, each might get some and neither all.
    let mut needs = needs.to_vec();
    let mut guards = BTreeMap::new();
    for (i, name) in names.enumerate() {
        let guard = draft.guard(name, &needs);
        if i == 0 {
            needs.clone_from(&guard);
        }
        guards.insert(name.clone(), guard);
    }
    guards
}

/// Scales every group of the target. Dependencies do not matter here: capacity takes longest, so all of it starts at once.
pub fn scale_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Spec::Autoscaling(spec) = &component.spec else { continue };
        let Some(scale) = scale(draft, component, spec) else { continue };
        let timeout = spec.at.get(&draft.input.request.to).and_then(|a| a.timeout);
        let mut step = step(
            &format!("scale.{}", component.name),
            Phase::Scale,
            Some(&component.name),
            Action::Scale(scale),
        );
        step.needs = all(&guards[&component.name]);
        if let Some(timeout) = timeout {
            step.estimate.timeout_ms = timeout;
            step.estimate.expected_ms = step.estimate.expected_ms.min(timeout);
        }
        let id = draft.push(step);
        draft.ready.insert(component.name.clone(), vec![id]);
    }
}

/// Processes without which no instance comes into service (Amazon EC2 Auto Scaling User Guide, «Suspend and resume processes»).
const NEEDED: &[&str] = &["Launch", "AddToLoadBalancer"];

fn scale(draft: &mut Draft<'_>, component: &Component, spec: &Autoscaling) -> Option<Scale> {
    let input = draft.input;
    let name = &component.name;
    let Some((at, group)) =
        spec.at.get(&input.request.to).zip(targets::group(input.plan, name, spec, &input.request.to))
    else {
        let facts = format!("`{name}` has no group in {}", input.request.to);
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "its counterpart under `at:`"));
        return None;
    };
    let target = Target::Group(group.clone());
    if !safety::must_answer(draft, name, &target) {
        return None;
    }
    let now = input.estate.group(&target, input.now).value()?.clone();
    let wanted = wanted_capacity(draft, component, spec, at)?.max(now.size.desired);
    let mut desired = wanted;
    if wanted > now.size.max {
        let facts = format!("{} needs {wanted} instances and its maximum is {}", group.group, now.size.max);
        draft.refuse(Refusal::new(
            Rule::CapacityAboveMaximum,
            Some(name),
            facts,
            format!("a maximum of {wanted} or more"),
        ));
        desired = now.size.max;
    }
    let to = GroupSize { min: now.size.min.max(desired), desired, max: now.size.max };
    // In place and in service: nothing to do. In place but not there yet: waited for all the same.
    let blocked: BTreeSet<String> =
        now.suspended.iter().filter(|p| NEEDED.contains(&p.as_str())).cloned().collect();
    if to == now.size && now.in_service >= share(desired, at.proceed_percent) {
        return None;
    }
    if !blocked.is_empty() {
        let processes: Vec<_> = blocked.iter().map(String::as_str).collect();
        draft.notes.push(format!(
            "{} has its processes {} suspended: they are resumed, or nothing would start",
            group.group,
            processes.join(", ")
        ));
    }
    let proceed_at = share(desired, at.proceed_percent);
    Some(Scale { group, from: now.size, to, proceed_at, resume: blocked, suspend: BTreeSet::new() })
}

/// max(floor, ceil(percent of the source's in-service capacity)).
fn wanted_capacity(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Autoscaling,
    at: &GroupAt,
) -> Option<u32> {
    let input = draft.input;
    let floor = at.capacity_floor.unwrap_or(0);
    let source = draft.from.clone().and_then(|from| targets::group(input.plan, &component.name, spec, &from));
    let known = source.map(Target::Group).map_or(Known::Never, |t| input.estate.group(&t, input.now));
    match known {
        Known::Fresh(group) => Some(floor.max(share(group.in_service, at.capacity_percent))),
        Known::Stale(group, age) => {
            let wanted = floor.max(share(group.in_service, at.capacity_percent));
            draft.notes.push(format!(
                "capacity of `{}` from an observation {age} old: {} in service",
                component.name, group.in_service
            ));
            Some(wanted)
        }
        Known::Never if at.capacity_floor.is_some() => {
            draft.notes.push(format!(
                "capacity of `{}` was never seen at the source: its floor of {floor} is used",
                component.name
            ));
            Some(floor)
        }
        Known::Never => {
            let facts = format!(
                "the source's capacity of `{}` was never seen, and it has no `capacity_floor`",
                component.name
            );
            draft.refuse(Refusal::new(
                Rule::NotRecoverable,
                Some(&component.name),
                facts,
                "a `capacity_floor`, or one drctl observe while the source answers",
            ));
            None
        }
    }
}

/// Percent of a number, rounded up.
fn share(of: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

/// One store to promote.
struct Store<'p> {
    component: &'p Component,
    target: DatabaseRef,
    canary: Option<String>,
}

/// Fences, measures, asks and promotes.
fn promote_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    let mut stores = Vec::new();
    for component in plan.components.values() {
        let Spec::Database(spec) = &component.spec else { continue };
        match store(draft, component, spec) {
            Found::ToPromote(store) => stores.push((store, spec)),
            Found::Writer(store) => keep_out(draft, store, spec, &guards[&component.name]),
            Found::Refused => {}
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
    for store in order {
        promote(draft, store, &gates, &approvals, guards);
    }
}

/// The target was promoted before this run. Unless the old primary is known to take no writes it is fenced all the same, before
/// any traffic goes to the new one.
fn keep_out(draft: &mut Draft<'_>, store: Store<'_>, spec: &Database, guard: &[StepId]) {
    let input = draft.input;
    let name = &store.component.name;
    let Some(from) = draft.from.clone() else {
        let facts = format!("{} takes writes, and nobody knows which site is left", store.target.id);
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "--from SITE"));
        return;
    };
    let Some(old) = targets::database(input.plan, name, spec, &from) else { return };
    let harmless = match input.estate.now(&Target::Database(old.clone())) {
        Some(Observation::NotFound { .. }) => true,
        Some(Observation::Value { state: State::Database(d), .. }) => d.is_replica(),
        _ => false,
    };
    // If an earlier run owes that fence, this one goes on trying to pay it.
    if harmless || input.owes(&old) || old.is(&store.target) || active::is_fenced(input.estate, &old, spec) {
        return;
    }
    let gate = fence(draft, &store, spec, guard);
    verify(draft, store, gate);
}

enum Found<'p> {
    ToPromote(Store<'p>),
    /// Promoted before this run, by somebody.
    Writer(Store<'p>),
    Refused,
}

fn store<'p>(draft: &mut Draft<'p>, component: &'p Component, spec: &Database) -> Found<'p> {
    let (input, name) = (draft.input, &component.name);
    let to = input.request.to.clone();
    let Some(db) = targets::database(input.plan, name, spec, &to) else {
        let facts = format!("`{name}` has no instance in {to}");
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, "its replica under `at:`"));
        return Found::Refused;
    };
    let target = Target::Database(db.clone());
    if !safety::must_answer(draft, name, &target) {
        return Found::Refused;
    }
    let Some(state) = input.estate.database(&target, input.now).value() else { return Found::Refused };
    let db = db.reached_at(state.endpoint.as_ref());
    let down = ["failed", "deleting", "stopped", "storage-full"].contains(&state.status.as_str());
    if down {
        let facts = format!("{} is `{}`", db.id, state.status);
        draft.refuse(Refusal::new(Rule::TargetDown, Some(name), facts, "an instance that is `available`"));
    }
    match &state.role {
        DatabaseRole::Writer => {
            draft.notes.push(format!("{} is the writer already", db.id));
            let store = Store { component, target: db, canary: spec.canary_table.clone() };
            return if down { Found::Refused } else { Found::Writer(store) };
        }
        DatabaseRole::Replica { .. } if spec.engine == Engine::Postgres => {
            if let Some(facts) = safety::other_lineage(draft, name, spec, &db, state) {
                let what = "a plan that names the standby's own primary in the site that is left";
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
                return Found::Refused;
            }
        }
        DatabaseRole::Replica { source } => {
            let expected = draft.from.as_ref().and_then(|f| spec.at.get(f)).map(|at| at.id.clone());
            // An id, or in another region an ARN that ends in one.
            let replayed = source.rsplit(':').next().unwrap_or(source);
            if let Some(expected) = expected.filter(|e| e != replayed) {
                let facts = format!("{} replays {source}, and the plan would fence {expected}", db.id);
                let what = "a plan that names the replica's source as the instance of the site that is left";
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
                return Found::Refused;
            }
        }
    }
    if down {
        return Found::Refused;
    }
    Found::ToPromote(Store { component, target: db, canary: spec.canary_table.clone() })
}

/// The ladder and its gate. Returns the gate.
fn fence(draft: &mut Draft<'_>, store: &Store<'_>, spec: &Database, guard: &[StepId]) -> StepId {
    let name = &store.component.name;
    let rungs = rungs(draft, name, spec);
    let reachable = rungs.iter().any(|r| {
        draft.input.estate.now(&targets::fence(&r.db, r.method)).is_some_and(|o| o.state().is_some())
    });
    if !reachable {
        let source = draft.from.as_ref().map_or("the source", SiteName::as_str).to_owned();
        let facts = if rungs.is_empty() {
            format!("`{name}` has no fence that could be tried in {source}")
        } else {
            let tried: Vec<_> = rungs.iter().map(|r| r.method.id()).collect();
            format!(
                "nothing in {source} answers, so the old primary cannot be fenced (tried: {})",
                tried.join(", ")
            )
        };
        let what = "proof that the old primary takes no writes, or a person who accepts the loss by name";
        let bound = draft.input.plan.objectives.rpo_ms.to_string();
        draft.refuse(Refusal::new(Rule::UnfencedPromotion, Some(name), facts, what).with_bound(&bound));
    }
    draft.fence(rungs, guard, false);
    let gate = Action::Gate(Gate::Fenced { component: name.clone() });
    let mut step = step(&format!("fenced.{name}"), Phase::Fence, Some(name), gate);
    step.needs = all(guard);
    draft.push(step)
}

fn rungs(draft: &Draft<'_>, name: &ComponentName, spec: &Database) -> Vec<Fence> {
    let Some(db) = draft.from.as_ref().and_then(|from| targets::database(draft.input.plan, name, spec, from))
    else {
        return Vec::new();
    };
    let known = draft.input.estate.database(&Target::Database(db.clone()), draft.input.now);
    let db = db.reached_at(known.value().and_then(|d| d.endpoint.as_ref()));
    let groups_before: Vec<_> =
        known.value().map(|d| d.security_groups.iter().cloned().collect()).unwrap_or_default();
    spec.fence
        .iter()
        .map(|&method| Fence { db: db.clone(), method, groups_before: groups_before.clone() })
        .collect()
}

/// Exposure is taken once for all stores, after all fences and before the first promotion.
fn measure(draft: &mut Draft<'_>, store: &Store<'_>, fenced: &[StepId]) -> StepId {
    let name = &store.component.name;
    let check = Action::Check(Check::Exposure { db: store.target.clone() });
    let mut step = step(&format!("measure.{name}"), Phase::Measure, Some(name), check);
    step.needs = all(fenced);
    draft.push(step)
}

/// One gate for each store, and one for all stores of a group.
fn loss_gates(
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

/// Stores in the order in which they need each other.
fn order<'p>(draft: &Draft<'p>, mut stores: Vec<Store<'p>>) -> Vec<Store<'p>> {
    let plan = draft.input.plan;
    stores.sort_by_key(|s| (graph::reach(plan, &s.component.name).len(), s.component.name.clone()));
    stores
}

fn promote(
    draft: &mut Draft<'_>,
    store: Store<'_>,
    gates: &BTreeMap<ComponentName, StepId>,
    approvals: &[StepId],
    guards: &BTreeMap<ComponentName, Vec<StepId>>,
) {
    let name = &store.component.name;
    let check = Action::Check(Check::Promotable { db: store.target.clone() });
    let mut promotable = step(&format!("check.{name}"), Phase::Preflight, Some(name), check);
    promotable.needs = all(&guards[name]);
    let mut needs = vec![draft.push(promotable), gates[name].clone(), StepId::new(format!("fenced.{name}"))];
    needs.extend(approvals.iter().cloned());
    needs.extend(waits_for(draft, store.component));
    let needs = draft.hold(name, &needs);
    let mut promote = step(
        &format!("promote.{name}"),
        Phase::Promote,
        Some(name),
        Action::Promote { db: store.target.clone() },
    );
    promote.needs = all(&needs);
    let mut last = draft.push(promote);
    if let Some(admit) = admit(&store) {
        let mut admit = step(&format!("admit.{name}"), Phase::Rewire, Some(name), Action::Unfence(admit));
        admit.needs = all(&[last]);
        last = draft.push(admit);
    }
    verify(draft, store, last);
}

/// Writes for real, if the plan says where; what needs the store waits for that.
fn verify(draft: &mut Draft<'_>, store: Store<'_>, mut last: StepId) {
    let name = &store.component.name;
    if let Some(table) = store.canary {
        let canary = Action::Write(Write::Canary { db: store.target, table });
        let mut verify = step(&format!("verify.{name}"), Phase::Verify, Some(name), canary);
        verify.needs = all(&[last]);
        last = draft.push(verify);
    }
    draft.ready.insert(name.clone(), vec![last]);
}

/// Roles are part of what a physical replica replays: a fence by SQL on the old primary may have come over to the new one.
fn admit(store: &Store<'_>) -> Option<Fence> {
    let Spec::Database(spec) = &store.component.spec else { return None };
    let by_sql = spec.fence.contains(&FenceMethod::Sql) && store.target.admin_secret.is_some();
    by_sql.then(|| Fence { db: store.target.clone(), method: FenceMethod::Sql, groups_before: Vec::new() })
}

/// The last steps of everything that a component needs.
pub fn waits_for(draft: &Draft<'_>, component: &Component) -> Vec<StepId> {
    graph::reach(draft.input.plan, &component.name)
        .iter()
        .filter_map(|n| draft.ready.get(n))
        .flatten()
        .cloned()
        .collect()
}

/// Fences that earlier runs left owed are tried beside everything else.
fn debts(draft: &mut Draft<'_>) {
    let debts = draft.input.debts.to_vec();
    for debt in debts {
        // A rung of this very run already goes after the same server.
        let same = draft
            .steps()
            .iter()
            .any(|s| matches!(&s.action, Action::Fence(f) if debt.rungs.iter().any(|r| r.db.is(&f.db))));
        // A server that this run promotes is no longer an old primary.
        let promoted = draft
            .steps()
            .iter()
            .any(|s| matches!(&s.action, Action::Promote { db } if debt.rungs.iter().any(|r| r.db.is(db))));
        if !same && !promoted {
            draft.notes.push(format!(
                "run {} left `{}` unfenced since {}: it is tried again",
                debt.run, debt.component, debt.since
            ));
            draft.fence(debt.rungs, &[], true);
        }
    }
}

/// Verifies the target, then sends traffic there, each name as soon as what it needs is ready.
pub fn redirect_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    let everything: Vec<StepId> = draft.ready.values().flatten().cloned().collect();
    let probes = draft.site_probes(&everything);
    let approvals = draft.approvals(Phase::Redirect);
    let mut switches = Vec::new();
    for component in plan.components.values() {
        let Spec::Route53(zone) = &component.spec else { continue };
        safety::traffic(draft, component);
        let mut needs = waits_for(draft, component);
        needs.extend(guards[&component.name].clone());
        needs.extend(approvals.iter().cloned());
        if zone.records.iter().any(|r| !r.is_static) {
            needs.extend(probes.iter().cloned());
        }
        switches.extend(switch(draft, component, zone, &needs));
    }
    let needs = if switches.is_empty() { [everything, probes].concat() } else { switches };
    draft.confirm_and_watch(&needs);
}

fn switch(draft: &mut Draft<'_>, component: &Component, spec: &Route53, needs: &[StepId]) -> Vec<StepId> {
    let (input, name) = (draft.input, &component.name);
    let Some((target, zone)) =
        targets::records(input.plan, name, spec).zip(targets::zone(input.plan, name, spec))
    else {
        return Vec::new();
    };
    let known = input.estate.records(&target, input.now);
    match &known {
        Known::Fresh(_) => {}
        Known::Stale(_, age) => draft.notes.push(format!("record sets of `{name}` from an observation {age} old: the change names them exactly and is refused if they differ")),
        Known::Never => draft.notes.push(format!("record sets of `{name}` were never seen: they are upserted")),
    }
    let changes = record_changes(
        spec,
        known.value().map_or(&[], Vec::as_slice),
        &input.request.to,
        &input.plan.home.value,
    );
    let batches = batches(changes);
    let several = batches.len() > 1;
    let mut before: Option<StepId> = None;
    let mut ids = Vec::new();
    for (i, changes) in batches.into_iter().enumerate() {
        let id = if several { format!("switch.{name}.{}", i + 1) } else { format!("switch.{name}") };
        let action = Action::Switch(Switch { zone: zone.clone(), changes });
        let mut step = step(&id, Phase::Redirect, Some(name), action);
        // One request a zone at a time: the provider refuses the second with PriorRequestNotComplete.
        step.needs = all(&needs.iter().cloned().chain(before.take()).collect::<Vec<_>>());
        before = Some(step.id.clone());
        ids.push(draft.push(step));
    }
    draft.ready.insert(name.clone(), ids.clone());
    ids
}

/// What differs between what is there and what should be.
fn record_changes(spec: &Route53, there: &[RecordSet], to: &SiteName, home: &SiteName) -> Vec<RecordChange> {
    let mut changes = Vec::new();
    for record in &spec.records {
        for after in record.sets_when_active(to, home) {
            let same_set = |s: &&RecordSet| {
                s.name == after.name && s.rtype == after.rtype && s.set_identifier == after.set_identifier
            };
            let before = there.iter().find(same_set).cloned();
            if before.as_ref() != Some(&after) {
                changes.push(RecordChange { before, after: Some(after) });
            }
        }
    }
    changes
}

/// Cuts changes into batches within the provider's limits. The sets of one name stay together, so that they change at once.
fn batches(changes: Vec<RecordChange>) -> Vec<Vec<RecordChange>> {
    let mut batches: Vec<Vec<RecordChange>> = Vec::new();
    let (mut elements, mut characters) = (0, 0);
    let mut rest = changes.into_iter().peekable();
    while let Some(first) = rest.next() {
        let name = set_name(&first).to_owned();
        let mut unit = vec![first];
        while rest.peek().is_some_and(|c| set_name(c) == name) {
            unit.extend(rest.next());
        }
        let (e, c) = unit.iter().map(weight).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if batches.is_empty() || elements + e > BATCH_ELEMENTS || characters + c > BATCH_CHARACTERS {
            batches.push(Vec::new());
            (elements, characters) = (0, 0);
        }
        elements += e;
        characters += c;
        if let Some(last) = batches.last_mut() {
            last.extend(unit);
        }
    }
    batches
}

fn set_name(change: &RecordChange) -> &str {
    change.after.as_ref().or(change.before.as_ref()).map_or("", |s| s.name.as_str())
}

/// Elements and value characters that a change counts for. An upsert counts twice.
fn weight(change: &RecordChange) -> (usize, usize) {
    let of = |set: &RecordSet| match &set.answer {
        RecordAnswer::Values { values, .. } => (values.len(), values.iter().map(|v| v.chars().count()).sum()),
        RecordAnswer::Alias { name, .. } => (1, name.chars().count()),
    };
    let after = change.after.as_ref().map_or((0, 0), of);
    match &change.before {
        Some(before) => {
            let before = of(before);
            (before.0 + after.0, before.1 + after.1)
        }
        None => (2 * after.0, 2 * after.1),
    }
}
