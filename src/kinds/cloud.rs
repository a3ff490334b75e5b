//! What the providers of places say of a place: its keys, and what is wrong with it.

use crate::kinds::aws;
use crate::kinds::operation::Operation;
use crate::kinds::shared::command;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::kinds::world::SimulatedWorld;
use crate::model::finding::{Finding, Span};
use crate::model::place::{CloudProvider, Place};
use crate::model::readiness::{QuotasState, Reading};
use crate::model::shape::{Field, Shape, opt};
use crate::model::time::Dur;

/// `role:` of a place.
pub const ROLE: Field = opt("role", Shape::Written(&aws::places::ROLE), "the role to assume there");

/// `external_id:` of a place.
pub const EXTERNAL_ID: Field =
    opt("external_id", Shape::Written(&aws::places::EXTERNAL_ID), "the external id that the role requires");

/// What is wrong with a site or a connection itself, whatever uses it.
pub fn lint(place: &Place, file: &str, span: Span) -> Option<Finding> {
    match place.cloud {
        CloudProvider::Aws => aws::places::account(place, file, span),
        CloudProvider::Gcp | CloudProvider::None => None,
    }
}

/// Whether a provider has a region of this name.
pub fn is_region(name: &str) -> bool {
    aws::places::REGIONS.contains(&name)
}

/// The service that says whose credentials are used.
pub const IDENTITY: &str = "STS";

/// The permission to read the lag of a replica that no login reaches.
pub const METRICS: &str = "cloudwatch:GetMetricData";

/// What to do if credentials are not valid.
pub const RENEW: &str = "renew the credentials (aws sso login, or new keys)";

/// Whether a place is in an account, whose credentials, permissions and quotas drctl can ask for.
pub const fn has_account(place: &Place) -> bool {
    match place.cloud {
        CloudProvider::Aws => true,
        CloudProvider::Gcp | CloudProvider::None => false,
    }
}

/// Whether the quotas of an account leave room for what a recovery creates; `None` where there is no account.
pub fn room(place: &Place, of: &QuotasState) -> Option<Reading> {
    match place.cloud {
        CloudProvider::Aws => Some(aws::quotas::room(&of.of)),
        CloudProvider::Gcp | CloudProvider::None => None,
    }
}

/// How long a simulated operation takes that runs on this machine, if the plan declares that. No network loses such a call.
pub fn takes(op: &Operation) -> Option<Dur> {
    match op {
        Operation::Run(of) => command::sim::takes(of),
        _ => None,
    }
}

/// What a simulation shows of a target that belongs to no component; none if it belongs to one. `databases` is the number of databases in
/// a place.
pub fn simulated(
    target: &Target,
    databases: impl Fn(&Place) -> usize,
    world: &SimulatedWorld,
) -> Option<State> {
    match target {
        Target::Identity { place } => Some(State::Identity(aws::sim::identity(place))),
        Target::Granted { place, needs } => Some(State::Granted(aws::sim::granted(place, needs.len()))),
        Target::Quotas { place } => Some(State::Quotas(aws::sim::quotas(databases(place)))),
        Target::Answers { names } => Some(State::Answers(world.name_servers(names))),
        Target::Command { command: of, .. } => Some(State::Command(command::sim::result(of))),
        _ => None,
    }
}
