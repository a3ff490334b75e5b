//! `drctl drill`: a tabletop review, a rehearsal, a test with copies, or a real move and its return.

use super::ending;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::{drill, notifier, uploads};
use crate::cli::args::{DrillArgs, Global};
use crate::cli::printer::Printer;

/// Runs a drill.
pub fn run(global: &Global, printer: &Printer, args: &DrillArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    let code = notifier::beside(&context, (printer, &interrupts, None), || {
        Ok(ending::tell(printer, &drill::hold(&context, printer, &args.options(), (&interrupts, None))?))
    })?;
    uploads::rest(&context, printer, &context.store()?, &interrupts);
    Ok(code)
}
