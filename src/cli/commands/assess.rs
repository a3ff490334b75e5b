//! `drctl assess`

use super::summed;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::prior_runs::PriorRuns;
use crate::app::stage::Stage;
use crate::app::{estate, exit, prior_runs, whatif};
use crate::cli::args::{AssessArgs, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{DIM, GREEN, Printer, RED, YELLOW};
use crate::executor::{Patience, Silent, survey};
use crate::inventory::{ActiveSite, Estate, active};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::SiteName;
use crate::model::intent::Intent;
use crate::model::plain::count;
use crate::plan::Plan;
use crate::planner::assessment::{self, AssessmentLine, Question, Reads};
use crate::probe::Recorder;

/// Shows everything that matters for the decision to fail over, without making it.
pub fn run(global: &Global, printer: &Printer, args: &AssessArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let from = SiteName::new(&*args.from);
    let plans = whatif::with_site(context.plans(&args.plans, printer)?, &args.plans, &from)?;
    let (mut documents, mut many) = (Vec::new(), Vec::new());
    for plan in &plans {
        let to = whatif::target(plan, &from, args.to.as_deref())?;
        let (active, lines) = assess(&context, printer, &store, plan, (&from, &to))?;
        if printer.format == Format::Human && plans.len() > summed::FEW {
            many.push(in_short(plan, &active, &lines));
        } else if printer.format == Format::Human {
            printer.line(&format!(
                "{}: {}; a recovery would move it from {from} to {to}",
                plan.name,
                active.words()
            ));
            lines.iter().for_each(|l| show(printer, l));
        } else {
            documents.push(serde_json::json!({
                "schema_version": 1, "plan": plan.name, "from": from, "to": to, "active": active.to_string(), "lines": lines,
            }));
        }
    }
    if !many.is_empty() {
        summed::show(
            printer,
            "plan",
            many,
            &format!("for details of one plan, run drctl assess PLAN --from {from}"),
        );
    }
    match (printer.format, documents.as_slice()) {
        (Format::Human, _) => {}
        (_, [one]) => printer.document(one),
        (_, many) => printer.document(&serde_json::json!({"schema_version": 1, "plans": many})),
    }
    Ok(exit::DONE)
}

fn assess(
    context: &Context,
    printer: &Printer,
    store: &SqliteJournal,
    plan: &Plan,
    (from, to): (&SiteName, &SiteName),
) -> Result<(ActiveSite, Vec<AssessmentLine>), AppError> {
    let stage = Stage::live_or_rehearsal(context, plan, Some(to))?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let consecutive = context.settings.probe_consecutive;
    let mut recorder = Recorder::new(consecutive);
    let probes: Vec<_> = plan.probes.iter().map(|p| p.value.clone()).collect();
    let every = probes.iter().map(|p| p.every_ms.plus(p.timeout_ms)).max().unwrap_or_default();
    let scope = stage.scope(plan);
    let guard = context.guard_of(plan);
    let nothing = Recorder::new(consecutive);
    let seen = stage.world.block_on(async {
        stage.world.sleep_until(stage.world.now() + stage.outage_begins()).await;
        let until = stage.world.now() + every.times(u64::from(consecutive));
        if stage.sandbox.is_none() && !probes.is_empty() {
            printer.note(&format!(
                "{}: running probes, for at most {}",
                plan.name,
                until.since(stage.world.now())
            ));
        }
        let look = estate::look(&session, (store, scope), plan, guard.as_ref(), &nothing);
        let asked = survey::believe(&session, &probes, &mut recorder, until);
        futures_util::future::join(asked, look).await.1
    })?;
    let seen = Estate { probes: recorder.health(), ..seen };
    let held = match stage.sandbox {
        Some(_) => PriorRuns::default(),
        None => prior_runs::held(store, plan, (Intent::Failover, to))?,
    };
    let now = stage.world.now();
    let closed = whatif::closed(plan, to, &seen).map(|(place, _)| place);
    let (refusals, runbook) =
        whatif::failover(context, plan, (from, to), (&seen, &held), (now, whatif::Over::Seen));
    let (refusals, runbook) = (refusals.as_slice(), runbook.as_ref());
    let lines =
        assessment::table(&Question { plan, estate: &seen, from, to, closed, refusals, runbook, now });
    Ok((active::active_site(plan, &seen, now), lines))
}

/// The decision criteria of a plan in one line.
fn in_short(plan: &Plan, active: &ActiveSite, lines: &[AssessmentLine]) -> summed::SummaryLine {
    let of = |about: &'static str| lines.iter().filter(move |l| l.about == about);
    let refused: Vec<_> = of("refusal").filter(|l| l.reads == Reads::Bad).map(|l| l.what.clone()).collect();
    let (reads, word, said) = match (of("failover").next(), refused.is_empty()) {
        (Some(line), true) if line.reads == Reads::Bad => (summed::Reads::Bad, "bad", line.detail.clone()),
        (Some(line), true) => (summed::Reads::Good, "possible", line.detail.clone()),
        (_, false) => (summed::Reads::Bad, "refused", refused.join(", ")),
        (None, true) => (summed::Reads::Doubtful, "unsure", "nothing is known".to_owned()),
    };
    let users = of("users").filter(|l| l.reads == Reads::Bad).count();
    let users =
        if users == 0 { String::new() } else { format!("; {} bad", count(users, "probe is|probes are")) };
    summed::SummaryLine {
        reads,
        word: word.to_owned(),
        what: plan.name.to_string(),
        detail: format!("{}; {said}{users}", active.words()),
    }
}

fn show(p: &Printer, line: &AssessmentLine) {
    let word = match line.reads {
        Reads::Good => p.paint(GREEN, "good   "),
        Reads::Bad => p.paint(RED, "bad    "),
        Reads::Unknown => p.paint(YELLOW, "unknown"),
        Reads::Says => p.paint(DIM, "-      "),
    };
    p.line(&format!("  {word} {:<20} {}: {}", line.about.replace('_', " "), line.what, line.detail));
}
