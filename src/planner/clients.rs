//! Clients of a database: moved to the new primary, restarted after all their settings point there, and verified by a write of their own.
//!
//! Secrets change only after the database takes writes. Those of the recovery site come first, because users are about to reach the clients
//! there. Those of other sites change at the same time as other steps, and nothing waits for a dark region.

use std::collections::BTreeMap;

use super::databases::waits_for;
use super::form::{all, step};
use super::refusal::Refusal;
use super::safety;
use super::steps::Draft;
use crate::inventory::clients::reached;
use crate::inventory::{Knowledge, Observation, active};
use crate::kinds::shared::clients::{ClientWrite, Clients};
use crate::kinds::shared::command::Task;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::secret::{
    ClientSecret, ClientWay, ROTATING, SecretRef, SecretState, UpdateClientSecret,
};
use crate::kinds::{Operation, Role, Target};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::time::Dur;
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase, Step};

type Guards = BTreeMap<ComponentName, Vec<StepId>>;

/// Whether clients find the database by a name that this plan moves. Then they follow after the name, otherwise before.
pub(super) fn behind_names(draft: &Draft<'_>, component: &Component) -> bool {
    let plan = draft.input.plan;
    let zone =
        |name: &ComponentName| matches!(plan.components.get(name).map(|c| c.role()), Some(Role::Traffic(_)));
    graph::reach(plan, &component.name).iter().any(zone)
}

/// Moves all clients that wait for no name. Clients that need others follow after them; the rest are moved together.
pub(super) fn rewire_all(draft: &mut Draft<'_>, guards: &Guards) {
    let plan = draft.input.plan;
    let mut left: Vec<(&Component, &Clients)> = plan
        .components
        .values()
        .filter_map(|c| if let Role::Clients(of) = c.role() { Some((c, of)) } else { None })
        .filter(|(c, _)| !behind_names(draft, c))
        .collect();
    while !left.is_empty() {
        let names: Vec<_> = left.iter().map(|(c, _)| c.name.clone()).collect();
        let waits = |c: &Component| graph::reach(plan, &c.name).iter().any(|n| names.contains(n));
        let (now, later): (Vec<_>, Vec<_>) = left.iter().copied().partition(|(c, _)| !waits(c));
        // A cycle is an error of the plan.
        if now.is_empty() {
            return;
        }
        let led: Vec<_> = now.iter().map(|(c, of)| lead(draft, c, of, &guards[&c.name])).collect();
        // One client may read what several components describe, so it is restarted only after all of them point to the new servers.
        let all: Vec<StepId> = led.iter().flatten().cloned().collect();
        for ((component, of), own) in now.into_iter().zip(led) {
            restart(draft, component, of, &own, &all);
        }
        left = later;
    }
}

/// Moves a client that waits for names. It is restarted after the old answers have expired in resolvers.
pub(super) fn rewire(draft: &mut Draft<'_>, component: &Component, of: &Clients, guards: &Guards) {
    let mut led = lead(draft, component, of, &guards[&component.name]);
    let reach = graph::reach(draft.input.plan, &component.name);
    let kept = draft.kept.iter().filter(|(zone, _)| reach.contains(*zone)).map(|(_, ttl)| *ttl).max();
    if let Some(duration_ms) = kept.filter(|ttl| *ttl > Dur::ZERO) {
        let until = Some("no resolver still caches the old answer".to_owned());
        let action = Action::Wait { duration_ms, until };
        let mut wait =
            step(&format!("expire.{}", component.name), Phase::Rewire, Some(&component.name), action);
        wait.needs = all(&led);
        led = vec![draft.push(wait)];
    }
    restart(draft, component, of, &led, &led);
}

