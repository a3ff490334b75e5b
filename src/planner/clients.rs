//! Those who connect to a database: led to the new one, restarted when all that they read leads there, and proven by a write of theirs.
//!
//! Secrets are not moved before the database takes writes, and those of the site that is recovered to first: the clients there are the
//! ones that users are about to reach. Those of other sites follow beside everything else, and nobody waits for a region that is dark.

use std::collections::BTreeMap;

use super::steps::{Draft, all, step};
use super::stores::waits_for;
use super::{Refusal, safety};
use crate::inventory::{Known, active, targets};
use crate::model::action::{Action, ClientWay, Point, Write};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::runbook::{OnFailure, Phase, Step};
use crate::model::target::{DatabaseRef, Target};
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::{Clients, Component, SecretRef, Spec, Task};

type Guards = BTreeMap<ComponentName, Vec<StepId>>;

/// Whether they find the database by a name that this plan moves: then they come after it, and else before.
pub(super) fn behind_names(draft: &Draft<'_>, component: &Component) -> bool {
    let plan = draft.input.plan;
    let zone =
        |name: &ComponentName| matches!(plan.components.get(name).map(|c| &c.spec), Some(Spec::Route53(_)));
    graph::reach(plan, &component.name).iter().any(zone)
}

/// All that wait for no name.
pub(super) fn rewire_all(draft: &mut Draft<'_>, guards: &Guards) {
    let mut last = Vec::new();
    for component in draft.input.plan.components.values() {
        let Spec::Clients(of) = &component.spec else { continue };
        if !behind_names(draft, component) {
            let led = lead(draft, component, of, &guards[&component.name]);
            last.push((component, of, led));
        }
    }
    // One client may read what several components describe: it is restarted when all of that leads to the new servers.
    let led: Vec<StepId> = last.iter().flat_map(|(_, _, led)| led.clone()).collect();
    for (component, of, own) in last {
        restart(draft, component, of, &own, &led);
    }
}

/// One that waits for names.
pub(super) fn rewire(draft: &mut Draft<'_>, component: &Component, of: &Clients, guards: &Guards) {
    let led = lead(draft, component, of, &guards[&component.name]);
    restart(draft, component, of, &led, &led);
}

/// Leads clients to the database that takes the writes now, in every site. Returns what those of the recovery site wait for.
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
            "`secret`, `switch` or `restart` there",
        ));
        return needs;
    };
    let mut led = Vec::new();
    let moves = moves(draft, &needs);
    if of.at.values().any(|at| at.secret.is_some()) {
        let Some(endpoint) = endpoint(draft, of, &to) else {
            // Of one that was refused itself that says enough.
            if !draft.refusals.iter().any(|r| r.component.as_ref() == Some(&of.of.value)) {
                let facts = format!("nobody knows where `{}` listens in {to}", of.of.value);
                let what = "`endpoint:` there, or drctl observe";
                draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
            }
            return needs;
        };
        led.extend(point(draft, component, of, (&to, &endpoint), &needs, false));
        for other in plan.sites.keys().filter(|site| **site != to) {
            point(draft, component, of, (other, &endpoint), &needs, true);
        }
    }
    // Nobody sees where a command leads: it runs whenever something moves.
    if let Some(task) = at.switch.as_ref().filter(|_| moves || !led.is_empty()) {
        let needs = [needs.as_slice(), led.as_slice()].concat();
        led.push(run(draft, component, &format!("switch.{name}"), task, &needs));
    }
    if led.is_empty() { needs } else { led }
}

/// Whether clients have to be led anywhere: this run makes the database take writes, or something else is not there yet.
fn moves(draft: &Draft<'_>, needs: &[StepId]) -> bool {
    let input = draft.input;
    let done = |s: &Step| needs.contains(&s.id) && s.phase >= Phase::Promote;
    let votes = active::votes(input.plan, input.estate, input.now);
    draft.steps().iter().any(done) || votes.values().any(|vote| vote.site != input.request.to)
}

/// Where the database of a site listens.
fn endpoint(draft: &Draft<'_>, of: &Clients, site: &SiteName) -> Option<String> {
    let db = database(draft, of, site)?;
    let known = draft.input.estate.database(&Target::Database(db.clone()), draft.input.now);
    db.reached_at(known.value().and_then(|d| d.endpoint.as_ref())).endpoint
}

fn database(draft: &Draft<'_>, of: &Clients, site: &SiteName) -> Option<DatabaseRef> {
    let plan = draft.input.plan;
    let Spec::Database(spec) = &plan.components.get(&of.of.value)?.spec else { return None };
    targets::database(plan, &of.of.value, spec, site)
}

