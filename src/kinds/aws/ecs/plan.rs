//! What a plan says of an ECS service.

use std::collections::BTreeMap;

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::capacity::share::{
    CAPACITY, CapacityShare, PROCEED_AT, SCALE_TIMEOUT, capacity_share,
};
use crate::model::document::Node;
use crate::model::ids::SiteName;
use crate::model::read::map;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax::Syntax;

/// A service in each site.
#[derive(Clone, Debug)]
pub struct Ecs {
    /// The service in each site.
    pub at: BTreeMap<SiteName, ServiceAt>,
}

/// The service in one site.
#[derive(Clone, Debug)]
pub struct ServiceAt {
    /// The name of its cluster.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// How much it must reach.
    pub share: CapacityShare,
}

/// A cluster (Amazon ECS API Reference, `CreateCluster`, `clusterName`).
static CLUSTER: Syntax = Syntax::new(
    "the name of an ECS cluster",
    "1 to 255 letters, digits, hyphens and underscores; the name, not the ARN",
    "shop",
    "^[A-Za-z0-9_-]+$",
    255,
);

/// A service (Amazon ECS API Reference, `CreateService`, `serviceName`).
static SERVICE: Syntax = Syntax::new(
    "the name of an ECS service",
    "1 to 255 letters, digits, hyphens and underscores; the name, not the ARN",
    "web",
    "^[A-Za-z0-9_-]+$",
    255,
);

pub(super) const KEYS: Keys = Keys {
    name: "aws.ecs component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Keys(&SERVICE_AT)), "the service in each site"),
    ],
};

const SERVICE_AT: Keys = Keys {
    name: "service",
    fields: &[
        req("cluster", Shape::Written(&CLUSTER), "name of the ECS cluster"),
        req("service", Shape::Written(&SERVICE), "name of the service in the cluster"),
        CAPACITY,
        opt(
            "capacity_floor",
            Shape::Int(0, 10_000),
            "the smallest number of tasks; drctl uses it if the source does not answer",
        ),
        PROCEED_AT,
        SCALE_TIMEOUT,
    ],
};

pub(super) fn build(node: &Node) -> Ecs {
    Ecs { at: map(node, "at", |key, n| service(n).map(|s| (SiteName::new(key), s))) }
}

fn service(node: &Node) -> Option<ServiceAt> {
    let text = |key: &str| node.get(key)?.text().map(str::to_owned);
    Some(ServiceAt { cluster: text("cluster")?, service: text("service")?, share: capacity_share(node) })
}
