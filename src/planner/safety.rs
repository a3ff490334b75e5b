//! Safety rules, and the facts that decide them.

use super::input::Busy;
use super::refusal::Refusal;
use super::steps::Draft;
use crate::inventory::{ActiveSite, Observation, active};
use crate::kinds::shared::database::{Database, DatabaseRef, DatabaseState, names};
use crate::kinds::{Role, State, Target};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::waiver::Rule;
use crate::plan::graph;
use crate::plan::types::Component;
use crate::record::runbook::ProbeRole;

/// Checks the request itself.
pub fn request(draft: &mut Draft<'_>, active: &ActiveSite) {
    let (plan, to) = (draft.input.plan, draft.input.request.to.clone());
    match plan.sites.get(&to) {
        None => {
            let known: Vec<_> = plan.sites.keys().map(SiteName::as_str).collect();
            let facts = format!("plan {} has no site `{to}`", plan.name);
            draft.refuse(Refusal::new(
                Rule::NotRecoverable,
                None,
                facts,
                format!("choose one of: {}", known.join(", ")),
            ));
            return;
        }
        Some(site) if !site.recovery => {
            draft.refuse(Refusal::new(
                Rule::NotRecoverable,
                None,
                format!("site `{to}` has `recovery: false`"),
                "choose another site",
            ));
            return;
        }
        Some(_) => {}
    }
    if draft.input.request.from.as_ref() == Some(&to) {
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            None,
            format!("`{to}` is both the source and the target"),
            "name two different sites",
        ));
        return;
    }
    if draft.input.request.intent == Intent::Failback && to != plan.home.value {
        let facts = format!("failback goes to {}, the home site of the plan", plan.home.value);
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            None,
            facts,
            "run failback with --to the home site, or run switchover",
        ));
        return;
    }
    // While a continued move is half done, components are in both sites.
    let said = draft.input.request.from.is_some() || draft.input.continues.is_some_and(|c| c.from.is_some());
    if !said && !matches!(active, ActiveSite::At(_) | ActiveSite::LastKnown(..)) {
        let facts = format!("the active site is {active}");
        draft.refuse(Refusal::new(
            Rule::ActiveSiteUnclear,
            None,
            facts,
            "check which site is active, then name it with --from SITE",
        ));
    }
    contradiction(draft, active);
    busy(draft);
}

/// Checks windows, blackouts and the freeze for runs that can wait. The way back of a drill does not wait, and neither does a copy beside
/// production, which changes nothing there.
pub fn closed(draft: &mut Draft<'_>) {
    let request = draft.input.request;
    let beside = request.intent == Intent::Drill || request.drill.is_some_and(|class| class != Drill::Live);
    if request.returns || beside {
        return;
    }
    for closed in draft.input.closed.iter().filter(|closed| closed.lifted) {
        let rule = closed.rule;
        draft.notes.push(format!(
            "starts although {} ({rule}), because its severity does not wait for a window",
            closed.facts
        ));
    }
    for closed in draft.input.closed.iter().filter(|closed| !closed.lifted) {
        let what = "start the run later, or use a severity that cannot wait";
        draft.refuse(Refusal::new(closed.rule, None, closed.facts.clone(), what));
    }
}

/// If a person names another site than the active one, the fence would hit a server that is not the primary.
fn contradiction(draft: &mut Draft<'_>, active: &ActiveSite) {
    let Some(from) = draft.input.request.from.clone() else { return };
    if let ActiveSite::At(seen) = active
        && *seen != from
        && *seen != draft.input.request.to
    {
        let facts = format!("--from names {from}, but drctl sees the plan active in {seen}");
        draft.refuse(Refusal::new(Rule::ActiveSiteUnclear, None, facts, format!("use --from {seen}")));
    }
}

/// The continued run may be replacing data with a copy behind an earlier proven fence. If the server can be observed, this run must wait
/// for that.
pub fn half_restored(draft: &mut Draft<'_>) {
    let Some(continued) = draft.input.continues else { return };
    for copy in &continued.copies {
        draft.notes.push(format!(
            "run {} left {copy}. No run removes it, and its job may still write to it. Remove it by hand",
            continued.run
        ));
    }
    let Some(db) = &continued.putting else { return };
    let run = &continued.run;
    let answers = draft.input.estate.now(&Target::Database(db.clone())).is_some_and(|o| o.state().is_some());
    if answers {
        let facts =
            format!("run {run} is replacing the data of {} with a copy, and the server answers", db.id);
        let what = format!(
            "run drctl runs resume {run} or drctl runs cancel {run} --reason TEXT. Then it is known which data the server has"
        );
        draft.refuse(Refusal::new(Rule::ComponentBusy, Some(&db.component), facts, what));
    } else {
        draft.notes.push(format!(
            "run {run} was replacing the data of {} with a copy. When the server is back, it may have the old or the restored data, and it lets clients connect",
            db.id
        ));
    }
}

