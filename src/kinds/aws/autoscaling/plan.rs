//! What a plan says of an Auto Scaling group.

use std::collections::BTreeMap;

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::capacity::share::{
    CAPACITY, CAPACITY_FLOOR, CapacityShare, PROCEED_AT, SCALE_TIMEOUT, capacity_share,
};
use crate::model::document::Node;
use crate::model::ids::SiteName;
use crate::model::read::map;
use crate::model::shape::{Keys, Shape, req};
use crate::model::syntax::Syntax;

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
    /// How much it must reach.
    pub share: CapacityShare,
}

/// An Auto Scaling group (Amazon EC2 Auto Scaling API Reference, `CreateAutoScalingGroup`, `AutoScalingGroupName`).
static GROUP: Syntax = Syntax::new(
    "an Auto Scaling group name",
    "1 to 255 characters, without a colon",
    "shop-nodes",
    "^[^:]+$",
    255,
);

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
        req("group", Shape::Written(&GROUP), "Auto Scaling group name"),
        CAPACITY,
        CAPACITY_FLOOR,
        PROCEED_AT,
        SCALE_TIMEOUT,
    ],
};

pub(super) fn build(node: &Node) -> Autoscaling {
    Autoscaling { at: map(node, "at", |key, n| group(n).map(|g| (SiteName::new(key), g))) }
}

fn group(node: &Node) -> Option<GroupAt> {
    Some(GroupAt { group: node.get("group")?.text()?.to_owned(), share: capacity_share(node) })
}
