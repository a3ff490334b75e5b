//! Redirects traffic: each name moves as soon as its needs are met.

use std::collections::{BTreeMap, BTreeSet};

use super::databases::waits_for;
use super::form::{all, step};
use super::names::{self, Move};
use super::record_sets::{push_batches, record_changes, set_name};
use super::refusal::Refusal;
use super::steps::Draft;
use super::{clients, safety, ttl};
use crate::inventory::Knowledge;
use crate::kinds::shared::names::{
    Answers, ControlsState, Names, RecordAnswer, RecordSet, SetHealthObject, SetRoutingControls, Switch,
    SwitchBy, SwitchObject, kept,
};
use crate::kinds::{Operation, Role, Target};
use crate::model::ids::{ComponentName, StepId};
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::Phase;

/// Moves clients to the databases, verifies the target, then redirects traffic: each name as soon as its needs are met.
pub fn redirect_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    clients::rewire_all(draft, guards);
    let led: Vec<StepId> = of_clients(draft);
    let everything: Vec<StepId> = draft.ready.values().flatten().cloned().collect();
    let probes = draft.site_probes(&everything);
    let approvals = draft.approvals(Phase::Redirect);
    let mut switches = Vec::new();
    // Needs come first. Names that no client waits for come after all clients.
    let late: BTreeSet<ComponentName> = plan
        .components
        .values()
        .filter(|c| matches!(c.role(), Role::Clients(_)) && clients::behind_names(draft, c))
        .flat_map(|c| graph::reach(plan, &c.name).into_iter().chain([c.name.clone()]))
        .collect();
    let mut order: Vec<&Component> = plan.components.values().collect();
    order.sort_by_key(|c| (!late.contains(&c.name), graph::reach(plan, &c.name).len(), &c.name));
    for component in order {
        if let Role::Clients(of) = component.role()
            && clients::behind_names(draft, component)
        {
            clients::rewire(draft, component, of, guards);
            switches.extend(draft.ready.get(&component.name).into_iter().flatten().cloned());
            continue;
        }
        let Role::Traffic(zone) = component.role() else { continue };
        safety::traffic(draft, component);
        let mut needs = waits_for(draft, component);
        needs.extend(guards[&component.name].clone());
        needs.extend(approvals.iter().cloned());
        if zone.records.iter().any(|r| !r.is_static) {
            needs.extend(probes.iter().cloned());
            // A name that clients wait for can only wait for clients that do not wait for names.
            needs.extend(if late.contains(&component.name) { led.clone() } else { of_clients(draft) });
        }
        switches.extend(match &zone.switch {
            SwitchBy::Record => switch(draft, component, zone, &needs),
            SwitchBy::Object(object) => signal(draft, component, zone, &object.value, &needs),
            SwitchBy::Controls(_) => route(draft, component, zone, &needs),
        });
    }
    let needs = if switches.is_empty() { [everything, probes].concat() } else { switches };
    draft.confirm_and_watch(&needs);
}

/// The last steps of all clients so far.
fn of_clients(draft: &Draft<'_>) -> Vec<StepId> {
    let components = &draft.input.plan.components;
    let clients =
        |name: &ComponentName| matches!(components.get(name).map(|c| c.role()), Some(Role::Clients(_)));
    draft.ready.iter().filter(|(name, _)| clients(name)).flat_map(|(_, last)| last.clone()).collect()
}

