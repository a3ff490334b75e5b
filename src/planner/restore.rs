//! Restore: a database is brought back to a point in time. Drill: a copy is made and checked, and nothing of production changes.
//!
//! Everything that takes long is done beside the live server, while users are served: the copy is fetched, recovered and checked. Then
//! people judge the loss, writes end, the copy takes the place of the live data, and those are kept.

use super::steps::{Draft, all, step};
use super::stores::{self, Store};
use super::switchover::writes;
use super::{Refusal, Wanted, clocks, rebuild, safety};
use crate::inventory::{Observation, targets};
use crate::model::action::{Action, Check, FenceMethod, Gate};
use crate::model::ids::{ComponentName, Digest, RunId, SiteName, StepId};
use crate::model::restore::{Backup, Backups, BackupsState, NewInstance, Part, Restore, Source};
use crate::model::runbook::{Intent, Need, OnFailure, Phase};
use crate::model::state::State;
use crate::model::target::{DatabaseRef, Engine, Target};
use crate::model::time::Dur;
use crate::model::waiver::Rule;
use crate::plan::types::{Component, Database, Plan, Spec};

/// Log up to which the loss is counted once more when writes have ended: about ten seconds of reading.
const COUNTED_WHILE_FENCED: u64 = 512 << 20;
/// How long a name may lead to where it led before, or nowhere: resolvers keep that it was gone for a while, too.
const NAME_MOVES: Dur = Dur::mins(30);

