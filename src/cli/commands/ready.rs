//! `drctl ready`

use serde_json::json;

use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::{estate, exit, paths, readiness, run_states};
use crate::cli::args::{Global, PlansArg};
use crate::cli::formats::Format;
use crate::cli::printer::{DIM, GREEN, Printer, RED, YELLOW};
use crate::model::plain::count;
use crate::model::readiness::{Check, Standing};
use crate::model::waiver::harmless;
use crate::plan::Plan;
use crate::report::readiness::worst;

/// Up to this many plans are shown in full. For more, a summary comes first, then whatever is not ready.
const FEW: usize = 5;

/// Reports whether a recovery would work today.
pub fn run(global: &Global, printer: &Printer, args: &PlansArg) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let (plans, left_out) = context.usable_plans(&args.plans, printer)?;
    let store = context.store()?;
    let runs = run_states::all(&store)?;
    estate::before_the_outage(&context, printer)?;
    let (mut documents, mut overall) = (Vec::new(), Standing::Ready);
    let many = plans.len() > FEW;
    let mut all = Vec::new();
    for plan in &plans {
        let (at, checks) = readiness::evaluate(&context, &store, (plan, &runs), &Interrupts::default())?;
        let standing = worst(&checks);
        overall = overall.max(standing);
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
    Ok(match overall {
        // Nothing recovers a plan that cannot be read.
        _ if !left_out.is_empty() => exit::REFUSED,
        Standing::Ready => exit::DONE,
        Standing::Degraded | Standing::Unknown => exit::RECOVERED_BUT,
        Standing::NotReady => exit::REFUSED,
    })
}

/// A count by standing; then the problems of each plan, the worst first.
fn summary(p: &Printer, all: &[(&Plan, Vec<Check>)]) {
    let standings = [Standing::NotReady, Standing::Unknown, Standing::Degraded, Standing::Ready];
    let of = |standing| all.iter().filter(move |(_, checks)| worst(checks) == standing);
    let counted = standings.map(|standing| (standing, of(standing).count()));
    let some = counted.iter().filter(|(_, n)| *n > 0);
    let words: Vec<_> = some.map(|(standing, n)| format!("{n} {}", coloured(p, *standing))).collect();
    p.line(&format!("{}: {}", count(all.len(), "plan"), words.join(", ")));
    for (plan, checks) in standings.into_iter().filter(|s| *s != Standing::Ready).flat_map(of) {
        let open: Vec<&Check> = checks.iter().filter(|c| c.standing != Standing::Ready).collect();
        let standing = worst(checks);
        let Some(first) = open.iter().find(|c| c.standing == standing) else { continue };
        let more = open.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let word = coloured(p, standing);
        p.line(&format!("  {word}  {}: {}: {}{more}", plan.name, first.about, harmless(&first.facts)));
    }
    p.line("run drctl ready PLAN for all checks of one plan");
}

/// The checks of one plan, the worst first.
fn show(p: &Printer, plan: &Plan, checks: &[Check]) {
    let standing = worst(checks);
    p.line(&format!("{}: {}", plan.name, coloured(p, standing)));
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