/// Points clients in every site to the current primary. Returns the steps that those of the recovery site wait for.
fn lead(draft: &mut Draft<'_>, component: &Component, of: &Clients, guard: &[StepId]) -> Vec<StepId> {
    let (plan, name) = (draft.input.plan, &component.name);
    let to = draft.input.request.to.clone();
    let mut needs = waits_for(draft, component);
    needs.extend(guard.iter().cloned());
    let Some(at) = of.at.get(&to) else {
        let facts = format!("`{name}` has no clients in {to}");
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            Some(name),
            facts,
            "add `secret`, `switch` or `restart` for that site",
        ));
        return needs;
    };
    let mut led = Vec::new();
    let moves = moves(draft, name, &needs);
    if of.at.values().any(|at| at.secret.is_some()) {
        let Some(endpoint) = endpoint(draft, of, &to) else {
            // If the database itself was refused, that refusal is enough.
            if !draft.refusals.iter().any(|r| r.component.as_ref() == Some(&of.of.value)) {
                let facts = format!("the address of `{}` in {to} is unknown", of.of.value);
                let what = "set `endpoint:` for that site, or run drctl observe";
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
            }
            return needs;
        };
        led.extend(point(draft, component, of, (&to, &endpoint), &needs, false));
        for other in plan.sites.keys().filter(|site| **site != to) {
            point(draft, component, of, (other, &endpoint), &needs, true);
        }
    }
    // drctl cannot see where a command leads, so the command runs whenever something moves.
    if let Some(task) = at.switch.as_ref().filter(|_| moves || !led.is_empty()) {
        let needs = [needs.as_slice(), led.as_slice()].concat();
        led.push(run(draft, component, &format!("switch.{name}"), task, &needs));
    }
    if led.is_empty() { needs } else { led }
}

/// Whether clients must be moved: this run makes the database a primary, or a change is still missing.
fn moves(draft: &Draft<'_>, name: &ComponentName, needs: &[StepId]) -> bool {
    let input = draft.input;
    // An earlier run started to move them and did not finish.
    if input.unled.contains(name) {
        return true;
    }
    let done = |s: &Step| needs.contains(&s.id) && s.phase >= Phase::Promote;
    let votes = active::votes(input.plan, input.estate, input.now);
    draft.steps().iter().any(done) || votes.values().any(|vote| vote.site != input.request.to)
}

fn database(draft: &Draft<'_>, of: &Clients, site: &SiteName) -> Option<DatabaseRef> {
    let input = draft.input;
    reached(input.plan, input.estate, input.now, (&of.of.value, site))
}

/// The endpoint of the database in a site.
fn endpoint(draft: &Draft<'_>, of: &Clients, site: &SiteName) -> Option<String> {
    database(draft, of, site)?.endpoint
}

/// Updates the secret that clients in a site read. Nothing waits for the secret of a site other than the recovery site.
fn point(
    draft: &mut Draft<'_>,
    component: &Component,
    of: &Clients,
    (site, endpoint): (&SiteName, &str),
    needs: &[StepId],
    aside: bool,
) -> Option<StepId> {
    let (plan, name) = (draft.input.plan, &component.name);
    let secret = of.secret(plan, name, site)?;
    let to = secret.leading_to(endpoint)?;
    let target = Target::Secret(secret.clone());
    if !aside && !safety::must_answer(draft, name, &target) {
        return None;
    }
    let known = draft.input.estate.secret(&target, draft.input.now);
    let from = known.value().map(|seen| seen.fields.clone()).unwrap_or_default();
    let replica = known.value().and_then(|seen| seen.replica_of.clone());
    if matches!(known, Knowledge::Fresh(seen) if seen.fields == to) {
        return None;
    }
    if let Some(primary) = replica {
        let facts = format!(
            "secret {} in {site} is a replica of the secret in {primary}. Only the secret in that region can be changed",
            secret.id
        );
        if aside {
            draft.notes.push(format!("{facts}; the clients in {site} follow it"));
            return None;
        }
        let what = secret.made_independent();
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return None;
    }
    describe(draft, name, &secret, known.value());
    let unseen = draft.input.estate.now(&target).is_none_or(|seen| seen.state().is_none());
    let dark = aside && unseen;
    if dark {
        let why =
            draft.input.estate.now(&target).map_or_else(|| "not observed".to_owned(), Observation::why_not);
        draft.notes.push(format!(
            "secret {} in {site} cannot be read ({why}). Clients that read it use the old server until it is changed. Once the secret can be read, drctl reprotect changes it",
            secret.id
        ));
    }
    let action = Action::Op(Operation::UpdateClientSecret(UpdateClientSecret { secret, to, from }));
    let mut step = step(&format!("point.{name}.{site}"), Phase::Rewire, Some(name), action);
    step.needs = all(needs);
    if aside {
        (step.background, step.on_failure) = (dark, OnFailure::Continue);
    }
    Some(draft.push(step))
}

