//! How a service of Amazon ECS behaves: tasks start after a while, and sometimes cannot be placed.

use std::collections::BTreeMap;

use super::plan::Ecs;
use super::service::{Image, Presence, ServiceRef, TaskState};
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

/// The words of a service event (Amazon ECS Developer Guide, «Viewing Amazon ECS service event messages»).
const SHORTAGE: &str = "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.";

/// The services of one component.
pub struct SimulatedServices(Pools);

impl Simulated for SimulatedServices {
    type Spec = Ecs;

    is_told_as_a_whole!();

    fn build(
        spec: &Ecs,
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
            Operation::ScaleService(of) => {
                self.0.scale(&Target::Service(of.service.clone()), of.sent(), world)
            }
            other => Err(Refused::unknown(other)),
        }
    }

    fn observe(&self, target: &Target, _: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Service(_) => self.0.observe(target),
            Target::Task(of) => Some(State::Task(task(of))),
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
            Target::Service(_) => world.scenario.stale,
            _ => Dur::ZERO,
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Capacity(&self.0)
    }
}

/// The same revision in each site.
fn task(of: &ServiceRef) -> TaskState {
    let image = Image { name: format!("{}:1", of.component), presence: Presence::Present };
    TaskState {
        definition: format!("{}:1", of.service),
        containers: BTreeMap::from([("app".to_owned(), image)]),
        ..TaskState::default()
    }
}
