//! Where a plan is active.

use super::context::Context;
use super::error::AppError;
use super::estate;
use super::interrupt::Interrupts;
use super::stage::Stage;
use crate::adapters::sandbox;
use crate::executor::Patience;
use crate::inventory::active;
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::SiteName;
use crate::plan::Plan;
use crate::probe::Recorder;

/// Where a plan is active, according to a new observation; `None` unless that is a single site.
///
/// # Errors
/// If the store cannot be read or written, or after an interrupt.
pub fn remembered_site(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    to: Option<&SiteName>,
    interrupts: &Interrupts,
) -> Result<Option<SiteName>, AppError> {
    let place = to.and_then(|to| plan.sites.get(to)).map(|s| &s.place);
    let stage = Stage::of_plan(context, plan, place)?;
    let (view, none) = (crate::executor::Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let look = estate::look(&session, (store, plan.name.as_str()), plan, None, &recorder);
    let seen = stage.world.block_on(interrupts.end_early(&stage.world, look))?;
    let active = active::active_site(plan, &seen, stage.world.now());
    Ok(active.site().cloned())
}

/// Where a plan is active: observed, or in a rehearsal where its scenario starts.
///
/// # Errors
/// If that cannot be observed, with the option that states it instead.
pub fn active_site(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    (flag, interrupts): (&str, &Interrupts),
) -> Result<SiteName, AppError> {
    if let Some(scenario) = context.scenario()? {
        return Ok(sandbox::active(plan, scenario.begins));
    }
    remembered_site(context, store, plan, None, interrupts)?.ok_or_else(|| {
        let text = format!("it is unknown which single site takes the writes of {}", plan.name);
        AppError::usage_fix(text, flag.to_owned())
    })
}
