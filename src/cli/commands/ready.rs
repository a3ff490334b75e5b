//! `drctl ready`

use serde_json::json;

use super::in_doubt;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::stage::Stage;
use crate::app::{estate, exit, paths, run_states};
use crate::cli::args::{Global, PlansArg};
use crate::cli::printer::{DIM, Format, GREEN, Printer, RED, YELLOW};
use crate::executor::{Patience, Silent, survey};
use crate::inventory::{active, permissions};
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::{Role, Target};
use crate::model::ids::SiteName;
use crate::model::place::CloudProvider;
use crate::model::plain::count;
use crate::model::readiness::{Check, Standing};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::harmless;
use crate::model::worst::worst_first;
use crate::plan::Plan;
use crate::probe::Recorder;
use crate::record::event::WorldKind;
use crate::report::{readiness, verified};
use crate::run::RunState;

/// Limit on the checks of IAM, quotas and objects: many calls, one after the other.
const DEADLINE: Dur = Dur::secs(30);

/// Up to this many plans are shown in full. For more, a summary comes first, then whatever is not ready.
const FEW: usize = 5;

/// Reports whether a recovery would work today.
pub fn run(global: &Global, printer: &Printer, args: &PlansArg) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let (plans, left_out) = context.usable_plans(&args.plans, printer)?;
    let store = context.store()?;
    let runs = run_states::all(&store)?;
    estate::before_the_outage(&context, printer)?;
    let (mut documents, mut worst) = (Vec::new(), Standing::Ready);
    let many = plans.len() > FEW;
    let mut all = Vec::new();
    for plan in &plans {
        let (at, checks) = evaluate(&context, &store, (plan, &runs), &Interrupts::default())?;
        let standing = readiness::worst(&checks);
        worst = worst.max(standing);
        if printer.format == Format::Human && many {
            all.push((plan, checks));
        } else if printer.format == Format::Human {
            show(printer, plan, &checks);
        } else {
            documents.push(json!({"schema_version": 1, "plan": plan.name, "at": at, "standing": standing, "checks": checks}));
        }
    }
    if !all.is_empty() {
        summary(printer, &all);
    }
    match (printer.format, documents.as_slice()) {
        (Format::Human, _) => {}
        (_, [one]) => printer.document(one),
        (_, many) => printer.document(&json!({"schema_version": 1, "plans": many})),
    }
    paths::note_left_out(&left_out, printer);
    Ok(match worst {
        // Nothing recovers a plan that cannot be read.
        _ if !left_out.is_empty() => exit::REFUSED,
        Standing::Ready => exit::DONE,
        Standing::Degraded | Standing::Unknown => exit::RECOVERED_BUT,
        Standing::NotReady => exit::REFUSED,
    })
}

