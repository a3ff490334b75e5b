//! What a plan says of an Aurora global database.

use crate::kinds::aws::SECURITY_GROUP;
use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::database::plan::{CANARY, Database, HARMLESS_FIELD};
use crate::kinds::shared::secret::login::SECRET;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax::{self, Syntax};

/// The database that a plan declares.
#[derive(Clone, Debug)]
pub struct AuroraGlobal(pub(super) Database);

/// A DB cluster (Amazon RDS API Reference, `CreateDBCluster`, `DBClusterIdentifier`).
static DB_CLUSTER: Syntax = Syntax::new(
    "a DB cluster identifier",
    "1 to 63 letters, digits and single hyphens; it begins with a letter and does not end with a hyphen",
    "shop-cluster",
    "^[A-Za-z](-?[A-Za-z0-9])*$",
    63,
);

/// A global database (Amazon RDS API Reference, `CreateGlobalCluster`, `GlobalClusterIdentifier`).
static GLOBAL_CLUSTER: Syntax = Syntax::new(
    "a global database identifier",
    "1 to 255 letters, digits, hyphens, colons, dots and underscores; it begins with a letter",
    "shop-global",
    "^[A-Za-z][0-9A-Za-z._:-]*$",
    255,
);

pub(super) const KEYS: Keys = Keys {
    name: "aws.aurora_global component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req(
            "global_cluster",
            Shape::Written(&GLOBAL_CLUSTER),
            "the identifier of the global database, the same in every region",
        ),
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "security_group"])),
            "the fence methods, tried in order; `sql` is for aurora-postgresql",
        ),
        HARMLESS_FIELD,
        req("at", Shape::Map(&Shape::Keys(&AURORA_AT)), "the cluster in each site"),
        opt("verify", Shape::Keys(&CANARY), "the test write that proves a promotion"),
    ],
};

const AURORA_AT: Keys = Keys {
    name: "cluster",
    fields: &[
        req("id", Shape::Written(&DB_CLUSTER), "DB cluster identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database of its writer; if absent, drctl uses the observed endpoint",
        ),
        opt(
            "instance_class",
            Shape::Text,
            "the instance class to add to a cluster without instances; the class of the writer if absent",
        ),
        opt(
            "fence_group",
            Shape::Written(&SECURITY_GROUP),
            "a prepared security group without rules, for the fence",
        ),
        opt("admin", SECRET, "administrator credentials, for the SQL fence and verification"),
    ],
};
