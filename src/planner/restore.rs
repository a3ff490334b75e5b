//! Restore: a database is restored to a point in time. Drill: a copy is made and checked, and production does not change.
//!
//! All slow work happens beside the live server while users are served: the copy is fetched, recovered and checked. Then people accept the
//! loss, writes end, the copy replaces the live data, and the live data are kept.

use super::databases;
use super::form::{all, step};
use super::input::Wanted;
use super::refusal::Refusal;
use super::servers::{self, Store};
use super::steps::Draft;
use super::switchover::writes;
use super::{clocks, rebuild, safety};
use crate::inventory::Observation;
use crate::kinds::shared::database::{Available, CopyOf, Database, DatabaseRef, DatabaseState};
use crate::kinds::shared::fence::FenceMethod;
use crate::kinds::shared::restore::{
    Backup, Backups, BackupsState, NewInstance, Restore, RestoreJob, RestoreStep, Source,
};
use crate::kinds::{Operation, Role, State, Target};
use crate::model::ids::{ComponentName, Digest, RunId, SiteName, StepId};
use crate::model::intent::Intent;
use crate::model::time::Dur;
use crate::model::waiver::Rule;
use crate::plan::types::{Component, Plan};
use crate::record::action::{Action, Gate};
use crate::record::runbook::{Need, OnFailure, Phase};

/// How much log is counted again for the loss after writes have ended: about ten seconds of reading.
const COUNTED_WHILE_FENCED: u64 = 512 << 20;
/// How long a name may point to its old target or nowhere. Resolvers also cache that it did not exist.
const NAME_MOVES: Dur = Dur::mins(30);

/// The requested restore, as far as the plan describes it. Observing [`Target::Backups`] finds the backup.
///
/// # Errors
/// What is missing in the plan.
pub fn wanted(plan: &Plan, site: &SiteName, wanted: &Wanted, run: &RunId) -> Result<Restore, Refusal> {
    let name = &wanted.component;
    let refuse = |rule: Rule, facts: String, what: &str| Err(Refusal::new(rule, Some(name), facts, what));
    let Some(component) = plan.components.get(name) else {
        let known: Vec<_> = plan.components.keys().map(ComponentName::as_str).collect();
        let facts = format!("plan {} has no component `{name}`", plan.name);
        return refuse(Rule::NotRecoverable, facts, &format!("choose one of: {}", known.join(", ")));
    };
    let Role::Store(spec) = component.role() else {
        let facts = format!("`{name}` is {}, and drctl restores only databases", component.kind());
        return refuse(Rule::NotRecoverable, facts, "choose a component that is a database");
    };
    let (Some(db), Some(at)) = (spec.server(plan, name, site), spec.at.get(site)) else {
        return refuse(
            Rule::NotRecoverable,
            format!("`{name}` has no server in {site}"),
            "name the site whose server takes the writes with --site",
        );
    };
    let asked = CopyOf {
        db: &db,
        backups: at.backups.as_ref().map(|b| &b.value),
        snapshot: wanted.snapshot.is_some(),
        timeline: wanted.timeline.is_some(),
    };
    let source = spec.engine.operator().copied_from(&asked).map_err(|unmet| Refusal::unmet(name, unmet))?;
    Ok(Restore {
        name: Digest::of_fields(&[run.as_str().as_bytes(), name.as_str().as_bytes()]).as_str()[..16]
            .to_owned(),
        to_time: wanted.to_time,
        backup: None,
        timeline: wanted.timeline,
        replay_bytes: None,
        rates: wanted.rates,
        snapshot: wanted.snapshot.clone(),
        source,
        invariants: spec.invariants.iter().map(|i| i.value.clone()).collect(),
        rows: spec.rows.clone(),
        canary: spec.canary_table.clone(),
        db,
    })
}

/// Why a restore of the server in a site would be refused whatever its time is, as far as the plan and the settings of the server show.
pub fn obstacle(
    spec: &Database,
    site: &SiteName,
    (db, seen): (&DatabaseRef, &DatabaseState),
) -> Option<Refusal> {
    let backups = spec.at.get(site).and_then(|at| at.backups.as_ref()).map(|backups| &backups.value);
    let (operator, asked) =
        (spec.engine.operator(), CopyOf { db, backups, snapshot: false, timeline: false });
    let copyable = || seen.instance.as_ref().map_or(Ok(()), |like| operator.may_copy(db, like));
    if let Err(unmet) = operator.copied_from(&asked).map(drop).and_then(|()| copyable()) {
        return Some(Refusal::unmet(&db.component, unmet));
    }
    let (facts, what) = unfenced(db, spec)?;
    Some(Refusal::new(Rule::NotRecoverable, Some(&db.component), facts, &what))
}

