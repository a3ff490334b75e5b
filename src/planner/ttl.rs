//! TTLs: lowered before a planned move, and waited for afterwards.

use crate::kinds::Operation;
use core::net::IpAddr;
use std::collections::BTreeMap;

use super::form::{all, step};
use super::record_sets::{push_batches, record_changes, set_name};
use super::steps::Draft;
use crate::inventory::Knowledge;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::names::{
    Answers, Names, Record, RecordAnswer, RecordChange, RecordSet, Switch, SwitchBy, Wanted,
};
use crate::kinds::{Role, Target};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::place::endpoint_parts;
use crate::model::time::Dur;
use crate::plan::types::Component;
use crate::record::action::Action;
use crate::record::runbook::{OnFailure, Phase};

/// The TTL while users are moved, in seconds. Many resolvers extend shorter ones.
const LOW_S: u64 = 10;
/// The maximum number of names from one zone that are checked.
const ASKED: usize = 20;

/// Before a planned move: names that will change get a short TTL, and no step that users notice starts until the old TTL has expired. The
/// switch restores the TTL of the plan, and so does a cancel.
pub fn lower_all(draft: &mut Draft<'_>, guards: &BTreeMap<ComponentName, Vec<StepId>>) {
    let plan = draft.input.plan;
    for component in plan.components.values() {
        let Role::Traffic(spec) = component.role() else { continue };
        if matches!(spec.switch, SwitchBy::Record) {
            lower(draft, component, spec, &guards[&component.name]);
        }
    }
}

fn lower(draft: &mut Draft<'_>, component: &Component, spec: &Names, needs: &[StepId]) {
    let (input, name) = (draft.input, &component.name);
    let Some((target, zone)) = spec.record_sets(input.plan, name).zip(spec.hosted_zone(input.plan, name))
    else {
        return;
    };
    // A change needs the exact current record set, so without a current observation there is none.
    let Knowledge::Fresh(there) = input.estate.records(&target, input.now) else {
        draft
            .notes
            .push(format!("record sets of `{name}` were not observed just now, so drctl does not lower their TTL before the switch"));
        return;
    };
    let (to, home) = (&input.request.to, &input.plan.home.value);
    let moves = record_changes(spec, there, to, home);
    let planned: Vec<_> = spec.records.iter().flat_map(|r| r.sets_when_active(to, home)).collect();
    let same = |a: &RecordSet, b: &RecordSet| a.name == b.name && a.rtype == b.rtype;
    // Sets of one name share one TTL, and the run could not restore the TTL of sets that the plan does not know.
    let foreign = |set: &RecordSet| {
        let known =
            |s: &RecordSet| planned.iter().any(|p| same(p, s) && p.set_identifier == s.set_identifier);
        there.iter().any(|s| same(s, set) && !known(s))
    };
    let low = |set: &RecordSet| {
        let named = moves.iter().any(|c| set_name(c) == set.name) && !foreign(set);
        let after = if named && set.ttl_s() > Some(LOW_S) { set.with_ttl(LOW_S) } else { set.clone() };
        RecordChange::seen(Some(set.clone()), Some(after))
    };
    let all_sets: Vec<_> = there.iter().map(low).collect();
    let lowered: Vec<_> = all_sets.iter().filter_map(|c| c.after.clone()).collect();
    let changes: Vec<_> = all_sets.into_iter().filter(|c| c.before != c.after).collect();
    if changes.is_empty() {
        return;
    }
    let switch = Switch { zone, changes };
    let old = switch.old_ttl();
    let set = push_batches(draft, (name, spec.service), Phase::Preflight, "ttl", switch.clone(), needs);
    let until = Some(format!("resolvers use the TTL of {LOW_S}s"));
    let action = Action::Wait { duration_ms: old, until };
    let mut wait = step(&format!("expire.{name}"), Phase::Preflight, Some(name), action);
    wait.needs = all(&set);
    let wait = draft.push(wait);
    // Another control loop may have restored the TTL in the meantime. The later switch needs the exact record sets, after writes have
    // ended. This step finds a difference before that.
    let stands = push_batches(
        draft,
        (name, spec.service),
        Phase::Preflight,
        "ttl-stands",
        switch,
        std::slice::from_ref(&wait),
    );
    if let Some(first) = stands.first().and_then(|first| draft.step_mut(first)) {
        first.forecasts.push(format!(
            "drctl checks the TTL of {name} again before the switch, and lowers it only if somebody raised it"
        ));
    }
    draft.lowered.insert(name.clone(), (lowered, stands));
}

