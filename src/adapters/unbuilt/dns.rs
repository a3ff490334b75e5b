//! In place of `adapters/dns` in a build without the feature `dns`.

use std::net::IpAddr;

use crate::inventory::Observation;
use crate::model::action::Wanted;
use crate::world::World;

/// No DNS.
pub struct Dns {
    world: World,
}

impl Dns {
    /// Nothing.
    pub fn new(world: World, _resolvers: Vec<IpAddr>) -> Self {
        Self { world }
    }

    /// Not asked.
    pub async fn answers(&self, _names: &[Wanted]) -> Observation {
        Observation::Unobservable { since: self.world.now(), why: "built without dns".to_owned() }
    }
}
