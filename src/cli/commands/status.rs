//! `drctl status`: one screen.

use std::collections::BTreeMap;

use super::{rows, runs_list, summed};
use crate::app::clients_left::{self, ClientsLeft};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::in_doubt::Left;
use crate::app::stage::Stage;
use crate::app::{
    anchors, duties, estate, exit, in_doubt, inbox, live_drill, pending_fences, proven, run_stage,
    run_states, uploads,
};
use crate::cli::args::{Global, PlansArg};
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::executor::{Patience, Silent};
use crate::inventory::active::Fencing;
use crate::inventory::{Estate, Knowledge, Observation, active, clients, drift, targets};
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{self, Fault};
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::{Role, State, Target};
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::plain::count;
use crate::model::time::Timestamp;
use crate::model::waiver::harmless;
use crate::plan::Plan;
use crate::plan::types::Component;
use crate::planner::Debt;
use crate::probe::Recorder;
use crate::record::event::WorldKind;
use crate::report::duties::{Obligation, Standing};
use crate::report::overrides::{self, Override};
use crate::report::protection::without_standby;
use crate::report::verified::{self, Verified};
use crate::report::{RunReport, onward, summary, words};
use crate::run::RunState;

/// Shows the state of all plans.
pub fn run(global: &Global, printer: &Printer, args: &PlansArg) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let plans = context.plans(&args.plans, printer)?;
    let store = context.store()?;
    let (folder, now) = (Context::lock_folder(&store), crate::app::clock::now()?);
    let read = |state: RunState| -> Result<RunState, AppError> {
        let driven = RunLock::is_held(&folder, &state.created.run);
        Ok(inbox::at_present(inbox::read(&store, state)?, driven, now))
    };
    let runs = run_states::all(&store)?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if runs.is_empty() {
        estate::before_the_outage(&context, printer)?;
    }
    let imported = store.imported()?.waiting;
    let contents = store.contents()?;
    let mut faults = verify::audit(&contents, &anchors::trust(&context)).faults;
    faults.extend(anchors::put_back(&context, &contents));
    let damaged = anchors::damaged(&context, &contents);
    let owed = uploads::pending_uploads(&context)?.len();
    let overdue = overdue(&store, &runs)?;
    let human = printer.format == Format::Human;
    if human {
        context.options().older.tell(printer);
        alarms(printer, &overdue, (&faults, &anchors::newer(&context, &contents)), &damaged);
    }
    let many = human && plans.len() > summed::FEW;
    let quiet = if many { printer.silent() } else { *printer };
    let mut documents = Vec::new();
    for plan in &plans {
        documents.push(one(&context, &quiet, &store, plan, &runs)?);
    }
    if many {
        let lines = plans.iter().zip(&documents).map(|(plan, of)| summed::standing(plan, of)).collect();
        summed::show(printer, "plan", lines, "for details of one plan, run drctl status PLAN");
    }
    // Of named plans, only their own runs.
    let own =
        |run: &RunState| args.plans.is_empty() || plans.iter().any(|plan| plan.name == run.created.plan);
    let runs: Vec<_> = runs.into_iter().filter(own).collect();
    if human {
        last_runs(printer, &store, &runs);
        if owed > 0 {
            let words = format!(
                "EVIDENCE  {} missing from a sink; run drctl evidence push",
                count(owed, "bundle is|bundles are")
            );
            printer.line(&printer.paint(YELLOW, &words));
        }
        for run in imported.keys() {
            let words = format!(
                "IMPORTED  run {run} came from a file and does not count; to take it over, run drctl runs adopt {run} --reason TEXT"
            );
            printer.line(&printer.paint(YELLOW, &words));
        }
    } else {
        let broken: Vec<_> =
            faults.iter().map(|f| serde_json::json!({"run": f.run, "event": f.seq, "why": f.why})).collect();
        let rows: Vec<_> = runs.iter().map(row_json).collect();
        printer.document(&serde_json::json!({
            "schema_version": 1, "plans": documents, "runs": rows, "faults": broken, "evidence_owed": owed, "overdue": overdue,
            "imported": imported.keys().collect::<Vec<_>>(),
            "damaged": damaged.iter().map(|f| serde_json::json!({"file": f.run, "why": f.why})).collect::<Vec<_>>(),
        }));
    }
    let owes = !overdue.is_empty() || documents.iter().any(owes);
    Ok(code(faults.is_empty() && damaged.is_empty(), owes))
}