/// The secret that clients in a site read. Of a site that is not recovered to nobody waits for it.
fn point(
    draft: &mut Draft<'_>,
    component: &Component,
    of: &Clients,
    (site, endpoint): (&SiteName, &str),
    needs: &[StepId],
    aside: bool,
) -> Option<StepId> {
    let (plan, name) = (draft.input.plan, &component.name);
    let secret = targets::client_secret(plan, name, of, site)?;
    let to = secret.leading_to(endpoint)?;
    let target = Target::Secret(secret.clone());
    if !aside && !safety::must_answer(draft, name, &target) {
        return None;
    }
    let known = draft.input.estate.secret(&target, draft.input.now);
    let from = known.value().map(|seen| seen.fields.clone()).unwrap_or_default();
    let replica = known.value().and_then(|seen| seen.replica_of.clone());
    if matches!(known, Known::Fresh(seen) if seen.fields == to) {
        return None;
    }
    if let Some(primary) = replica {
        let facts = format!(
            "secret {} in {site} is a replica of the one in {primary}, and is changed only there",
            secret.id
        );
        if aside {
            draft.notes.push(format!("{facts}: clients in {site} are led by that one"));
            return None;
        }
        let what = format!(
            "a secret of its own: aws secretsmanager stop-replication-to-replica --region {} --secret-id {}",
            secret.place.region, secret.id
        );
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what));
        return None;
    }
    let dark = aside && draft.input.estate.now(&target).is_none_or(|seen| seen.state().is_none());
    if dark {
        draft.notes.push(format!(
            "secret {} in {site} does not answer: its clients are led to the old server until it does; drctl reprotect leads them here",
            secret.id
        ));
    }
    let action = Action::Point(Point { secret, to, from });
    let mut step = step(&format!("point.{name}.{site}"), Phase::Rewire, Some(name), action);
    step.needs = all(needs);
    if aside {
        (step.background, step.on_failure) = (dark, OnFailure::Continue);
    }
    Some(draft.push(step))
}

/// Secrets that lead elsewhere than to the server that takes the writes: what a failover could not reach.
pub(super) fn lead_back(draft: &mut Draft<'_>, active: &SiteName, guards: &Guards) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Spec::Clients(of) = &component.spec else { continue };
        let Some(endpoint) = endpoint(draft, of, active) else { continue };
        for site in plan.sites.keys() {
            point(draft, component, of, (site, &endpoint), &guards[&component.name], true);
        }
    }
}

/// Restarts those of the recovery site one after the other, and writes as they do.
fn restart(draft: &mut Draft<'_>, component: &Component, of: &Clients, own: &[StepId], led: &[StepId]) {
    let name = &component.name;
    let to = draft.input.request.to.clone();
    let (Some(at), Some(db)) = (of.at.get(&to), database(draft, of, &to)) else { return };
    let mut last = own.to_vec();
    let moved = moves(draft, led);
    let mut before = led.to_vec();
    for (i, task) in at.restart.iter().enumerate().filter(|_| moved) {
        let label = task.name.clone().unwrap_or_else(|| (i + 1).to_string());
        let id = run(draft, component, &format!("restart.{name}.{label}"), task, &before);
        before = vec![id.clone()];
        last.push(id);
    }
    if let Some(table) = of.canary_table.clone().filter(|_| moved) {
        let login = of.login.as_ref().and_then(|l| match &l.value {
            SecretRef::Ref(reference) => Some(reference.clone()),
            SecretRef::EndpointOf(_) | SecretRef::Literal => None,
        });
        let secret = targets::client_secret(draft.input.plan, name, of, &to);
        let way = Box::new(ClientWay { secret, endpoint: of.endpoint.clone(), login });
        let known = draft.input.estate.database(&Target::Database(db.clone()), draft.input.now);
        let db = db.reached_at(known.value().and_then(|d| d.endpoint.as_ref()));
        let action = Action::Write(Write::Through { db, table, way });
        let mut write = step(&format!("through.{name}"), Phase::Verify, Some(name), action);
        write.needs = all(own);
        last.push(draft.push(write));
    }
    draft.ready.insert(name.clone(), last);
}

fn run(draft: &mut Draft<'_>, component: &Component, id: &str, task: &Task, needs: &[StepId]) -> StepId {
    let mut step = step(id, Phase::Rewire, Some(&component.name), Action::Run(task.command.clone()));
    step.estimate.timeout_ms = task.timeout;
    step.estimate.expected_ms = step.estimate.expected_ms.min(task.timeout);
    step.needs = all(needs);
    draft.push(step)
}