fn switch(draft: &mut Draft<'_>, component: &Component, spec: &Names, needs: &[StepId]) -> Vec<StepId> {
    let (input, name) = (draft.input, &component.name);
    let Some((target, zone)) = spec.record_sets(input.plan, name).zip(spec.hosted_zone(input.plan, name))
    else {
        return Vec::new();
    };
    let known = input.estate.records(&target, input.now);
    let (to, home) = (&input.request.to, &input.plan.home.value);
    let from = draft.from.clone();
    let moved = Move { from: from.as_ref(), to, home };
    draft.notes.extend(names::note((name.as_str(), spec.service), &known, moved));
    let changes = names::changes(input, spec, &zone, &known, moved);
    let own = kept(changes.iter().flat_map(|c| &c.own));
    let (changes, expired) = match draft.lowered.get(name).cloned() {
        // A name whose TTL was lowered gets the plan's TTL again, even if it does not move.
        Some((sets, expired)) => (names::after_lowering(changes, &sets), expired),
        None => (changes, Vec::new()),
    };
    let asked = ttl::wanted(spec, to, home, |record| changes.iter().any(|c| set_name(c) == record.name));
    // A TTL that this run lowered itself has already expired.
    let old_ttl = kept(changes.iter().flat_map(|c| c.before.as_ref().or(c.after.as_ref()))).max(own);
    let needs = [needs, expired.as_slice()].concat();
    let ids = push_batches(
        draft,
        (name, spec.service),
        Phase::Redirect,
        "switch",
        Switch { zone, changes },
        &needs,
    );
    if !ids.is_empty() {
        ttl::tail(draft, name, asked, old_ttl, &ids);
    }
    draft.ready.insert(name.clone(), ids.clone());
    ids
}

/// Creates or removes the object that the record sets follow. The record sets themselves do not change.
fn signal(
    draft: &mut Draft<'_>,
    component: &Component,
    spec: &Names,
    by: &SwitchObject,
    needs: &[StepId],
) -> Vec<StepId> {
    let (input, name) = (draft.input, &component.name);
    let (to, home) = (&input.request.to, &input.plan.home.value);
    let Some(object) = spec.object(input.plan, name) else { return Vec::new() };
    if *to != by.site && to != home {
        let facts = format!("the object of `{name}` can send users only to {} or to {home}", by.site);
        let what = "choose one of these sites, or use `switch: record`";
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return Vec::new();
    }
    follows(draft, component, spec, "the object");
    let present = *to == by.site;
    let target = Target::HealthObject(object.clone());
    // Without permission to read it, the run would fail after the promotion.
    if present && !safety::must_answer(draft, name, &target) {
        return Vec::new();
    }
    let gone = !present && input.estate.now(&target).is_none_or(|seen| seen.state().is_none());
    if gone {
        draft.notes.push(object.removed_in_vain());
    }
    let holder = format!("drctl run {}", input.request.run);
    let action = Action::Op(Operation::SetHealthObject(SetHealthObject { object, present, holder }));
    let mut switch = step(&format!("switch.{name}"), Phase::Redirect, Some(name), action);
    switch.needs = all(needs);
    // Nothing waits for a dark region. The name servers then show whether the names lead home.
    switch.background = gone;
    let switch = draft.push(switch);
    let needs = if gone { needs.to_vec() } else { vec![switch.clone()] };
    let served = proven(draft, component, spec, &needs);
    // Both are needed, so that skipping the proof does not let anything run before the switch.
    let last = if gone { vec![served] } else { vec![switch, served] };
    draft.ready.insert(name.clone(), last.clone());
    last
}

/// Sets the routing controls that the record sets follow. The record sets themselves do not change.
fn route(draft: &mut Draft<'_>, component: &Component, spec: &Names, needs: &[StepId]) -> Vec<StepId> {
    let (input, name) = (draft.input, &component.name);
    let to = input.request.to.clone();
    let Some(controls) = spec.controls(input.plan, name) else { return Vec::new() };
    let answers = !spec.records.is_empty() && spec.records.iter().all(|r| r.at.contains_key(&to));
    if !controls.controls.contains_key(&to) || !answers {
        let facts =
            format!("`{name}` has no routing control for {to}, or one of its names has no answer there");
        let what = format!(
            "add the control under `cluster: controls: {to}:`, and `{to}:` under `at:` of each record"
        );
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return Vec::new();
    }
    follows(draft, component, spec, "the routing controls");
    let target = Target::Controls(controls.clone());
    // Without permission to read them, the run would fail after the promotion.
    if !safety::must_answer(draft, name, &target) {
        return Vec::new();
    }
    let known = input.estate.controls(&target, input.now);
    let was = known.value().and_then(ControlsState::leads_to).cloned();
    let back = was.or_else(|| draft.from.clone()).filter(|back| controls.controls.contains_key(back));
    let from = known.value().map(|seen| seen.on.clone()).unwrap_or_default();
    let mut switch = step(
        &format!("switch.{name}"),
        Phase::Redirect,
        Some(name),
        Action::Op(Operation::SetRoutingControls(SetRoutingControls { controls, to, from, back })),
    );
    switch.needs = all(needs);
    let switch = draft.push(switch);
    let served = proven(draft, component, spec, std::slice::from_ref(&switch));
    let last = vec![switch, served];
    draft.ready.insert(name.clone(), last.clone());
    last
}