/// Observes everything in a plan, and judges it.
///
/// # Errors
/// If there is no clock, the store cannot be read or written, or after an interrupt.
pub fn evaluate(
    context: &Context,
    store: &SqliteJournal,
    (plan, runs): (&Plan, &[RunState]),
    interrupts: &Interrupts,
) -> Result<(Timestamp, Vec<Check>), AppError> {
    let stage = Stage::of(context, plan, None)?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let guard = context.guard_of(plan);
    let guard = guard.as_ref();
    let scope = stage.scope(plan);
    let managed = |role| matches!(role, Role::Store(of) if of.engine.is_managed());
    let mut asked = permissions::of_plan(plan, guard);
    if plan.components.values().any(|c| managed(c.role())) {
        let sites =
            plan.sites.values().map(|site| &site.place).filter(|place| place.cloud == CloudProvider::Aws);
        asked.extend(sites.map(|place| Target::Quotas { place: place.clone() }));
    }
    let looks = async {
        let estate = estate::look(&session, (store, scope), plan, guard, &recorder).await?;
        let active = active::active_site(plan, &estate, stage.world.now());
        asked.extend(samples(plan, active.site(), stage.world.now()));
        Ok::<_, AppError>((estate, survey::look(&session, &asked, DEADLINE).await))
    };
    let (mut seen, of_accounts) = stage.world.block_on(interrupts.end_early(&stage.world, looks))?;
    for (target, observation) in of_accounts {
        seen.add(&target, observation, None);
    }
    let proven = verified::seen_before(&plan.name, runs);
    let now = stage.world.now();
    let mut checks = readiness::evaluate(plan, &readiness::Seen { estate: &seen, now, guard, proven });
    // A rehearsal shows the estate before an outage, and no earlier rehearsal changes that one.
    let own = |run: &&RunState| run.created.plan == plan.name && run.created.world == WorldKind::Live;
    let of_plan = runs.iter().filter(own).cloned().collect();
    for left in in_doubt::left(&run_states::undriven(store, of_plan), now) {
        let about =
            left.effect.action.place().map_or_else(|| left.run.to_string(), |place| place.name.clone());
        let (area, fix) = (left.area(), Some(left.fix()));
        let facts = left.words(left.took_effect(&seen, now));
        let standing = Standing::NotReady;
        checks.insert(0, Check { area, about, standing, facts, fix });
    }
    worst_first(&mut checks);
    Ok((now, checks))
}

/// What is observed only to judge readiness.
fn samples(plan: &Plan, active: Option<&SiteName>, now: Timestamp) -> Vec<Target> {
    let Some(active) = active else { return Vec::new() };
    let seed = now.millis().to_string();
    plan.components.values().flat_map(|c| c.spec.samples(&c.name, plan, active, &seed)).collect()
}

/// A count by standing; then the problems of each plan, the worst first.
fn summary(p: &Printer, all: &[(&Plan, Vec<Check>)]) {
    let standings = [Standing::NotReady, Standing::Unknown, Standing::Degraded, Standing::Ready];
    let of = |standing| all.iter().filter(move |(_, checks)| readiness::worst(checks) == standing);
    let counted = standings.map(|standing| (standing, of(standing).count()));
    let some = counted.iter().filter(|(_, n)| *n > 0);
    let words: Vec<_> = some.map(|(standing, n)| format!("{n} {}", coloured(p, *standing))).collect();
    p.line(&format!("{}: {}", count(all.len(), "plan"), words.join(", ")));
    for (plan, checks) in standings.into_iter().filter(|s| *s != Standing::Ready).flat_map(of) {
        let open: Vec<&Check> = checks.iter().filter(|c| c.standing != Standing::Ready).collect();
        let worst = readiness::worst(checks);
        let Some(first) = open.iter().find(|c| c.standing == worst) else { continue };
        let more = open.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let word = coloured(p, worst);
        p.line(&format!("  {word}  {}: {}: {}{more}", plan.name, first.about, harmless(&first.facts)));
    }
    p.line("run drctl ready PLAN for all checks of one plan");
}

/// The checks of one plan, the worst first.
fn show(p: &Printer, plan: &Plan, checks: &[Check]) {
    let worst = readiness::worst(checks);
    p.line(&format!("{}: {}", plan.name, coloured(p, worst)));
    for check in checks {
        let word = coloured(p, check.standing);
        let pad = " ".repeat(9_usize.saturating_sub(check.standing.to_string().len()));
        let (area, facts) = (check.area, harmless(&check.facts));
        p.line(&format!("  {word}{pad}  {area:<11} {}: {facts}", check.about));
        if let Some(fix) = check.fix.as_ref().filter(|_| check.standing != Standing::Ready) {
            p.line(&format!("             {:<11} {}", "", p.paint(DIM, fix)));
        }
    }
}

fn coloured(p: &Printer, standing: Standing) -> String {
    let colour = match standing {
        Standing::Ready => GREEN,
        Standing::Degraded | Standing::Unknown => YELLOW,
        Standing::NotReady => RED,
    };
    p.paint(colour, &standing.to_string())
}
