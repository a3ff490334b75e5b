//! What a command acts on: the live providers or a simulated estate, and the matching world.

use std::rc::Rc;

use super::context::{Context, SANDBOX_BEGAN};
use super::error::AppError;
use super::exit;
use crate::adapters::live::Live;
use crate::adapters::sandbox::Sandbox;
use crate::adapters::{self, Cloud, secrets};
use crate::executor::{Patience, Session, View};
use crate::inventory::targets;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::world::feed::Feed;
use crate::kinds::world::scenario::Scenario;
use crate::kinds::{Called, Target};
use crate::model::ids::SiteName;
use crate::model::place::Place;
use crate::model::provider::ProviderName;
use crate::model::time::{Dur, Timestamp};
use crate::plan::{Plan, Settings};
use crate::probe::live::LiveProber;
use crate::probe::{Alarms, Prober};
use crate::record::event::WorldKind;
use crate::run::RunState;
use crate::world::World;

/// A world and its providers.
pub struct Stage {
    /// Clock and random numbers.
    pub world: World,
    /// The kind of world, which runs record.
    pub kind: WorldKind,
    /// The simulated estate, in a rehearsal.
    pub sandbox: Option<Sandbox>,
    live: Option<Rc<Live>>,
    prober: LiveProber,
}

impl Stage {
    /// A simulated estate in its initial state: from the plan, or from an observation.
    pub fn rehearsal(
        plan: &Plan,
        scenario: &Scenario,
        seed: u64,
        (began, feed): (Timestamp, Option<&Feed>),
        pace: Option<f64>,
    ) -> Self {
        let world = World::simulated(began, seed, pace);
        let sandbox = Sandbox::fed(plan, scenario.clone(), seed, began, world.clone(), feed);
        let kind = WorldKind::Sandbox { scenario: scenario.name.to_owned(), seed, began };
        let prober = LiveProber::new(world.clone(), None, secrets::scrubbed);
        Self { world, kind, sandbox: Some(sandbox), live: None, prober }
    }

    /// How many seconds of a run pass in one real second; `None` if a rehearsal takes no time.
    pub fn pace(&self, asked: Option<f64>) -> Option<f64> {
        if self.sandbox.is_none() { Some(1.0) } else { asked }
    }

    /// The real world. drctl reaches global services, and reads secrets, from the recovery place.
    ///
    /// # Errors
    /// If the operating system provides no timers.
    pub fn live(settings: &Settings, recovery: Option<&Place>) -> Result<Self, AppError> {
        let world = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
        let live = Rc::new(Live::new(&world, settings, recovery.cloned()));
        let alarms: Rc<dyn Alarms> = Rc::<Live>::clone(&live);
        let prober = LiveProber::new(world.clone(), Some(alarms), secrets::scrubbed);
        Ok(Self { world, kind: WorldKind::Live, sandbox: None, live: Some(live), prober })
    }

    /// Either of both.
    ///
    /// # Errors
    /// If the operating system provides no timers.
    pub fn live_or_rehearsal(
        context: &Context,
        plan: &Plan,
        to: Option<&SiteName>,
    ) -> Result<Self, AppError> {
        match context.scenario()? {
            Some(scenario) => {
                Ok(Self::rehearsal(plan, &scenario, context.seed(), (SANDBOX_BEGAN, None), context.pace()))
            }
            None => Self::of_plan(context, plan, to.and_then(|to| plan.sites.get(to)).map(|s| &s.place)),
        }
    }

    /// The real world for a plan.
    ///
    /// # Errors
    /// If this build lacks a provider for it, or the operating system provides no timers.
    pub fn of_plan(context: &Context, plan: &Plan, recovery: Option<&Place>) -> Result<Self, AppError> {
        let settings = context.in_earnest()?;
        built_for(&targets::of_plan(plan, context.guard_of(plan).as_ref()), adapters::BUILT)?;
        Self::live(settings, recovery)
    }