/// The exit code: a broken journal, or broken evidence, comes before what somebody owes.
const fn code(whole: bool, owes: bool) -> u8 {
    match (whole, owes) {
        (false, _) => exit::NOT_RECOVERED,
        (true, true) => exit::RECOVERED_BUT,
        (true, false) => exit::DONE,
    }
}

/// Whether a plan has a pending fence or an overdue approval, from its JSON output.
fn owes(plan: &serde_json::Value) -> bool {
    let some = |key: &str, is: fn(&serde_json::Value) -> bool| {
        plan[key].as_array().is_some_and(|all| all.iter().any(is))
    };
    some("fence_debts", |_| true) || some("approvals_owed", |owed| owed["override"]["state"] == "overdue")
}

/// Problems of the whole store come before everything else.
fn alarms(
    printer: &Printer,
    overdue: &[Obligation],
    (faults, told): (&[Fault], &[String]),
    damaged: &[Fault],
) {
    for fault in faults.iter().filter(|fault| !told.contains(&format!("{} {}", fault.run, fault.why))) {
        printer.line(&printer.paint(RED, &fault.alarm()));
    }
    for Fault { run: file, why, .. } in damaged {
        let words = format!("EVIDENCE BROKEN  {file}: {why}; for details, run drctl audit verify");
        printer.line(&printer.paint(RED, &harmless(&words)));
    }
    for owed in overdue {
        printer.line(&printer.paint(RED, &format!("OVERDUE  {}", harmless(&owed.words()))));
    }
}

/// The overdue duties of people. Approvals are listed with their plan.
fn overdue(store: &SqliteJournal, runs: &[RunState]) -> Result<Vec<Obligation>, AppError> {
    let owed = duties::of_runs(store, runs)?.into_iter();
    let late = |owed: &Obligation| owed.standing == Standing::Overdue && !owed.what.starts_with("approval:");
    Ok(owed.filter(late).collect())
}