fn busy(draft: &mut Draft<'_>) {
    for (component, Busy { run, facts }) in draft.input.busy {
        if draft.input.plan.components.contains_key(component) {
            let what = format!("run drctl runs resume {run} or drctl runs cancel {run} --reason TEXT");
            draft.refuse(Refusal::new(Rule::ComponentBusy, Some(component), facts.clone(), what));
        }
    }
}

/// While the source serves its users, only a planned switchover may leave it.
pub fn source_health(draft: &mut Draft<'_>) {
    // For a tabletop drill it is normal that users are served.
    if draft.input.request.intent != Intent::Failover || draft.input.request.drill == Some(Drill::Tabletop) {
        return;
    }
    let mut probes = draft.probes(ProbeRole::Public);
    if probes.is_empty() {
        let from = draft.from.clone();
        probes = draft.probes(ProbeRole::Site).into_iter().filter(|p| p.site == from).collect();
    }
    let states: Vec<_> = probes
        .iter()
        .map(|p| (p.key(), draft.input.estate.probes.get(&p.key()).and_then(|h| h.good)))
        .collect();
    if states.iter().any(|(_, good)| *good == Some(false)) {
        return;
    }
    let good: Vec<_> = states.iter().filter(|(_, g)| *g == Some(true)).map(|(k, _)| k.as_str()).collect();
    let dark = draft.from.as_ref().is_some_and(|f| draft.input.estate.is_dark(f.as_str()));
    if good.is_empty() && (draft.input.request.outage_declared || dark) {
        return;
    }
    if probes.is_empty() && draft.input.request.rehearsed {
        draft.notes.push(
            "the plan has no public probe, so drctl cannot see an outage. A live failover needs --outage-began TIME"
                .to_owned(),
        );
        return;
    }
    let facts = if good.is_empty() {
        "no probe reports a failure of the source, and its control plane answers".to_owned()
    } else {
        format!("probes are good: {}", good.join(", "))
    };
    let (plan, to) = (&draft.input.plan.name, &draft.input.request.to);
    let (facts, first) = match draft.probes(ProbeRole::Public).is_empty() {
        false => (facts, String::new()),
        true => (
            format!("{facts}; the plan has no public probe, so drctl cannot see whether users are served"),
            "add a probe with `role: public` to the plan, ".to_owned(),
        ),
    };
    let what = format!(
        "{first}use --outage-began TIME if probes cannot see the outage; otherwise run drctl switchover {plan} --to {to}"
    );
    draft.refuse(Refusal::new(Rule::HealthySource, None, facts, what));
}

/// Refuses if nothing would move, unless a public probe shows that users are served: the named site may be the one that is lost.
pub fn fails_where_it_is(draft: &mut Draft<'_>, active: &ActiveSite) {
    let to = draft.input.request.to.clone();
    let there = matches!(active, ActiveSite::At(site) | ActiveSite::LastKnown(site, _) if *site == to);
    if draft.input.request.intent != Intent::Failover || draft.input.request.drill.is_some() || !there {
        return;
    }
    let probes = draft.probes(ProbeRole::Public);
    let health = |key: &str| draft.input.estate.probes.get(key).and_then(|h| h.good);
    let bad: Vec<_> = probes.iter().map(|p| p.key()).filter(|key| health(key) == Some(false)).collect();
    let dark = draft.input.estate.is_dark(to.as_str());
    let served = probes.iter().any(|p| health(&p.key()) == Some(true));
    if bad.is_empty() && !dark && served {
        return;
    }
    let why = match dark {
        true => "nothing there answers".to_owned(),
        false if bad.is_empty() => "no public probe shows that users are served there".to_owned(),
        false => format!("probes fail: {}", bad.join(", ")),
    };
    let plan = draft.input.plan;
    let others: Vec<_> = plan.sites.iter().filter(|(name, site)| site.recovery && **name != to).collect();
    let ways: Vec<_> =
        others.iter().map(|(name, _)| format!("run drctl failover {} --to {name}", plan.name)).collect();
    let facts = format!(
        "the application is already active in {to}, and {why}. A failover to {to} would move nothing"
    );
    draft.refuse(Refusal::new(Rule::TargetDown, None, facts, ways.join(", or ")));
}

/// Traffic waits for every database of the plan that it reaches. A plan whose traffic reaches none of its databases is refused.
pub fn traffic(draft: &mut Draft<'_>, component: &Component) {
    let Role::Traffic(zone) = component.role() else { return };
    let plan = draft.input.plan;
    let has_stores = plan.components.values().any(Component::is_store);
    let dynamic = zone.records.iter().any(|r| !r.is_static);
    let reaches = graph::reach(plan, &component.name)
        .iter()
        .any(|n| plan.components.get(n).is_some_and(Component::is_store));
    if has_stores && dynamic && !reaches {
        let facts = format!("traffic of `{}` does not depend on any database", component.name);
        draft.refuse(Refusal::new(
            Rule::TrafficBeforeDatabase,
            Some(&component.name),
            facts,
            "add `needs:` that reach the database, or set `serves: static`",
        ));
    }
}

