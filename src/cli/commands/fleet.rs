//! Runs several plans at once, each as its own run on its own thread. A plan that depends on another one starts as soon as that
//! one serves users, not at the end of its watch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ending::Ending;
use super::start::{Drilled, Starting};
use super::summed::FEW;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::exit;
use crate::cli::printer::Printer;
use crate::executor::View;
use crate::model::ids::{PlanName, StepId};
use crate::model::plain::count;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::record::event::Event;
use crate::record::runbook::{OnFailure, Phase};
use crate::run::RunState;
use crate::run::state::Status;
use crate::world::World;

/// The state of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Working,
    /// Since this time.
    Serves(Timestamp),
    Failed,
}

/// Whether a plan may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Every plan that it depends on serves users.
    Now,
    /// This plan has to serve users first.
    After(PlanName),
    /// This plan will not serve users.
    Never(PlanName),
}

/// The states of all plans of one command.
pub struct Waves {
    /// Whether the plans run at the same time; in a rehearsal one follows the other.
    pub side_by_side: bool,
    /// Whether they are so many that a summary comes before the screens of single plans.
    pub many: bool,
    stands: Mutex<BTreeMap<PlanName, Stand>>,
}

impl Waves {
    fn new(plans: &[Plan], side_by_side: bool) -> Self {
        let stands = plans.iter().map(|p| (p.name.clone(), Stand::Working)).collect();
        Self { side_by_side, many: plans.len() > FEW, stands: Mutex::new(stands) }
    }

    fn stands(&self) -> MutexGuard<'_, BTreeMap<PlanName, Stand>> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the state of a plan once. A plan that served users met its dependents' condition, however its watch ends.
    fn settle(&self, plan: &PlanName, stand: Stand) {
        if let Some(now) = self.stands().get_mut(plan).filter(|now| **now == Stand::Working) {
            *now = stand;
        }
    }

    /// Whether a plan may begin now.
    pub fn turn(&self, plan: &Plan) -> Turn {
        let stands = self.stands();
        let first = |stand: Stand| {
            let after = plan.after.iter().map(|a| &a.value);
            after.into_iter().find(|name| stands.get(*name) == Some(&stand)).cloned()
        };
        match (first(Stand::Failed), first(Stand::Working)) {
            (Some(failed), _) => Turn::Never(failed),
            (None, Some(working)) => Turn::After(working),
            (None, None) => Turn::Now,
        }
    }

    /// The last of the plans that this one depends on to serve users, and since when.
    pub fn served(&self, plan: &Plan) -> Option<(PlanName, Timestamp)> {
        let stands = self.stands();
        let since = |name: &PlanName| match stands.get(name) {
            Some(Stand::Serves(at)) => Some((name.clone(), *at)),
            _ => None,
        };
        plan.after.iter().filter_map(|a| since(&a.value)).max_by_key(|(_, at)| *at)
    }

    /// Runs a plan, and notes the result for the plans that depend on it.
    fn noted(
        &self,
        printer: &Printer,
        plan: &Plan,
        work: impl FnOnce() -> Result<Ending, AppError>,
    ) -> Ending {
        let told = work().unwrap_or_else(|e| Ending::failed(printer, plan, &e));
        let stand = match (told.code, &told.run) {
            (exit::DONE | exit::RECOVERED_BUT, Some(run)) => Stand::Serves(run.last_at),
            (exit::DONE | exit::RECOVERED_BUT, None) => Stand::Serves(ALWAYS),
            _ => Stand::Failed,
        };
        self.settle(&plan.name, stand);
        told
    }
}

/// The end of a plan that had nothing to do: its users were served before.
const ALWAYS: Timestamp = Timestamp::from_millis(0);

/// Tells the other plans when this one serves users.
pub struct Watching<'a> {
    /// The display of this plan.
    pub inner: &'a dyn View,
    /// The states of all plans.
    pub waves: &'a Waves,
    /// This plan.
    pub plan: &'a PlanName,
}

impl View for Watching<'_> {
    fn event(&self, event: &Event, state: &RunState) {
        self.inner.event(event, state);
        if serves(state) {
            self.waves.settle(self.plan, Stand::Serves(event.at));
        }
    }

    fn waiting(&self, step: &StepId, why: &str, now: Timestamp, state: &RunState) {
        self.inner.waiting(step, why, now, state);
    }
}

/// Whether all steps before the watch are done.
fn serves(state: &RunState) -> bool {
    state.runbook.steps.iter().zip(&state.steps).all(|(step, at)| {
        step.phase >= Phase::Watch
            || step.background
            || match at.work.status {
                Status::Done(_) | Status::Skipped => true,
                Status::Failed => step.on_failure == OnFailure::Continue,
                _ => false,
            }
    })
}

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
        .printer
        .note(&format!("fleet {id}: {}; AWS records their sessions under this id", count(plans, "plan")));
    Ok(starting.context.of_fleet(&id))
}

/// Runs all plans in parallel. Returns the results in their order.
///
/// # Errors
/// If a person would have to confirm each plan.
pub fn run(starting: &Starting<'_>, plans: &[Plan]) -> Result<Vec<Ending>, AppError> {
    if !starting.args.how.yes {
        return Err(unconfirmed(plans));
    }
    let waves = Waves::new(plans, true);
    let context = named(starting, plans.len())?;
    let (printer, intent, args) = (starting.printer, starting.intent, starting.args);
    let (outage_began, interrupts) = (starting.outage_began, &starting.interrupts);
    let (context, waves) = (&context, &waves);
    let one = |plan: &Plan| -> Ending {
        waves.noted(printer, plan, || {
            let store = context.store()?;
            let (store, interrupts, waves) = (&store, interrupts.clone(), Some(waves));
            let (restore, drill, foreseen) = (None, Drilled::default(), None);
            Starting {
                context,
                printer,
                store,
                intent,
                args,
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
                printer.note(&format!("{}: error: no thread for it: {e}", plan.name));
                // Plans that depend on it must not wait for it.
                waves.settle(&plan.name, Stand::Failed);
            }
            runs.push(begun.ok());
        }
        let bug = || Ending { code: exit::BUG, document: None, run: None, held: None };
        runs.into_iter().map(|run| run.and_then(|r| r.join().ok()).unwrap_or_else(bug)).collect()
    }))
}

/// Rehearses all plans, one after the other in the order of their dependencies, as if they ran at the same time: the virtual clock of each
/// begins at the same instant.
pub fn rehearse(starting: &Starting<'_>, plans: &[Plan]) -> Vec<Ending> {
    let waves = Waves::new(plans, false);
    let interrupts = &starting.interrupts;
    let one = Starting { waves: Some(&waves), interrupts: interrupts.clone(), ..*starting };
    let mut told = Vec::new();
    for plan in plans {
        told.push(waves.noted(starting.printer, plan, || one.plan(plan)));
        if interrupts.count() > 0 {
            break;
        }
    }
    told
}