/// Derives the steps.
pub fn derive(draft: &mut Draft<'_>) {
    let site = draft.input.request.to.clone();
    let Some((component, spec, of)) = concrete(draft, &site) else { return };
    let name = &component.name;
    let identities = draft.identities();
    if draft.input.request.intent == Intent::Drill {
        draft.from = Some(site);
        rehearse(draft, name, &of, &identities);
        return;
    }
    if !may_be_replaced(draft, component, spec, &of) {
        return;
    }
    draft.from = Some(site.clone());
    let guard = draft.guard(name, &identities);
    draft.evidence();
    let approvals = draft.approvals(Phase::Promote);
    let copied = copy(draft, name, &of, all(&guard));
    // People take their time here, so nothing is fenced yet.
    let bound = gate(draft, name, "bound", &[copied, approvals].concat());
    let before_fence = idle(draft, &of, [guard, vec![bound]].concat());
    let fenced = databases::keep_from_writing(draft, component, spec, &site, &before_fence);
    // Only if it takes seconds, because users wait for it.
    let counted = match of.replay_bytes.is_some_and(|bytes| bytes <= COUNTED_WHILE_FENCED) {
        true => {
            let needs = all(std::slice::from_ref(&fenced));
            vec![part(draft, name, ("lost", Phase::Measure), (RestoreJob::Loss, &of), needs)]
        }
        false => Vec::new(),
    };
    let check = clocks::exposure(draft, component, &of.db);
    let mut measure = step(&format!("measure.{name}"), Phase::Measure, Some(name), check);
    measure.needs = all(&[counted, vec![fenced.clone()]].concat());
    let measured = draft.push(measure);
    let accepted = gate(draft, name, "exposure", &[measured]);
    let held = draft.hold(name, &[accepted, fenced]);
    let needs = set_aside(draft, &of, held);
    let swapped = part(draft, name, ("swap", Phase::Promote), (RestoreJob::Swap, &of), all(&needs));
    draft.notes.push(format!(
        "everything in {} will be as it was at {}, including roles, passwords and grants",
        of.db.id, of.to_time
    ));
    let store = Store { component, target: of.db.clone(), canary: spec.canary_table.clone() };
    databases::unfence(draft, store, swapped);
    if of.instance().is_some() {
        let admits = FenceMethod::ALL.map(|method| databases::admit_id(name, method));
        let verify = format!("verify.{name}");
        let ids: Vec<_> = admits.iter().chain([&verify]).map(String::as_str).collect();
        draft.patient(&ids, NAME_MOVES);
    }
    let ready = draft.ready.get(name).cloned().unwrap_or_default();
    let verified = [ready.clone(), draft.site_probes(&ready)].concat();
    draft.confirm_and_watch(&verified);
    follow(draft, component, spec, &of, &verified);
}

/// Waits until neither server is being backed up, because the fence would otherwise last that long.
fn idle(draft: &mut Draft<'_>, of: &Restore, needs: Vec<StepId>) -> Vec<StepId> {
    let Some(copy) = of.beside() else { return needs };
    let name = &of.db.component;
    let ids = [(format!("idle.{name}"), of.db.clone()), (format!("idle.{name}.copy"), copy)];
    let checks = ids.map(|(id, db)| {
        let mut step =
            step(&id, Phase::Restore, Some(name), Action::Op(Operation::CheckAvailable(Available { db })));
        step.needs = all(&needs);
        draft.push(step)
    });
    checks.to_vec()
}

/// The parts of making a copy, in their order.
const COPY: [(&str, RestoreJob); 3] =
    [("beside", RestoreJob::CreateCopy), ("sound", RestoreJob::Verify), ("loss", RestoreJob::Loss)];

/// Fetches, recovers and checks the copy. Returns the last step.
fn copy(draft: &mut Draft<'_>, name: &ComponentName, of: &Restore, needs: Vec<Need>) -> Vec<StepId> {
    let mut needs = needs;
    let mut last = Vec::new();
    for (id, which) in COPY {
        last = vec![part(draft, name, (id, Phase::Restore), (which, of), needs)];
        needs = all(&last);
    }
    last
}

