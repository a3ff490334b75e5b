//! What people vouch for on a database, who may stay while it is fenced and which rows may be lost; and how databases are reached.

use crate::plan::shape::{Field, Record, Shape, opt};

pub(super) const HARMLESS_FIELD: Field = opt(
    "harmless",
    Shape::Record(&HARMLESS),
    "who may stay while it is fenced by SQL: somebody vouches that they write nothing",
);
const HARMLESS: Record = Record {
    name: "harmless",
    fields: &[
        opt(
            "roles",
            Shape::List(&Shape::Text),
            "roles that may go on to log in, such as a superuser of people or of monitoring",
        ),
        opt(
            "applications",
            Shape::Map(&Shape::Text),
            "by application_name the role that it logs in as: no other session of that role is accepted",
        ),
        opt(
            "processes",
            Shape::List(&Shape::Text),
            "background processes, by their backend_type in pg_stat_activity",
        ),
    ],
};
pub(super) const EXPENDABLE: Field = opt(
    "expendable",
    Shape::List(&Shape::Name),
    "unlogged tables (schema.table; public if it names none) whose rows may be lost with a promotion: no standby has them",
);

pub(super) const SQL: Record = Record {
    name: "sql",
    fields: &[
        opt(
            "tls",
            Shape::OneOf(&["verify", "off"]),
            "verify: the server's certificate is checked; the default",
        ),
        opt(
            "ca_file",
            Shape::Text,
            "certificates to trust beside the system's, such as the RDS bundle (PEM)",
        ),
    ],
};