fn one(
    context: &Context,
    p: &Printer,
    store: &SqliteJournal,
    plan: &Plan,
    runs: &[RunState],
) -> Result<serde_json::Value, AppError> {
    let scenario = context.scenario()?;
    let last = runs.iter().rev().find(|r| r.created.plan == plan.name);
    // A rehearsal's estate is that of its last run, with what that run remembers.
    let stage = match (&scenario, last) {
        (Some(_), Some(last)) => run_stage::stage_of(p, store, last, context)?,
        _ => Stage::live_or_rehearsal(context, plan, None)?,
    };
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let guard = context.guard_of(plan);
    let own = last.filter(|_| scenario.is_some()).map(|last| last.created.run.as_str());
    let scope = own.unwrap_or_else(|| stage.scope(plan));
    let seen =
        stage.world.block_on(estate::look(&session, (store, scope), plan, guard.as_ref(), &recorder))?;
    let now = stage.world.now();
    let site = active::active_site(plan, &seen, now);
    let of_plan: Vec<RunState> = runs.iter().filter(|r| r.created.plan == plan.name).cloned().collect();
    let same_world = last.map_or_else(Vec::new, |last| run_states::of_one_world(last, &of_plan));
    let fencing = active::fencing(plan, &seen, &pending_fences::kept_out_in_one_world(&same_world));
    // Somebody may have moved it back by other means.
    let half = live_drill::halfway(&plan.name, runs)
        .filter(|half| scenario.is_some() || site.site().is_none_or(|site| *site == half.runbook.to));
    let broken_off = live_drill::broken_off(&plan.name, runs);
    let drill = of_drill(store, (broken_off, half), runs);
    let (owed, users) = (pending_fences::debts(&of_plan), not_served(&of_plan, half));
    let clients = clients_left::left(&same_world, plan, (&seen, now), &owed);
    let protection = protection(plan, (&seen, now), &fencing, &same_world);
    let left: Vec<(Left, bool)> = in_doubt::left(&run_states::undriven(store, of_plan), now)
        .into_iter()
        .map(|left| (left.clone(), left.took_effect(&seen, now)))
        .collect();
    let of_plan = runs.iter().filter(|r| r.created.plan == plan.name);
    let unapproved: Vec<(&RunId, Override)> = of_plan
        .flat_map(|run| overrides::of_run(run, now).into_iter().map(|over| (&run.created.run, over)))
        .filter(|(_, over)| matches!(over.state.as_str(), "owed" | "overdue"))
        .collect();
    let verified = proven::verification(context, store, plan, runs)?;
    let proven = verified::seen_before(&plan.name, runs);
    let changes = proven.map(|(_, then)| drift::since(&then, &seen)).unwrap_or_default();
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let verified = verified.unless((!changes.is_empty()).then(|| changes.join("; ")).as_deref());
    if p.format == Format::Human {
        let fences = (&fencing, (owed.as_slice(), last, clients.as_slice()));
        show(p, plan, (&seen, now), (&protection, fences, drill.as_deref()), users.as_deref());
        for (left, took) in &left {
            p.line(&p.paint(RED, &format!("  {}", harmless(&left.words(*took)))));
        }
        shown(p, &verified);
        for (run, over) in &unapproved {
            p.line(&p.paint(RED, &format!("  APPROVAL DUE  run {run}: {}", over.text)));
        }
    }
    Ok(serde_json::json!({
        "plan": plan.name, "active": {"site": site.site(), "basis": site.basis()}, "protection": protection.word(),
        "fenced": sites(&fencing, true), "being_fenced": sites(&fencing, false), "users": users,
        "fence_debts": owed.iter().map(|d| serde_json::json!({"component": d.component, "run": d.run, "since": d.since, "server": d.rungs.first().map(|r| &r.db.id), "site": d.rungs.first().map(|r| &r.db.place.name)})).collect::<Vec<_>>(),
        "clients_left": clients.iter().map(ClientsLeft::json).collect::<Vec<_>>(),
        "in_doubt": left.iter().map(|(left, took)| left.json(*took)).collect::<Vec<_>>(),
        "approvals_owed": unapproved.iter().map(|(run, over)| serde_json::json!({"run": run, "override": over})).collect::<Vec<_>>(),
        "verification": verified,
        "drill_halfway": half.map(|half| &half.created.run),
        "drill_broken_off": broken_off.map(|state| &state.created.run),
        "guards": guards(&seen).collect::<BTreeMap<_, _>>(),
        "refused": targets::refused(plan, guard.as_ref(), &seen).into_iter().map(|(target, why)| serde_json::json!({"target": target.to_string(), "why": why})).collect::<Vec<_>>(),
        "advice": advice(plan, (&seen, now), &clients).into_iter().map(|(server, why)| serde_json::json!({"server": server, "why": why})).collect::<Vec<_>>(),
    }))
}

/// The fences of a plan, by database.
type Fences = BTreeMap<ComponentName, Fencing>;

/// The sites of the fences that are proven, or of those that are not.
fn sites(fences: &Fences, proven: bool) -> BTreeMap<&ComponentName, &SiteName> {
    fences.iter().filter(|(_, fence)| fence.proven == proven).map(|(c, fence)| (c, &fence.site)).collect()
}

/// The databases of these fences.
fn names(fences: &Fences, proven: bool) -> String {
    sites(fences, proven).into_keys().map(ComponentName::as_str).collect::<Vec<_>>().join(", ")
}

/// The live drill that somebody has to end.
fn of_drill(
    store: &SqliteJournal,
    (broken_off, half): (Option<&RunState>, Option<&RunState>),
    runs: &[RunState],
) -> Option<String> {
    let driven = |state: &RunState| RunLock::is_held(&Context::lock_folder(store), &state.created.run);
    match broken_off {
        Some(state) if driven(state) => Some(format!("LIVE DRILL  {} running now", state.runbook.way())),
        Some(state) => Some(match state.waits_for_people().first() {
            Some(waits) => format!("LIVE DRILL  {}", waits.words()),
            None => format!("LIVE DRILL BROKEN OFF  {}", live_drill::way_on(state)),
        }),
        None => {
            let words = live_drill::way_back_is_owed(half?, runs)?;
            Some(format!("LIVE DRILL HALFWAY  {words}"))
        }
    }
}