/// What is to be restored, as far as the plan says. The backup is found by looking at [`Target::Backups`].
///
/// # Errors
/// What the plan lacks for it.
pub fn wanted(plan: &Plan, site: &SiteName, wanted: &Wanted, run: &RunId) -> Result<Restore, Refusal> {
    let name = &wanted.component;
    let refuse = |rule: Rule, facts: String, what: &str| Err(Refusal::new(rule, Some(name), facts, what));
    let Some(component) = plan.components.get(name) else {
        let known: Vec<_> = plan.components.keys().map(ComponentName::as_str).collect();
        let facts = format!("plan {} has no component `{name}`", plan.name);
        return refuse(Rule::NotRecoverable, facts, &format!("one of: {}", known.join(", ")));
    };
    let Spec::Database(spec) = &component.spec else {
        let facts = format!("`{name}` is {}: only databases are restored", component.kind());
        return refuse(Rule::NotRecoverable, facts, "a component that is a database");
    };
    let (Some(db), Some(at)) = (targets::database(plan, name, spec, site), spec.at.get(site)) else {
        return refuse(
            Rule::NotRecoverable,
            format!("`{name}` has no server in {site}"),
            "the site whose server takes the writes, with --site",
        );
    };
    let id = &db.id;
    let source = match (spec.engine, &at.backups) {
        (Engine::Postgres, _) if wanted.snapshot.is_some() => {
            let facts = format!("{id} has no snapshots: its backups and its log lead to any time");
            return refuse(Rule::NotRecoverable, facts, "--to-time TIME");
        }
        (Engine::Postgres, Some(backups)) => Source::Own(backups.value.clone()),
        (Engine::Postgres, None) => {
            let facts = format!("the plan does not say how backups of {id} are reached");
            let what = "`backups:` under the `host:` of that server (docs: databases/restore.md), or the site that has them";
            return refuse(Rule::NotRecoverable, facts, what);
        }
        (Engine::Aurora, _) => {
            let facts = "a global database is restored into a cluster outside it, which drctl cannot do yet"
                .to_owned();
            return refuse(
                Rule::NotImplemented,
                facts,
                "aws rds restore-db-cluster-to-point-in-time, by hand",
            );
        }
        (Engine::Rds, _) if wanted.timeline.is_some() => {
            let facts = format!("{id} is restored by RDS, which knows the log of this very instance");
            return refuse(Rule::NotRecoverable, facts, "no --timeline");
        }
        (Engine::Rds, _) if db.admin_secret.is_none() => {
            let facts = format!("the plan gives no `admin` login for {id}: nobody could check its copy");
            return refuse(Rule::NotRecoverable, facts, "`admin: {secret: ..}` beside its id");
        }
        (Engine::Rds, _) => Source::Managed(None),
    };
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
    // Whatever people take their time for, nobody is kept out meanwhile.
    let bound = gate(draft, name, "bound", &[copied, approvals].concat());
    let before_fence = idle(draft, &of, [guard, vec![bound]].concat());
    let fenced = stores::keep_from_writing(draft, component, spec, &site, &before_fence);
    // While it takes seconds: users wait for it.
    let counted = match of.replay_bytes.is_some_and(|bytes| bytes <= COUNTED_WHILE_FENCED) {
        true => {
            let needs = all(std::slice::from_ref(&fenced));
            vec![part(draft, name, ("lost", Phase::Measure), (Part::Loss, &of), needs)]
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
    let swapped = part(draft, name, ("swap", Phase::Promote), (Part::Swap, &of), all(&needs));
    draft.notes.push(format!(
        "roles, passwords and grants of {} will be those of {}, and so will everything else in it",
        of.db.id, of.to_time
    ));
    let store = Store { component, target: of.db.clone(), canary: spec.canary_table.clone() };
    stores::let_in(draft, store, swapped);
    if of.instance().is_some() {
        let admits = FenceMethod::ALL.map(|method| stores::admit_id(name, method));
        let verify = format!("verify.{name}");
        let ids: Vec<_> = admits.iter().chain([&verify]).map(String::as_str).collect();
        draft.patient(&ids, NAME_MOVES);
    }
    let ready = draft.ready.get(name).cloned().unwrap_or_default();
    let verified = [ready.clone(), draft.site_probes(&ready)].concat();
    draft.confirm_and_watch(&verified);
    follow(draft, component, spec, &of, &verified);
}

/// Nobody is kept out for a backup that is being made of one of the two.
fn idle(draft: &mut Draft<'_>, of: &Restore, needs: Vec<StepId>) -> Vec<StepId> {
    let Some(copy) = of.beside() else { return needs };
    let name = &of.db.component;
    let ids = [(format!("idle.{name}"), of.db.clone()), (format!("idle.{name}.copy"), copy)];
    let checks = ids.map(|(id, db)| {
        let mut step = step(&id, Phase::Restore, Some(name), Action::Check(Check::Available { db }));
        step.needs = all(&needs);
        draft.push(step)
    });
    checks.to_vec()
}

/// What makes a copy, in its order.
const COPY: [(&str, Part); 3] = [("beside", Part::Beside), ("sound", Part::Verify), ("loss", Part::Loss)];

/// Fetched, recovered and checked. Returns the last step.
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
    (part, of): (Part, &Restore),
    needs: Vec<Need>,
) -> StepId {
    let action = Action::Restore { part, of: Box::new(of.clone()) };
    let mut step = step(&format!("{id}.{name}"), phase, Some(name), action);
    step.needs = needs;
    draft.push(step)
}

/// The loss is judged twice: before anybody is kept out, as far as it went by then, and when writes have ended.
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

/// A copy that is made, checked and removed, whatever became of it.
fn rehearse(draft: &mut Draft<'_>, name: &ComponentName, of: &Restore, needs: &[StepId]) {
    if of.instance().is_some() {
        draft.notes.push(format!(
            "the copy runs in the groups of {}: jobs of pg_cron and subscriptions in it begin there, too, and a subscription takes its publisher's slot",
            of.db.id
        ));
    }
    let seen = draft.input.estate.now(&Target::Database(of.db.clone())).and_then(Observation::state);
    let replica = matches!(seen, Some(State::Database(d)) if d.is_replica());
    let but = if of.instance().is_some() || replica { "" } else { " but one empty transaction" };
    draft.notes.push(format!(
        "an isolated drill: nothing of {} changes{but}, and the copy is removed at the end",
        of.db.id
    ));
    // One that fails keeps nothing from the next: what is left of the copy is removed at the end, and the drill has failed.
    let mut needs = all(needs);
    let here = |leak: &&Restore| leak.db.component == *name && leak.db.place.name == of.db.place.name;
    for (n, leak) in draft.input.leaks.iter().filter(here).enumerate() {
        draft.notes.push(format!("{} was left by an earlier run, and goes first", leak.copy()));
        let last =
            part(draft, name, (&format!("reap{}", n + 1), Phase::Preflight), (Part::Destroy, leak), needs);
        needs = vec![Need { step: last, settled: true }];
    }
    let drilled = COPY.into_iter().filter(|(_, part)| *part != Part::Loss);
    for (id, which) in drilled.chain([("destroy", Part::Destroy)]) {
        let last = part(draft, name, (id, Phase::Restore), (which, of), needs);
        needs = vec![Need { step: last, settled: true }];
    }
}

/// What is restored, from which backup; refuses if that is not known or cannot be.
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
    let Spec::Database(spec) = &component.spec else { return None };
    Some((component, spec, of))
}