/// If record sets follow something else, first their name servers and then resolvers show that they have changed.
fn proven(draft: &mut Draft<'_>, component: &Component, spec: &Names, needs: &[StepId]) -> StepId {
    let (input, name) = (draft.input, &component.name);
    let (to, home) = (&input.request.to, &input.plan.home.value);
    let names = ttl::wanted(spec, to, home, |_| true);
    let served =
        Action::Op(Operation::CheckAnswers(Answers { names: names.clone(), resolvers_ttl_ms: None }));
    let mut served = step(&format!("served.{name}"), Phase::Redirect, Some(name), served);
    served.needs = all(needs);
    let served = draft.push(served);
    let known = spec.record_sets(input.plan, name).map(|t| input.estate.records(&t, input.now));
    let there = known.as_ref().and_then(Knowledge::value).map_or(&[][..], Vec::as_slice);
    let planned: Vec<_> = spec.records.iter().flat_map(|r| r.sets_when_active(to, home)).collect();
    // A resolver keeps the previous answer for the TTL that the answer had.
    ttl::tail(draft, name, names, kept(planned.iter().chain(there)), std::slice::from_ref(&served));
    served
}

/// Checks that the existing record sets follow it, because the run does not change them.
fn follows(draft: &mut Draft<'_>, component: &Component, spec: &Names, what: &str) {
    let (input, name) = (draft.input, &component.name);
    let Some(target) = spec.record_sets(input.plan, name) else { return };
    let home = &input.plan.home.value;
    let known = input.estate.records(&target, input.now);
    match &known {
        Knowledge::Fresh(_) => {}
        Knowledge::Stale(_, age) => {
            draft.notes.push(format!(
                "record sets of `{name}` were last observed {age} ago. drctl relies on that observation"
            ));
        }
        Knowledge::Never => {
            draft.notes.push(format!(
                "record sets of `{name}` were never observed. They follow {what} only if they match the plan"
            ));
        }
    }
    let Some(there) = known.value() else { return };
    // The TTL does not matter for where an answer points, and neither does the answer for the former site.
    let to = &input.request.to;
    let answers_there = |set: &RecordSet| {
        let record = spec.records.iter().find(|r| r.name == set.name && r.rtype == set.rtype);
        record.and_then(|r| r.at.get(to)).is_some_and(|at| at.set == set.set_identifier)
    };
    let plain = |set: &RecordSet| match answers_there(set) {
        true => set.with_ttl(0),
        false => {
            let answer = RecordAnswer::Values { ttl_s: 0, values: Vec::new() };
            RecordSet { answer, ..set.clone() }
        }
    };
    let differs = record_changes(spec, there, home, home)
        .into_iter()
        .find(|change| change.before.as_ref().map(plain) != change.after.as_ref().map(plain));
    let Some(change) = differs else { return };
    let is = change.before.as_ref().map_or_else(|| "not there".to_owned(), RecordSet::words);
    let facts = format!("{} is {is} and would not follow {what} of `{name}`", set_name(&change));
    let what = change.after.as_ref().map_or_else(String::new, RecordSet::words);
    draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
}
