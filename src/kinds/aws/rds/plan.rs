//! What a plan says of an RDS instance.

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::database::{BACKUP_EVERY, EXPENDABLE, HARMLESS_FIELD, VERIFY_FIELD};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax;

pub(super) const KEYS: Keys = Keys {
    name: "aws.rds component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "allow_connections", "security_group"])),
            "the fence methods, tried in order",
        ),
        HARMLESS_FIELD,
        EXPENDABLE,
        req("at", Shape::Map(&Shape::Keys(&RDS_AT)), "the instance in each site"),
        VERIFY_FIELD,
        BACKUP_EVERY,
    ],
};

const RDS_AT: Keys = Keys {
    name: "instance",
    fields: &[
        req("id", Shape::Written(&syntax::DB_INSTANCE), "DB instance identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database; if absent, drctl uses the observed endpoint",
        ),
        opt(
            "fence_group",
            Shape::Written(&syntax::SECURITY_GROUP),
            "a prepared security group without rules, for the fence",
        ),
        opt("admin", Shape::Secret, "administrator credentials, for the SQL fence and verification"),
    ],
};