fn part(
    draft: &mut Draft<'_>,
    name: &ComponentName,
    (id, phase): (&str, Phase),
    (part, of): (RestoreJob, &Restore),
    needs: Vec<Need>,
) -> StepId {
    let action = Action::Op(Operation::Restore(RestoreStep { part, of: Box::new(of.clone()) }));
    let mut step = step(&format!("{id}.{name}"), phase, Some(name), action);
    step.needs = needs;
    draft.push(step)
}

/// A gate for the loss. It is judged twice: before the fence, for the loss so far, and after writes have ended.
fn gate(draft: &mut Draft<'_>, name: &ComponentName, id: &str, needs: &[StepId]) -> StepId {
    let objective_ms = objective(draft, name);
    let action = Action::Gate(Gate::Exposure { components: vec![name.clone()], objective_ms });
    let mut step = step(&format!("{id}.{name}"), Phase::Gate, Some(name), action);
    step.needs = all(needs);
    draft.push(step)
}

fn objective(draft: &Draft<'_>, name: &ComponentName) -> Dur {
    let plan = draft.input.plan;
    plan.components.get(name).and_then(|c| c.objectives).unwrap_or(plan.objectives).rpo_ms
}

/// Makes a copy, verifies it and removes it, whatever the result.
fn rehearse(draft: &mut Draft<'_>, name: &ComponentName, of: &Restore, needs: &[StepId]) {
    if of.instance().is_some() {
        draft.notes.push(format!(
            "the copy runs in the security groups of {}. pg_cron jobs and subscriptions start in the copy, too. A subscription takes over the slot of its publisher",
            of.db.id
        ));
    }
    let seen = draft.input.estate.now(&Target::Database(of.db.clone())).and_then(Observation::state);
    let replica = matches!(seen, Some(State::Database(d)) if d.is_replica());
    let but = if of.instance().is_some() || replica { "" } else { " except for one empty transaction" };
    draft.notes.push(format!(
        "isolated drill: nothing in {} changes{but}. drctl removes the copy at the end",
        of.db.id
    ));
    // If one of these steps fails, the next one still runs. What is left of the copy is removed at the end, and the drill has failed.
    let mut needs = all(needs);
    let here = |leak: &&Restore| leak.db.component == *name && leak.db.place.name == of.db.place.name;
    for (n, leak) in draft.input.leaks.iter().filter(here).enumerate() {
        draft.notes.push(format!("an earlier run left {}. drctl removes it first", leak.copy()));
        let last = part(
            draft,
            name,
            (&format!("reap{}", n + 1), Phase::Preflight),
            (RestoreJob::Destroy, leak),
            needs,
        );
        needs = vec![Need { step: last, settled: true }];
    }
    let drilled = COPY.into_iter().filter(|(_, part)| *part != RestoreJob::Loss);
    for (id, which) in drilled.chain([("destroy", RestoreJob::Destroy)]) {
        let last = part(draft, name, (id, Phase::Restore), (which, of), needs);
        needs = vec![Need { step: last, settled: true }];
    }
}

/// The complete restore with its backup; refuses if the backup is not known or not usable.
fn concrete<'p>(draft: &mut Draft<'p>, site: &SiteName) -> Option<(&'p Component, &'p Database, Restore)> {
    let input = draft.input;
    let asked = input.request.restore.as_ref()?;
    let found = wanted(input.plan, site, asked, &input.request.run).and_then(|of| found(draft, of));
    let of = match found {
        Ok(of) => of,
        Err(refusal) => {
            draft.refuse(refusal);
            return None;
        }
    };
    let component = input.plan.components.get(&asked.component)?;
    let Role::Store(spec) = component.role() else { return None };
    Some((component, spec, of))
}