    /// The real world for a run.
    ///
    /// # Errors
    /// The same.
    pub fn of_run(context: &Context, state: &RunState) -> Result<Self, AppError> {
        let watched = state.runbook.steps.iter().filter_map(|s| s.action.watch(&Called::NOT_YET));
        built_for(&watched.collect::<Vec<_>>(), adapters::BUILT)?;
        Self::live(&context.settings, state.runbook.recovery_place())
    }

    /// The providers.
    pub fn cloud(&self) -> &dyn Cloud {
        match (&self.sandbox, &self.live) {
            (Some(sandbox), _) => sandbox,
            (None, Some(live)) => live.as_ref(),
            (None, None) => unreachable!("a stage is a rehearsal or live"),
        }
    }

    /// In a rehearsal, the time until its outage has begun, if its scenario has one. Plans and assessments are made for that
    /// time.
    pub const fn outage_begins(&self) -> Dur {
        if self.sandbox.is_some() { Dur::mins(2) } else { Dur::ZERO }
    }

    /// The scope that observations are stored in: the plan's, or a rehearsal's own.
    pub fn scope<'a>(&self, plan: &'a Plan) -> &'a str {
        if self.sandbox.is_some() { "sandbox" } else { plan.name.as_str() }
    }

    /// The probes.
    pub fn prober(&self) -> &dyn Prober {
        match &self.sandbox {
            Some(sandbox) => sandbox,
            None => &self.prober,
        }
    }

    /// Whether probes are available.
    pub const fn has_prober(&self) -> bool {
        self.sandbox.is_some() || LiveProber::CAN_ASK
    }

    /// The session that a run is driven with.
    pub fn session<'a>(
        &'a self,
        journal: &'a SqliteJournal,
        view: &'a dyn View,
        interrupts: &'a dyn Fn() -> u32,
        patience: Patience,
    ) -> Session<'a> {
        Session {
            journal,
            cloud: self.cloud(),
            prober: self.prober(),
            world: &self.world,
            view,
            interrupts,
            patience,
        }
    }
}

/// Fails if a provider is not among `built`: what drctl cannot reach cannot be judged.
fn built_for(things: &[Target], built: &[ProviderName]) -> Result<(), AppError> {
    adapters::lacking(things, built).map_or(Ok(()), |lacks| {
        Err(AppError {
            code: "not_built",
            message: format!(
                "built without {lacks}, so drctl can neither observe nor change these components"
            ),
            hint: Some(format!(
                "use a build with this feature (cargo build --features {lacks}); this build can rehearse with --sandbox"
            )),
            exit: exit::USAGE,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every live verb gets its stage from a plan or a run (`house_rules::every_live_verb_asks_whether_its_providers_are_built`).
    #[test]
    fn a_build_without_a_provider_names_it_and_judges_nothing() {
        let bytes = include_bytes!("../../tests/fixtures/everything.yaml");
        let plan = crate::plan::check("everything", bytes, &Settings::default()).plan.unwrap();
        let things = targets::of_plan(&plan, None);
        use ProviderName::{Aws, Local, Postgres};
        for (built, lacks) in
            [(&[Local][..], "aws"), (&[Local, Postgres][..], "aws"), (&[Aws, Local][..], "postgres")]
        {
            let refused = built_for(&things, built).unwrap_err();
            assert_eq!((refused.exit, refused.code), (exit::USAGE, "not_built"));
            let words = format!("built without {lacks}, so drctl can neither observe nor change");
            assert!(refused.message.starts_with(&words), "{}", refused.message);
            let hint = refused.hint.unwrap();
            assert!(hint.contains(&format!("--features {lacks}")) && hint.contains("--sandbox"), "{hint}");
        }
        assert!(built_for(&things, &[Aws, Local, Postgres]).is_ok());
        // A command and a look at names need no provider.
        assert!(built_for(&[], &[]).is_ok());
    }
}
