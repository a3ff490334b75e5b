//! What a plan says of an RDS instance.

use crate::kinds::aws::SECURITY_GROUP;
use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::database::plan::{
    BACKUP_EVERY, Database, EXPENDABLE, HARMLESS_FIELD, VERIFY_FIELD,
};
use crate::kinds::shared::secret::login::SECRET;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax::{self, Syntax};

/// The database that a plan declares.
#[derive(Clone, Debug)]
pub struct Rds(pub(super) Database);

/// A DB instance (Amazon RDS API Reference, `CreateDBInstance`, `DBInstanceIdentifier`).
static DB_INSTANCE: Syntax = Syntax::new(
    "a DB instance identifier",
    "1 to 63 letters, digits and single hyphens; it begins with a letter and does not end with a hyphen",
    "shop-db",
    "^[A-Za-z](-?[A-Za-z0-9])*$",
    63,
);

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
        req("id", Shape::Written(&DB_INSTANCE), "DB instance identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database; if absent, drctl uses the observed endpoint",
        ),
        opt(
            "fence_group",
            Shape::Written(&SECURITY_GROUP),
            "a prepared security group without rules, for the fence",
        ),
        opt("admin", SECRET, "administrator credentials, for the SQL fence and verification"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rds_refuses_does_not_fit() {
        let long = "a".repeat(64);
        for text in ["1db", "db-", "a--b", "a_b", "a.b", "data\u{200b}base", &long] {
            assert!(!DB_INSTANCE.fits(text), "{text}");
        }
    }
}