/// With the backup that it begins with.
fn found(draft: &mut Draft<'_>, of: Restore) -> Result<Restore, Refusal> {
    let (input, id) = (draft.input, &of.db.id);
    let refuse = |rule: Rule, facts: String, what: &str| {
        Err(Refusal::new(rule, Some(&of.db.component), facts, what.to_owned()))
    };
    if of.to_time >= input.now {
        let facts = format!("{} is not over yet; it is {} now", of.to_time, input.now);
        return refuse(Rule::NotRecoverable, facts, "a time that is over");
    }
    let state = match input.estate.now(&Target::Backups(Box::new(of.clone()))) {
        Some(Observation::Value { state: State::Backups(state), .. }) => state.as_ref().clone(),
        Some(other) => {
            let who =
                if of.db.engine == Engine::Rds { "credentials for RDS there" } else { "a host that answers" };
            return refuse(Rule::NotRecoverable, format!("{id}: {}", other.why_not()), who);
        }
        None => {
            return refuse(
                Rule::NotRecoverable,
                format!("nobody asked {id} for its backups"),
                "drctl restore",
            );
        }
    };
    let BackupsState { failed, chosen, replay_bytes, free_bytes, timelines, copies, .. } = state;
    for copy in copies.iter().map(|name| of.copy_at(name)).filter(|copy| !input.copies.contains(copy)) {
        let words = "a copy that no run here made: unless somebody else restores there, remove it by hand";
        draft.notes.push(format!("{copy} is {words}"));
    }
    if let Some(why) = failed {
        if why.contains("another restore of this server runs") {
            let what = "its end, or drctl runs cancel RUN; drctl runs list names it";
            return refuse(Rule::ComponentBusy, why, what);
        }
        let what = match input.request.intent {
            Intent::Drill => "another time, backups of that server, or --to the site whose server has them",
            _ => "another time, or the backups and the log that lead to this one",
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
        Err((facts, what)) => return refuse(Rule::NotRecoverable, facts, what),
    };
    if let Some(empty) = backup.as_ref().filter(|backup| backup.bytes == 0 && of.beside().is_none()) {
        draft.notes.push(format!(
            "backup {} is said to have 0 bytes: look at it before anybody relies on it, for how long it takes and how much room it needs are not known",
            empty.name
        ));
    }
    if let Some((chosen, live)) = timelines.filter(|(chosen, live)| chosen != live) {
        draft.notes.push(format!("{} is of timeline {chosen}, which timeline {live} left", of.to_time));
    }
    Ok(Restore { backup, replay_bytes, source, ..of })
}

/// What is missing, and what would help.
type Missing = (String, &'static str);

fn enough_room(
    of: &Restore,
    by: &Backups,
    chosen: Option<Backup>,
    free_bytes: u64,
) -> Result<Backup, Missing> {
    let Some(backup) = chosen else {
        return Err((format!("no backup leads to {}", of.to_time), "another time"));
    };
    let room = backup.bytes.saturating_add(by.reserve_bytes);
    if free_bytes < room {
        let facts = format!(
            "{} has {free_bytes} bytes free, and {room} are needed: {} for backup {}, and {} that stay free",
            of.db.id, backup.bytes, backup.name, by.reserve_bytes
        );
        return Err((facts, "more room beside the data, or a smaller `reserve_gib`"));
    }
    Ok(backup)
}

/// An instance like the live one, under a name of its own.
fn new_instance(draft: &Draft<'_>, db: &DatabaseRef) -> Result<NewInstance, Missing> {
    let Some(like) = rebuild::settings(draft, db) else {
        let facts = format!("{} was not seen: nobody knows what its copy is to be like", db.id);
        return Err((facts, "credentials for its region, then again"));
    };
    let security_groups = rebuild::groups(draft, db);
    if security_groups.is_empty() {
        let facts =
            format!("{} has only its fence's group, and no run here knows which groups it had before", db.id);
        return Err((facts, "its own groups attached again, once it is sure that nobody writes to it"));
    }
    if like.managed_password {
        let facts = format!(
            "RDS keeps the administrator's password of {} in a secret of that instance, and changes it",
            db.id
        );
        return Err((
            facts,
            "a password of your own in Secrets Manager: its copies know only that of their time",
        ));
    }
    let run = &draft.input.request.run;
    let (id, aside) = (rebuild::aside(&format!("copy-of-{}", db.id), run), rebuild::aside(&db.id, run));
    Ok(NewInstance { id, aside, like, security_groups })
}

/// A managed instance gives its name to its copy, and is kept under another one. Up to then everything can be taken back.
fn set_aside(draft: &mut Draft<'_>, of: &Restore, needs: Vec<StepId>) -> Vec<StepId> {
    let Some(new) = of.instance() else { return needs };
    let (name, to) = (&of.db.component, new.aside.clone());
    draft.notes.push(format!(
        "{} is kept as {to}, fenced as it is, and is paid for until somebody who needs nothing of it any more deletes it",
        of.db.id
    ));
    draft.notes.push(format!(
        "a cancel takes everything back until the copy bears the name {}; after that nothing does",
        of.db.id
    ));
    let action = Action::Rename { db: of.db.clone(), to };
    let mut aside = step(&format!("aside.{name}"), Phase::Promote, Some(name), action);
    aside.needs = all(&needs);
    vec![draft.push(aside)]
}

/// What putting a copy in place needs besides the copy.
fn may_be_replaced(draft: &mut Draft<'_>, component: &Component, spec: &Database, of: &Restore) -> bool {
    let name = &component.name;
    let refused = draft.refusals.len();
    let mut refuse = |facts: String, what: &str| {
        draft.refuse(Refusal::new(Rule::NotRecoverable, Some(name), facts, what.to_owned()));
    };
    // Of a managed one the fence by group ends with a restart, and nobody could have written after that.
    if !spec.fence.iter().any(|m| m.tells_the_end()) && (of.instance().is_none() || spec.fence.is_empty()) {
        let facts = format!("`{name}` has no fence by SQL: nobody could tell when the last write was");
        refuse(facts, "fence: [sql]");
    }
    let target = Target::Backups(Box::new(of.clone()));
    let seen = draft.input.estate.now(&target).and_then(Observation::state);
    if let Some(State::Backups(state)) = seen
        && let Some(why) = state.not_swappable.clone()
    {
        let facts = format!("a copy could be made, and not be put in place: {why}");
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            Some(name),
            facts,
            "drctl drill --mode isolated, which only makes the copy",
        ));
    }
    if draft.input.waived(Rule::UnfencedPromotion, Some(name)) {
        let facts = "nothing is restored over a server that still takes writes".to_owned();
        draft.refuse(Refusal::new(
            Rule::NotRecoverable,
            Some(name),
            facts,
            "no waiver of unfenced-promotion",
        ));
    }
    writes(draft, component, spec, &of.db);
    loss(draft, name, of);
    draft.refusals.len() == refused
}

