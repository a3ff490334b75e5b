//! `drctl observe`

use std::collections::BTreeSet;

use super::summed;
use super::summed::{FEW, Reads, SummaryLine};
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::stage::Stage;
use crate::app::{estate, exit};
use crate::cli::args::{Global, ObserveArgs};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::executor::{Patience, Silent};
use crate::inventory::estate::Entry;
use crate::inventory::{ActiveSite, active, targets};
use crate::model::time::Dur;
use crate::plan::Plan;
use crate::probe::Recorder;

/// Observes everything and stores the result.
pub fn run(global: &Global, printer: &Printer, args: &ObserveArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let every = args.every.as_deref().map(Dur::parse).transpose().map_err(AppError::usage)?;
    let plans = context.plans(&args.plans, printer)?;
    let store = context.store()?;
    estate::before_the_outage(&context, printer)?;
    loop {
        let mut seen_something = true;
        let (mut documents, mut lines) = (Vec::new(), Vec::new());
        for plan in &plans {
            let stage = Stage::live_or_rehearsal(&context, plan, None)?;
            let (view, none) = (Silent, || 0);
            let session = stage.session(&store, &view, &none, Patience::Stop);
            let recorder = Recorder::new(context.settings.probe_consecutive);
            let guard = context.guard_of(plan);
            let guard = guard.as_ref();
            let scope = stage.scope(plan);
            let seen =
                stage.world.block_on(estate::look(&session, (&store, scope), plan, guard, &recorder))?;
            let active = active::active_site(plan, &seen, stage.world.now());
            let answered = seen.entries.values().filter(|e| e.now.state().is_some()).count();
            seen_something &= answered > 0;
            if printer.format == Format::Human && plans.len() > FEW {
                lines.push(in_a_line(plan, &active, (answered, seen.entries.len())));
            } else if printer.format == Format::Human {
                printer.line(&format!(
                    "{}: {}; {answered} of {} observed",
                    plan.name,
                    active.words(),
                    seen.entries.len()
                ));
                let refused = targets::refused(plan, guard, &seen);
                refused.iter().for_each(|(_, why)| printer.line(&format!("  {why}")));
                let said: BTreeSet<_> = refused.iter().map(|(target, _)| target.key()).collect();
                let unseen = |(key, e): &(&String, &Entry)| e.now.state().is_none() && !said.contains(*key);
                for (target, entry) in seen.entries.iter().filter(unseen) {
                    printer.line(&format!("  {target}: {}", entry.now.why_not()));
                }
            } else {
                documents.push(serde_json::json!({"schema_version": 1, "plan": plan.name, "active": {"site": active.site(), "basis": active.basis()}, "estate": seen}));
            }
        }
        match (printer.format, documents.as_slice()) {
            (Format::Human, _) if plans.len() > FEW => {
                summed::show(printer, "plan", lines, "for the reasons of one plan, run drctl observe PLAN");
            }
            (Format::Human, _) => {}
            (_, [one]) => printer.document(one),
            (_, many) => printer.document(&serde_json::json!({"schema_version": 1, "plans": many})),
        }
        let Some(every) = every else {
            return Ok(if seen_something { exit::DONE } else { exit::NOT_RECOVERED });
        };
        let clock = crate::world::World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
        let until = clock.now() + every;
        clock.block_on(clock.sleep_until(until));
    }
}

fn in_a_line(plan: &Plan, active: &ActiveSite, (answered, all): (usize, usize)) -> SummaryLine {
    let (reads, word) = match answered {
        0 => (Reads::Bad, "no answer"),
        some if some < all || !matches!(active, ActiveSite::At(_)) => (Reads::Doubtful, "in part"),
        _ => (Reads::Good, "observed"),
    };
    let detail = format!("{}; {answered} of {all} observed", active.words());
    SummaryLine { reads, word: word.to_owned(), what: plan.name.to_string(), detail }
}
