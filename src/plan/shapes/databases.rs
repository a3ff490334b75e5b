//! What people vouch for on a database, who may stay while it is fenced and which rows may be lost; and how databases are reached.

use crate::model::shape::{Field, Keys, Shape, opt};

pub(super) const HARMLESS_FIELD: Field = opt(
    "harmless",
    Shape::Keys(&HARMLESS),
    "sessions that may stay during a SQL fence; you guarantee that they write nothing",
);
const HARMLESS: Keys = Keys {
    name: "harmless",
    fields: &[
        opt(
            "roles",
            Shape::List(&Shape::Text),
            "roles that may still log in, such as a superuser for people or for monitoring",
        ),
        opt(
            "applications",
            Shape::Map(&Shape::Text),
            "for each application_name, the role that it uses; drctl accepts no other session of that role",
        ),
        opt(
            "processes",
            Shape::List(&Shape::Text),
            "background processes, by backend_type in pg_stat_activity",
        ),
    ],
};
pub(super) const EXPENDABLE: Field = opt(
    "expendable",
    Shape::List(&Shape::Name),
    "unlogged tables (schema.table; public if no schema is given) whose rows a promotion may lose; no standby has these rows",
);

pub(super) const SQL: Keys = Keys {
    name: "sql",
    fields: &[
        opt(
            "tls",
            Shape::OneOf(&["verify", "off"]),
            "verify (default): drctl checks the certificate of the server",
        ),
        opt(
            "ca_file",
            Shape::Text,
            "certificates to trust in addition to those of the system, such as the RDS bundle (PEM)",
        ),
    ],
};
