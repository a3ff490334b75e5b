//! What a plan says of an Auto Scaling group.

use std::collections::BTreeMap;

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::model::document::Node;
use crate::model::ids::SiteName;
use crate::model::read::{dur, map};
use crate::model::shape::{Keys, Shape, opt, percent, req};
use crate::model::syntax;
use crate::model::time::Dur;

/// An Auto Scaling group in each site.
#[derive(Clone, Debug)]
pub struct Autoscaling {
    /// The group in each site.
    pub at: BTreeMap<SiteName, GroupAt>,
}

/// The group in one site.
#[derive(Clone, Debug)]
pub struct GroupAt {
    /// Its name.
    pub group: String,
    /// Share of the source's in-service capacity.
    pub capacity_percent: u32,
    /// Never fewer.
    pub capacity_floor: Option<u32>,
    /// Share of the target that is enough to continue.
    pub proceed_percent: u32,
    /// How long it may take.
    pub timeout: Option<Dur>,
}

pub(super) const KEYS: Keys = Keys {
    name: "aws.autoscaling component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Keys(&GROUP_AT)), "the group in each site"),
    ],
};

const GROUP_AT: Keys = Keys {
    name: "group",
    fields: &[
        req("group", Shape::Written(&syntax::GROUP), "Auto Scaling group name"),
        opt(
            "capacity",
            Shape::Percent,
            "the share of the in-service capacity of the source that it must reach; 100% if absent",
        ),
        opt(
            "capacity_floor",
            Shape::Int(0, 10_000),
            "the smallest number of instances; drctl uses it if the source does not answer",
        ),
        opt(
            "proceed_at",
            Shape::Percent,
            "the share of the target capacity that is enough to continue; 100% if absent",
        ),
        opt("timeout", Shape::Duration, "how long it may take; 10m if absent"),
    ],
};

pub(super) fn build(node: &Node) -> Autoscaling {
    Autoscaling { at: map(node, "at", |key, n| group(n).map(|g| (SiteName::new(key), g))) }
}

fn group(node: &Node) -> Option<GroupAt> {
    let share = |key: &str| node.get(key).and_then(Node::text).and_then(percent).unwrap_or(100);
    Some(GroupAt {
        group: node.get("group")?.text()?.to_owned(),
        capacity_percent: share("capacity"),
        capacity_floor: node.get("capacity_floor").and_then(Node::int).and_then(|n| u32::try_from(n).ok()),
        proceed_percent: share("proceed_at"),
        timeout: node.get("timeout").and_then(dur),
    })
}
