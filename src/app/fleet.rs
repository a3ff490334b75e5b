//! Runs several plans at once, each as its own run on its own thread. A plan that depends on another one starts as soon as that
//! one serves users, not at the end of its watch.

use super::context::Context;
use super::ending::{Came, Ending};
use super::error::AppError;
use super::exit;
use super::start::{Drilled, Starting};
use super::waves::Waves;
use crate::model::plain::count;
use crate::plan::Plan;
use crate::world::World;

/// Stack size of each plan's thread, in bytes: as large as the main thread's, because SDK calls need a deep stack.
const STACK: usize = 8 << 20;

fn unconfirmed(plans: &[Plan]) -> AppError {
    let names: Vec<_> = plans.iter().map(|p| p.name.as_str()).collect();
    AppError::usage_fix(
        format!("{} would run at the same time: {}", count(plans.len(), "plan"), names.join(", ")),
        "review their runbooks with --dry-run, then add --yes; or name one plan",
    )
}

/// The context of a fleet. Its ID is part of the session names that AWS logs.
fn named(starting: &Starting<'_>, plans: usize) -> Result<Context, AppError> {
    let world = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let id = format!("{:08x}", world.random() & 0xffff_ffff);
    starting
        .presenter
        .note(&format!("fleet {id}: {}; AWS records their sessions under this id", count(plans, "plan")));
    Ok(starting.context.of_fleet(&id))
}

/// Runs all plans in parallel. If they are many, a summary comes before their screens. Returns the results in their order.
///
/// # Errors
/// If a person would have to confirm each plan.
pub fn run(starting: &Starting<'_>, plans: &[Plan], many: bool) -> Result<Vec<Ending>, AppError> {
    if !starting.options.how.yes {
        return Err(unconfirmed(plans));
    }
    let waves = Waves::new(plans, true, many);
    let context = named(starting, plans.len())?;
    let (presenter, intent, options) = (starting.presenter, starting.intent, starting.options);
    let (outage_began, interrupts) = (starting.outage_began, &starting.interrupts);
    let (context, waves) = (&context, &waves);
    let one = |plan: &Plan| -> Ending {
        waves.noted(presenter, plan, || {
            let store = context.store()?;
            let (store, interrupts, waves) = (&store, interrupts.clone(), Some(waves));
            let (restore, drill, foreseen) = (None, Drilled::default(), None);
            Starting {
                context,
                presenter,
                store,
                intent,
                options,
                outage_began,
                restore,
                drill,
                interrupts,
                waves,
                foreseen,
            }
            .plan(plan)
        })
    };
    let one = &one;
    Ok(std::thread::scope(|scope| {
        let mut runs = Vec::new();
        for plan in plans {
            let thread = std::thread::Builder::new().stack_size(STACK);
            let begun = thread.spawn_scoped(scope, move || one(plan));
            if let Err(e) = &begun {
                presenter.note(&format!("{}: error: no thread for it: {e}", plan.name));
                // Plans that depend on it must not wait for it.
                waves.fails(&plan.name);
            }
            runs.push(begun.ok());
        }
        let bug = |plan: &Plan| Ending::without(plan.name.as_str(), exit::BUG, Came::Unknown);
        let ended = |run: Option<std::thread::ScopedJoinHandle<'_, Ending>>| run.and_then(|r| r.join().ok());
        runs.into_iter().zip(plans).map(|(run, plan)| ended(run).unwrap_or_else(|| bug(plan))).collect()
    }))
}

/// Rehearses all plans, one after the other in the order of their dependencies, as if they ran at the same time: the virtual clock of each
/// begins at the same instant.
pub fn rehearse(starting: &Starting<'_>, plans: &[Plan], many: bool) -> Vec<Ending> {
    let waves = Waves::new(plans, false, many);
    let interrupts = &starting.interrupts;
    let one = Starting { waves: Some(&waves), interrupts: interrupts.clone(), ..*starting };
    let mut told = Vec::new();
    for plan in plans {
        told.push(waves.noted(starting.presenter, plan, || one.plan(plan)));
        if interrupts.count() > 0 {
            break;
        }
    }
    told
}
