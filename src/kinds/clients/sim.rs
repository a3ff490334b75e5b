//! How clients behave: they connect to wherever their secret leads.

use crate::kinds::kind::Role;
use crate::kinds::operation::Operation;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::shared::database::sim::server::listens;
use crate::kinds::simulated::{Simulated, SimulatedPart, changes_by_calls_only, has_no_servers};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::kinds::world::names::SecretRoute;
use crate::model::ids::ComponentName;

/// The clients of one component. The world knows where their secrets lead.
pub struct SimulatedClients;

impl Simulated for SimulatedClients {
    type Spec = Clients;

    changes_by_calls_only!();
    has_no_servers!();

    /// The secrets initially point to the database that takes writes at the beginning.
    fn build(
        spec: &Clients,
        (_, name): (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self {
        let of = &spec.of.value;
        let roles = plan.components().into_iter().filter(|(other, _)| *other == of);
        let writer = roles.map(|(_, of)| of.role()).find_map(|role| match role {
            Role::Store(db) => db.server(plan, of, &world.active),
            _ => None,
        });
        let Some(writer) = writer else { return Self };
        for secret in plan.sites().keys().filter_map(|site| spec.secret(plan, name, site)) {
            let fields = secret.leading_to(&listens(&writer)).unwrap_or_default();
            world.ways.insert(secret, SecretRoute { of: of.clone(), fields });
        }
        Self
    }

    fn start_from(&mut self, _: &Feed, _: &mut SimulatedWorld) {}

    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        match op {
            Operation::UpdateClientSecret(of) => world.point(of),
            other => Err(Refused::unknown(other)),
        }
    }

    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        match target {
            Target::Secret(of) => world.secret(of).map(State::Secret),
            _ => None,
        }
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Other
    }
}
