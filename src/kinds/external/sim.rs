//! A component that people recover: nothing of it is simulated.

use super::plan::External;
use crate::kinds::operation::Operation;
use crate::kinds::simulated::{Simulated, SimulatedPart, changes_by_calls_only, has_no_servers};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;

/// Nothing.
pub struct NotSimulated;

impl Simulated for NotSimulated {
    type Spec = External;

    changes_by_calls_only!();
    has_no_servers!();

    fn build(_: &External, _: (Owner, &ComponentName), _: &dyn Surroundings, _: &mut SimulatedWorld) -> Self {
        Self
    }

    fn start_from(&mut self, _: &Feed, _: &mut SimulatedWorld) {}

    fn apply(&mut self, op: &Operation, _: &mut SimulatedWorld) -> Answer {
        Err(Refused::unknown(op))
    }

    fn observe(&self, _: &Target, _: &SimulatedWorld) -> Option<State> {
        None
    }

    fn part(&self) -> SimulatedPart<'_> {
        SimulatedPart::Other
    }
}