/// Everything that was written since the time is lost: a person says so before anything begins, and for as long as it will take.
fn loss(draft: &mut Draft<'_>, name: &ComponentName, of: &Restore) {
    let input = draft.input;
    let by_now = input.now.since(of.to_time);
    let takes: u64 = [Part::Beside, Part::Verify, Part::Loss]
        .into_iter()
        .map(|p| crate::model::estimate::Estimate::of(&Action::Restore { part: p, of: Box::new(of.clone()) }))
        .map(|e| e.expected_ms.millis())
        .sum();
    let by_then = by_now.plus(Dur(takes));
    let covers = |w: &&crate::model::waiver::Waiver| w.covers(Rule::ExposureAboveRpo, Some(name));
    let accepted = input.request.waivers.iter().filter(covers).filter_map(|w| w.accept_loss_ms).max();
    if by_then <= accepted.unwrap_or_else(|| objective(draft, name)) {
        return;
    }
    // As long again, so that nobody is asked a second time while users wait.
    let bound = Dur::mins(by_then.plus(Dur(takes)).millis().div_ceil(60_000) + 1).exact();
    let facts = format!(
        "what was written since {} is lost: {by_now} by now, about {by_then} when the copy takes over{}",
        of.to_time,
        accepted.map_or_else(String::new, |a| format!(", and {a} was accepted"))
    );
    let what = "a later time, or a person who accepts that loss by name";
    draft.refusals.push(Refusal::new(Rule::ExposureAboveRpo, Some(name), facts, what).with_bound(&bound));
}

/// Standbys are of the history that was left: each is made one of the restored server.
fn follow(draft: &mut Draft<'_>, component: &Component, spec: &Database, of: &Restore, needs: &[StepId]) {
    let plan = draft.input.plan;
    let others = spec.at.keys().filter(|s| s.as_str() != of.db.place.name);
    let others: Vec<_> = others.filter_map(|s| targets::database(plan, &component.name, spec, s)).collect();
    for other in others {
        if safety::may_write(draft, &other, spec) || !rebuild::possible(draft, &other) {
            draft.notes.push(format!(
                "{} keeps the history that is left: drctl reprotect --to {} makes it a standby again",
                other.id, other.place.name
            ));
        } else {
            rebuild::rejoin(draft, &other, &of.db, needs, OnFailure::Continue);
        }
    }
}
