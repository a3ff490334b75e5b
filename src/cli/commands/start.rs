//! `drctl failover`, `switchover`, `failback` and `reprotect`

use super::{ending, summed};
use crate::app::context::{Context, SANDBOX_BEGAN};
use crate::app::ending::Ending;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::start::{Drilled, Starting};
use crate::app::{clock, fleet, notifier, paths, restore, uploads, waived};
use crate::cli::args::{Global, StartArgs};
use crate::cli::printer::Printer;
use crate::model::intent::Intent;

/// Starts runs.
pub fn run(global: &Global, printer: &Printer, intent: Intent, args: &StartArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?.with_intent(intent);
    let store = context.store()?;
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    // A rehearsal starts at a fixed virtual time.
    let now = if context.is_rehearsal() { SANDBOX_BEGAN } else { clock::now()? };
    let began = args.outage_began.as_deref();
    let outage_began = began.map(|text| restore::instant(text, now)).transpose()?;
    let options = args.options();
    let starting = Starting {
        context: &context,
        presenter: printer,
        store: &store,
        intent,
        options: &options,
        outage_began,
        restore: None,
        drill: Drilled::default(),
        interrupts,
        waves: None,
        foreseen: None,
    };
    all(printer, &starting)
}

/// Starts a run of each selected plan.
///
/// # Errors
/// If one cannot begin, or its journal cannot be written.
pub fn all(printer: &Printer, starting: &Starting<'_>) -> Result<u8, AppError> {
    let (context, how) = (starting.context, &starting.options.how);
    let (plans, left_out) = starting.select()?;
    starting.note_needs(&plans);
    if plans.len() > 1 {
        waived::known(&starting.waivers()?, &plans)?;
    }
    if !how.dry_run {
        starting.store.may_write()?;
        context.unlock()?;
    }
    // A dry run is read from top to bottom.
    let several = plans.len() > 1 && !how.dry_run;
    let rehearsed = context.is_rehearsal();
    let work = || {
        let mut told = match several {
            // Rehearsals take no real time.
            true if rehearsed => fleet::rehearse(starting, &plans, plans.len() > summed::FEW),
            true => fleet::run(starting, &plans, plans.len() > summed::FEW)?,
            false => match summed::dry_run(printer, starting, &plans) {
                Some(told) => told,
                None => starting.in_turn(&plans)?,
            },
        };
        if several {
            summed::overall(printer, &plans, &told);
        }
        paths::note_left_out(&left_out, printer);
        told.extend(left_out.iter().map(|name| Ending::broken(name)));
        Ok(ending::tell(printer, &told))
    };
    let code = match how.dry_run {
        true => work()?,
        false => notifier::beside(context, (printer, &starting.interrupts, None), work)?,
    };
    uploads::rest(context, printer, starting.store, &starting.interrupts);
    Ok(code)
}