/// Adds the backup to start from.
fn found(draft: &mut Draft<'_>, of: Restore) -> Result<Restore, Refusal> {
    let (input, id) = (draft.input, &of.db.id);
    let refuse = |rule: Rule, facts: String, what: &str| {
        Err(Refusal::new(rule, Some(&of.db.component), facts, what.to_owned()))
    };
    if of.to_time >= input.now {
        let facts = format!("{} is in the future; it is {} now", of.to_time, input.now);
        return refuse(Rule::NotRecoverable, facts, "choose a time in the past");
    }
    let state = match input.estate.now(&Target::Backups(Box::new(of.clone()))) {
        Some(Observation::Value { state: State::Backups(state), .. }) => state.as_ref().clone(),
        Some(other) => {
            let who = of.db.engine.operator().backups_unread();
            return refuse(Rule::NotRecoverable, format!("{id}: {}", other.why_not()), who);
        }
        None => {
            return refuse(
                Rule::NotRecoverable,
                format!("the backups of {id} were not observed"),
                "start the restore again",
            );
        }
    };
    let BackupsState { failed, chosen, replay_bytes, free_bytes, timelines, copies, .. } = state;
    for copy in copies.iter().map(|name| of.copy_at(name)).filter(|copy| !input.copies.contains(copy)) {
        let words = "a copy that no run in this store made. If nobody else restores there, remove it by hand";
        draft.notes.push(format!("{copy} is {words}"));
    }
    if let Some(why) = failed {
        if why.contains("another restore of this server runs") {
            let what = "wait until it ends, or run drctl runs cancel RUN --reason TEXT (drctl runs list shows the run)";
            return refuse(Rule::ComponentBusy, why, what);
        }
        let what = match input.request.intent {
            Intent::Drill => {
                "choose another time, provide backups of that server, or name the site that has them with --to"
            }
            _ => "choose another time, or provide the backups and the WAL for this one",
        };
        return refuse(Rule::NotRecoverable, why, what);
    }
    let made = match &of.source {
        Source::Own(by) => enough_room(&of, by, chosen, free_bytes).map(|b| (of.source.clone(), Some(b))),
        Source::Managed(_) => {
            new_instance(draft, &of.db).map(|new| (Source::Managed(Some(Box::new(new))), chosen))
        }
    };
    let (source, backup) = match made {
        Ok(made) => made,
        Err((facts, what)) => return refuse(Rule::NotRecoverable, facts, &what),
    };
    if let Some(empty) = backup.as_ref().filter(|backup| backup.bytes == 0 && of.beside().is_none()) {
        draft.notes.push(format!(
            "backup {} reports a size of 0 bytes. Check it before you rely on it. The time and the disk space that the restore needs are unknown",
            empty.name
        ));
    }
    if let Some((chosen, live)) = timelines.filter(|(chosen, live)| chosen != live) {
        draft.notes.push(format!(
            "{} is on timeline {chosen}. The live server is on timeline {live}, which branched off from it",
            of.to_time
        ));
    }
    Ok(Restore { backup, replay_bytes, source, ..of })
}

/// What is missing, and what to do about it.
type Missing = (String, String);

fn enough_room(
    of: &Restore,
    by: &Backups,
    chosen: Option<Backup>,
    free_bytes: u64,
) -> Result<Backup, Missing> {
    let Some(backup) = chosen else {
        return Err((
            format!("no backup can be restored to {}", of.to_time),
            "choose another time".to_owned(),
        ));
    };
    let room = backup.bytes.saturating_add(by.reserve_bytes);
    if free_bytes < room {
        let facts = format!(
            "{} has {free_bytes} bytes free and needs {room}: {} for backup {}, and a reserve of {}",
            of.db.id, backup.bytes, backup.name, by.reserve_bytes
        );
        return Err((facts, "free disk space beside the data, or set a smaller `reserve_gib`".to_owned()));
    }
    Ok(backup)
}

/// What the plan lacks if nobody could know when the writes to this server ended.
fn unfenced(db: &DatabaseRef, spec: &Database) -> Option<Missing> {
    // On a managed instance, the fence by security group ends with a restart, and nobody could have written after that.
    let known = spec.fence.iter().any(|method| method.tells_the_end());
    let enough = known || db.engine.is_managed() && !spec.fence.is_empty();
    let facts =
        || format!("`{}` has no SQL fence, so the time of the last write would be unknown", db.component);
    (!enough).then(|| (facts(), "set fence: [sql]".to_owned()))
}

/// A new instance with the settings of the live one and its own name.
fn new_instance(draft: &Draft<'_>, db: &DatabaseRef) -> Result<NewInstance, Missing> {
    let Some(like) = servers::settings(draft, db) else {
        let facts = format!("{} was not observed, so the settings for its copy are unknown", db.id);
        return Err((facts, "get credentials for its region, then try again".to_owned()));
    };
    let security_groups = servers::groups(draft, db);
    if security_groups.is_empty() {
        let facts = format!(
            "{} has only its fence's security group, and no run in this store recorded its earlier groups",
            db.id
        );
        return Err((
            facts,
            "make sure that nothing writes to it, then attach its own groups again".to_owned(),
        ));
    }
    db.engine.operator().may_copy(db, &like).map_err(|unmet| (unmet.facts, unmet.what))?;
    let run = &draft.input.request.run;
    let (id, aside) = (servers::created(&format!("copy-of-{}", db.id), run), servers::aside(&db.id, run));
    Ok(NewInstance { id, aside, like, security_groups })
}

