//! What a simulation asks of a kind of component.

use crate::kinds::operation::Operation;
use crate::kinds::shared::capacity::sim::Pools;
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::ids::ComponentName;
use crate::model::time::Dur;

/// How one component behaves, with its traps. It meets other components only in the world.
///
/// If a process dies, the next one starts with the first state, advances the time and repeats the accepted calls at their times. Nothing
/// else is repeated: what a refused call changed would disappear. So a call that is refused must change nothing. The estate around the
/// kinds (`adapters/sandbox`) decides which calls are throttled, lost or late. A kind learns only of those that arrive.
///
/// A trap is one of these:
/// - a first state that is not what a recovery expects, such as what a crash left (`build`);
/// - an event of the `Agenda`, such as somebody else's change (`due`);
/// - a refusal or a delay that depends on the time and on `SimulatedWorld::roll`. Each combination of words has its own number, so words of
///   your own change no other draw;
/// - an old answer (`oldest`).
///
/// A trap that is a fault appears only in scenarios with faults (`Scenario::faults`, now only `chaos`), so that the others stay calm. One
/// that needs a scenario of its own is a field of `Scenario`.
///
/// A trap must last until the run meets it: a run of the tests begins 100 s after the estate, and a call without an effect is repeated
/// after 20 s.
pub trait Simulated: Sized {
    /// What the plan declares.
    type Spec;

    /// The component in its first state: as the plan implies. Its events are those of `owner`.
    fn build(
        spec: &Self::Spec,
        component: (Owner, &ComponentName),
        plan: &dyn Surroundings,
        world: &mut SimulatedWorld,
    ) -> Self;

    /// Starts in the state that was observed, where it was.
    fn start_from(&mut self, feed: &Feed, world: &mut SimulatedWorld);

    /// Carries out an operation.
    ///
    /// # Errors
    /// The provider refuses it.
    fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer;

    /// The state of a target; none if it does not exist.
    fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State>;

    /// An event happens that it scheduled; false if it was cancelled.
    fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool;

    /// Whether anything answers about a target in a place that can be reached.
    ///
    /// # Errors
    /// Why nothing does.
    fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence>;

    /// How old an answer about a target may be, although it claims to be current: describe calls of many services are eventually consistent.
    fn oldest(&self, target: &Target, world: &SimulatedWorld) -> Dur;

    /// An older answer, with what is current even in one.
    fn aged(&self, old: State, now: &State) -> State;

    /// A part of the network is cut, or works again.
    fn network_changed(&mut self, change: NetworkChange, world: &mut SimulatedWorld);

    /// What it does for users.
    fn part(&self) -> SimulatedPart<'_>;

    /// The same, to change it.
    fn servers(&mut self) -> Option<&mut Servers>;
}

/// How the network changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkChange {
    /// A part of it is cut.
    Cut,
    /// A part of it works again.
    Mended,
}

/// What a simulated component does for users.
pub enum SimulatedPart<'a> {
    /// It takes their writes.
    Store(&'a Servers),
    /// It does the work.
    Capacity(&'a Pools),
    /// Nothing that they would notice, or it leads them by what the world resolves.
    Other,
}

/// For a kind whose state only operations change.
macro_rules! changes_by_calls_only {
    () => {
        fn due(&mut self, _: u64, _: &mut crate::kinds::world::SimulatedWorld) -> bool {
            false
        }
    };
}

/// For a kind with no servers of its own, which no network affects and whose answers are current.
macro_rules! has_no_servers {
    () => {
        fn answers(
            &self,
            _: &crate::kinds::target::Target,
            _: &crate::kinds::world::SimulatedWorld,
        ) -> Result<(), crate::kinds::world::answer::Silence> {
            Ok(())
        }

        fn oldest(
            &self,
            _: &crate::kinds::target::Target,
            _: &crate::kinds::world::SimulatedWorld,
        ) -> crate::model::time::Dur {
            crate::model::time::Dur::ZERO
        }

        crate::kinds::simulated::is_told_as_a_whole!();
    };
}

/// For a kind without servers: an older answer is older in all its parts.
macro_rules! is_told_as_a_whole {
    () => {
        fn aged(
            &self,
            old: crate::kinds::state::State,
            _: &crate::kinds::state::State,
        ) -> crate::kinds::state::State {
            old
        }

        fn network_changed(
            &mut self,
            _: crate::kinds::simulated::NetworkChange,
            _: &mut crate::kinds::world::SimulatedWorld,
        ) {
        }

        fn servers(&mut self) -> Option<&mut crate::kinds::shared::database::sim::Servers> {
            None
        }
    };
}

pub(in crate::kinds) use {changes_by_calls_only, has_no_servers, is_told_as_a_whole};