/// Notes for the reader about a secret before it is changed.
fn describe(draft: &mut Draft<'_>, name: &ComponentName, secret: &ClientSecret, seen: Option<&SecretState>) {
    let Some(seen) = seen else { return };
    let at = format!("secret {} in {}", secret.id, secret.place.name);
    let plan = draft.input.plan;
    let servers: Vec<_> = match plan.components[name].role() {
        Role::Clients(of) => plan.sites.keys().filter_map(|site| endpoint(draft, of, site)).collect(),
        _ => Vec::new(),
    };
    let leads = |endpoint: &String| secret.leading_to(endpoint).as_ref() == Some(&seen.fields);
    if !servers.is_empty() && !servers.iter().any(leads) {
        let to: Vec<_> = seen.fields.values().map(String::as_str).collect();
        draft.notes.push(format!(
            "{at} points to {}, which is not a server of the database of `{name}` in the plan. A later move back writes the address from the plan",
            to.join(":")
        ));
    }
    if seen.rotating {
        draft.notes.push(format!(
            "{at} is being rotated ({ROTATING}). The rotation may write back values that it read earlier"
        ));
    }
    if let Some(owner) = &seen.owned_by {
        draft.notes.push(format!("{at} is owned by the service {owner}, which may refuse the change"));
    }
}

/// Corrects secrets that do not point to the current primary, because a failover could not reach them.
pub(super) fn lead_back(draft: &mut Draft<'_>, active: &SiteName, guards: &Guards) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Role::Clients(of) = component.role() else { continue };
        let Some(endpoint) = endpoint(draft, of, active) else { continue };
        for site in plan.sites.keys() {
            point(draft, component, of, (site, &endpoint), &guards[&component.name], true);
        }
    }
}

/// Restarts the clients of the recovery site one after the other, and verifies them with a write through their own settings.
fn restart(draft: &mut Draft<'_>, component: &Component, of: &Clients, own: &[StepId], led: &[StepId]) {
    let name = &component.name;
    let to = draft.input.request.to.clone();
    let (Some(at), Some(db)) = (of.at.get(&to), database(draft, of, &to)) else { return };
    let mut last = own.to_vec();
    let moved = moves(draft, name, led);
    let mut before = led.to_vec();
    for task in at.restart.iter().filter(|_| moved) {
        let id = run(draft, component, &format!("restart.{name}.{}", task.name), task, &before);
        before = vec![id.clone()];
        last.push(id);
    }
    if let Some(table) = of.canary_table.clone().filter(|_| moved) {
        let login = of.login.as_ref().and_then(|l| match &l.value {
            SecretRef::Ref(reference) => Some(reference.clone()),
            SecretRef::EndpointOf(_) | SecretRef::Literal | SecretRef::Unread => None,
        });
        let secret = of.secret(draft.input.plan, name, &to);
        let way = Box::new(ClientWay { secret, endpoint: of.endpoint.clone(), login });
        let action = Action::Op(Operation::WriteAsClient(ClientWrite { db, table, way }));
        let mut write = step(&format!("through.{name}"), Phase::Verify, Some(name), action);
        write.needs = all(&last);
        last.push(draft.push(write));
    }
    draft.ready.insert(name.clone(), last);
}

fn run(draft: &mut Draft<'_>, component: &Component, id: &str, task: &Task, needs: &[StepId]) -> StepId {
    let mut step =
        step(id, Phase::Rewire, Some(&component.name), Action::Op(Operation::Run(task.command.clone())));
    step.estimate.timeout_ms = task.timeout;
    step.estimate.expected_ms = step.estimate.expected_ms.min(task.timeout);
    step.needs = all(needs);
    draft.push(step)
}