/// Whether users were not served when the last run that moves them stopped or was given up, and as of when: nobody has checked since. The
/// line of a live drill that is half done has the next step.
fn not_served(of_plan: &[RunState], half: Option<&RunState>) -> Option<String> {
    let moves = |state: &&RunState| {
        state.runbook.intent.has_rto() && state.runbook.drill != Some(crate::model::intent::Drill::Tabletop)
    };
    let last = of_plan.iter().rev().find(moves)?;
    let words = super::outcome::out(last)?;
    let of_drill = half.is_some_and(|half| live_drill::is_of(half, last));
    let next = super::outcome::after_the_end(last).filter(|_| !of_drill);
    let next = next.map_or_else(String::new, |next| format!("; {next}"));
    Some(format!("{words}, as of {} (run {}){next}", last.last_at, last.created.run))
}

fn shown(p: &Printer, verified: &Verified) {
    let colour = match verified.status {
        verified::Status::Verified => GREEN,
        verified::Status::NeedsVerification => YELLOW,
        verified::Status::Failed => RED,
    };
    let until = verified
        .until
        .filter(|_| verified.status == verified::Status::Verified)
        .map_or_else(String::new, |until| format!(", until {until}"));
    p.line(&format!(
        "  plan        {}: {}{until}",
        p.paint(colour, &verified.status.to_string()),
        verified.why
    ));
}

/// Pending fences, the last run, and clients that runs left.
type Owed<'a> = (&'a [Debt], Option<&'a RunState>, &'a [ClientsLeft]);

