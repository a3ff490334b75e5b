//! `drctl restore`: makes a copy of a database as it was, verifies it, and puts it in place.

use super::start;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::interrupt::Interrupts;
use crate::app::restore::RestoreRequest;
use crate::app::start::{Drilled, StartOptions, Starting};
use crate::app::{active_site, whatif};
use crate::cli::args::{Global, RestoreArgs};
use crate::cli::printer::Printer;
use crate::model::ids::SiteName;
use crate::model::intent::Intent;

/// Restores a component.
pub fn run(global: &Global, printer: &Printer, args: &RestoreArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?.with_intent(Intent::Restore);
    let asked = RestoreRequest::new(&args.component, &args.point.point(), None)?;
    let plan = context.plan(&args.plan, printer)?;
    whatif::has_database(&plan, asked.component())?;
    if let Some(site) = &args.site {
        whatif::has_site(&plan, &SiteName::new(&**site))?;
    }
    let store = context.store()?;
    let to = match &args.site {
        Some(site) => site.clone(),
        None => active_site::active_site(
            &context,
            &store,
            &plan,
            ("name the site of the server to restore: --site SITE", &Interrupts::default()),
        )?
        .to_string(),
    };
    let options = StartOptions::one(&args.plan, None, to, &args.how.options());
    let interrupts = Interrupts::listen().map_err(|e| AppError::usage(format!("no signals: {e}")))?;
    start::all(
        printer,
        &Starting {
            context: &context,
            presenter: printer,
            store: &store,
            intent: Intent::Restore,
            options: &options,
            outage_began: None,
            restore: Some(&asked),
            drill: Drilled::default(),
            interrupts,
            waves: None,
            foreseen: None,
        },
    )
}