/// Renames a managed instance, so that its copy can get the name. Until the copy has it, everything can be undone.
fn set_aside(draft: &mut Draft<'_>, of: &Restore, needs: Vec<StepId>) -> Vec<StepId> {
    let Some(new) = of.instance() else { return needs };
    let (name, to) = (&of.db.component, new.aside.as_str());
    let Some(operation) = of.db.engine.operator().set_aside(&of.db, to) else { return needs };
    let mut aside = step(&format!("aside.{name}"), Phase::Promote, Some(name), Action::Op(operation));
    aside.needs = all(&needs);
    aside.notes = vec![
        rebuild::set_aside_note(&of.db, to),
        format!(
            "a cancel undoes everything until the copy has the name {}. After that, nothing can be undone",
            of.db.id
        ),
    ];
    vec![draft.push(aside)]
}

/// Checks what replacing the data needs besides the copy.
fn may_be_replaced(draft: &mut Draft<'_>, component: &Component, spec: &Database, of: &Restore) -> bool {
    let name = &component.name;
    let refused = draft.refusals.len();
    let mut refuse = |facts: String, what: &str| {
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what.to_owned()));
    };
    if let Some((facts, what)) = unfenced(&of.db, spec) {
        refuse(facts, &what);
    }
    let target = Target::Backups(Box::new(of.clone()));
    let seen = draft.input.estate.now(&target).and_then(Observation::state);
    if let Some(State::Backups(state)) = seen
        && let Some(why) = state.not_swappable.clone()
    {
        let facts = format!("drctl could make the copy but not put it in place: {why}");
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            Some(name),
            facts,
            format!("run drctl drill {} --mode isolated, which only makes the copy", draft.input.plan.name),
        ));
    }
    if draft.input.waived(Rule::UnfencedPromotion, Some(name)) {
        let facts = "drctl does not restore over a server that still takes writes".to_owned();
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            Some(name),
            facts,
            "remove the waiver of unfenced-promotion",
        ));
    }
    writes(draft, component, spec, &of.db);
    loss(draft, name, of);
    draft.refusals.len() == refused
}

/// All writes since the restore time are lost. A person must accept that beforehand, including the writes until the copy takes over.
fn loss(draft: &mut Draft<'_>, name: &ComponentName, of: &Restore) {
    let input = draft.input;
    let by_now = input.now.since(of.to_time);
    let takes = [RestoreJob::CreateCopy, RestoreJob::Verify, RestoreJob::Loss]
        .into_iter()
        .map(|p| {
            crate::record::estimate::estimate(&Action::Op(Operation::Restore(RestoreStep {
                part: p,
                of: Box::new(of.clone()),
            })))
        })
        .fold(Dur::ZERO, |all, e| all.plus(e.expected_ms));
    let by_then = by_now.plus(takes);
    let covers = |w: &&crate::model::waiver::Waiver| w.covers(Rule::ExposureAboveRpo, Some(name));
    let accepted = input.request.waivers.iter().filter(covers).filter_map(|w| w.accept_loss_ms).max();
    if by_then <= accepted.unwrap_or_else(|| objective(draft, name)) {
        return;
    }
    // Twice the expected duration, so that nobody is asked a second time while users wait.
    let bound = Dur::mins(by_then.plus(takes).millis().div_ceil(60_000) + 1).exact();
    let facts = format!(
        "the restore loses all writes since {}: {by_now} of writes now, about {by_then} when the copy takes over{}",
        of.to_time,
        accepted.map_or_else(String::new, |a| format!("; the accepted loss is {a}"))
    );
    let what = "choose a later time, or have a named person accept that loss";
    draft.refusals.push(Refusal::new(Rule::ExposureAboveRpo, Some(name), facts, what).with_bound(&bound));
}

/// Standbys follow the old history, so each becomes a standby of the restored server.
fn follow(draft: &mut Draft<'_>, component: &Component, spec: &Database, of: &Restore, needs: &[StepId]) {
    let plan = draft.input.plan;
    let others = spec.at.keys().filter(|s| s.as_str() != of.db.place.name);
    let others: Vec<_> = others.filter_map(|s| spec.server(plan, &component.name, s)).collect();
    for other in others {
        if safety::may_write(draft, &other, spec) || !rebuild::possible(draft, &other) {
            draft.notes.push(format!(
                "{} stays on the old history. To make it a standby again, run drctl reprotect {} --to {}",
                other.id, plan.name, other.place.name
            ));
        } else {
            rebuild::rejoin(draft, &other, &of.db, needs, OnFailure::Continue);
        }
    }
}