/// Checks name servers and resolvers until no old answer is left, for as long as its TTL.
pub fn tail(draft: &mut Draft<'_>, name: &ComponentName, names: Vec<Wanted>, old_ttl: Dur, needs: &[StepId]) {
    draft.kept.insert(name.clone(), old_ttl);
    if names.is_empty() {
        return;
    }
    let check = Action::Op(Operation::CheckAnswers(Answers { names, resolvers_ttl_ms: Some(old_ttl) }));
    // Users are confirmed to be served without it, and plans that start after this one do not wait for it.
    let mut step = step(&format!("resolvers.{name}"), Phase::Watch, Some(name), check);
    step.needs = all(needs);
    step.on_failure = OnFailure::Continue;
    draft.push(step);
}

/// Waits until no resolver sends clients to a server that was left. Once it is a standby, it accepts connections at its old address again.
/// A session from an old answer would stay there, with every write refused, as long as its pool keeps it.
pub fn no_way_back(
    draft: &mut Draft<'_>,
    left: &DatabaseRef,
    at: &SiteName,
    needs: &[StepId],
) -> Option<StepId> {
    let (plan, estate) = (draft.input.plan, draft.input.estate);
    let target = Target::Database(left.clone());
    let seen = estate.database(&target, draft.input.now);
    let left = left.clone().reached_at(seen.value().and_then(|seen| seen.endpoint.as_ref()));
    let leads = |name: &ComponentName| {
        let Some(component) = plan.components.get(name) else { return false };
        let Role::Traffic(names) = component.role() else { return false };
        let direct = component.needs.iter().any(|need| need.value == left.component);
        let may = |r: &Record| r.at.get(at).is_some_and(|a| may_lead(&a.answer, left.endpoint.as_deref()));
        direct && names.records.iter().any(may)
    };
    let longest = draft.kept.iter().filter(|(name, _)| leads(name)).map(|(_, ttl)| *ttl).max();
    let duration_ms = longest.filter(|ttl| *ttl > Dur::ZERO)?;
    let until = Some(format!("no resolver sends clients to {}, which becomes a standby", left.id));
    let id = format!("expire.{}.{at}", left.component);
    let mut wait = step(&id, Phase::Protect, Some(&left.component), Action::Wait { duration_ms, until });
    wait.needs = all(needs);
    wait.on_failure = OnFailure::Continue;
    Some(draft.push(wait))
}

/// Whether an answer may be the address of a server. An IP address and a host name cannot be compared.
fn may_lead(answer: &RecordAnswer, endpoint: Option<&str>) -> bool {
    let RecordAnswer::Values { values, .. } = answer else { return true };
    let Some((host, _, _)) = endpoint.and_then(endpoint_parts) else { return true };
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let address = |name: &str| name.parse::<IpAddr>().ok();
    values
        .iter()
        .any(|value| plain(value) == plain(host) || address(value).is_some() != address(host).is_some())
}

/// The expected answers of name servers, for names that point to one site. Names that several sites share by weight have no single answer.
pub fn wanted(spec: &Names, to: &SiteName, home: &SiteName, moves: impl Fn(&Record) -> bool) -> Vec<Wanted> {
    let there = |r: &&Record| r.answered_by(&r.sets_when_active(to, home)).as_ref() == Some(to);
    let of = |r: &Record| {
        let (values, alias) = match &r.at.get(to)?.answer {
            RecordAnswer::Values { values, .. } => (values.clone(), None),
            RecordAnswer::Alias { name, .. } => (Vec::new(), Some(name.clone())),
        };
        Some(Wanted { name: r.name.clone(), rtype: r.rtype.clone(), values, alias })
    };
    let moved = spec.records.iter().filter(|r| moves(r));
    let mut names: Vec<_> = moved.filter(there).filter_map(of).collect();
    names.sort();
    names.dedup();
    names.truncate(ASKED);
    names
}
