//! How much capacity each site must reach, as a plan declares it.

use crate::model::document::Node;
use crate::model::read::dur;
use crate::model::shape::{Field, Shape, opt, percent};
use crate::model::time::Dur;

/// How much capacity a site must reach.
#[derive(Clone, Debug)]
pub struct CapacityShare {
    /// Share of the source's in-service capacity.
    pub percent: u32,
    /// Never fewer.
    pub floor: Option<u32>,
    /// Share of the target capacity that is enough to continue.
    pub proceed_percent: u32,
    /// How long it may take.
    pub timeout: Option<Dur>,
}

impl CapacityShare {
    /// What is wanted where the source has this much in service, or nobody knows how much; none if the plan does not say what then.
    pub fn wanted(&self, source: Option<u32>) -> Option<u32> {
        source.map(|n| share(n, self.percent)).max(self.floor)
    }

    /// How much in service is enough to continue.
    pub fn proceed_at(&self, desired: u32) -> u32 {
        share(desired, self.proceed_percent)
    }
}

/// Percent of a number, rounded up.
fn share(of: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

/// `capacity:` of a site.
pub const CAPACITY: Field = opt(
    "capacity",
    Shape::Percent,
    "the share of the in-service capacity of the source that it must reach; 100% if absent",
);

/// `capacity_floor:` of a site.
pub const CAPACITY_FLOOR: Field = opt(
    "capacity_floor",
    Shape::Int(0, 10_000),
    "the smallest number of instances; drctl uses it if the source does not answer",
);

/// `proceed_at:` of a site.
pub const PROCEED_AT: Field = opt(
    "proceed_at",
    Shape::Percent,
    "the share of the target capacity that is enough to continue; 100% if absent",
);

/// `timeout:` of a site.
pub const SCALE_TIMEOUT: Field = opt("timeout", Shape::Duration, "how long it may take; 10m if absent");

/// Reads the four.
pub fn capacity_share(node: &Node) -> CapacityShare {
    let share = |key: &str| node.get(key).and_then(Node::text).and_then(percent).unwrap_or(100);
    CapacityShare {
        percent: share("capacity"),
        floor: node.get("capacity_floor").and_then(Node::int).and_then(|n| u32::try_from(n).ok()),
        proceed_percent: share("proceed_at"),
        timeout: node.get("timeout").and_then(dur),
    }
}
