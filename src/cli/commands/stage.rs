//! What a command acts on: the live providers, or a simulated estate, with a world to go with it.

use crate::adapters::Cloud;
use crate::adapters::sandbox::{Sandbox, Scenario};
use crate::adapters::unbuilt::Unbuilt;
use crate::cli::context::SANDBOX_BEGAN;
use crate::cli::error::CliError;
use crate::executor::{Patience, Session, View};
use crate::journal::sqlite::SqliteJournal;
use crate::model::event::WorldKind;
use crate::model::time::Timestamp;
use crate::plan::Plan;
use crate::probe::{NoProber, Prober};
use crate::world::World;

/// A world and its providers.
pub struct Stage {
    /// Time and chance.
    pub world: World,
    /// What runs are stamped with.
    pub kind: WorldKind,
    /// The simulated estate, in a rehearsal.
    pub sandbox: Option<Sandbox>,
    live: Option<Unbuilt>,
    no_prober: NoProber,
}

impl Stage {
    /// A simulated estate in which nothing has happened yet.
    pub fn rehearsal(
        plan: &Plan,
        scenario: &Scenario,
        seed: u64,
        began: Timestamp,
        pace: Option<f64>,
    ) -> Self {
        let world = World::simulated(began, seed, pace);
        let sandbox = Sandbox::new(plan, scenario.clone(), seed, began, world.clone());
        let kind = WorldKind::Sandbox { scenario: scenario.name.to_owned(), seed, began };
        Self { world, kind, sandbox: Some(sandbox), live: None, no_prober: NoProber }
    }

    /// The real world.
    ///
    /// # Errors
    /// If the operating system gives no timers.
    pub fn live() -> Result<Self, CliError> {
        let world = World::live().map_err(|e| CliError::usage(format!("no timers: {e}")))?;
        let live = Some(Unbuilt::new(world.clone()));
        Ok(Self { world, kind: WorldKind::Live, sandbox: None, live, no_prober: NoProber })
    }

    /// Either.
    ///
    /// # Errors
    /// If the operating system gives no timers.
    pub fn of(
        plan: &Plan,
        scenario: Option<&Scenario>,
        seed: u64,
        pace: Option<f64>,
    ) -> Result<Self, CliError> {
        match scenario {
            Some(scenario) => Ok(Self::rehearsal(plan, scenario, seed, SANDBOX_BEGAN, pace)),
            None => Self::live(),
        }
    }

    /// The providers.
    pub fn cloud(&self) -> &dyn Cloud {
        match (&self.sandbox, &self.live) {
            (Some(sandbox), _) => sandbox,
            (None, Some(live)) => live,
            (None, None) => unreachable!("a stage is a rehearsal or live"),
        }
    }

    /// The probes.
    pub fn prober(&self) -> &dyn Prober {
        match &self.sandbox {
            Some(sandbox) => sandbox,
            None => &self.no_prober,
        }
    }

    /// Whether probes are asked at all.
    pub const fn has_prober(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Everything that a run is driven with.
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
