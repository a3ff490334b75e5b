//! The one list of kinds.
//!
//! A new kind is a line here, beside the type in its folder. Nothing else lists them.

use std::collections::BTreeSet;

use super::surroundings::Surroundings;
use crate::kinds::aws::aurora::plan::AuroraGlobal;
use crate::kinds::aws::autoscaling::plan::Autoscaling;
use crate::kinds::aws::ecs::plan::Ecs;
use crate::kinds::aws::rds::plan::Rds;
use crate::kinds::aws::route53::plan::Route53;
use crate::kinds::aws::s3::plan::Buckets;
use crate::kinds::external::plan::External;
use crate::kinds::kind::{Kind, Role, Sight};
use crate::kinds::lint::Lint;
use crate::kinds::operation::Operation;
use crate::kinds::postgres::plan::Postgres;
use crate::kinds::shared::clients::moved::Clients;
use crate::kinds::shared::database::sim::Servers;
use crate::kinds::simulated::{NetworkChange, Simulated, SimulatedPart};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Silence};
use crate::kinds::world::feed::Feed;
use crate::kinds::world::heap::Owner;
use crate::model::document::Node;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::{Check, Needs};
use crate::model::shape::Case;
use crate::model::time::Dur;

/// Makes the lists, `each!`, which asks the component, whichever kind it is, and `each_simulated!`, which asks its simulation. (The first
/// word is a dollar sign for these two.)
macro_rules! kinds {
    ($d:tt $($kind:ident,)*) => {
        /// The kind of a component, with its keys. Only this file can match on the kind: the rest of the program asks for its role.
        #[derive(Clone, Debug)]
        pub struct Spec(Any);

        #[derive(Clone, Debug)]
        enum Any {
            $($kind($kind),)*
        }

        /// The simulation of a component, whichever kind it is.
        pub struct Simulation(AnySimulated);

        enum AnySimulated {
            $($kind(<$kind as Kind>::Sim),)*
        }

        /// The kinds of component that plans may use.
        pub const KINDS: &[Case] = &[$($kind::CASE,)*];

        impl Spec {
            /// What a component of this kind is; none if the shape refused what it depends on, or knows no such kind.
            pub fn build(kind: &str, node: &Node) -> Option<Self> {
                $(if kind == $kind::CASE.name {
                    return $kind::build(node).map(Any::$kind).map(Self);
                })*
                None
            }

            /// Its simulation, in its first state.
            pub fn simulated(
                &self,
                component: (Owner, &ComponentName),
                plan: &dyn Surroundings,
                world: &mut SimulatedWorld,
            ) -> Simulation {
                Simulation(match &self.0 {
                    $(Any::$kind(spec) => {
                        AnySimulated::$kind(Simulated::build(spec, component, plan, world))
                    })*
                })
            }

            /// The name of the kind in plans.
            pub const fn kind(&self) -> &'static str {
                match &self.0 { $(Any::$kind(_) => $kind::CASE.name,)* }
            }
        }

        macro_rules! each {
            ($d of:expr, $d kind:ident => $d answer:expr) => {
                match &$d of.0 { $(Any::$kind($d kind) => $d answer,)* }
            };
        }

        macro_rules! each_simulated {
            ($d of:expr, $d sim:ident => $d answer:expr) => {
                match $d of { $(AnySimulated::$kind($d sim) => $d answer,)* }
            };
        }
    };
}

kinds! { $
    Rds,
    Postgres,
    AuroraGlobal,
    Autoscaling,
    Ecs,
    Route53,
    Clients,
    Buckets,
    External,
}

impl Spec {
    /// Finds what would go wrong with it in a recovery, when the plan is checked.
    pub fn lint(&self, of: &mut Lint<'_>) {
        each!(self, kind => kind.lint(of));
    }

    /// What it does for the application.
    pub fn role(&self) -> Role<'_> {
        each!(self, kind => kind.role())
    }

    /// Whether it stores writes.
    pub fn is_store(&self) -> bool {
        matches!(self.role(), Role::Store(_))
    }

    /// The sites that it names.
    pub fn sites(&self) -> BTreeSet<SiteName> {
        each!(self, kind => kind.sites())
    }

    /// What drctl observes of it.
    pub fn targets(&self, name: &ComponentName, plan: &dyn Surroundings) -> Vec<Target> {
        each!(self, kind => kind.targets(name, plan))
    }

    /// What drctl observes of it only to judge readiness.
    pub fn samples(
        &self,
        name: &ComponentName,
        plan: &dyn Surroundings,
        active: &SiteName,
        seed: &str,
    ) -> Vec<Target> {
        each!(self, kind => kind.samples(name, plan, active, seed))
    }

    /// What readiness checks of it beyond what its role needs.
    pub fn checks(&self, name: &ComponentName, plan: &dyn Surroundings, seen: &dyn Sight) -> Vec<Check> {
        each!(self, kind => kind.checks(name, plan, seen))
    }
    /// What the credentials must be allowed to do for every recovery that the plan describes.
    pub fn permissions(&self, name: &ComponentName, plan: &dyn Surroundings, needs: &mut Needs) {
        each!(self, kind => kind.permissions(name, plan, needs));
    }
}

impl Simulation {
    /// Starts in the state that was observed, where it was.
    pub fn start_from(&mut self, feed: &Feed, world: &mut SimulatedWorld) {
        each_simulated!(&mut self.0, sim => sim.start_from(feed, world));
    }

    /// Carries out an operation.
    ///
    /// # Errors
    /// The provider refuses it.
    pub fn apply(&mut self, op: &Operation, world: &mut SimulatedWorld) -> Answer {
        each_simulated!(&mut self.0, sim => sim.apply(op, world))
    }

    /// The state of a target; none if it does not exist.
    pub fn observe(&self, target: &Target, world: &SimulatedWorld) -> Option<State> {
        each_simulated!(&self.0, sim => sim.observe(target, world))
    }

    /// An event happens that it scheduled; false if it was cancelled.
    pub fn due(&mut self, event: u64, world: &mut SimulatedWorld) -> bool {
        each_simulated!(&mut self.0, sim => sim.due(event, world))
    }

    /// Whether anything answers about a target in a place that can be reached.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn answers(&self, target: &Target, world: &SimulatedWorld) -> Result<(), Silence> {
        each_simulated!(&self.0, sim => sim.answers(target, world))
    }

    /// How old an answer about a target may be, although it claims to be current.
    pub fn oldest(&self, target: &Target, world: &SimulatedWorld) -> Dur {
        each_simulated!(&self.0, sim => sim.oldest(target, world))
    }

    /// An older answer, with what is current even in one.
    pub fn aged(&self, old: State, now: &State) -> State {
        each_simulated!(&self.0, sim => sim.aged(old, now))
    }

    /// A part of the network is cut, or works again.
    pub fn network_changed(&mut self, change: NetworkChange, world: &mut SimulatedWorld) {
        each_simulated!(&mut self.0, sim => sim.network_changed(change, world));
    }

    /// What it does for users.
    pub fn part(&self) -> SimulatedPart<'_> {
        each_simulated!(&self.0, sim => sim.part())
    }

    /// Its servers, if it stores writes.
    pub fn servers(&mut self) -> Option<&mut Servers> {
        each_simulated!(&mut self.0, sim => sim.servers())
    }
}