/// Checks that a target at the recovery site was observed now; refuses if not. Returns whether it was.
pub fn must_answer(draft: &mut Draft<'_>, component: &ComponentName, target: &Target) -> bool {
    let Some(now) = draft.input.estate.now(target) else {
        draft.refuse(Refusal::new(
            Rule::TargetDown,
            Some(component),
            format!("{target} was not observed"),
            "run drctl observe",
        ));
        return false;
    };
    if now.state().is_some() {
        return true;
    }
    let entry = draft.input.estate.entries.get(&target.key());
    let place = entry.map_or("", |e| e.place.as_str());
    let answers = draft.input.estate.answering().contains(place);
    let last = entry.and_then(|e| e.last.as_ref());
    // A place that answers other requests is not dark. Only this answer is missing, so a recent earlier observation is enough.
    if let (true, Some(last), Observation::Unobservable { .. }) = (answers, last, now) {
        let age = draft.input.now.since(last.observed_at);
        if age <= draft.input.observation_max_age {
            return true;
        }
        let facts = format!("{target} was last observed {age} ago; {}", now.why_not());
        draft.refuse(Refusal::new(
            Rule::StaleObservation,
            Some(component),
            facts,
            format!("get an observation younger than {}", draft.input.observation_max_age),
        ));
        return draft.input.waived(Rule::StaleObservation, Some(component));
    }
    let facts = now.refused(target).unwrap_or_else(|| format!("{target}: {}", now.why_not()));
    draft.refuse(Refusal::new(
        Rule::TargetDown,
        Some(component),
        facts,
        "wait until the recovery site answers, or choose another site",
    ));
    false
}

/// Why a standby cannot belong to the server that the plan would fence, if it cannot.
pub fn other_lineage(
    draft: &Draft<'_>,
    name: &ComponentName,
    spec: &Database,
    db: &DatabaseRef,
    standby: &DatabaseState,
) -> Option<String> {
    let input = draft.input;
    let source = spec.server(input.plan, name, draft.from.as_ref()?)?;
    let known = input.estate.database(&Target::Database(source.clone()), input.now);
    let (theirs, ours) = (known.value()?.lineage.as_ref()?, standby.lineage.as_ref()?);
    (theirs != ours).then(|| {
        format!(
            "{} has system identifier {ours}, but {}, the server to fence, has {theirs}",
            db.id, source.id
        )
    })
}

/// Whether a managed replica follows the instance that the plan would fence, or a person accepts that it does not.
pub fn follows_what_is_fenced(
    draft: &mut Draft<'_>,
    name: &ComponentName,
    spec: &Database,
    db: &DatabaseRef,
    source: &str,
) -> bool {
    let input = draft.input;
    let Some(expected) = draft.from.as_ref().and_then(|f| spec.at.get(f)).map(|at| &at.id) else {
        return true;
    };
    // The source is an id, or in another region an ARN that ends in one.
    let replayed = source.rsplit(':').next().unwrap_or(source);
    // The continued run may have renamed the source.
    let aside = input.continues.map_or(&[][..], |c| c.aside.as_slice());
    let renamed = aside.iter().any(|(db, to)| db.component == *name && db.id == *expected && to == replayed);
    let from = draft.from.as_ref().and_then(|f| input.plan.sites.get(f));
    if from.is_some_and(|site| names(source, expected, &site.place.region)) || renamed {
        return true;
    }
    let facts = format!(
        "{} replicates from {source}, but the plan would fence {expected}. Writes to {expected} are missing in the replica",
        db.id
    );
    let what = "use a replica of that instance, or name the source of the replica in the plan";
    let failover = input.request.intent == Intent::Failover;
    let rule = if failover { Rule::OtherSource } else { Rule::NotRecoverable };
    let rpo =
        input.plan.components.get(name).and_then(|c| c.objectives).unwrap_or(input.plan.objectives).rpo_ms;
    draft.refuse(Refusal::new(rule, Some(name), facts, what).with_bound(&rpo.exact()));
    failover && input.waived(rule, Some(name))
}

/// Whether a server was observed as a writer without a proven fence. A fence by security group blocks only new sessions. Older ones live on
/// until a restart, and only the run that requested the restart knows about it.
pub fn may_write(draft: &Draft<'_>, db: &DatabaseRef, spec: &Database) -> bool {
    let input = draft.input;
    let seen = input.estate.now(&Target::Database(db.clone())).and_then(Observation::state);
    let Some(State::Database(state)) = seen else { return false };
    let known = input.kept_out.iter().any(|kept| kept.is(db)) && active::is_shut(db, state);
    let kept = state.is_replica() || known || active::has_proof(input.estate, db, spec);
    !kept
}