/// The screen.
fn show(
    p: &Printer,
    plan: &Plan,
    (seen, now): (&Estate, Timestamp),
    (protection, (fencing, (owed, last, clients)), drill): (&Protection, (&Fences, Owed<'_>), Option<&str>),
    users: Option<&str>,
) {
    let tier = plan.tier.as_ref().map_or_else(String::new, |t| format!(", {}", t.value));
    p.line(&format!("{} (RTO {}, RPO {}{tier})", plan.name, plan.objectives.rto_ms, plan.objectives.rpo_ms));
    // A site where nobody can write is not active for users.
    let mut but = String::new();
    if !sites(fencing, true).is_empty() {
        but = format!(", but no server takes the writes of {}", names(fencing, true));
    }
    if !sites(fencing, false).is_empty() {
        but += &format!(
            ", but the fence of {} is not proven: the old primary may still take writes",
            names(fencing, false)
        );
    }
    let but = if but.is_empty() { but } else { p.paint(RED, &but) };
    p.line(&format!("  active      {}{but}", active::active_site(plan, seen, now)));
    if let Some(words) = users {
        p.line(&format!("  users       {}", p.paint(RED, words)));
    }
    let word = match protection {
        Protection::Protected => p.paint(GREEN, "protected"),
        Protection::Unprotected(why) => p.paint(RED, &format!("UNPROTECTED: {why}")),
        Protection::Unknown(why) => p.paint(YELLOW, &format!("unknown: {why}")),
    };
    p.line(&format!("  protection  {word}"));
    rows::components(p, plan, (seen, now), fencing);
    if let Some(words) = drill {
        p.line(&p.paint(YELLOW, &format!("  {words}")));
    }
    rows::pending(p, owed, last);
    for of in clients {
        p.line(&p.paint(RED, &format!("  CLIENTS LEFT  {}", harmless(&of.words))));
    }
    for (component, holder) in guards(seen) {
        p.line(&format!("  guard       {component} held by {holder}"));
    }
    for (_, why) in targets::refused(plan, None, seen) {
        p.line(&p.paint(YELLOW, &format!("  refused     {why}")));
    }
    for (server, why) in advice(plan, (seen, now), clients) {
        p.line(&p.paint(YELLOW, &format!("  advice      {server}: {why}")));
    }
}

/// Whether a second site could take over.
enum Protection {
    Protected,
    Unprotected(String),
    Unknown(String),
}

impl Protection {
    const fn word(&self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Unprotected(_) => "UNPROTECTED",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Protected means that every store has a writer and a replica that answers. Unknown never counts as protected. `runs` are those of the
/// same world.
fn protection(
    plan: &Plan,
    (seen, now): (&Estate, Timestamp),
    fencing: &Fences,
    runs: &[&RunState],
) -> Protection {
    if !plan.components.values().any(Component::is_store) {
        return Protection::Unknown("the plan has no database".to_owned());
    }
    for component in plan.components.values() {
        let Role::Store(spec) = component.role() else { continue };
        let (mut replicas, mut unseen, mut made) = (0, Vec::new(), String::new());
        let writers = active::live_writers(plan, seen, component);
        if writers.len() > 1 {
            let sites: Vec<_> = writers.iter().map(SiteName::as_str).collect();
            return Protection::Unprotected(format!(
                "{} TAKES WRITES IN {}",
                component.name,
                sites.join(" AND IN ")
            ));
        }
        for site in spec.at.keys() {
            let Some(db) = spec.server(plan, &component.name, site) else { continue };
            let target = Target::Database(db.clone());
            if matches!(seen.now(&target), Some(Observation::NotFound { .. })) {
                made = not_there(runs, &db, site);
                continue;
            }
            let writer = writers.first().and_then(|w| spec.server(plan, &component.name, w));
            // A replica of a server that was set aside, or of one that takes no writes, protects nothing.
            let keeps_up = |state: &DatabaseState| match &writer {
                Some(writer) => state.follows_source(spec.engine, writer),
                None => state.is_replica() && state.streaming != Some(false),
            };
            match seen.database(&target, now) {
                Knowledge::Fresh(state) if state.is_being_created() => {
                    made = format!("; a server in {site} is still being created");
                }
                Knowledge::Fresh(state) if keeps_up(state) => replicas += 1,
                Knowledge::Fresh(_) => {}
                _ => unseen.push(site.to_string()),
            }
        }
        if replicas == 0 && unseen.is_empty() {
            return Protection::Unprotected(format!("{} has no replica that keeps up{made}", component.name));
        }
        if writers.is_empty() {
            return match unseen.is_empty() {
                true => Protection::Unprotected(kept_out_by_a_fence((plan, component), (fencing, runs))),
                false => Protection::Unknown(format!(
                    "the server that takes the writes of {} is unknown",
                    component.name
                )),
            };
        }
        if replicas == 0 && without_standby(runs).contains(&component.name) {
            return Protection::Unprotected(format!(
                "no standby follows {} ({} cannot be observed)",
                component.name,
                unseen.join(", ")
            ));
        }
        if replicas == 0 {
            return Protection::Unknown(format!(
                "{} has no replica that answers ({} cannot be observed)",
                component.name,
                unseen.join(", ")
            ));
        }
    }
    Protection::Protected
}

/// Why a server does not exist, if the last run that touched its name says so.
fn not_there(runs: &[&RunState], db: &DatabaseRef, site: &SiteName) -> String {
    let named = |run: &&RunState| run.set_aside(db).is_some() || run.replaced(db);
    let last = runs.iter().rev().copied().find(named).filter(|run| !run.replaced(db));
    let Some((run, to)) = last.and_then(|run| Some((run, run.set_aside(db)?))) else {
        return format!("; {} does not exist in {site}", db.id);
    };
    let makes = !run.finished() && run.still_makes_standby(&db.component);
    let then = if makes { "; once it continues, that run makes a new standby" } else { "" };
    format!("; {} in {site} was set aside by run {} as {to}{then}", db.id, run.created.run)
}

/// The message about a fence that a run left, which keeps users out of a working primary.
fn kept_out_by_a_fence(
    (plan, component): (&Plan, &Component),
    (fencing, runs): (&Fences, &[&RunState]),
) -> String {
    let name = &component.name;
    let none = format!("no server takes the writes of {name}");
    let Some(Fencing { site, proven }) = fencing.get(name) else { return none };
    if !proven {
        return format!("{name} is being fenced in {site}, and no other server takes its writes");
    }
    let Role::Store(spec) = component.role() else { return none };
    let again = spec
        .server(plan, name, site)
        .map_or_else(String::new, |db| format!("; {}", pending_fences::to_use_again(runs, &db)));
    let by_hand = "To lift the fence by hand: for each member of drctl_fenced, run ALTER ROLE .. LOGIN and REVOKE drctl_fenced FROM ..; for each database that takes no connections, run ALTER DATABASE .. WITH ALLOW_CONNECTIONS true";
    format!("{none}; the server in {site} is fenced{again}. {by_hand}")
}

/// Settings of servers that will cause problems in a recovery, and clients that do not connect to the writer.
fn advice(plan: &Plan, (seen, now): (&Estate, Timestamp), left: &[ClientsLeft]) -> Vec<(String, String)> {
    let targets = targets::of_plan(plan, None).into_iter();
    let of = |target: Target| match (&target, seen.now(&target).and_then(Observation::state)) {
        (Target::Database(db), Some(State::Database(state))) => {
            state.advice.iter().map(|why| (db.id.clone(), why.clone())).collect()
        }
        _ => Vec::new(),
    };
    // What a run left says more than an old observation of the same secret.
    let told = |(what, _): &(String, String)| !left.iter().any(|left| left.what() == *what);
    let mismatched = clients::endpoint_mismatch(plan, seen, now).into_iter().filter(told);
    targets.flat_map(of).chain(mismatched).collect()
}

fn guards(seen: &Estate) -> impl Iterator<Item = (String, String)> {
    seen.entries.iter().filter_map(|(key, entry)| match entry.now.state() {
        Some(State::Guard(guard)) => {
            guard.holder.clone().map(|h| (key.trim_start_matches("guard/").to_owned(), h))
        }
        _ => None,
    })
}

fn last_runs(p: &Printer, store: &SqliteJournal, runs: &[RunState]) {
    if runs.is_empty() {
        p.line("no runs yet");
        return;
    }
    p.line("last runs");
    let folder = Context::lock_folder(store);
    // Unfinished runs are always shown, however old, and come first; among them, those that wait for a person.
    let (mut open, over): (Vec<_>, Vec<_>) = runs.iter().rev().partition(|state| !state.finished());
    open.sort_by_key(|state| state.waits_for_people().is_empty());
    for state in open.into_iter().chain(over.into_iter().take(5)) {
        let report = summary::report(state, state.last_at);
        let waits = state.waits_for_people();
        let held = RunLock::is_held(&folder, &state.created.run);
        let driven = match waits.first() {
            Some(waits) if !held && !waits.answered => "; no process drives it".to_owned(),
            Some(_) => String::new(),
            None if state.finished() || !held => String::new(),
            // A rehearsal has its own time.
            None if state.created.world != WorldKind::Live => {
                format!(" (driven now, as of {})", state.last_at.clock())
            }
            None => " (driven now)".to_owned(),
        };
        // A run that nobody drives tries nothing.
        let tries = state.next_tries().into_iter().filter(|_| held);
        let next: String = tries.map(|next| format!("; {}", next.words())).collect();
        let figures = match (report.rto.no_figure(), report.rpo.no_figure()) {
            (Some(why), Some(_)) => why.to_owned(),
            _ => {
                let now = report.if_promoted_now.iter().map(|words| format!("; {words}"));
                format!("RTO {}, RPO {}{}", report.rto.text, report.rpo.text, now.collect::<String>())
            }
        };
        p.line(&format!(
            "  {}  {} {}{}; {figures}{driven}{next}",
            report.run_id,
            report.world.id(),
            words::drill(&report),
            standing(p, state, (&report, held)),
        ));
        waits.iter().for_each(|waits| p.line(&format!("      {}", p.paint(YELLOW, &waits.words()))));
        if stands_still(state, held) {
            stopped(p, state);
        }
    }
}

/// Whether no process drives a run that is not over, and it waits for nobody's answer.
fn stands_still(state: &RunState, held: bool) -> bool {
    !held && !state.finished() && state.waits_for_people().is_empty()
}

/// The state of a run. Of one that stands still, also whether users are served.
fn standing(p: &Printer, state: &RunState, (report, held): (&RunReport, bool)) -> String {
    let words = runs_list::standing(state, report, state.finished() || held);
    if !stands_still(state, held) {
        return words;
    }
    let users = onward::users(state).map_or_else(String::new, |users| format!(": {users}"));
    format!("{}{users}", p.paint(if state.watch_paused() { YELLOW } else { RED }, &words))
}

/// Why a run that no process drives stopped, and what to do next, on lines of their own.
fn stopped(p: &Printer, state: &RunState) {
    if let Some(why) = state.why_stopped() {
        p.line(&format!("      cause    {why}"));
    }
    let way = onward::ways(state).into_iter().next().filter(|_| state.watch_paused());
    p.line(&match (state.next_as_decided(), way) {
        (Some(next), _) => format!("      next     {next}"),
        (None, Some(way)) => format!("      next     {}: {}", way.means, way.command),
        (None, None) => format!("      ways on  {}", state.created.command("runs show", "")),
    });
}

fn row_json(state: &RunState) -> serde_json::Value {
    serde_json::json!({"run_id": state.created.run, "plan": state.created.plan, "drill": state.runbook.drill, "outcome": summary::outcome(state), "waits_for": state.waits_for_people(), "world": state.created.world.id()})
}
