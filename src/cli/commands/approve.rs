//! `drctl approve` and `drctl reject`

use crate::cli::args::Global;
use crate::cli::commands::runs;
use crate::cli::context::{Context, one_line};
use crate::cli::error::CliError;
use crate::cli::keys;
use crate::cli::printer::Printer;
use crate::executor::create;
use crate::journal::Journal as _;
use crate::model::event::Signal;
use crate::model::ids::{RunId, StepId};
use crate::model::time::Dur;

/// How long a signed yes may wait at most: what it was said to changes meanwhile.
const LONGEST: Dur = Dur::mins(24 * 60);

/// Says yes. The yes binds to the digest of the runbook that the run executes.
pub fn approve(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    good_for: Option<&str>,
) -> Result<u8, CliError> {
    let good_for = good_for.map(Dur::parse).transpose().map_err(CliError::usage)?.unwrap_or(keys::GOOD_FOR);
    if good_for > LONGEST {
        return Err(CliError::usage_fix(
            format!("a yes is good for {LONGEST} at most"),
            "say it when it is needed",
        ));
    }
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    let run = RunId::new(run);
    let state = create::replay(&run, &store.read(&run)?)?;
    let signal = Signal::Approve { step: StepId::new(step), runbook: state.created.runbook_digest };
    runs::send_for(&context, printer, &store, &run, signal, good_for)
}

/// Lets a run go on before those have said yes who have to.
pub fn overrule(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    reason: &str,
) -> Result<u8, CliError> {
    let signal = Signal::Override { step: StepId::new(step), reason: one_line(reason) };
    say(global, printer, run, signal)
}

/// Says no.
pub fn reject(
    global: &Global,
    printer: &Printer,
    run: &str,
    step: &str,
    reason: &str,
) -> Result<u8, CliError> {
    let signal = Signal::Reject { step: StepId::new(step), reason: one_line(reason) };
    say(global, printer, run, signal)
}

fn say(global: &Global, printer: &Printer, run: &str, signal: Signal) -> Result<u8, CliError> {
    let context = Context::load(global, printer)?;
    let store = context.store()?;
    runs::send(&context, printer, &store, &RunId::new(run), signal)
}
