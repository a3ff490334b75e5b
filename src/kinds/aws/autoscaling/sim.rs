//! How an Auto Scaling group behaves: instances come into service after a while, and sometimes there is no capacity for them.

use super::plan::Autoscaling;
use crate::kinds::operation::Operation;
use crate::kinds::shared::capacity::sim::Pools;
use crate::kinds::simulated::{Simulated, SimulatedPart, is_told_as_a_whole};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

/// The provider's words when it has too few instances.
const SHORTAGE: &str = "InsufficientInstanceCapacity: We currently do not have sufficient capacity in the Availability Zone you requested";

/// The groups of one component.
pub struct SimulatedGroups(Pools);

impl Simulated for SimulatedGroups {
    type Spec = Autoscaling;

    is_told_as_a_whole!();

    fn build(
        spec: &Autoscaling,
        component: (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        Self(Pools::new(spec, SHORTAGE, component, plan, world))
    }

    fn start_from(&mut self, feed: &Feed, _: &mut SimulatedWorld) {
        self.0.start_from(feed);
    }

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::Scale(of) => self.0.scale(&Target::Group(of.group.clone()), of.sent(), world),
            other => Err(Refused::unknown(other)),
        }
    }

    fn observe(&self, target: &Target, _: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Group(_) => self.0.observe(target),
            _ => None,
        }
    }

    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        self.0.due(event, world)
    }

    fn answers(&self, _: &Target, _: &SimulatedWorld) -> Result<(), Silence> {
        Ok(())
    }

    fn oldest(&self, target: &Target, world: &SimulatedWorld) -> Dur {
        match target {
            Target::Group(_) => world.scenario.stale,
            _ => Dur::ZERO,
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Capacity(&self.0)
    }
}
